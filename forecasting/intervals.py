"""Quantiles around a mean forecast, from errors that were really made."""

from statistics import NormalDist

import numpy as np
from scipy.optimize import (  # type: ignore[import-untyped]  # scipy ships no types
    isotonic_regression,
)

from forecasting.arrays import FloatArray

# Windows of residuals that quantiles need before they say more than one bad day did.
LEAST_FOLDS = 2
# Pools below this many residuals borrow from more distant steps.
_LEAST_POOL = 10
_MEDIAN = 0.5
# A median of few residuals is half noise, so only half of the bias is taken out.
_BIAS_SHARE = 0.5


def conformal_offsets(
    residuals: FloatArray, *, levels: tuple[float, ...]
) -> FloatArray:
    """Turn out-of-sample residuals into quantile offsets of each step.

    Split conformal per step: the residuals of a step and of its neighbours are pooled
    and their quantiles taken at rank (n + 1) * level. Half of the median residual
    shifts all levels, the distance to the median is made to widen with the step, and no
    interval is allowed to exclude the mean.

    Args:
        residuals: observed minus forecast, shape (folds, horizon), unit of the series;
            NaN steps are left out, at least one must be known.
        levels: quantile levels in (0, 1), increasing, shape (levels,).

    Returns:
        What to add to the mean, shape (levels, horizon), never decreasing in the level.

    References:
        Vovk, Gammerman & Shafer, Algorithmic Learning in a Random World, 2005.

    Example:
        >>> conformal_offsets(np.array([[-1.0], [0.0], [1.0]]), levels=(0.25, 0.75))
        array([[-1.],
               [ 1.]])
    """
    pools = _pools(residuals)
    medians = np.array([np.median(pool) for pool in pools])
    raw = np.array([np.quantile(pool, levels, method="weibull") for pool in pools]).T
    rows = []
    for level, row in zip(levels, raw, strict=True):
        offset = _BIAS_SHARE * medians + _widening(row - medians, level)
        rows.append(_around_mean(offset, level))
    offsets = np.array(rows).reshape(len(levels), residuals.shape[1])
    # Averages of equal numbers differ in the last bit; the order must not.
    return np.maximum.accumulate(offsets, axis=0) if levels else offsets


def pool_size(residuals: FloatArray) -> int:
    """Count the residuals behind the quantiles of the poorest step."""
    return min(pool.size for pool in _pools(residuals))


def _pools(residuals: FloatArray) -> list[FloatArray]:
    return [_pool(residuals, step) for step in range(residuals.shape[1])]


def _pool(residuals: FloatArray, step: int) -> FloatArray:
    horizon = residuals.shape[1]
    pool = np.empty(0)
    for radius in range(1, max(horizon, 2)):
        # The first and the last step look further to their one side.
        start = min(max(step - radius, 0), max(horizon - 2 * radius - 1, 0))
        near = residuals[:, start : start + 2 * radius + 1]
        pool = near[~np.isnan(near)]
        if pool.size >= _LEAST_POOL:
            break
    return pool


def _widening(distance: FloatArray, level: float) -> FloatArray:
    fitted = isotonic_regression(distance, increasing=level >= _MEDIAN)
    return np.asarray(fitted.x, dtype=np.float64)


def _around_mean(offset: FloatArray, level: float) -> FloatArray:
    if level < _MEDIAN:
        return np.minimum(offset, 0.0)
    return np.maximum(offset, 0.0) if level > _MEDIAN else offset


def in_sample_offsets(
    history: FloatArray, *, season: int, horizon: int, levels: tuple[float, ...]
) -> FloatArray:
    """Guess quantile offsets of a series that is too short for a backtest.

    The normal quantiles of the in-sample seasonal differences, widening with the square
    root of the number of seasons ahead: the interval of a seasonal random walk. It was
    never held against a value that it had not seen, so it is not calibrated.

    Args:
        history: known values, shape (n,), more than one season; NaN pairs are left out.
        season: steps, at least 1.
        horizon: steps, at least 1.
        levels: quantile levels in (0, 1), shape (levels,).

    Returns:
        What to add to the mean, shape (levels, horizon), never decreasing in the level.

    References:
        Hyndman & Athanasopoulos, Forecasting: Principles and Practice (3rd), 5.5.

    Example:
        >>> in_sample_offsets(np.arange(3.0), season=1, horizon=4, levels=(0.5,))
        array([[0., 0., 0., 0.]])
    """
    differences = history[season:] - history[:-season]
    known = differences[~np.isnan(differences)]
    spread = float(np.sqrt(np.mean(known**2))) if known.size else 0.0
    ahead = np.ceil(np.arange(1, horizon + 1) / season)
    normal = np.array([NormalDist().inv_cdf(level) for level in levels])
    return np.asarray(spread * normal[:, None] * np.sqrt(ahead)[None, :])
