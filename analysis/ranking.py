"""How strange each point of a whole series is beside the others, seen afterwards.

Three views are put on one scale and added, then spread over their neighbourhood, so
that the points around something strange come before the rest. It ranks stretches;
it is no probability. The views and the lengths were fixed once, on the bundled
series, and are the same for all.
"""

import numpy as np
import pandas as pd  # type: ignore[import-untyped]  # ships no type information
from numpy.typing import NDArray

from analysis.shapes import stretch_distance

Floats = NDArray[np.float64]

# Steps of the stretches that are compared, and of those whose spread is.
_STRETCH, _SPREAD = 100, 50
# A step is rare when few others are of its size: the distance to the fifth nearest.
_NEIGHBOURS = 5
# Steps over which strangeness falls to a third beside its source, and how far it goes.
_REACH, _REACHES = 40, 6
# Share of the usual spread below which spreads are alike.
_ALIKE = 1e-3


def rank_points(values: Floats) -> Floats:
    """Return the strangeness of each point among all of them.

    Args:
        values: (n,) on a regular grid, any unit; NaN is missing and filled from its
            neighbours.

    Returns:
        (n,) in (0, 1), the share of points that are less strange; one half
        throughout for a constant series.

    Example:
        >>> values = np.sin(np.arange(600) / 5.0)
        >>> values[300:310] += 3.0
        >>> bool(295 < np.argmax(rank_points(values)) < 315)
        True
    """
    filled = _filled(values)
    views = (
        stretch_distance(filled, length=_STRETCH),
        _spread_change(filled),
        step_rarity(filled),
    )
    total = np.sum([_standardised(view) for view in views], axis=0)
    # The transform leaves rounding behind, which is no order.
    return shares_below(np.round(_smear(total), 9))


def _filled(values: Floats) -> Floats:
    present = np.isfinite(values)
    places = np.arange(len(values))
    return np.asarray(np.interp(places, places[present], values[present]))


def _standardised(view: Floats) -> Floats:
    scale = float(np.std(view))
    # Rounding has a spread too.
    if scale <= 1e-12 * float(np.max(np.abs(view), initial=0.0)):
        return np.zeros(len(view))
    return np.asarray((view - np.mean(view)) / scale)


def _spread_change(values: Floats) -> Floats:
    """Return how far the logarithm of the local spread is from its median."""
    rolling = pd.Series(values).rolling(_SPREAD, center=True, min_periods=2)
    spreads = rolling.std(ddof=0).bfill().ffill().to_numpy(dtype=np.float64)
    logs = np.log(spreads + max(_ALIKE * float(np.std(values)), 1e-300))
    return np.asarray(np.abs(logs - np.median(logs)))


def step_rarity(values: Floats) -> Floats:
    """Return the distance of each step to the fifth nearest other, shape (n,)."""
    steps = np.diff(values, prepend=values[:1])
    order = np.argsort(steps, kind="stable")
    ascending = steps[order]
    count = len(steps)
    near = min(_NEIGHBOURS, count - 1)
    nearest = np.full(count, np.inf)
    # The nearest few are a window of the ascending steps with the point inside.
    for before in range(near + 1):
        middle = np.arange(before, count - near + before)
        low, high = ascending[middle - before], ascending[middle - before + near]
        here = ascending[middle]
        farther = np.maximum(here - low, high - here)
        nearest[middle] = np.minimum(nearest[middle], farther)
    rarity = np.empty(count)
    rarity[order] = nearest
    return rarity


def _smear(total: Floats) -> Floats:
    """Spread strangeness to both sides, falling off exponentially."""
    reach = min(_REACHES * _REACH, len(total) - 1)
    kernel = np.exp(-np.abs(np.arange(-reach, reach + 1)) / _REACH)
    padded = np.pad(total, reach, mode="edge")
    size = 1 << int(np.ceil(np.log2(len(padded) + len(kernel))))
    product = np.fft.rfft(padded, size) * np.fft.rfft(kernel / kernel.sum(), size)
    return np.asarray(np.fft.irfft(product, size)[2 * reach : 2 * reach + len(total)])


def shares_below(numbers: Floats) -> Floats:
    """Return mid-ranks as shares in (0, 1), so that equal numbers stay equal.

    Example:
        >>> shares_below(np.array([3.0, 1.0, 3.0, 9.0]))
        array([0.5  , 0.125, 0.5  , 0.875])
    """
    ascending = np.sort(numbers)
    below = np.searchsorted(ascending, numbers, side="left")
    upto = np.searchsorted(ascending, numbers, side="right")
    return np.asarray((below + upto) / (2 * len(numbers)))
