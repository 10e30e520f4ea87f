"""How fresh a series is: what its data reach, held against when they were due.

What counts is the time of the data, not of the run: a run that finds nothing makes
nothing fresh.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from tasks.cron import next_fire, zone_of

Freshness = Literal["fresh", "late", "stale", "dead"]
IsOpen = Callable[[datetime], bool]
"""Whether the day of a local time is one on which data are expected."""

_LOOK_BACK = timedelta(days=40)
_DEAD_AFTER = 5
"""Due times in a row that were missed."""


@dataclass(frozen=True)
class Rule:
    """When data are due, and how far they have to reach by then.

    Attributes:
        cron: the due times, on the clock of the zone.
        timezone: of the rule.
        reach: at a due time, how far back the latest interval may lie.
        grace: after a due time, how long data are late before they are stale.
    """

    cron: str
    timezone: str = "UTC"
    reach: timedelta = timedelta(days=1)
    grace: timedelta = timedelta(hours=2)


def judge(
    latest: datetime | None,
    rule: Rule,
    *,
    now: datetime,
    is_open: IsOpen = lambda _: True,
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
    due = _due(rule, now, is_open)
    if not due:
        return "fresh"
    missed = [at for at in due if latest is None or latest < at - rule.reach]
    if not missed:
        return "fresh"
    if now < missed[0] + rule.grace:
        return "late"
    return "dead" if len(missed) > _DEAD_AFTER else "stale"


def _due(rule: Rule, now: datetime, is_open: IsOpen) -> list[datetime]:
    """Return the due times of the last weeks, the oldest first."""
    zone = zone_of(rule.timezone)
    found = []
    at = now - _LOOK_BACK
    while (at := next_fire(rule.cron, timezone=rule.timezone, after=at)) <= now:
        if is_open(at.astimezone(zone)):
            found.append(at)
    return found
