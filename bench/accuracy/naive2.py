"""Naive2, what the competitions measure against: naive, deseasonalised if seasonal."""

import numpy as np

from forecasting.arrays import FloatArray

# The 90 % limit of the test, as in the competition's own code.
_LIMIT = 1.645
_LEAST_SEASONS = 3


def naive2(history: FloatArray, *, season: int, horizon: int) -> FloatArray:
    """Repeat the last deseasonalised value with the season put back.

    Args:
        history: known values, shape (n,), no NaN.
        season: steps, at least 1.
        horizon: steps.

    Returns:
        Mean, shape (horizon,). A season is used when its autocorrelation is beyond the
        90 % limit and every value is above zero, as multiplicative indices require.

    References:
        Makridakis, Spiliotis & Assimakopoulos, Int. J. Forecasting 36 (2020) 54-74.

    Example:
        >>> naive2(np.array([1.0, 2.0] * 8), season=2, horizon=3).round(6)
        array([1., 2., 1.])
    """
    indices = np.ones(season)
    if season > 1 and history.min() > 0 and is_seasonal(history, season=season):
        indices = seasonal_indices(history, season=season)
    last = history[-1] / indices[(history.size - 1) % season]
    return last * indices[(history.size + np.arange(horizon)) % season]


def is_seasonal(history: FloatArray, *, season: int) -> bool:
    """Test the autocorrelation at the season, as M4 does."""
    if history.size < _LEAST_SEASONS * season:
        return False
    around = history - history.mean()
    total = float(around @ around)
    if total == 0:
        return False
    lags = np.array([around[lag:] @ around[:-lag] for lag in range(1, season + 1)])
    shares = lags / total
    spread = np.sqrt((1 + 2 * float(np.sum(shares[:-1] ** 2))) / history.size)
    return bool(abs(shares[-1]) > _LIMIT * spread)


def seasonal_indices(history: FloatArray, *, season: int) -> FloatArray:
    """Return the classical multiplicative indices by phase, their mean 1."""
    weights = np.full(season, 1 / season)
    if season % 2 == 0:
        weights = np.concatenate(([0.5], np.ones(season - 1), [0.5])) / season
    trend = np.convolve(history, weights, mode="valid")
    begin = season // 2
    ratios = history[begin : begin + trend.size] / trend
    phases = (begin + np.arange(trend.size)) % season
    means = np.array([ratios[phases == phase].mean() for phase in range(season)])
    return means / means.mean()
