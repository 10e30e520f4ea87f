"""Steps of periods: fixed, or days and months by the calendar of CET."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

MOST_STEPS = 3_000_000
"""Longest period: five years of minutes; more is a slip or an attack."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_ZONE = ZoneInfo("Europe/Brussels")


class Unreadable(Exception):
    """A curve that no rows can be made of."""


@dataclass(frozen=True)
class Step:
    """The length of a step: days and months by the calendar of CET, or fixed."""

    months: int = 0
    days: int = 0
    us: int = 0

    def count(self, begin: datetime, end: datetime) -> int:
        """Return how many steps there are, the last one perhaps not whole."""
        if self.us:
            return -(-(micros(end) - micros(begin)) // self.us)
        return len(self.edges(begin, end)) - 1

    def edges(self, begin: datetime, end: datetime) -> list[int]:
        """Return the starts of all steps and the last one's end, in microseconds."""
        wall = begin.astimezone(_ZONE)
        found = [micros(begin)]
        last = micros(end)
        while found[-1] < last:
            number = len(found)
            found.append(micros(self._after(wall, number).astimezone(UTC)))
            if number > MOST_STEPS:
                raise Unreadable(f"more than {MOST_STEPS} steps in a period")
        return found

    def _after(self, wall: datetime, number: int) -> datetime:
        month = wall.month - 1 + self.months * number
        year = wall.year + month // 12
        # A step from the 31st goes to the first days of a shorter month's successor;
        # publishers start months on the first, so only the first is exact.
        first = wall.replace(year=year, month=month % 12 + 1, day=1)
        return first + timedelta(days=wall.day - 1 + self.days * number)


def micros(at: datetime) -> int:
    """Return the microseconds since 1970."""
    return (at - _EPOCH) // _MICROSECOND
