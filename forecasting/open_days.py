"""Named calendars: the days on which a country, a region or an exchange is open."""

from datetime import date, timedelta
from functools import lru_cache
from typing import Any

import numpy as np

from forecasting.arrays import TimeArray
from forecasting.errors import InvalidSeries

# The same years that the calendar steps of pandas reach.
_FIRST_YEAR, _FINAL_YEAR = 1678, 2261
_DAY = np.timedelta64(1, "D")


def check_calendar(calendar: str) -> None:
    """Refuse a calendar that nobody keeps.

    Args:
        calendar: an exchange by its code ("XNYS" or "NYSE", "ECB"), a country by its
            two letters ("DE"), or a region of one ("DE-BE").

    Raises:
        InvalidSeries: the calendar is not known; the message says what is.

    Example:
        >>> check_calendar("XNYS"), check_calendar("DE-BE")
        (None, None)
    """
    _kept(calendar)


def known_years(calendar: str) -> tuple[int, int]:
    """Tell the first and the final year whose holidays are known; others have none.

    Args:
        calendar: see ``check_calendar``.

    Raises:
        InvalidSeries: the calendar is not known.

    Example:
        >>> known_years("ECB")[0]
        1999
    """
    kept = _kept(calendar)
    return int(kept.start_year), int(kept.end_year)


def open_days(calendar: str, *, first: Any, final: Any) -> TimeArray:
    """List the open days from `first` to `final`, both included.

    A day is open when it is neither a holiday nor a weekend of the calendar; weekends
    that were made working days are open.

    Args:
        calendar: see ``check_calendar``.
        first: datetime64, a date of the calendar's own zone.
        final: datetime64, the same.

    Returns:
        Days, shape (m,), datetime64[D], ascending.

    Raises:
        InvalidSeries: the calendar is not known, or a year is before 1678 or after
            2261.

    Example:
        >>> ends = np.datetime64("2024-07-03"), np.datetime64("2024-07-08")
        >>> open_days("XNYS", first=ends[0], final=ends[1]).astype(str).tolist()
        ['2024-07-03', '2024-07-05', '2024-07-08']
    """
    return _between(calendar, first, final, 1)


def holidays_between(calendar: str, *, first: Any, final: Any) -> TimeArray:
    """List the holidays from `first` to `final`, both included, weekends among them.

    Args:
        calendar: see ``check_calendar``.
        first: datetime64, a date of the calendar's own zone.
        final: datetime64, the same.

    Returns:
        Days, shape (m,), datetime64[D], ascending.

    Raises:
        InvalidSeries: the calendar is not known, or a year is before 1678 or after
            2261.
    """
    return _between(calendar, first, final, 0)


def open_days_after(calendar: str, *, day: Any, count: int) -> TimeArray:
    """List the `count` open days that follow a day, which need not be open itself.

    Args:
        calendar: see ``check_calendar``.
        day: datetime64, a date of the calendar's own zone.
        count: days, at least 1.

    Returns:
        Days, shape (count,), datetime64[D], ascending.

    Raises:
        InvalidSeries: the calendar is not known, or a year is after 2261.
    """
    start = np.datetime64(day, "D") + _DAY
    # Five days in seven are open, and few calendars close for more than two weeks.
    reach = 2 * count + 30
    found = open_days(calendar, first=start, final=start + reach * _DAY)
    while found.size < count:
        reach *= 2
        found = open_days(calendar, first=start, final=start + reach * _DAY)
    return found[:count]


def _between(calendar: str, first: Any, final: Any, which: int) -> TimeArray:
    start, stop = np.datetime64(first, "D"), np.datetime64(final, "D")
    begin, end = (int(str(one.astype("datetime64[Y]"))) for one in (start, stop))
    if begin < _FIRST_YEAR or end > _FINAL_YEAR:
        msg = f"the days from {start} to {stop} leave the calendar {calendar!r}, which"
        raise InvalidSeries(
            f"{msg} reaches from {_FIRST_YEAR} to {_FINAL_YEAR}: "
            "check the times or ask for a shorter horizon"
        )
    years = [_year(calendar, year)[which] for year in range(begin, end + 1)]
    days = np.concatenate([np.empty(0, dtype="datetime64[D]"), *years])
    return days[(days >= start) & (days <= stop)]


@lru_cache(maxsize=4096)
def _year(calendar: str, year: int) -> tuple[TimeArray, TimeArray]:
    """Split a year into its holidays and its open days."""
    kept = _kept(calendar, year)
    days = [date(year, 1, 1) + timedelta(days=one) for one in range(366)]
    days = [day for day in days if day.year == year]
    closed = [day for day in days if day in kept]
    working = [day for day in days if kept.is_working_day(day)]
    return np.array(closed, "datetime64[D]"), np.array(working, "datetime64[D]")


def _kept(calendar: str, year: int | None = None) -> Any:
    import holidays  # noqa: PLC0415 - only those who name a calendar pay for it

    if calendar in holidays.list_supported_financial():
        return holidays.financial_holidays(calendar, years=year)
    country, _, region = calendar.partition("-")
    if country in holidays.list_supported_countries():
        try:
            return holidays.country_holidays(country, region or None, years=year)
        except NotImplementedError as error:
            regions = ", ".join(holidays.list_supported_countries()[country])
            raise InvalidSeries(
                f"the calendar of {country} has no region {region!r}: "
                f"use one of {regions or 'none'}"
            ) from error
    raise InvalidSeries(
        f"no calendar is called {calendar!r}: name an exchange such as XNYS or ECB, "
        "a country such as DE, or a region such as DE-BE; the exchanges are "
        + ", ".join(sorted(holidays.list_supported_financial()))
    )
