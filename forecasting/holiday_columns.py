"""Holidays as covariates: known for every past and future step."""

from typing import Any

import numpy as np

from forecasting.arrays import BoolArray, FloatArray, TimeArray
from forecasting.open_days import holidays_between, open_days
from forecasting.zones import local_times

_DAY = np.timedelta64(1, "D")
# The mean length of a month of the Gregorian calendar.
_DAYS_A_MONTH = 30.436875


def holiday_columns(
    times: TimeArray, *, country: str, region: str | None = None, timezone: str = "UTC"
) -> dict[str, FloatArray]:
    """Describe the holidays of each step.

    Steps of up to a day are described by their local date: whether it is a holiday,
    the day before or after one (and none itself), and a bridge day, which is a working
    day between a holiday and another day off. Longer steps count the holidays and the
    working days they hold; steps of months hold whole months, named by their first day
    or by their last.

    Times of days and longer steps that all lie at midnight UTC are dates and are not
    moved into the zone.

    Args:
        times: UTC, shape (n,), datetime64[us], ascending, the start of each step.
        country: two letters, such as "DE".
        region: such as "BE"; None for the holidays of the whole country.
        timezone: the IANA name of the zone whose midnight divides the days.

    Returns:
        Columns by name, each shape (n,), no NaN: 0 or 1, or counts for long steps.

    Raises:
        InvalidSeries: country, region or zone are not known, or the times leave the
            years 1678 to 2261.

    Example:
        >>> eve = np.array(["2024-12-24T22:30", "2024-12-24T23:30"], dtype="M8[us]")
        >>> found = holiday_columns(eve, country="DE", timezone="Europe/Berlin")
        >>> found["holiday"].tolist(), found["day before holiday"].tolist()
        ([0.0, 1.0], [1.0, 0.0])
    """
    calendar = f"{country}-{region}" if region else country
    length = np.median(np.diff(times) / _DAY) if times.size > 1 else 1.0
    are_dates = length >= 1 and (times == times.astype("datetime64[D]")).all()
    local = times if are_dates else local_times(times, timezone=timezone)
    days = local.astype("datetime64[D]")
    if length > 1:
        return _counts(calendar, *_spans(days, float(length)))
    # Hours of one day share its marks, and they lie side by side.
    new = np.append(True, days[1:] != days[:-1])
    marks = _marks(calendar, days[new])
    return {name: mark[np.cumsum(new) - 1] for name, mark in marks.items()}


def _marks(calendar: str, days: TimeArray) -> dict[str, FloatArray]:
    holidays, working = _around(calendar, days, days)
    before, after = days - _DAY, days + _DAY
    holiday = _among(days, holidays)
    beside = _among(before, holidays) | _among(after, holidays)
    between = ~_among(before, working) & ~_among(after, working)
    marks = {
        "holiday": holiday,
        "day before holiday": ~holiday & _among(after, holidays),
        "day after holiday": ~holiday & _among(before, holidays),
        "bridge day": _among(days, working) & beside & between,
    }
    return {name: mark.astype(np.float64) for name, mark in marks.items()}


def _counts(calendar: str, starts: TimeArray, ends: TimeArray) -> dict[str, FloatArray]:
    holidays, working = _around(calendar, starts, ends)
    counts = {"holidays": holidays, "working days": working}
    return {
        name: np.asarray(
            np.searchsorted(days, ends) - np.searchsorted(days, starts),
            dtype=np.float64,
        )
        for name, days in counts.items()
    }


def _spans(days: TimeArray, length: float) -> tuple[TimeArray, TimeArray]:
    """Return the first day of each step and the first one after it."""
    months = days.astype("datetime64[M]")
    count = round(length / _DAYS_A_MONTH)
    if count and (days == months.astype("datetime64[D]")).all():
        return days, (months + count).astype("datetime64[D]")
    if count and (days + _DAY == (months + 1).astype("datetime64[D]")).all():
        return (months + 1 - count).astype("datetime64[D]"), days + _DAY
    return days, np.append(days[1:], days[-1:] + round(length) * _DAY)


def _around(calendar: str, starts: TimeArray, ends: TimeArray) -> tuple[Any, Any]:
    span = {"first": starts.min() - _DAY, "final": ends.max() + _DAY}
    return holidays_between(calendar, **span), open_days(calendar, **span)


def _among(days: TimeArray, listed: TimeArray) -> BoolArray:
    return np.isin(days, listed)
