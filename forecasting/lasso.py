"""The lasso for many targets on the same regressors, all paths walked together.

One Gram matrix serves every target: a day of 24 hours costs little more than one.
"""

from typing import Any

import numpy as np

from forecasting.arrays import BoolArray, FloatArray
from forecasting.regression import Lines, spread_of

# A regressor that the active ones explain up to this share of its variance is not
# worth the digits that its inverse would cost.
_COLLINEAR = 1e-7
_ROUND_OFF = 1e-12
_HALF = 0.5
# Knots without a smaller criterion after which a path is left.
_PATIENCE = 25


def lasso_by_aic(
    rows: FloatArray, targets: FloatArray, *, noise: float = 1.0, most: int = 100
) -> Lines:
    """Fit each target by the lasso of the smallest Akaike criterion on its path.

    Args:
        rows: regressors, shape (n, p), no NaN; a constant column gets no weight.
        targets: shape (n, targets), no NaN.
        noise: variance of the noise in the criterion, as a share of the variance of the
            target; above 0, and the larger, the fewer regressors.
        most: regressors that one target may use.

    Returns:
        The lines, in the units of rows and targets.

    References:
        Efron, Hastie, Johnstone & Tibshirani, Least angle regression, Annals of
        Statistics 32 (2004) 407-499; Zou, Hastie & Tibshirani, Annals of Statistics 35
        (2007) 2173-2192, for the degrees of freedom.
    """
    centre, spread = rows.mean(axis=0), spread_of(rows, flat=np.inf)
    level, size = targets.mean(axis=0), spread_of(targets, flat=1.0)
    scaled = (rows - centre) / spread
    wanted = (targets - level) / size
    path = _Paths(
        scaled.T @ scaled / len(rows),
        wanted.T @ scaled / len(rows),
        most=min(most, len(rows) - 1, rows.shape[1]),
    )
    weights = path.best(penalty=2.0 * noise / len(rows))
    weights = weights.T * size / spread[:, None]
    return Lines(weights, level - centre @ weights)


class _Paths:
    """Least-angle paths of several targets, all advanced from knot to knot at once.

    The inverse of the Gram matrix of each target's active regressors is kept in slots:
    an empty slot is a row and a column of zeros, so it takes part without effect. Its
    regressor is a spare column of zeros behind the real ones.
    """

    def __init__(self, gram: FloatArray, moments: FloatArray, *, most: int) -> None:
        count, regressors = moments.shape
        self._gram = np.pad(gram, ((0, 1), (0, 1)))
        self._moments = np.pad(moments, ((0, 0), (0, 1)))
        self._every = np.arange(count)
        self._weights = np.zeros((count, regressors + 1))
        self._correlation = self._moments.copy()
        self._inverse = np.zeros((count, most, most))
        self._spare = regressors
        self._slots = np.full((count, most), self._spare)
        # A regressor that is active, or that may never be.
        self._closed = np.tile(np.diag(self._gram) < _HALF, (count, 1))
        self._resting = np.full(count, self._spare)

    def best(self, *, penalty: float) -> FloatArray:
        """Walk the paths and keep the weights of the smallest criterion of each."""
        best = self._weights.copy()
        lowest = np.ones(self._every.size)
        since = np.zeros(self._every.size, dtype=np.int64)
        open_ = np.where(self._closed, 0.0, np.abs(self._correlation))
        going = open_.max(axis=1) > 0
        self._enter(going.nonzero()[0], open_.argmax(axis=1)[going])
        while going.any():
            going &= self._advance(going)
            explained = self._moments + self._correlation
            error = 1.0 - np.einsum("ij,ij->i", self._weights, explained)
            criterion = error + penalty * np.count_nonzero(self._weights, axis=1)
            better = criterion < lowest
            best[better] = self._weights[better]
            lowest[better] = criterion[better]
            since = np.where(better, 0, since + 1)
            going &= since < _PATIENCE
        return best[:, :-1]

    def _advance(self, going: BoolArray) -> BoolArray:
        """Go to the next knot; say which paths have not ended there."""
        used = self._used()
        slots = self._slots[:, :used]
        rows = self._every[:, None]
        at = self._correlation[rows, slots]
        inverse = self._inverse[:, :used, :used]
        turn = np.matmul(inverse, np.sign(at)[:, :, None])[:, :, 0]
        direction = np.zeros_like(self._weights)
        direction[rows, slots] = turn
        change = direction @ self._gram
        level = np.abs(at).max(axis=1)
        join_at, joining = self._next_in(level, change)
        leave_at, leaving = self._next_out(slots, turn)
        step = np.minimum(np.minimum(join_at, leave_at), level)
        step = np.where(going, step, 0.0)
        self._weights += step[:, None] * direction
        self._correlation -= step[:, None] * change
        leaves = going & (leave_at < join_at) & (leave_at < level)
        joins = going & ~leaves & (join_at < level)
        self._resting[:] = self._spare
        self._leave(leaves.nonzero()[0], leaving[leaves])
        room = self._enter(joins.nonzero()[0], joining[joins])
        return np.asarray(leaves | room)

    def _next_out(self, slots: Any, turn: FloatArray) -> tuple[FloatArray, Any]:
        """Find when the first active weight of each target reaches zero, and which."""
        with np.errstate(divide="ignore", invalid="ignore"):
            when = -self._weights[self._every[:, None], slots] / turn
        when[~(when > 0) | (slots == self._spare)] = np.inf
        leaving = when.argmin(axis=1)
        return when[self._every, leaving], leaving

    def _used(self) -> int:
        filled = (self._slots < self._spare).any(axis=0)
        return int(filled.nonzero()[0].max(initial=0)) + 1

    def _next_in(self, level: FloatArray, change: FloatArray) -> tuple[FloatArray, Any]:
        """Find when the next regressor of each target is as correlated, and which."""
        above = _when(level[:, None] - self._correlation, 1.0 - change)
        below = _when(level[:, None] + self._correlation, 1.0 + change)
        # What has just left may come back with the other sign only.
        resting = (self._every, self._resting)
        positive = self._correlation[resting] > 0
        above[resting] = np.where(positive, np.inf, above[resting])
        below[resting] = np.where(positive, below[resting], np.inf)
        when = np.minimum(above, below)
        when[self._closed] = np.inf
        joining = when.argmin(axis=1)
        return when[self._every, joining], joining

    def _enter(self, targets: Any, regressors: Any) -> BoolArray:
        """Take one regressor each into some targets; say where there was room."""
        alive = np.zeros(self._every.size, dtype=bool)
        used = min(self._used() + 1, self._slots.shape[1])
        slots = self._slots[:, :used]
        empty = slots[targets] == self._spare
        room = empty.any(axis=1)
        targets, regressors = targets[room], regressors[room]
        slot = empty.argmax(axis=1)[room]
        alive[targets] = True
        self._closed[targets, regressors] = True
        beside = self._gram[slots[targets], regressors[:, None]]
        inverse = self._inverse[:, :used, :used]
        bent = np.matmul(inverse[targets], beside[:, :, None])[:, :, 0]
        left = self._gram[regressors, regressors] - np.einsum("ij,ij->i", beside, bent)
        fresh = left > _COLLINEAR
        targets, regressors, slot, bent, left = (
            part[fresh] for part in (targets, regressors, slot, bent, left)
        )
        bent[np.arange(targets.size), slot] = -1.0
        bent /= np.sqrt(left)[:, None]
        inverse[targets] += bent[:, :, None] * bent[:, None, :]
        self._slots[targets, slot] = regressors
        return alive

    def _leave(self, targets: Any, slot: Any) -> None:
        """Put the regressor in one slot of some targets out, for one knot at least."""
        used = self._used()
        inverse = self._inverse[:, :used, :used]
        regressors = self._slots[targets, slot]
        column = inverse[targets, :, slot]
        column /= np.sqrt(column[np.arange(targets.size), slot])[:, None]
        inverse[targets] -= column[:, :, None] * column[:, None, :]
        inverse[targets, slot, :] = 0.0
        inverse[targets, :, slot] = 0.0
        self._slots[targets, slot] = self._spare
        self._closed[targets, regressors] = False
        self._weights[targets, regressors] = 0.0
        self._resting[targets] = regressors


def _when(distance: FloatArray, speed: FloatArray) -> FloatArray:
    near = speed > _ROUND_OFF
    return np.where(
        near, np.maximum(distance, 0.0) / np.where(near, speed, 1.0), np.inf
    )
