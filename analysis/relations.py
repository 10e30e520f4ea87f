"""Which series move with which, and how that changed: correlation, no cause."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfc  # type: ignore[import-untyped]  # ships no types
from scipy.stats import rankdata  # type: ignore[import-untyped]  # ships no types

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

# A relation broke when it is this much weaker or stronger, and when chance does so
# in one comparison of all pairs out of this many.
_LEAST_CHANGE, _RARE = 0.3, 0.01
# Points on each side without which a correlation says nothing.
_FEWEST = 20
# Persistence is believed up to this.
_MOST_PERSISTENCE = 0.99


@dataclass(frozen=True)
class RelationChange:
    """Two series whose correlation is not what it was.

    Attributes:
        first: Name of a series.
        second: Name of another.
        before: Rank correlation before, in [-1, 1].
        after: Rank correlation in the stretch.
        counts: Points before and in the stretch where both are present.
        p_value: Of so large a change by chance, for all pairs together.
    """

    first: str
    second: str
    before: float
    after: float
    counts: tuple[int, int]
    p_value: float


def find_relation_changes(
    values: Floats, *, names: tuple[str, ...], before: Mask, during: Mask
) -> list[RelationChange]:
    """Return the pairs whose rank correlation differs between two stretches.

    Args:
        values: (n, m) without season; NaN is missing.
        names: (m,) of the series.
        before: (n,) True at the points before.
        during: (n,) True at the points of the stretch.

    Returns:
        The most certain first; empty where there are too few points. The number of
        points is reduced for their persistence.

    References:
        Fisher (1921), doi:10.1093/biomet/10.4.507 (the transform); Bartlett (1946),
        doi:10.2307/2983611 (what persistence does to correlations).

    Example:
        >>> noise = np.random.default_rng(0).normal(size=(200, 2))
        >>> noise[:100, 1] = noise[:100, 0] + 0.1 * noise[:100, 1]
        >>> early = np.arange(200) < 100
        >>> (found,) = find_relation_changes(
        ...     noise, names=("a", "b"), before=early, during=~early
        ... )
        >>> found.before > 0.9, abs(found.after) < 0.3
        (True, True)
    """
    sides = [_correlations(values[mask]) for mask in (before, during)]
    (r_one, n_one, free_one), (r_two, n_two, free_two) = sides
    rows, columns = np.triu_indices(values.shape[1], k=1)
    pairs = len(rows)
    found = []
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        place = row, column
        if min(n_one[place], n_two[place]) < _FEWEST:
            continue
        old, new = float(r_one[place]), float(r_two[place])
        error = math.sqrt(1 / free_one[place] + 1 / free_two[place])
        # A rank correlation strays a little more than Pearson's.
        distance = abs(math.atanh(new) - math.atanh(old)) / (1.03 * error)
        chance = min(1.0, pairs * float(erfc(distance / math.sqrt(2))))
        if abs(new - old) >= _LEAST_CHANGE and chance <= _RARE:
            counts = int(n_one[place]), int(n_two[place])
            found.append(
                RelationChange(names[row], names[column], old, new, counts, chance)
            )
    return sorted(found, key=lambda one: (one.p_value, -abs(one.after - one.before)))


def _correlations(values: Floats) -> tuple[Floats, Floats, Floats]:
    """Return rank correlations, counts and effective counts, each (m, m)."""
    present = np.isfinite(values)
    ranks = np.zeros(values.shape)
    for column in range(values.shape[1]):
        here = present[:, column]
        ranked = rankdata(values[here, column])
        size = float(np.std(ranked)) if len(ranked) else 0.0
        if size > 0:
            ranks[here, column] = (ranked - np.mean(ranked)) / size
    counts = present.T.astype(np.float64) @ present
    least = np.maximum(counts, 1)
    correlation = np.clip((ranks.T @ ranks) / least, -0.999, 0.999)
    echo = np.sum(ranks[1:] * ranks[:-1], axis=0) / np.maximum(len(ranks), 1)
    echo = np.clip(echo, 0.0, _MOST_PERSISTENCE)
    both = np.multiply.outer(echo, echo)
    free = np.maximum(counts * (1 - both) / (1 + both) - 3, 1.0)
    return correlation, counts, free
