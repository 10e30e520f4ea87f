"""When a daily rule fires, found by looking at a clock on the wall every minute."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)


def next_fire(hour: int, minute: int, zone: str, after: datetime) -> datetime:
    """Return the first minute after ``after`` at which the wall clock shows the time.

    Where the clock jumps over it, that is the minute at which the clock lands.
    """
    wanted = hour * 60 + minute
    at = after.replace(second=0, microsecond=0)
    before = _on_the_wall(at, zone)
    while True:
        at += MINUTE
        shown = _on_the_wall(at, zone)
        if shown == wanted or before < wanted < shown:
            return at
        before = shown


def _on_the_wall(at: datetime, zone: str) -> int:
    local = at.astimezone(ZoneInfo(zone))
    return local.hour * 60 + local.minute
