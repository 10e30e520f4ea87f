"""Put observations on the grid of their frequency; fill gaps by a stated rule."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from forecasting.arrays import BoolArray, FloatArray, TimeArray
from forecasting.errors import InvalidSeries
from forecasting.frequency import Frequency, grid_between

# A wrong frequency (seconds for days) would otherwise fill the memory with a grid.
GRID_LIMIT = 2_000_000
# Squares of larger values, and their sums, might overflow.
VALUE_LIMIT = 1e100
# Gaps up to this many steps are bridged by a straight line.
SHORT_GAP = 2
# The seasonal median looks this many seasons back and forth.
SEASONS_EACH_WAY = 4
_MANY_FILLED = 0.2


@dataclass(frozen=True)
class RegularSeries:
    """A series on its grid, without gaps.

    Attributes:
        times: shape (n,), datetime64[us], UTC, every step of the grid.
        values: shape (n,), finite; observed or filled.
        observed: shape (n,), False where the value was filled.
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
    values: FloatArray, *, times: TimeArray, frequency: Frequency, season: int
) -> RegularSeries:
    """Put a series on its grid and fill what is missing inside it.

    Gaps of up to two steps are filled by a straight line. Longer gaps take the median
    of the same phase in up to four seasons before and after; where no such value was
    observed, or the season is 1, they take a straight line too.

    Args:
        values: observations, shape (n,), any unit, at most 1e100 in size; NaN means
            missing.
        times: their UTC times, shape (n,), increasing and unique, on the grid.
        frequency: the step of the grid.
        season: steps, at least 1.

    Returns:
        The series from the first to the last observed value.

    Raises:
        InvalidSeries: empty, all missing, not finite, unsorted, repeated or off grid.
    """
    values, times = _checked(values, times)
    present = np.flatnonzero(~np.isnan(values))
    kept = slice(present[0], present[-1] + 1)
    values, times = values[kept], times[kept]
    grid = _grid(times, frequency)
    known = np.full(grid.shape, np.nan)
    known[np.searchsorted(grid, times)] = values
    observed = ~np.isnan(known)
    filled, notes = _fill(known, season=season)
    return RegularSeries(times=grid, values=filled, observed=observed, warnings=notes)


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
    stuck = np.flatnonzero(np.diff(times) <= np.timedelta64(0, "us"))
    if stuck.size:
        msg = f"time {times[stuck[0] + 1]} does not come after {times[stuck[0]]}"
        raise InvalidSeries(f"{msg}: sort the times and keep one value for each")
    return values, times


def _grid(times: TimeArray, frequency: Frequency) -> TimeArray:
    if frequency.step_us is not None:
        steps = int((times[-1] - times[0]) // np.timedelta64(frequency.step_us, "us"))
        if steps >= GRID_LIMIT:
            msg = f"{frequency.text!r} makes {steps} steps of {times.size} observations"
            raise InvalidSeries(f"{msg}, more than {GRID_LIMIT}: check the frequency")
    grid = grid_between(frequency, first=times[0], final=times[-1])
    off = times[~np.isin(times, grid)]
    if off.size:
        raise InvalidSeries(_off_grid(off[0], times[0], frequency))
    return grid


def _off_grid(time: Any, first: Any, frequency: Frequency) -> str:
    anchor = f"counted from {first}" if frequency.step_us else "of the UTC calendar"
    return (
        f"time {time} is not on the {frequency.text!r} grid {anchor}: "
        "resample the series or name the frequency it really has"
    )


def _fill(known: FloatArray, *, season: int) -> tuple[FloatArray, tuple[str, ...]]:
    missing = np.isnan(known)
    if not missing.any():
        return known, ()
    steps = np.arange(known.size)
    line = np.interp(steps, steps[~missing], known[~missing])
    seasonal = _in_long_gap(missing) if season > 1 else np.zeros_like(missing)
    typical = np.full(known.shape, np.nan)
    typical[seasonal] = _same_phase(known, np.flatnonzero(seasonal), season)
    by_season = ~np.isnan(typical)
    filled = np.where(missing, np.where(by_season, typical, line), known)
    return filled, _notes(known.size, int(missing.sum()), int(by_season.sum()))


def _in_long_gap(missing: BoolArray) -> BoolArray:
    edges = np.diff(np.concatenate(([0], missing.astype(np.int8), [0])))
    starts, stops = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    long = np.zeros_like(missing)
    for start, stop in zip(starts, stops, strict=True):
        long[start:stop] = stop - start > SHORT_GAP
    return long


def _same_phase(known: FloatArray, steps: Any, season: int) -> FloatArray:
    if not steps.size:
        return np.empty(0)
    away = np.arange(1, SEASONS_EACH_WAY + 1) * season
    around = steps[:, None] + np.concatenate((-away, away))[None, :]
    inside = (around >= 0) & (around < known.size)
    near = np.where(inside, known[np.clip(around, 0, known.size - 1)], np.nan)
    found = ~np.isnan(near).all(axis=1)
    typical = np.full(steps.shape, np.nan)
    typical[found] = np.nanmedian(near[found], axis=1)
    return typical


def _notes(length: int, missing: int, by_season: int) -> tuple[str, ...]:
    how = f"{missing - by_season} by a straight line, {by_season} by nearby seasons"
    notes = [f"{missing} of {length} steps were missing and filled: {how}"]
    if missing > _MANY_FILLED * length:
        notes.append(
            f"{missing / length:.0%} of the history is filled, not observed: "
            "trust the forecast accordingly"
        )
    return tuple(notes)
