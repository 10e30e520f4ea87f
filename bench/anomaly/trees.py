"""Half-space trees for one series, own: river's are compiled for tables of features."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_TREES, _DEPTH, _WINDOW, _LAGS, _SEED = 25, 8, 250, 4, 0


def half_space_trees(values: Floats, _: int) -> Floats:
    """Return the strangeness of each point among the mass of the window before.

    References:
        Tan, Ting and Liu (2011), Fast Anomaly Detection for Streaming Data, IJCAI.
    """
    rng = np.random.default_rng(_SEED)
    start = values[:_WINDOW]
    width = max(float(np.ptp(start)), 1e-9)
    scaled = (values - start.min()) / width
    lags = [np.concatenate([np.full(lag, scaled[0]), scaled]) for lag in range(_LAGS)]
    points = np.stack([one[: len(values)] for one in lags], axis=1)
    return np.asarray(sum(_tree(points, rng) for _ in range(_TREES)))


def _tree(points: Floats, rng: np.random.Generator) -> Floats:
    nodes = _nodes(points, rng)
    found = np.zeros(len(points))
    for start in range(_WINDOW, len(points), _WINDOW):
        masses = np.bincount(nodes[start - _WINDOW : start, -1], minlength=2**_DEPTH)
        piece = slice(start, start + _WINDOW)
        found[piece] = -np.log2(1.0 + masses[nodes[piece, -1]])
    return found


def _nodes(points: Floats, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return the node of each point at every depth, splitting work ranges in halves."""
    count, width = points.shape
    centre = rng.uniform(size=width)
    reach = 2 * np.maximum(centre, 1 - centre)
    low = np.repeat((centre - reach)[None], count, axis=0)
    high = np.repeat((centre + reach)[None], count, axis=0)
    node = np.zeros(count, dtype=np.intp)
    found = np.empty((count, _DEPTH), dtype=np.intp)
    rows = np.arange(count)
    for depth in range(_DEPTH):
        # One feature for each node of a level.
        feature = rng.integers(0, width, size=2**depth)[node]
        middle = (low[rows, feature] + high[rows, feature]) / 2
        right = points[rows, feature] >= middle
        low[rows[right], feature[right]] = middle[right]
        high[rows[~right], feature[~right]] = middle[~right]
        node = 2 * node + right
        found[:, depth] = node
    return found
