"""When a cron rule fires, found by looking at a clock on the wall every minute."""

from datetime import datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
LONGEST_REPEAT = 180


@cache
def changed(zone: str, day: str) -> datetime:
    """Return when the clock of a zone is put after a day begins, or noon."""
    begin = datetime.fromisoformat(f"{day}T00:00:00+00:00")
    for minutes in range(3 * 24 * 60):
        at = begin + minutes * MINUTE
        if _on_the_wall(at, zone) - _on_the_wall(at - MINUTE, zone) != MINUTE:
            return at
    return begin + timedelta(hours=12)


def next_fire(cron: str, zone: str, after: datetime) -> datetime:
    """Return the first minute after ``after`` at which a simple rule fires.

    Fields may be ``*``, ``*/n``, a number, a range or a list of those.
    """
    at = after.replace(second=0, microsecond=0)
    while True:
        at += MINUTE
        if _fires(cron, zone, at):
            return at


def _fires(cron: str, zone: str, at: datetime) -> bool:
    shown = _on_the_wall(at, zone)
    if cron.split()[1].startswith("*"):
        return matches(cron, shown)
    # Jumped over: what lies strictly between the minute before and this one.
    passed = _on_the_wall(at - MINUTE, zone) + MINUTE
    while passed < shown:
        if matches(cron, passed):
            return True
        passed += MINUTE
    return matches(cron, shown) and not _shown_before(at, zone)


def _shown_before(at: datetime, zone: str) -> bool:
    shown = _on_the_wall(at, zone)
    return any(
        _on_the_wall(at - back * MINUTE, zone) == shown
        for back in range(1, LONGEST_REPEAT)
    )


def _on_the_wall(at: datetime, zone: str) -> datetime:
    return at.astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0)


def matches(cron: str, wall: datetime) -> bool:
    """Whether a clock that shows this minute stands at a time of the rule."""
    minute, hour, day, month, weekday = cron.split()
    return (
        _in(minute, wall.minute)
        and _in(hour, wall.hour)
        and _in(day, wall.day)
        and _in(month, wall.month)
        and _in(weekday, wall.isoweekday() % 7)
    )


def _in(field: str, value: int) -> bool:
    return any(_in_part(part, value) for part in field.split(","))


def _in_part(part: str, value: int) -> bool:
    base, _, step = part.partition("/")
    if base == "*":
        return value % int(step or 1) == 0
    first, _, last = base.partition("-")
    return int(first) <= value <= int(last or first)
