"""Vintages of ALFRED: in which runs to ask for them, and since when each was known."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

MOST_VINTAGES = 1_900
"""In one question; FRED refuses more than 2,000."""

_ZONE = ZoneInfo("America/Chicago")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Run:
    """Consecutive vintage dates, asked for in one question.

    Attributes:
        first: a true vintage date.
        last: a true vintage date.
        overlaps: whether ``first`` is the last date of the run before. What is told of
            that day then is either known already or began before the window.
    """

    first: str
    last: str
    overlaps: bool


def runs(dates: Sequence[str], *, before: str = "") -> tuple[Run, ...]:
    """Cut vintage dates into runs that overlap by one date.

    An interval that began before a window is shown as beginning with it. Such rows
    cannot be told from those that really did, so each run but the first starts with a
    date that the run before has covered.

    Args:
        dates: ascending, ISO 8601.
        before: the date that came last before these, if there are earlier ones.

    Example:
        >>> runs(("2014-01-30", "2014-02-28"), before="2013-12-20")
        (Run(first='2013-12-20', last='2014-02-28', overlaps=True),)
    """
    known = [before, *dates] if before else list(dates)
    if len(known) == 1:
        return () if before else (Run(known[0], known[0], overlaps=False),)
    step = MOST_VINTAGES - 1
    edges = [*range(0, len(known) - 1, step), len(known) - 1]
    return tuple(
        Run(known[i], known[j], overlaps=bool(before) or i > 0)
        for i, j in pairwise(edges if known else ())
    )


@lru_cache(maxsize=1 << 14)
def published_us(vintage: str) -> int | None:
    """Return the end of a vintage's day in Chicago, in microseconds since 1970.

    A vintage has no time of day. Its end is late rather than early, so that nothing is
    taken for known before it was.

    Args:
        vintage: YYYY-MM-DD or YYYYMMDD.

    Returns:
        The instant, or None if the text is no date.

    Example:
        >>> datetime.fromtimestamp(published_us("2014-01-30") / 1e6, UTC).isoformat()
        '2014-01-31T06:00:00+00:00'
    """
    try:
        day = date.fromisoformat(vintage) + timedelta(days=1)
        end = datetime(day.year, day.month, day.day, tzinfo=_ZONE)
        return (end.astimezone(UTC) - _EPOCH) // _MICROSECOND
    except (TypeError, ValueError, OverflowError):
        return None
