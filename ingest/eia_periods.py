"""Periods of EIA: their texts, and the start of the interval that each one means.

Hours are stamped with their end, in UTC; everything longer is named by itself, a week
by a day of it. Where a reporter is known to have stamped otherwise, a dated correction
says so.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

Frequency = Literal["hourly", "daily", "weekly", "monthly", "quarterly", "annual"]

STEPS: Mapping[Frequency, str] = {
    "hourly": "PT1H",
    "daily": "P1D",
    "weekly": "P1W",
    "monthly": "P1M",
    "quarterly": "P3M",
    "annual": "P1Y",
}

ZONES: Mapping[str, str] = {
    "Eastern": "America/New_York",
    "Central": "America/Chicago",
    "Mountain": "America/Denver",
    "Pacific": "America/Los_Angeles",
    "Arizona": "America/Phoenix",
}
"""Values of the facet ``timezone`` of daily grid data, whose days are local."""

WIDEST = timedelta(hours=8)
"""How far a start may lie from where its stamp alone would put it."""

_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, eq=False)
class Form:
    """One ``dateFormat``: how its texts look and what they mean."""

    shown: str
    pattern: re.Pattern[str]
    start: Callable[[re.Match[str]], datetime]


def _hour(found: re.Match[str]) -> datetime:
    year, month, day, hour = map(int, found.groups())
    return datetime(year, month, day, hour, tzinfo=UTC) - _HOUR


def _local_hour(found: re.Match[str]) -> datetime:
    year, month, day, hour, offset = map(int, found.groups())
    stamp = datetime(year, month, day, hour, tzinfo=UTC)
    return stamp - timedelta(hours=offset) - _HOUR


def _calendar(months: int) -> Callable[[re.Match[str]], datetime]:
    def start(found: re.Match[str]) -> datetime:
        year, *rest = map(int, found.groups())
        month = (rest[0] - 1) * months + 1 if rest else 1
        return datetime(year, month, rest[1] if len(rest) > 1 else 1, tzinfo=UTC)

    return start


_DATE = r"(\d{4})-(\d\d)-(\d\d)"

FORMS: Mapping[str, Form] = {
    "YYYY": Form("YYYY", re.compile(r"(\d{4})"), _calendar(12)),
    "YYYY-QQ": Form("YYYY-QN", re.compile(r"(\d{4})-Q([1-4])"), _calendar(3)),
    "YYYY-MM": Form("YYYY-MM", re.compile(r"(\d{4})-(\d\d)"), _calendar(1)),
    "YYYY-MM-DD": Form("YYYY-MM-DD", re.compile(_DATE), _calendar(1)),
    'YYYY-MM-DD"T"HH24': Form("YYYY-MM-DDTHH", re.compile(_DATE + r"T(\d\d)"), _hour),
    'YYYY-MM-DD"T"HH24TZH': Form(
        "YYYY-MM-DDTHH-OO", re.compile(_DATE + r"T(\d\d)([+-]\d\d)"), _local_hour
    ),
}
"""What a period looks like, by the ``dateFormat`` of the answer."""

BY_FREQUENCY: Mapping[Frequency, Form] = {
    "annual": FORMS["YYYY"],
    "quarterly": FORMS["YYYY-QQ"],
    "monthly": FORMS["YYYY-MM"],
    "daily": FORMS["YYYY-MM-DD"],
    "weekly": FORMS["YYYY-MM-DD"],
    "hourly": FORMS['YYYY-MM-DD"T"HH24'],
}
"""The same by frequency, for answers without a known ``dateFormat``."""


@dataclass(frozen=True, eq=False)
class Rule:
    """How the starts of a series differ from what its stamps say.

    Attributes:
        days_of: the zone whose calendar days the days are; None where they are UTC's.
        later: how much later than the stamp says an interval starts.
        offset_of: the zone whose offset from UTC the stamps lack.
        until: from this start on, before correction, the stamps are right.
    """

    days_of: str | None = None
    later: timedelta = timedelta(0)
    offset_of: str | None = None
    until: datetime = _NEVER


_EAST = "America/New_York"

CORRECTIONS: tuple[tuple[str, Mapping[str, str], Rule], ...] = tuple(
    (route, facets, rule)
    for routes, facets, rule in (
        # The California ISO stamped starts of hours until 16 June 2022.
        (
            ("region-data", "fuel-type-data"),
            {"respondent": "CISO"},
            Rule(later=_HOUR, until=datetime(2022, 6, 16, 6, tzinfo=UTC)),
        ),
        # South Carolina's generation was as far off as Eastern time is from UTC.
        (
            ("region-data",),
            {"respondent": "SC", "type": "NG"},
            Rule(offset_of=_EAST, until=datetime(2020, 12, 31, tzinfo=UTC)),
        ),
        (
            ("fuel-type-data",),
            {"respondent": "SC"},
            Rule(offset_of=_EAST, until=datetime(2020, 12, 31, tzinfo=UTC)),
        ),
    )
    for route in routes
)
"""Wrong stamps: the route's last part, the row's codes, and until when they were so.

Each was found by public comparison with what the reporter itself publishes.
"""

_LOST = Rule(until=datetime.min.replace(tzinfo=UTC))
"""Of days in a zone that is not known."""

_LOCAL_DAYS = {name: Rule(days_of=zone) for name, zone in ZONES.items()}


def corrected_until(route: str) -> datetime | None:
    """Return the last instant before which stamps of a route may be put right."""
    last = route.rsplit("/", 1)[-1]
    ends = [rule.until for name, _, rule in CORRECTIONS if name == last]
    return max(ends, default=None)


def has_local_days(route: str) -> bool:
    """Return whether the days of a route are those of its rows' time zones."""
    return route.rsplit("/", 1)[-1].startswith("daily-")


def rule_of(
    route: str, facets: Mapping[str, object], *, corrected: bool = True
) -> Rule | None:
    """Return what is special about the times of a series, or None.

    Args:
        route: of the data.
        facets: the codes of the series.
        corrected: whether wrong stamps are put right.
    """
    if has_local_days(route) and "timezone" in facets:
        return _LOCAL_DAYS.get(str(facets["timezone"]), _LOST)
    last = route.rsplit("/", 1)[-1]
    for name, wanted, rule in CORRECTIONS if corrected else ():
        if name == last and wanted.items() <= facets.items():
            return rule
    return None


@lru_cache(maxsize=1 << 16)
def start_us(text: str, form: Form, rule: Rule | None = None) -> int | None:
    """Return the start of a period in microseconds since 1970; None if it is none.

    Example:
        >>> hour = FORMS['YYYY-MM-DD"T"HH24']
        >>> datetime.fromtimestamp(start_us("2026-03-08T05", hour) / 1e6, UTC).hour
        4
    """
    found = form.pattern.fullmatch(text)
    try:
        start = form.start(found) if found else None
        if start is not None and rule is not None:
            start = _ruled(start, rule)
    except (ValueError, OverflowError):
        return None
    return None if start is None else (start - _EPOCH) // timedelta(microseconds=1)


def _ruled(start: datetime, rule: Rule) -> datetime | None:
    if rule is _LOST:
        return None
    if start >= rule.until:
        return start
    if rule.days_of:
        return start.replace(tzinfo=ZoneInfo(rule.days_of)).astimezone(UTC)
    if rule.offset_of:
        offset = start.astimezone(ZoneInfo(rule.offset_of)).utcoffset()
        return start + (offset or timedelta(0))
    return start + rule.later


def bounds(
    start: datetime | None, end: datetime | None, frequency: Frequency
) -> tuple[str | None, str | None] | None:
    """Return the first and last period of [start, end), as the API wants them.

    Both are inclusive there. None if no period starts in the window.

    Example:
        >>> from datetime import UTC, datetime
        >>> day = datetime(2026, 3, 8, tzinfo=UTC), datetime(2026, 3, 9, tzinfo=UTC)
        >>> bounds(*day, "hourly"), bounds(*day, "daily"), bounds(*day, "monthly")
        (('2026-03-08T01', '2026-03-09T00'), ('2026-03-08', '2026-03-08'), None)
    """
    first = None if start is None else _number(start, frequency)
    last = None if end is None else _number(end, frequency) - 1
    if first is not None and last is not None and last < first:
        return None
    return (
        None if first is None else _text(first, frequency),
        None if last is None else _text(last, frequency),
    )


def _number(at: datetime, frequency: Frequency) -> int:
    """Return the number of the first period that does not start before an instant."""
    if frequency in ("hourly", "daily", "weekly"):
        return -((_EPOCH - at) // (_HOUR if frequency == "hourly" else _DAY))
    months = {"monthly": 1, "quarterly": 3, "annual": 12}[frequency]
    number = (at.year * 12 + at.month - 1) // months
    year, month = divmod(number * months, 12)
    return number + (datetime(year, month + 1, 1, tzinfo=UTC) < at)


def _text(number: int, frequency: Frequency) -> str:
    if frequency == "hourly":
        return f"{_EPOCH + (number + 1) * _HOUR:%Y-%m-%dT%H}"
    if frequency in ("daily", "weekly"):
        return str(date(1970, 1, 1) + number * _DAY)
    if frequency == "annual":
        return f"{number:04d}"
    year, part = divmod(number, 12 if frequency == "monthly" else 4)
    return f"{year:04d}-{part + 1:02d}" if frequency == "monthly" else _quarter(number)


def _quarter(number: int) -> str:
    return f"{number // 4:04d}-Q{number % 4 + 1}"
