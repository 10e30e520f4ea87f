"""When a rule fires next: cron on a clock on the wall, or every so many seconds.

croniter only finds the times that a rule names, on a clock without a zone. What the
zone's clock makes of them, in the nights when it is put forward or back, is decided
here: see ``docs/adr/0013-schedules.md``.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from croniter import croniter
from croniter.croniter import CroniterError

_SECOND = timedelta(seconds=1)
# croniter knows more: seconds, years, random and hashed times. Those are refused,
# since a time that is drawn anew at each look fires at none of them.
_TIME = r"[\d*,/-]+"
_DAY = r"(?!\S*\b[HhRr]\b)[\dA-Za-z*,/#?-]+"
_FIELDS = re.compile(rf"{_TIME}\s+(?P<hour>{_TIME})\s+{_DAY}\s+{_DAY}\s+{_DAY}")
_OF_THE_MACHINE = "localtime"


class BadRule(Exception):
    """A rule that cannot be followed; ``field`` is the part that is to be changed."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(field, detail)
        self.field = field
        self.detail = detail

    def __str__(self) -> str:
        return self.detail


def zone_of(name: str) -> ZoneInfo:
    """Return the time zone of this name.

    Raises:
        BadRule: there is no such zone.
    """
    try:
        if name != _OF_THE_MACHINE:
            return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        pass
    detail = f"no time zone {name!r}; write an IANA name such as Europe/Berlin or UTC"
    near = get_close_matches(name, sorted(available_timezones()))
    if near:
        detail += f"; near are {', '.join(near)}"
    raise BadRule("timezone", detail)


def next_fire(cron: str, *, timezone: str, after: datetime) -> datetime:
    """Return the first instant after ``after`` at which a cron rule fires.

    A rule that names its hours fires once for each time it names: where the clock
    jumps over the time, at the first instant after the jump; where the clock shows
    the time twice, at the first. A rule whose hour is ``*`` or ``*/n`` fires whenever
    the clock shows a time it names, so twice or not at all.

    Args:
        cron: five fields; minute, hour, day of the month, month, day of the week.
        timezone: the IANA name of the zone whose clock is meant.
        after: aware; what comes back is later.

    Returns:
        An aware instant in UTC.

    Raises:
        BadRule: the rule or the zone cannot be read, or the rule names no time.

    Example:
        >>> night = datetime(2026, 3, 8, 5, tzinfo=UTC)
        >>> str(next_fire("30 2 * * *", timezone="America/New_York", after=night))
        '2026-03-08 07:00:00+00:00'
    """
    zone = zone_of(timezone)
    local = after.astimezone(zone)
    if _hour_field(cron).startswith("*"):
        return _whenever_shown(cron, zone, after)
    wall = local.replace(tzinfo=None, fold=0)
    return next(
        at
        for named in _named(cron, wall)
        if (at := _once(named, zone)) is not None and at > after
    )


def next_beat(anchor: datetime, *, every_s: int, after: datetime) -> datetime:
    """Return the first instant after ``after`` whole intervals away from the anchor.

    Example:
        >>> noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
        >>> str(next_beat(noon, every_s=90, after=noon))
        '2026-03-01 12:01:30+00:00'
    """
    passed = (after - anchor) // timedelta(seconds=every_s)
    return anchor.astimezone(UTC) + (max(passed, 0) + 1) * timedelta(seconds=every_s)


def _hour_field(cron: str) -> str:
    fields = _FIELDS.fullmatch(cron.strip())
    if fields is None:
        detail = (
            "a cron rule has five fields (minute, hour, day of the month, month, day "
            "of the week), such as 0 6 * * 1-5"
        )
        raise BadRule("cron", detail)
    return fields["hour"]


def _named(cron: str, wall: datetime) -> Iterator[datetime]:
    """Yield the times after ``wall`` that a rule names, on a clock without a zone."""
    try:
        times = croniter(cron, wall.replace(second=0, microsecond=0))
        while True:
            yield times.get_next(datetime)
    except CroniterError as error:
        detail = f"the cron rule cannot be followed: {error}"
        raise BadRule("cron", detail) from error


def _whenever_shown(cron: str, zone: ZoneInfo, after: datetime) -> datetime:
    local = after.astimezone(zone)
    begin = local.replace(tzinfo=None, fold=0)
    if local.fold == 0:
        # In the first pass of a repeated hour, what is behind will be shown again.
        repeated = _offset(begin, zone, 0) - _offset(begin, zone, 1)
        begin -= max(repeated, timedelta(0))
    times = _named(cron, begin)
    coming: list[datetime] = []
    while True:
        shown = _shown(next(times), zone)
        if coming and shown and shown[0] >= min(coming):
            return min(coming)
        coming += [at for at in shown if at > after]


def _offset(wall: datetime, zone: ZoneInfo, fold: int) -> timedelta:
    return wall.replace(tzinfo=zone, fold=fold).utcoffset() or timedelta(0)


def _shown(wall: datetime, zone: ZoneInfo) -> tuple[datetime, ...]:
    """Return the instants at which the zone's clock shows a time: none, one or two."""
    early, late = (_offset(wall, zone, fold) for fold in (0, 1))
    at = wall.replace(tzinfo=UTC)
    if early == late:
        return (at - early,)
    return (at - early, at - late) if early > late else ()


def _once(wall: datetime, zone: ZoneInfo) -> datetime | None:
    """Return the instant that stands for a time, or None if its day was left out."""
    shown = _shown(wall, zone)
    if shown:
        return shown[0]
    landing = _landing(wall, zone)
    before = (landing - _SECOND).astimezone(zone).date()
    # Samoa had no 30 December 2011: a day that never was needs no firing.
    whole_day = before < wall.date() < landing.astimezone(zone).date()
    return None if whole_day else landing


def _landing(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return the first instant after the jump over a time."""
    early, late = (_offset(wall, zone, fold) for fold in (0, 1))
    before, landing = (wall.replace(tzinfo=UTC) - one for one in (late, early))
    while landing - before > _SECOND:
        between = before + (landing - before) // (2 * _SECOND) * _SECOND
        if between.astimezone(zone).utcoffset() == late:
            landing = between
        else:
            before = between
    return landing
