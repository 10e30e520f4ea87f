"""How unlike all other stretches of a series each stretch is."""

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Longer series are averaged down to about so many points: time grows with the square.
_MOST_POINTS = 15_000
_FEWEST_PIECES = 4


def stretch_distance(values: Floats, *, length: int) -> Floats:
    """Return for each point how far the stretch around it is from its nearest like.

    The distance is Euclidean and keeps level and size: a usual shape at an unusual
    level is far from everything. (The z-normalised distance is blind to that, and
    makes noise of flat stretches.)

    Args:
        values: (n,) any unit, no NaN.
        length: Steps of a stretch, at least 2.

    Returns:
        (n,) in the unit of `values`; zeros when the series is shorter than four
        stretches.

    References:
        Akbarinia and Cloez (2019), Efficient Matrix Profile Computation Using
        Different Distance Functions, arXiv:1901.05708.

    Example:
        >>> wave = np.tile([0.0, 1.0, 0.0, -1.0], 10)
        >>> wave[21] = 5.0
        >>> int(np.argmax(stretch_distance(wave, length=4)))
        19
    """
    count = len(values)
    step = max(1, math.ceil(count / _MOST_POINTS))
    thinned = values[: count // step * step].reshape(-1, step).mean(axis=1)
    size = max(2, length // step)
    if len(thinned) < _FEWEST_PIECES * size:
        return np.zeros(count)
    nearest = np.sqrt(_nearest_squares(thinned, size=size))
    ahead = (size - 1) // 2
    behind = len(thinned) - len(nearest) - ahead
    spread = np.pad(nearest, (ahead, behind), mode="edge")
    if step == 1:
        return spread
    middles = (np.arange(len(thinned)) + 0.5) * step - 0.5
    return np.asarray(np.interp(np.arange(count), middles, spread))


def _nearest_squares(values: Floats, *, size: int) -> Floats:
    """Compare every stretch with every other that does not overlap it."""
    count = len(values) - size + 1
    best = np.full(count, np.inf)
    for lag in range(size, count):
        squares = values[lag:] - values[:-lag]
        squares *= squares
        sums = np.cumsum(squares)
        sums[size:] -= sums[:-size].copy()
        sums = sums[size - 1 :]
        np.minimum(best[: len(sums)], sums, out=best[: len(sums)])
        np.minimum(best[lag:], sums, out=best[lag:])
    # In the middle of a short series a stretch may have none beside it.
    finite = np.isfinite(best)
    largest = float(best[finite].max()) if finite.any() else 0.0
    return np.maximum(np.where(finite, best, largest), 0.0)
