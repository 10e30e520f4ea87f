"""From residuals to tail probabilities, scores, bounds and severities.

A residual is compared with the other residuals of the same series: inside their range
by rank, which keeps the false-alarm budget whatever their distribution, and beyond it
by a Weibull tail fitted to the bulk, because ranks cannot tell 5 from 50 deviations.
Only what stands apart from the tail of the rest is left out of the comparison: many
series have heavy tails, and their large residuals are usual.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Quantiles of the bulk that the tail is fitted to; above them lie the anomalies.
_BULK = np.array([0.5, 0.75, 0.9])
# k below 1 is heavier than exponential; 2 is the lightest tail that is believed.
_SHAPES = (0.5, 2.0)
# Departures this improbable under the bulk, -log10 p, are left out when they are no
# more than a handful; more of them are the tail that the series has.
_UNUSUAL, _HANDFUL = 4.0, 3
# With fewer departures than these there is no tail.
_FEW_PEAKS = 5
# Points this close belong to one departure, which counts once; fewer of a series that
# is shorter than this many times as long.
_TOGETHER, _TOGETHER_SHARE = 5, 40
# How often chance opens such a gap in a series without anomalies.
_CHANCE = 0.005
# More departures than this share of all points are no anomalies, gap or not.
_MOST_APART = 1 / 200
# Stands in for a spread of logarithms when all sizes are equal.
_SMALLEST = 1e-12
_LARGEST_RATIO = 1e100
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
        The tail; departures beyond a gap that chance does not open are left out.

    References:
        Vovk, Gammerman and Shafer (2022), Algorithmic Learning in a Random World,
        2nd ed., chapter 2 (ranks as p-values).
    """
    known = sizes[np.isfinite(sizes)]
    usual = np.sort(known[known <= _largest_usual(known)])
    shape, unit = _fit_weibull(usual)
    distinct, first = np.unique(usual, return_index=True)
    share = (len(usual) - first) / (len(usual) + 1)
    return Tail(distinct, -np.log10(share), shape, unit)


def _largest_usual(sizes: Floats) -> float:
    """Return the size beyond which anomalies lie; infinite when there are none."""
    peaks = _peaks(sizes)
    peaks = peaks[: max(len(peaks) // 2, _FEW_PEAKS)]
    if len(peaks) < _FEW_PEAKS:
        # A series that hardly ever departs: whatever does is unusual.
        return float(np.quantile(sizes, 0.5))
    return min(_below_handful(sizes, peaks), _below_gap(peaks, len(sizes)))


def _below_handful(sizes: Floats, peaks: Floats) -> float:
    """Return the largest peak but a few that the bulk makes very improbable."""
    shape, unit = _fit_weibull(np.sort(sizes))
    unlikely = int((_weibull(peaks, shape, unit) >= _UNUSUAL).sum())
    return float(peaks[unlikely]) if 0 < unlikely <= _HANDFUL else np.inf


def _below_gap(peaks: Floats, count: int) -> float:
    """Return the largest peak below a gap that chance does not open.

    The logarithms of the largest sizes, multiplied by their ranks, are spaced alike
    when the tail is a power and ever closer when it is lighter. A space that is too
    wide for that has anomalies above it.

    References:
        Pisarenko and Sornette (2012), Robust statistical tests of dragon-kings beyond
        power law distributions, doi:10.1140/epjst/e2012-01574-6.
    """
    most = min((len(peaks) - 1) // 2, max(1, int(_MOST_APART * count)))
    spaces = np.arange(1, len(peaks)) * -np.diff(np.log(peaks))
    below = np.cumsum(spaces[::-1])[::-1][1 : most + 1]
    places = np.arange(1, most + 1)
    # The share of an exponential in a sum of them: no scale is needed.
    rarity = (len(spaces) - places) * np.log1p(
        spaces[:most] / np.maximum(below, _SMALLEST)
    )
    # The chances of all places of the gap add up to the promised one.
    apart = np.flatnonzero(rarity > np.log(places * (places + 1) / _CHANCE))
    return float(peaks[apart[-1] + 1]) if len(apart) else np.inf


def _peaks(sizes: Floats) -> Floats:
    """Return the sizes above all others nearby and above most, falling."""
    reach = int(np.clip(len(sizes) // _TOGETHER_SHARE, 1, _TOGETHER))
    around = np.lib.stride_tricks.sliding_window_view(
        np.pad(sizes, reach, constant_values=-1.0), 2 * reach + 1
    )
    # Of equal ones side by side the first counts.
    first = around[:, :reach].max(axis=1) < sizes
    highest = first & (around[:, reach:].max(axis=1) == sizes)
    return np.sort(sizes[highest & (sizes > np.quantile(sizes, 0.5))])[::-1]


def _fit_weibull(ascending: Floats) -> tuple[float, float]:
    quantiles = np.quantile(ascending, _BULK)
    if quantiles[0] <= 0 or quantiles[-1] <= quantiles[0]:
        return _NORMAL_SHAPE, _NORMAL_UNIT * max(1.0, float(quantiles[-1]))
    rarity = np.log(-np.log1p(-_BULK))
    logs = np.log(quantiles / quantiles[-1])
    away = logs - np.mean(logs)
    slope = float(away @ (rarity - np.mean(rarity)) / max(away @ away, _SMALLEST**2))
    shape = float(np.clip(slope, *_SHAPES))
    # Anchored at the highest quantile, the one next to what is extrapolated.
    unit = float(quantiles[-1] / (-np.log1p(-_BULK[-1])) ** (1 / shape))
    # A handful of residuals looks calmer than the next one will be.
    return shape, unit * (1 + _COLD_START / len(ascending))


def _weibull(sizes: Floats, shape: float, unit: float) -> Floats:
    # Larger ratios have no square, and are no more surprising to anybody.
    ratio = np.minimum(sizes, _LARGEST_RATIO * unit) / unit
    return np.asarray(ratio**shape / np.log(10))


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
