"""Frequencies: from a text to a step, its grid of times and its usual seasons."""

import re
import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd  # type: ignore[import-untyped]  # 2.3 ships no types

from forecasting.arrays import TimeArray
from forecasting.errors import InvalidSeries
from forecasting.open_days import check_calendar, open_days, open_days_after
from forecasting.zones import local_times, utc_times

_SECOND_US = 1_000_000
_HOUR_US = 3_600 * _SECOND_US
_DAY_US = 24 * _HOUR_US
_WEEK_US = 7 * _DAY_US
# Steps a year of the calendar offsets, by the first letters of pandas' own rule code.
_STEPS_A_YEAR = {"W": 52, "MS": 12, "ME": 12, "BMS": 12, "BME": 12, "QS": 4, "QE": 4}
_BUSINESS_WEEK = 5
_MONTHS = re.compile(r"P(?:(\d+)Y)?(?:(\d+)M)?")


@dataclass(frozen=True)
class Frequency:
    """The distance between two observations.

    Attributes:
        text: the frequency as the caller wrote it.
        offset: the pandas offset; used for calendar steps such as months.
        step_us: microseconds for steps of fixed length, else None.
        calendar: the named calendar whose open days are the steps, or None.
        timezone: the zone whose clocks count days and longer steps.
    """

    text: str
    offset: Any
    step_us: int | None
    calendar: str | None = None
    timezone: str = "UTC"


def parse_frequency(
    text: str, *, calendar: str | None = None, timezone: str = "UTC"
) -> Frequency:
    """Read a pandas offset alias or an ISO 8601 duration.

    A bare "W" means seven days counted from the first observation, so that weeks may
    start on any day; "W-MON" insists on Mondays.

    Args:
        text: such as "1h", "15min", "D", "W", "MS", "PT1H", "P1D", "P1M".
        calendar: a named calendar such as "XNYS", "ECB", "DE" or "DE-BE": a step of one
            day then leads from one open day to the next.
        timezone: an IANA name. Days, weeks and months then begin when the clocks of
            that zone say so; hours and shorter steps have none.

    Returns:
        The frequency.

    Raises:
        InvalidSeries: the text is not understood, the step is not positive, the
            calendar or the zone is not known, or a calendar goes with steps other than
            days.

    Example:
        >>> parse_frequency("PT15M").step_us
        900000000
        >>> parse_frequency("MS").step_us is None
        True
    """
    try:
        # Old aliases such as "H" still mean what they meant: no need to warn.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            offset = _offset(text)
    except (ValueError, TypeError) as error:
        msg = f"frequency {text!r} is not understood: use '1h', '15min', 'D', 'W', 'MS'"
        raise InvalidSeries(f"{msg} or a duration such as 'PT1H'") from error
    if offset.n < 1:
        raise InvalidSeries(
            f"frequency {text!r} does not move forward: use a positive step"
        )
    step_us = None
    if isinstance(offset, pd.offsets.Tick):
        step_us = offset.nanos // 1_000
        if step_us < 1:
            raise InvalidSeries(
                f"frequency {text!r} is below one microsecond, the finest step"
            )
    plain = Frequency(text=text, offset=offset, step_us=step_us)
    return _placed(plain, calendar, timezone)


def _placed(plain: Frequency, calendar: str | None, timezone: str) -> Frequency:
    """Let days follow a calendar and a zone instead of the UTC clock."""
    local_times(np.empty(0, "datetime64[us]"), timezone=timezone)
    step_us = plain.step_us
    if step_us is not None and timezone != "UTC" and step_us % _DAY_US == 0:
        step_us = None
    if calendar is not None:
        check_calendar(calendar)
        if plain.step_us != _DAY_US and plain.offset != pd.offsets.BDay():
            raise InvalidSeries(
                f"frequency {plain.text!r} does not go with the calendar {calendar!r}: "
                "a calendar needs steps of one day, 'B' or 'D'"
            )
        step_us = None
    return replace(plain, step_us=step_us, calendar=calendar, timezone=timezone)


def _offset(text: str) -> Any:
    months = _MONTHS.fullmatch(text)
    if months and text != "P":
        return _month_offset(int(months[1] or 0) * 12 + int(months[2] or 0))
    if text.startswith("P"):
        return pd.tseries.frequencies.to_offset(pd.Timedelta(text))
    offset = pd.tseries.frequencies.to_offset(text)
    if re.fullmatch(r"\d*W", text):
        return pd.offsets.Day(7 * offset.n)
    return offset


def _month_offset(months: int) -> Any:
    # pandas reads "P1M" as one minute, so ISO months and years are ours to translate.
    if months % 12 == 0:
        return pd.offsets.YearBegin(months // 12)
    if months % 3 == 0:
        return pd.offsets.QuarterBegin(months // 3, startingMonth=1)
    return pd.offsets.MonthBegin(months)


def season_lengths(frequency: Frequency) -> tuple[int, ...]:
    """Name the usual seasons of a frequency, shortest first.

    Args:
        frequency: the step.

    Returns:
        Seasons in steps: (24, 168) for hours, (7,) for days, (12,) for months; (1,)
        when none is usual.

    Example:
        >>> season_lengths(parse_frequency("1h")), season_lengths(parse_frequency("QS"))
        ((24, 168), (4,))
    """
    if frequency.calendar is not None:
        return (_BUSINESS_WEEK,)
    if isinstance(frequency.offset, pd.offsets.Tick):
        return _fixed_seasons(frequency.offset.nanos // 1_000)
    if frequency.offset.rule_code == "B":
        return (_BUSINESS_WEEK,) if frequency.offset.n == 1 else (1,)
    rule = str(frequency.offset.rule_code).split("-", maxsplit=1)[0]
    a_year, rest = divmod(_STEPS_A_YEAR.get(rule, 1), frequency.offset.n)
    return (a_year,) if rest == 0 and a_year > 1 else (1,)


def _fixed_seasons(step_us: int) -> tuple[int, ...]:
    # Below a minute a day has too many steps to be a useful season.
    cycles = (_DAY_US, _WEEK_US) if step_us >= 60 * _SECOND_US else (_HOUR_US,)
    if step_us >= _WEEK_US:
        cycles = (52 * _WEEK_US,)
    found = tuple(
        cycle // step_us
        for cycle in cycles
        if cycle % step_us == 0 and cycle // step_us > 1
    )
    return found or (1,)


def grid_between(frequency: Frequency, *, first: Any, final: Any) -> TimeArray:
    """List the times of the grid from `first` to `final`, both included.

    Args:
        frequency: the step.
        first: datetime64[us], UTC, the anchor of fixed steps.
        final: datetime64[us], UTC.

    Returns:
        Times, shape (m,), datetime64[us]; calendar grids leave out a `first` that is
        not on the calendar. Open days have the time of day of `first`.

    Raises:
        InvalidSeries: calendar steps beyond the years 1678 to 2262.
    """
    if frequency.step_us is not None:
        step = np.timedelta64(frequency.step_us, "us")
        return np.arange(first, final + np.timedelta64(1, "us"), step)
    start, end = _local(frequency, first), _local(frequency, final)
    if frequency.calendar is None:
        return _calendar_times(frequency, start=start, end=end)
    days = open_days(frequency.calendar, first=start, final=end)
    times = days + _time_of_day(start)
    return _utc(frequency, times[(times >= start) & (times <= end)])


def times_before(frequency: Frequency, *, first: Any, start: Any) -> TimeArray:
    """List the grid times before `first`, from `start` on.

    Args:
        frequency: the step.
        first: datetime64[us], UTC, on the grid.
        start: datetime64[us], UTC.

    Returns:
        Times, shape (m,), datetime64[us], ascending, all before `first`.

    Raises:
        InvalidSeries: calendar steps beyond the years 1678 to 2262.

    Example:
        >>> ends = np.datetime64("2024-03-01", "us"), np.datetime64("2024-01-15", "us")
        >>> times_before(parse_frequency("MS"), first=ends[0], start=ends[1])
        array(['2024-02-01T00:00:00.000000'], dtype='datetime64[us]')
    """
    if frequency.step_us is not None:
        steps = np.arange((first - start) // np.timedelta64(frequency.step_us, "us"))
        back = (steps[::-1] + 1) * np.timedelta64(frequency.step_us, "us")
        return np.asarray(first - back, dtype="datetime64[us]")
    anchor, end = _local(frequency, first), _local(frequency, start)
    if frequency.calendar is None:
        # Backwards, so that every second month is counted from the first observation.
        backwards = replace(frequency, offset=-1 * frequency.offset)
        times = _calendar_times(backwards, start=anchor, end=end)[::-1]
        return np.asarray(times[(times >= start) & (times < first)])
    days = open_days(frequency.calendar, first=end, final=anchor)
    times = days + _time_of_day(anchor)
    return _utc(frequency, times[(times >= end) & (times < anchor)])


def times_after(frequency: Frequency, *, cutoff: Any, horizon: int) -> TimeArray:
    """List the `horizon` grid times that follow the cutoff.

    Args:
        frequency: the step.
        cutoff: datetime64[us], UTC, on the grid; with a named calendar, any day.
        horizon: steps, at least 1.

    Returns:
        Times, shape (horizon,), datetime64[us], all after the cutoff.

    Raises:
        InvalidSeries: calendar steps beyond the years 1678 to 2262.

    Example:
        >>> month = parse_frequency("MS")
        >>> times_after(month, cutoff=np.datetime64("2024-01-01", "us"), horizon=1)
        array(['2024-02-01T00:00:00.000000'], dtype='datetime64[us]')
    """
    if frequency.step_us is not None:
        steps = np.arange(1, horizon + 1) * np.timedelta64(frequency.step_us, "us")
        return np.asarray(cutoff + steps, dtype="datetime64[us]")
    after = _local(frequency, cutoff)
    if frequency.calendar is None:
        return _calendar_times(frequency, start=after, periods=horizon + 1)[1:]
    days = open_days_after(frequency.calendar, day=after, count=horizon)
    return _utc(frequency, days + _time_of_day(after))


def _calendar_times(frequency: Frequency, **span: Any) -> TimeArray:
    try:
        listed = pd.date_range(freq=frequency.offset, **span)
    except (OverflowError, pd.errors.OutOfBoundsDatetime) as error:
        raise InvalidSeries(
            f"{frequency.text!r} steps leave the calendar, which ends in 2262: "
            "check the times or ask for a shorter horizon"
        ) from error
    return _utc(frequency, np.asarray(listed.to_numpy(), dtype="datetime64[us]"))


def _time_of_day(time: Any) -> Any:
    return time - time.astype("datetime64[D]")


def _local(frequency: Frequency, time: Any) -> Any:
    if frequency.timezone == "UTC":
        return np.datetime64(time, "us")
    return local_times(np.array([time]), timezone=frequency.timezone)[0]


def _utc(frequency: Frequency, local: TimeArray) -> TimeArray:
    if frequency.timezone == "UTC":
        return np.asarray(local, dtype="datetime64[us]")
    return utc_times(local, timezone=frequency.timezone)
