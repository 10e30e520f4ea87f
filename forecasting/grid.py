"""Put observations on the grid of their frequency; fill gaps by a stated rule."""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from forecasting.arrays import BoolArray, FloatArray, TimeArray
from forecasting.duplicates import one_value_each
from forecasting.errors import InvalidSeries
from forecasting.fill import FillRules, fill_gaps
from forecasting.frequency import (
    Frequency,
    grid_between,
    times_before,
)
from forecasting.open_days import known_years
from forecasting.zones import local_times

# A wrong frequency (seconds for days) would otherwise fill the memory with a grid.
GRID_LIMIT = 2_000_000
# Squares of larger values, and their sums, might overflow.
VALUE_LIMIT = 1e100
# Observations on closed days, beyond which the calendar is taken for the wrong one.
_CLOSED_SHARE = 0.05

# The start and the end of the panel a series belongs to; None where it has no own.
Span: TypeAlias = tuple[Any, Any]
_AS_USUAL = FillRules()


@dataclass(frozen=True)
class RegularSeries:
    """A series on its grid, without gaps.

    Attributes:
        times: shape (n,), datetime64[us], UTC, every step of the grid.
        values: shape (n,), finite; observed or filled.
        observed: shape (n,), False where the value is a guess; what the rules state
            of a step without a row, such as zero, counts as observed.
        warnings: what was done to the series, in sentences.
    """

    times: TimeArray
    values: FloatArray
    observed: BoolArray
    warnings: tuple[str, ...]

    @property
    def known(self) -> FloatArray:
        """The values, NaN where nothing was observed."""
        return np.where(self.observed, self.values, np.nan)


def regularise(
    values: FloatArray,
    *,
    times: TimeArray,
    frequency: Frequency,
    season: int,
    rules: FillRules = _AS_USUAL,
    span: Span = (None, None),
) -> RegularSeries:
    """Put a series on its grid and fill what is missing by the caller's rules.

    By default the series reaches from its first to its latest observation; inside of
    it, gaps of up to two steps are filled by a straight line, longer ones by the median
    of the same phase in up to four seasons before and after.

    Args:
        values: observations, shape (n,), any unit, at most 1e100 in size; NaN means
            missing.
        times: their UTC times, shape (n,), on the grid; increasing and unique, unless
            the rules say what to do with duplicates.
        frequency: the step of the grid. On the grid of a named calendar, a closed day
            with an observation counts as open.
        season: steps, at least 1.
        rules: how front, middle and back are filled, and what duplicates mean.
        span: UTC times, datetime64, of the start and the end of the panel, which the
            rules for front and back fill to; None leaves that end alone.

    Returns:
        The series without gaps, and in its warnings what was done to it.

    Raises:
        InvalidSeries: empty, all missing, not finite, unsorted, repeated, off grid, or
            a gap that the rules refuse.

    Example:
        >>> week = np.array(["2024-01-05", "2024-01-09"], dtype="datetime64[us]")
        >>> from forecasting.frequency import parse_frequency
        >>> trading = parse_frequency("B", calendar="XNYS")
        >>> found = regularise(
        ...     np.array([1.0, 3.0]), times=week, frequency=trading, season=5
        ... )
        >>> found.values, found.times.astype("datetime64[D]").astype(str).tolist()
        (array([1., 2., 3.]), ['2024-01-05', '2024-01-08', '2024-01-09'])
    """
    values, times = _checked(values, times)
    values, times, notes = one_value_each(values, times, rule=rules.duplicates)
    _refuse_disorder(times)
    present = np.flatnonzero(~np.isnan(values))
    kept = slice(present[0], present[-1] + 1)
    values, times = values[kept], times[kept]
    grid, found = _grid(times, frequency, _reach(times, rules, span))
    known = np.full(grid.shape, np.nan)
    known[np.searchsorted(grid, times)] = values
    filled = fill_gaps(known, season=season, rules=rules)
    return RegularSeries(
        times=grid,
        values=filled.values,
        observed=filled.observed,
        warnings=(*notes, *found, *filled.notes),
    )


def _reach(times: TimeArray, rules: FillRules, span: Span) -> tuple[Any, Any]:
    """Return from when to when the series is wanted."""
    start, end = (None if one is None else np.datetime64(one, "us") for one in span)
    first, final = times[0], times[-1]
    if rules.front != "none" and start is not None:
        first = min(first, start)
    if rules.back != "none" and end is not None:
        final = max(final, end)
    return first, final


def _checked(values: FloatArray, times: TimeArray) -> tuple[FloatArray, TimeArray]:
    values = np.array(values, dtype=np.float64)
    times = np.asarray(times).astype("datetime64[us]")
    if values.ndim != 1 or values.shape != times.shape:
        raise InvalidSeries(
            f"{values.shape} values and {times.shape} times: give one time per value"
        )
    if np.isnan(values).all():
        msg = (
            f"none of the {values.size} values is known: send at least one observation"
        )
        raise InvalidSeries(msg)
    large = np.abs(values) > VALUE_LIMIT
    if large.any():
        raise InvalidSeries(
            f"the value {values[large][0]} at {times[large][0]} is not finite or above "
            f"{VALUE_LIMIT}: send NaN if it is missing, or use a larger unit"
        )
    if np.isnat(times).any():
        raise InvalidSeries(
            f"time number {np.isnat(times).argmax()} is missing: give one per value"
        )
    return values, times


def _refuse_disorder(times: TimeArray) -> None:
    stuck = np.flatnonzero(np.diff(times) <= np.timedelta64(0, "us"))
    if stuck.size:
        msg = f"time {times[stuck[0] + 1]} does not come after {times[stuck[0]]}"
        raise InvalidSeries(
            f"{msg}: sort the times and keep one value for each, or name a rule for "
            "duplicates"
        )


def _grid(
    times: TimeArray, frequency: Frequency, reach: tuple[Any, Any]
) -> tuple[TimeArray, tuple[str, ...]]:
    if frequency.step_us is not None:
        steps = int((reach[1] - reach[0]) // np.timedelta64(frequency.step_us, "us"))
        if steps >= GRID_LIMIT:
            msg = f"{frequency.text!r} makes {steps} steps of {times.size} observations"
            raise InvalidSeries(f"{msg}, more than {GRID_LIMIT}: check the frequency")
    grid = grid_between(frequency, first=times[0], final=reach[1])
    if reach[0] < times[0]:
        front = times_before(frequency, first=times[0], start=reach[0])
        grid = np.concatenate((front, grid))
    off = times[~np.isin(times, grid)]
    if frequency.calendar is not None:
        return _with_closed(grid, off, times, frequency)
    if off.size:
        raise InvalidSeries(_off_grid(off[0], times[0], frequency))
    return grid, ()


def _with_closed(
    grid: TimeArray, off: TimeArray, times: TimeArray, frequency: Frequency
) -> tuple[TimeArray, tuple[str, ...]]:
    """Take a few observed days for open, whatever the calendar says of them."""
    notes = _before_records(times, str(frequency.calendar))
    if not off.size:
        return grid, notes
    shown = local_times(np.append(times[:1], off), timezone=frequency.timezone)
    of_day = shown - shown.astype("datetime64[D]")
    elsewhere = off[of_day[1:] != of_day[0]]
    if elsewhere.size:
        raise InvalidSeries(_off_grid(elsewhere[0], times[0], frequency))
    text = (
        f"{off.size} of {times.size} observations, the first at {off[0]}, are of days "
        f"on which the calendar {frequency.calendar!r} is closed"
    )
    if off.size > max(1, _CLOSED_SHARE * times.size):
        raise InvalidSeries(f"{text}: name the calendar the series really has, or none")
    return np.union1d(grid, off), (*notes, f"{text}: they count as open")


def _before_records(times: TimeArray, calendar: str) -> tuple[str, ...]:
    first, final = known_years(calendar)
    begin, end = (int(str(one.astype("datetime64[Y]"))) for one in times[[0, -1]])
    if first <= begin and end <= final:
        return ()
    years = f"before {first}" if begin < first else f"after {final}"
    text = f"the calendar {calendar!r} knows no holidays {years}"
    return (f"{text}: all weekdays of those years count as open",)


def _off_grid(time: Any, first: Any, frequency: Frequency) -> str:
    anchor = f"of the {frequency.calendar or frequency.timezone} calendar"
    if frequency.step_us:
        anchor = f"counted from {first}"
    return (
        f"time {time} is not on the {frequency.text!r} grid {anchor}: "
        "resample the series or name the frequency it really has"
    )
