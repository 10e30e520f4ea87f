"""Missing points that lie scattered: no long run, but many more than usual."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.runs import find_runs

Floats = NDArray[np.float64]

# Steps of a window in which missing points are counted; as many windows are needed.
_WINDOW = 24
_FEWEST_WINDOWS = 8
# What is this improbable in any window, at the usual share, is unusual.
_RARE = 1e-4
# Times the usual share that is worth a word.
_WORTH = 2.0


@dataclass(frozen=True)
class Scattered:
    """Steps [start, stop) in which points are missing here and there.

    Attributes:
        start: The first missing point.
        stop: The step after the last missing point.
        share: Of the points that are missing.
        usual: The median share over the windows of the series.
        surprise: -log10 of the chance of so many in any window.
    """

    start: int
    stop: int
    share: float
    usual: float
    surprise: float


def find_scattered(values: Floats, *, season: int = 1) -> list[Scattered]:
    """Return the stretches in which points are missing far more often than usual.

    Args:
        values: (n,) on a regular grid; NaN is missing.
        season: Main cycle in steps, 1 for none: windows are as long.

    References:
        Hoeffding (1963), doi:10.1080/01621459.1963.10500830 (the tail bound).

    Example:
        >>> values = np.arange(480.0)
        >>> values[240:288:2] = np.nan
        >>> [(one.start, one.stop, one.usual) for one in find_scattered(values)]
        [(240, 287, 0.0)]
    """
    window = max(_WINDOW, season)
    count = len(values) // window
    absent = np.isnan(values)
    if count < _FEWEST_WINDOWS or not absent.any():
        return []
    shares = absent[: count * window].reshape(count, window).mean(axis=1)
    usual = float(np.median(shares))
    surprises = _surprises(shares, usual=usual, window=window)
    rare = (surprises > -math.log10(_RARE)) & (shares > _WORTH * usual)
    found = []
    for low, high in find_runs(rare):
        places = np.flatnonzero(absent[low * window : high * window]) + low * window
        start, stop = int(places[0]), int(places[-1]) + 1
        share = len(places) / (stop - start)
        rarest = float(np.max(surprises[low:high]))
        found.append(Scattered(start, stop, share, usual, rarest))
    return found


def _surprises(shares: Floats, *, usual: float, window: int) -> Floats:
    """Bound the binomial tail by its entropy; -log10, for any of the windows."""
    # One missing point in all the series is possible even if none is usual.
    base = float(np.clip(usual, 1 / (window * len(shares)), 0.99))
    above = np.clip(shares, base, 1 - 1e-12)
    entropy = above * np.log(above / base)
    entropy += (1 - above) * np.log((1 - above) / (1 - base))
    return np.asarray(window * entropy / math.log(10) - math.log10(len(shares)))
