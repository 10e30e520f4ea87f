"""Make forecasts of sums and of their parts agree."""

import numpy as np

from forecasting.arrays import FloatArray

METHODS = ("bottom_up", "wls", "mint")
# Residuals of fewer windows than this say nothing of how series move together.
_LEAST_RESIDUALS = 3
_TINY = 1e-12


def reconcile(
    base: FloatArray, *, summing: FloatArray, residuals: FloatArray, method: str
) -> FloatArray:
    """Change forecasts as little as their errors suggest, so that all sums hold.

    Args:
        base: forecasts of every node, shape (nodes, horizon), one unit.
        summing: which bottom series each node is the sum of, zeros and ones, shape
            (nodes, bottoms); the last rows are the identity.
        residuals: errors of the nodes in backtests, shape (nodes, n); columns with a
            NaN are left out. Not used by "bottom_up".
        method: "bottom_up" sums the forecasts of the bottom series; "wls" weighs nodes
            by the variance of their errors; "mint" by their whole covariance, shrunk
            towards its diagonal.

    Returns:
        Coherent forecasts, shape (nodes, horizon); coherent ones come back unchanged.

    Raises:
        ValueError: the method is not one of these.

    References:
        Wickramasuriya, Athanasopoulos & Hyndman, Optimal Forecast Reconciliation,
        J. American Statistical Association 114 (2019) 804-819; Schaefer & Strimmer,
        Statistical Applications in Genetics and Molecular Biology 4 (2005) 32, on the
        shrinkage.

    Example:
        >>> sums = np.array([[1.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
        >>> base = np.array([[4.0], [1.0], [2.0]])
        >>> reconcile(base, summing=sums, residuals=np.eye(3), method="bottom_up")
        array([[3.],
               [1.],
               [2.]])
    """
    if method not in METHODS:
        raise ValueError(f"{method!r} is not one of {', '.join(METHODS)}")
    bottoms = summing.shape[1]
    if method == "bottom_up":
        return np.asarray(summing @ base[-bottoms:])
    known = residuals[:, ~np.isnan(residuals).any(axis=0)]
    weight = _covariance(known, base.shape[0], diagonal=method == "wls")
    # Solved by Cholesky-free least squares: a nearly singular covariance stays usable.
    inverse = np.linalg.pinv(weight, hermitian=True)
    left = summing.T @ inverse
    parts = np.linalg.lstsq(left @ summing, left @ base, rcond=None)[0]
    return np.asarray(summing @ parts)


def _covariance(residuals: FloatArray, nodes: int, *, diagonal: bool) -> FloatArray:
    count = residuals.shape[1]
    if count < _LEAST_RESIDUALS:
        return np.eye(nodes)
    second = residuals @ residuals.T / count
    variances = np.maximum(np.diag(second), _TINY * max(float(second.max()), _TINY))
    if diagonal:
        return np.diag(variances)
    spread = np.sqrt(variances)
    correlation = second / np.outer(spread, spread)
    share = _shrinkage(residuals / spread[:, None], correlation)
    shrunk = (1 - share) * correlation
    np.fill_diagonal(shrunk, 1.0)
    return np.asarray(shrunk * np.outer(spread, spread))


def _shrinkage(scaled: FloatArray, correlation: FloatArray) -> float:
    count = scaled.shape[1]
    squares = (scaled**2) @ (scaled**2).T / count - correlation**2
    off = ~np.eye(scaled.shape[0], dtype=bool)
    noise, signal = squares[off].sum() / count, (correlation[off] ** 2).sum()
    return float(np.clip(noise / signal, 0.0, 1.0)) if signal > _TINY else 1.0
