"""Linear regressions: scales that spikes cannot move, and ridge by cross-validation."""

from dataclasses import dataclass

import numpy as np

from forecasting.arrays import FloatArray

# The median absolute deviation of a normal variable is this share of its deviation.
_NORMAL_MAD = 0.6744897501960817
_ROUND_OFF = 1e-12
PENALTIES = np.logspace(-6, 2, 33)


def column_scale(rows: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Measure median and spread of each column in a way that spikes cannot move.

    Args:
        rows: shape (n, columns), no NaN.

    Returns:
        Median and scale, each of shape (columns,): the scale is the median absolute
        deviation made comparable with a standard deviation; the standard deviation
        where that is zero, and 1 for a constant column.

    References:
        Uniejewski, Weron & Ziel, IEEE Trans. Power Systems 33 (2018) 2219-2229.

    Example:
        >>> median, _ = column_scale(np.array([[1.0], [2.0], [90.0]]))
        >>> median
        array([2.])
    """
    centre = np.median(rows, axis=0)
    scale = np.median(np.abs(rows - centre), axis=0) / _NORMAL_MAD
    spread = rows.std(axis=0)
    size = np.abs(rows).max(axis=0)
    scale = np.where(scale > _ROUND_OFF * size, scale, spread)
    return centre, np.where(scale > _ROUND_OFF * size, scale, 1.0)


@dataclass(frozen=True)
class Lines:
    """Linear functions of the same regressors.

    Attributes:
        weights: shape (regressors, targets).
        intercept: shape (targets,).
    """

    weights: FloatArray
    intercept: FloatArray

    def at(self, rows: FloatArray) -> FloatArray:
        """Evaluate rows of shape (r, regressors), giving (r, targets)."""
        return np.asarray(rows @ self.weights + self.intercept)


def spread_of(rows: FloatArray, *, flat: float) -> FloatArray:
    """Measure the standard deviation of each column, `flat` where it is constant.

    Args:
        rows: shape (n, columns), no NaN.
        flat: what a constant column gets, above 0; infinite to rule it out.

    Returns:
        Shape (columns,).

    Example:
        >>> spread_of(np.array([[1.0, 5.0], [3.0, 5.0]]), flat=1.0)
        array([1., 1.])
    """
    spread = rows.std(axis=0)
    return np.where(spread > _ROUND_OFF * np.abs(rows).max(axis=0), spread, flat)


class Ridge:
    """Ridge regressions of one target for every strength, from one decomposition.

    Columns are measured in their standard deviations, so one strength serves all.
    """

    def __init__(self, rows: FloatArray, target: FloatArray) -> None:
        """Decompose the Gram matrix.

        Args:
            rows: regressors, shape (n, p), no NaN; a constant column gets no weight.
            target: shape (n,), no NaN.
        """
        self._centre, self._level = rows.mean(axis=0), float(target.mean())
        self._spread = spread_of(rows, flat=np.inf)
        self._size = float(spread_of(target[:, None], flat=1.0)[0])
        self._points = len(rows)
        scaled = (rows - self._centre) / self._spread
        wanted = (target - self._level) / self._size
        values, self._axes = np.linalg.eigh(scaled.T @ scaled / self._points)
        self._values = np.maximum(values, 0.0)
        self._moments = self._axes.T @ (scaled.T @ wanted / self._points)
        self._variance = float(wanted @ wanted) / self._points

    def criterion(self, penalties: FloatArray) -> FloatArray:
        """Estimate the squared error on new rows for each strength.

        Args:
            penalties: strengths, shape (k,), above 0.

        Returns:
            Generalised cross-validation, shape (k,), as a share of the variance of the
            target.

        References:
            Golub, Heath & Wahba, Technometrics 21 (1979) 215-223.
        """
        kept = self._values / (self._values + penalties[:, None])
        power = self._moments**2 / np.maximum(self._values, _ROUND_OFF)
        error = self._variance - np.sum(power * kept * (2.0 - kept), axis=1)
        free = np.maximum(1.0 - kept.sum(axis=1) / self._points, _ROUND_OFF)
        return np.asarray(np.maximum(error, 0.0) / free**2)

    def line(self, penalty: float) -> Lines:
        """Return the regression of one strength, in the units of rows and target."""
        scaled = self._axes @ (self._moments / (self._values + penalty))
        weights = scaled * self._size / self._spread
        return Lines(
            weights[:, None], np.array([self._level - float(self._centre @ weights)])
        )
