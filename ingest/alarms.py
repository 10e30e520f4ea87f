"""What looks odd once rows are stored: told to people, never a reason to hold back.

Each note names two values, the odd one and what it was held against, so that whoever
reads it can judge without looking anything up.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from statistics import fmean, median

FEWEST = 30
"""Recent values without which nothing is said of a series."""

_LIMIT = 10.0  # robust standard deviations
_TO_SIGMA = 1.4826  # what makes the MAD of a normal distribution its deviation
_MEAN_TO_SIGMA = 1.2533  # the same for the mean absolute deviation
_FLAT = 12  # equal values in a row that are too few to speak of
_EDGE_SHARE = 0.001


@dataclass(frozen=True)
class Point:
    """A stored value; ``fresh`` if this load wrote it."""

    ts: datetime
    value: float
    fresh: bool


@dataclass(frozen=True)
class Revision:
    """A stored value that a load changed."""

    ts: datetime
    before: float
    after: float


@dataclass(frozen=True)
class Note:
    """Something odd: a code, where, the value, what it was held against, a sentence."""

    code: str
    series: str
    ts: datetime
    value: float
    against: float
    detail: str


def odd_values(series: str, recent: Sequence[Point]) -> list[Note]:
    """Return what is odd about a series' latest values: a spike, or a flat line.

    Args:
        series: its key.
        recent: its latest values in the order of time, those of this load among them.

    Returns:
        At most one note for each fresh value, and one for a flat line.

    Example:
        >>> from datetime import UTC
        >>> begin = datetime(2026, 3, 1, tzinfo=UTC)
        >>> values = [10.0, 11.0, 12.0] * 12 + [500.0]
        >>> points = [
        ...     Point(begin + timedelta(hours=n), value, n == 36)
        ...     for n, value in enumerate(values)
        ... ]
        >>> [(note.code, note.value, note.against) for note in odd_values("a", points)]
        [('spike', 500.0, 11.0)]
    """
    return [*_spikes(series, recent), *_flat(series, recent)]


def large_revisions(
    series: str, revisions: Sequence[Revision], recent: Sequence[Point]
) -> list[Note]:
    """Return the revisions that are larger than the series' own spread allows for."""
    values = [one.value for one in recent]
    centre, spread = _spread(values) if len(values) >= FEWEST else (0.0, 0.0)
    if not spread:
        return []
    limit = _LIMIT * spread
    return [
        Note(
            "large_revision",
            series,
            one.ts,
            one.after,
            one.before,
            f"{one.before:g} became {one.after:g}: a change by more than {limit:g}, "
            f"which is {_LIMIT:g} times the spread around {centre:g}",
        )
        for one in revisions
        if abs(one.after - one.before) > limit
    ]


def short_lookback(revised: int, early: int) -> str | None:
    """Return a sentence if revisions reach the far end of what is read back.

    What is revised there was hardly caught; what lies farther back was not.

    Args:
        revised: all revisions of a run.
        early: those in the first tenth of its window.

    Example:
        >>> short_lookback(10_000, 10) is None
        True
    """
    if early <= _EDGE_SHARE * revised:
        return None
    return (
        f"{early} of {revised} revisions lie in the first tenth of the window, more "
        f"than {_EDGE_SHARE:.1%}: the source may revise what is no longer read; widen "
        "the lookback"
    )


def _spikes(series: str, recent: Sequence[Point]) -> Iterator[Note]:
    known = [one.value for one in recent if not one.fresh]
    if len(known) < FEWEST:
        known = [one.value for one in recent]
    if len(known) < FEWEST:
        return
    centre, spread = _spread(known)
    limit = _LIMIT * spread
    for one in recent:
        if one.fresh and spread and abs(one.value - centre) > limit:
            detail = (
                f"{one.value:g} is farther than {limit:g} from {centre:g}, the middle "
                f"of the {len(known)} values before"
            )
            yield Note("spike", series, one.ts, one.value, centre, detail)


def _flat(series: str, recent: Sequence[Point]) -> Iterator[Note]:
    """Compare the last run of equal values with the longest one before it.

    Nights without sun and capped prices are flat time and again, and no news.
    """
    if len(recent) < FEWEST or not recent[-1].fresh:
        return
    runs = [list(run) for _, run in groupby(recent, key=lambda one: one.value)]
    last, before = runs[-1], runs[:-1]
    usual = max((len(run) for run in before), default=0)
    if not before or len(last) <= max(_FLAT, 2 * usual):
        return
    value, former = last[0].value, before[-1][0].value
    detail = (
        f"the last {len(last)} values are all {value:g}; the one before was "
        f"{former:g}, and never were more than {usual} equal in a row"
    )
    yield Note("flatline", series, last[0].ts, value, former, detail)


def _spread(values: Sequence[float]) -> tuple[float, float]:
    """Return the median and the robust deviation; 0 only if all values are equal.

    Where half of them are equal their MAD is 0, and the mean deviation stands in.
    """
    centre = median(values)
    off = [abs(one - centre) for one in values]
    return centre, _TO_SIGMA * median(off) or _MEAN_TO_SIGMA * fmean(off)


def edge(start: datetime, end: datetime) -> datetime:
    """Return the end of the first tenth of a window."""
    return start + timedelta(seconds=(end - start).total_seconds() / 10)
