"""The z-normalised matrix profile, own: stumpy compiles for seconds and needs numba."""

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_LENGTH, _MOST_POINTS = 100, 15_000


def matrix_profile(values: Floats, _: int) -> Floats:
    """Return how far the shape around each point is from its nearest like.

    References:
        Yeh et al. (2016), Matrix Profile I, doi:10.1109/ICDM.2016.0179.
    """
    step = max(1, math.ceil(len(values) / _MOST_POINTS))
    thinned = values[: len(values) // step * step].reshape(-1, step).mean(axis=1)
    size = max(2, _LENGTH // step)
    if len(thinned) < 4 * size:
        return np.zeros(len(values))
    thinned = thinned - thinned.mean()
    best = _correlations(thinned, size)
    distance = np.sqrt(np.maximum(2 * size * (1 - best), 0.0))
    ahead = (size - 1) // 2
    spread = np.pad(distance, (ahead, size - 1 - ahead), mode="edge")
    middles = (np.arange(len(thinned)) + 0.5) * step - 0.5
    return np.asarray(np.interp(np.arange(len(values)), middles, spread))


def _correlations(values: Floats, size: int) -> Floats:
    """Return the largest correlation of each stretch with one beside it."""
    sums = _windows(values, size)
    variances = _windows(values**2, size) / size - (sums / size) ** 2
    spreads = np.sqrt(np.maximum(variances, 1e-12 * max(float(values.var()), 1e-12)))
    means = sums / size
    best = np.full(len(sums), -1.0)
    for lag in range(size, len(sums)):
        products = _windows(values[lag:] * values[:-lag], size) / size
        products -= means[lag:] * means[:-lag]
        products /= spreads[lag:] * spreads[:-lag]
        np.maximum(best[: len(products)], products, out=best[: len(products)])
        np.maximum(best[lag:], products, out=best[lag:])
    return np.asarray(np.minimum(best, 1.0))


def _windows(values: Floats, size: int) -> Floats:
    sums = np.cumsum(values)
    sums[size:] -= sums[:-size].copy()
    return sums[size - 1 :]
