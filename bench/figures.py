"""The bench's arithmetic: quantiles, medians of rounds, ratios, aims."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """One line of the table: what Forebay did beside what the peer did.

    ``aim`` bounds the ratio Forebay / peer: from below where more is better, from
    above where less is better; None where nothing was promised.
    """

    name: str
    forebay: str
    peer: str
    unit: str
    more_is_better: bool
    aim: float | None = None


MEASURES = (
    Measure("submissions", "submissions", "submissions", "1/s", True, 0.6),
    Measure("batch submissions", "batch", "submissions", "1/s", True, 10.0),
    Measure("jobs to completion", "jobs", "jobs", "1/s", True),
    Measure("submit p50", "submit_p50", "submit_p50", "ms", False),
    Measure("submit p95", "submit_p95", "submit_p95", "ms", False),
    Measure("submit to result p50", "result_p50", "result_p50", "ms", False, 4.0),
    Measure("submit to result p95", "result_p95", "result_p95", "ms", False),
)


@dataclass(frozen=True)
class Spread:
    """The median of the rounds, and the lowest and highest of them."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Line:
    """A measured line: both sides, their ratio, and whether the aim was met.

    The ratio is taken in each round, since both sides of a round met the same machine.
    """

    measure: Measure
    forebay: Spread
    peer: Spread
    ratio: Spread
    met: bool | None


def quantile(values: Sequence[float], level: float) -> float:
    """Return the smallest value that at least ``level`` of the values reach not past.

    Raises:
        ValueError: there are no values, or the level is not within (0, 1].
    """
    if not values or not 0 < level <= 1:
        message = f"no quantile {level} of {len(values)} values"
        raise ValueError(message)
    return sorted(values)[math.ceil(level * len(values)) - 1]


def spread(values: Sequence[float]) -> Spread:
    """Return the median of the rounds with their range."""
    return Spread(statistics.median(values), min(values), max(values))


def compare(
    forebay: Sequence[Mapping[str, float]], peer: Sequence[Mapping[str, float]]
) -> list[Line]:
    """Return the lines of the table from the rounds of both sides."""
    return [_line(measure, forebay, peer) for measure in MEASURES]


def _line(
    measure: Measure,
    forebay: Sequence[Mapping[str, float]],
    peer: Sequence[Mapping[str, float]],
) -> Line:
    ours = [one[measure.forebay] for one in forebay]
    theirs = [one[measure.peer] for one in peer]
    ratio = spread([one / other for one, other in zip(ours, theirs, strict=True)])
    met = None
    if measure.aim is not None:
        reached = ratio.median
        more = measure.more_is_better
        met = reached >= measure.aim if more else reached <= measure.aim
    return Line(measure, spread(ours), spread(theirs), ratio, met)
