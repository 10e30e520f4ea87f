"""Which of two series moves first: the lag of their best correlation, no cause."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Lead:
    """How far one series is ahead of another.

    Attributes:
        steps: By which the second follows the first; negative when it leads.
        correlation: At that lag, in [-1, 1].
        count: Points that were compared.
    """

    steps: int
    correlation: float
    count: int


def find_lead(first: Floats, second: Floats, *, reach: int) -> Lead:
    """Return the lag at which two series agree best.

    Args:
        first: (n,) without season; NaN is missing and left out.
        second: (n,).
        reach: Most steps either way, less than half of n.

    Example:
        >>> wave = np.sin(np.arange(100) / 7.0)
        >>> find_lead(wave[3:], wave[:-3], reach=10).steps
        3
    """
    best = Lead(0, 0.0, 0)
    for steps in sorted(range(-reach, reach + 1), key=abs):
        ahead = first[: len(first) - steps] if steps >= 0 else first[-steps:]
        behind = second[steps:] if steps >= 0 else second[: len(second) + steps]
        both = np.isfinite(ahead) & np.isfinite(behind)
        correlation = _pearson(ahead[both], behind[both])
        if abs(correlation) > abs(best.correlation) + 1e-12:
            best = Lead(steps, correlation, int(both.sum()))
    return best


def _pearson(one: Floats, other: Floats) -> float:
    if len(one) < 3:  # noqa: PLR2004 - two points always agree
        return 0.0
    one, other = one - np.mean(one), other - np.mean(other)
    size = math.sqrt(float(one @ one) * float(other @ other))
    return float(one @ other) / size if size > 0 else 0.0
