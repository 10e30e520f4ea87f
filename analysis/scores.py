"""From residuals to tail probabilities, scores, bounds and severities.

A residual is compared with the other residuals of the same series: inside their range
by rank, which keeps the false-alarm budget whatever their distribution, and beyond it
by a Weibull tail fitted to the bulk, because ranks cannot tell 5 from 50 deviations.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Quantiles of the bulk that the tail is fitted to; above them lie the anomalies.
_BULK = np.array([0.5, 0.75, 0.9])
# k below 1 is heavier than exponential; 2 is the lightest tail that is believed.
_SHAPES = (0.5, 2.0)
# A point this improbable under the bulk does not count among the usual ones.
_UNUSUAL = 4.0
_ROUNDS = 5
# The tail of a standard normal, fitted by the same quantiles: used when the bulk
# has no width.
_NORMAL_SHAPE, _NORMAL_UNIT = 1.33, 0.88
# Widens the tail learnt from n residuals by this over n, as Student's t widens a
# normal; set so that new points of short normal series keep the budget of 0.001.
_COLD_START = 8.0
# -log10 p at which the score is one half: one clean point in a thousand.
HALF = 3.0
_SEVERITIES = ((0.8, "critical"), (0.7, "high"), (0.6, "medium"))


@dataclass(frozen=True)
class Tail:
    """Tail probabilities of standardised residual sizes.

    Attributes:
        sizes: (m,) usual sizes, ascending, distinct.
        surprise: (m,) -log10 of the share of usual sizes at least as large.
        shape: Weibull shape beyond the largest.
        unit: Weibull unit beyond the largest.
    """

    sizes: Floats
    surprise: Floats
    shape: float
    unit: float


def flagged_share(sensitivity: int) -> float:
    """Return the share of clean points that a sensitivity flags.

    Example:
        >>> flagged_share(50), flagged_share(75)
        (0.001, 0.01)
    """
    return round(10 ** (sensitivity / 25 - 5), 12)


def fit_tail(sizes: Floats) -> Tail:
    """Learn what is usual from the residuals of a series.

    Args:
        sizes: (n,) |residual| / scale, 0 or more; NaN is ignored, one must be
            present.

    Returns:
        The tail; points that the bulk makes very improbable are left out of it.

    References:
        Vovk, Gammerman and Shafer (2022), Algorithmic Learning in a Random World,
        2nd ed., chapter 2 (ranks as p-values).
    """
    usual = np.sort(sizes[np.isfinite(sizes)])
    everything = usual
    shape, unit = _fit_weibull(usual)
    for _ in range(_ROUNDS):
        kept = everything[_weibull(everything, shape, unit) < _UNUSUAL]
        if len(kept) in (0, len(usual)):
            break
        usual = kept
        shape, unit = _fit_weibull(usual)
    distinct, first = np.unique(usual, return_index=True)
    share = (len(usual) - first) / (len(usual) + 1)
    return Tail(distinct, -np.log10(share), shape, unit)


def _fit_weibull(ascending: Floats) -> tuple[float, float]:
    quantiles = np.quantile(ascending, _BULK)
    if quantiles[0] <= 0 or quantiles[-1] <= quantiles[0]:
        return _NORMAL_SHAPE, _NORMAL_UNIT * max(1.0, float(quantiles[-1]))
    rarity = np.log(-np.log1p(-_BULK))
    slope = float(np.polyfit(np.log(quantiles), rarity, 1)[0])
    shape = float(np.clip(slope, *_SHAPES))
    # Anchored at the highest quantile, the one next to what is extrapolated.
    unit = float(quantiles[-1] / (-np.log1p(-_BULK[-1])) ** (1 / shape))
    # A handful of residuals looks calmer than the next one will be.
    return shape, unit * (1 + _COLD_START / len(ascending))


def _weibull(sizes: Floats, shape: float, unit: float) -> Floats:
    return np.asarray((sizes / unit) ** shape / np.log(10))


def surprise(sizes: Floats, *, tail: Tail) -> Floats:
    """Return -log10 of the tail probability of each size.

    Args:
        sizes: (n,) |residual| / scale; NaN gives NaN.
        tail: What is usual.

    Returns:
        (n,) 0 or more, strictly rising beyond the usual sizes.
    """
    inside = np.interp(sizes, tail.sizes, tail.surprise)
    largest = tail.sizes[-1]
    outside = tail.surprise[-1] + (
        _weibull(np.maximum(sizes, largest), tail.shape, tail.unit)
        - _weibull(largest, tail.shape, tail.unit)
    )
    return np.where(sizes > largest, outside, inside)


def threshold(share: float, *, tail: Tail) -> float:
    """Return the size beyond which a point belongs to the rarest `share`.

    Args:
        share: Probability in (0, 1).
        tail: What is usual.

    Returns:
        A multiple of the scale, the inverse of `surprise`.
    """
    wanted = -np.log10(share)
    if wanted <= tail.surprise[-1]:
        return float(np.interp(wanted, tail.surprise, tail.sizes))
    beyond = (wanted - tail.surprise[-1]) * np.log(10)
    start = (tail.sizes[-1] / tail.unit) ** tail.shape
    return float(tail.unit * (start + beyond) ** (1 / tail.shape))


def score(surprises: Floats) -> Floats:
    """Map -log10 p to [0, 1), rising; 0.5 is one clean point in a thousand.

    Args:
        surprises: (n,) 0 or more; NaN (no value, no expectation) gives 0.

    Returns:
        (n,) in [0, 1).

    Example:
        >>> score(np.array([0.0, 3.0, 12.0, np.nan]))
        array([0. , 0.5, 0.8, 0. ])
    """
    return np.nan_to_num(surprises / (surprises + HALF))


def severity(value: float) -> str:
    """Name a score.

    Example:
        >>> severity(0.5), severity(0.95)
        ('low', 'critical')
    """
    for least, name in _SEVERITIES:
        if value >= least:
            return name
    return "low"
