"""How fresh a series is: what its data reach, held against when they were due.

What counts is the time of the data, not of the run: a run that finds nothing makes
nothing fresh.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from tasks.cron import next_fire, zone_of

Freshness = Literal["fresh", "late", "stale", "dead"]
IsOpen = Callable[[datetime], bool]
"""Whether the day of a local time is one on which data are expected."""

_DEAD_AFTER = 5
"""Due times in a row that were missed."""
_FIRST_LOOK, _LONGEST_LOOK = timedelta(hours=1), timedelta(days=3_700)


@dataclass(frozen=True)
class Rule:
    """When data are due, and how far they have to reach by then.

    Attributes:
        cron: the due times, on the clock of the zone.
        timezone: of the rule.
        reach: at a due time, how far back the latest interval may lie; days on which
            nothing is due do not count.
        grace: after a due time, how long data are late before they are stale.
    """

    cron: str
    timezone: str = "UTC"
    reach: timedelta = timedelta(days=1)
    grace: timedelta = timedelta(hours=2)


@dataclass(frozen=True)
class Dues:
    """The due times that decide, the latest first; whatever the reach.

    Attributes:
        come: the latest due time, if there is one.
        over: the latest ones whose grace is over, as many as make data dead.
    """

    come: tuple[datetime, ...]
    over: tuple[datetime, ...]


@dataclass(frozen=True)
class Marks:
    """Data that reach less far than a mark are at least so bad; None has none."""

    late: datetime | None
    stale: datetime | None
    dead: datetime | None


def judge(
    latest: datetime | None,
    rule: Rule,
    *,
    now: datetime,
    is_open: IsOpen | None = None,
) -> Freshness:
    """Return how fresh data are.

    Args:
        latest: the start of the latest interval with a value, or None if there is none.
        rule: when data are due.
        now: aware.
        is_open: whether data are due on a day; on others nothing is missed.

    Raises:
        BadRule: the rule cannot be followed.

    Example:
        >>> from datetime import UTC
        >>> rule = Rule("0 9 * * *")
        >>> now = datetime(2026, 3, 3, 10, tzinfo=UTC)
        >>> judge(datetime(2026, 3, 2, 8, tzinfo=UTC), rule, now=now)
        'late'
    """
    dues = due_times(rule, now=now, is_open=is_open)
    return held_against(latest, marks(rule, dues, is_open=is_open))


def due_times(rule: Rule, *, now: datetime, is_open: IsOpen | None = None) -> Dues:
    """Return the due times by which data are judged.

    They are the same for all series of a rule, and what takes time to find.

    Raises:
        BadRule: the rule cannot be followed.
    """
    come = _latest(rule, now, 1, is_open)
    over = _latest(rule, now - rule.grace, _DEAD_AFTER + 1, is_open)
    return Dues(come, over)


def marks(rule: Rule, dues: Dues, *, is_open: IsOpen | None = None) -> Marks:
    """Return how far data have to reach to be no worse than late, stale, dead."""
    zone = zone_of(rule.timezone)

    def far(due: tuple[datetime, ...]) -> datetime | None:
        return _far(due[0], rule.reach, zone, is_open) if due else None

    return Marks(far(dues.come), far(dues.over), far(dues.over[_DEAD_AFTER:]))


def held_against(latest: datetime | None, found: Marks) -> Freshness:
    """Return how fresh data are that reach up to ``latest``."""

    def missed(mark: datetime | None) -> bool:
        return mark is not None and (latest is None or latest < mark)

    if not missed(found.late):
        return "fresh"
    if not missed(found.stale):
        return "late"
    return "dead" if missed(found.dead) else "stale"


def _latest(
    rule: Rule, until: datetime, count: int, is_open: IsOpen | None
) -> tuple[datetime, ...]:
    """Return the latest due times, ``until`` among them, the latest first.

    A rule only says what comes next, so looking back is looking from farther back.
    """
    zone, look = zone_of(rule.timezone), _FIRST_LOOK
    while True:
        found = []
        at = until - look
        while (at := next_fire(rule.cron, timezone=rule.timezone, after=at)) <= until:
            if is_open is None or is_open(at.astimezone(zone)):
                found.append(at)
        if len(found) >= count or look > _LONGEST_LOOK:
            return tuple(found[::-1][:count])
        look *= 4


def _far(
    due: datetime, reach: timedelta, zone: ZoneInfo, is_open: IsOpen | None
) -> datetime:
    """Return how far data have to reach at a due time.

    A day is as long as the clock of the place makes it: of that clock and one that is
    never put, the more patient is right on the days of the change.
    """
    wall = due.astimezone(zone).replace(tzinfo=None)
    back = wall - reach if is_open is None else _back(wall, reach, is_open)
    return min(due - reach, back.replace(tzinfo=zone).astimezone(UTC))


def _back(wall: datetime, reach: timedelta, is_open: IsOpen) -> datetime:
    """Go back on the clock of a place; days on which nothing is due take no time."""
    while reach > timedelta(0):
        began = (wall - timedelta(microseconds=1)).replace(
            hour=0, minute=0, second=0, microsecond=0
        )
        step = wall - began
        if is_open(began):
            step = min(step, reach)
            reach -= step
        wall -= step
    return wall
