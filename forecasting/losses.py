"""Losses of point forecasts and quantiles; steps with a NaN are left out.

Every function returns NaN when no step is left, or when its scale is zero, so that
"cannot be told" is never mistaken for "perfect".
"""

import numpy as np

from forecasting.arrays import FloatArray


def mae(actual: FloatArray, *, forecast: FloatArray) -> float:
    """Mean absolute error.

    Args:
        actual: observed values, shape (n,), any unit; NaN steps are left out.
        forecast: forecasts of the same steps, shape (n,), same unit.

    Returns:
        The error in the unit of the values; NaN without a step.

    References:
        Hyndman & Athanasopoulos, Forecasting: Principles and Practice (3rd), 5.8.

    Example:
        >>> mae(np.array([1.0, 2.0]), forecast=np.array([2.0, 2.0]))
        0.5
    """
    return _mean(np.abs(actual - forecast))


def rmse(actual: FloatArray, *, forecast: FloatArray) -> float:
    """Root mean squared error.

    Args:
        actual: observed values, shape (n,), any unit; NaN steps are left out.
        forecast: forecasts of the same steps, shape (n,), same unit.

    Returns:
        The error in the unit of the values; NaN without a step.

    References:
        Hyndman & Athanasopoulos, Forecasting: Principles and Practice (3rd), 5.8.

    Example:
        >>> rmse(np.array([0.0, 0.0]), forecast=np.array([3.0, 3.0]))
        3.0
    """
    return float(np.sqrt(_mean((actual - forecast) ** 2)))


def smape(actual: FloatArray, *, forecast: FloatArray) -> float:
    """Symmetric mean absolute percentage error, as in the M4 competition.

    Args:
        actual: observed values, shape (n,), any unit; NaN steps are left out.
        forecast: forecasts of the same steps, shape (n,), same unit.

    Returns:
        Per cent, from 0 to 200; two zeros count 0. NaN without a step.

    References:
        Makridakis, Spiliotis & Assimakopoulos, Int. J. Forecasting 36 (2020) 54-74.

    Example:
        >>> smape(np.array([1.0]), forecast=np.array([3.0]))
        100.0
    """
    size = np.abs(actual) + np.abs(forecast)
    # A share of the size, so that tiny numbers do not overflow on the way.
    share = np.abs(actual - forecast) / np.where(size == 0, 1.0, size)
    return 200.0 * _mean(share)


def seasonal_error(history: FloatArray, *, season: int, power: int = 1) -> float:
    """In-sample error of the seasonal naive, the scale of MASE and RMSSE.

    Args:
        history: the values known at the cutoff, shape (n,); NaN pairs are left out.
        season: steps, at least 1.
        power: 1 for the mean absolute, 2 for the mean squared difference.

    Returns:
        The scale in the unit of the values, or its square; NaN without a pair.

    Example:
        >>> seasonal_error(np.array([1.0, 2.0, 4.0]), season=1)
        1.5
    """
    return _mean(np.abs(history[season:] - history[:-season]) ** power)


def mase(
    actual: FloatArray, *, forecast: FloatArray, history: FloatArray, season: int
) -> float:
    """Mean absolute scaled error: 1 is the in-sample error of the seasonal naive.

    Args:
        actual: observed values, shape (n,); NaN steps are left out.
        forecast: forecasts of the same steps, shape (n,), same unit.
        history: values known at the cutoff, shape (m,); NaN pairs are left out.
        season: steps, at least 1.

    Returns:
        A number without unit; NaN without a step or when the history never changes.

    References:
        Hyndman & Koehler, Int. J. Forecasting 22 (2006) 679-688.

    Example:
        >>> mase(np.ones(1), forecast=np.zeros(1), history=np.arange(3.0), season=1)
        1.0
    """
    scale = seasonal_error(history, season=season)
    return mae(actual, forecast=forecast) / scale if scale > 0 else float("nan")


def rmsse(
    actual: FloatArray, *, forecast: FloatArray, history: FloatArray, season: int
) -> float:
    """Root mean squared scaled error; the M5 competition used it with season 1.

    Args:
        actual: observed values, shape (n,); NaN steps are left out.
        forecast: forecasts of the same steps, shape (n,), same unit.
        history: values known at the cutoff, shape (m,); NaN pairs are left out.
        season: steps, at least 1.

    Returns:
        A number without unit; NaN without a step or when the history never changes.

    References:
        Makridakis, Spiliotis & Assimakopoulos, Int. J. Forecasting 38 (2022) 1346-1364.

    Example:
        >>> rmsse(np.ones(1), forecast=np.zeros(1), history=np.arange(3.0), season=1)
        1.0
    """
    scale = np.sqrt(seasonal_error(history, season=season, power=2))
    error = rmse(actual, forecast=forecast)
    return float(error / scale) if scale > 0 else float("nan")


def pinball(actual: FloatArray, *, forecast: FloatArray, level: float) -> float:
    """Mean pinball (quantile) loss of one level.

    Args:
        actual: observed values, shape (n,); NaN steps are left out.
        forecast: forecast quantiles, shape (n,), same unit.
        level: the quantile level, in (0, 1).

    Returns:
        The loss in the unit of the values; NaN without a step.

    References:
        Hyndman & Athanasopoulos, Forecasting: Principles and Practice (3rd), 5.9.

    Example:
        >>> pinball(np.array([3.0]), forecast=np.array([1.0]), level=0.5)
        1.0
    """
    short = actual - forecast
    return _mean(np.maximum(level * short, (level - 1) * short))


def wql(actual: FloatArray, *, quantiles: dict[float, FloatArray]) -> float:
    """Weighted quantile loss: twice the pinball loss over the mean size, over levels.

    Args:
        actual: observed values, shape (n,); NaN steps are left out.
        quantiles: forecast quantiles by level, each shape (n,), same unit, no NaN.

    Returns:
        A number without unit; NaN without a step or level, or when all values are zero.

    References:
        Gasthaus et al., Probabilistic Forecasting with Spline Quantile Function RNNs,
        AISTATS 2019.

    Example:
        >>> wql(np.array([2.0]), quantiles={0.5: np.array([1.0])})
        0.5
    """
    size = _mean(np.abs(actual))
    if not quantiles or not size > 0:
        return float("nan")
    losses = [pinball(actual, forecast=q, level=a) for a, q in quantiles.items()]
    return 2.0 * float(np.mean(losses)) / size


def coverage(actual: FloatArray, *, lower: FloatArray, upper: FloatArray) -> float:
    """Share of the observed values that lie inside the interval, ends included.

    Args:
        actual: observed values, shape (n,); NaN steps are left out.
        lower: lower ends, shape (n,), same unit, no NaN.
        upper: upper ends, shape (n,), same unit, no NaN.

    Returns:
        A share from 0 to 1; NaN without a step.

    Example:
        >>> coverage(np.array([1.0, 9.0]), lower=np.zeros(2), upper=np.full(2, 5.0))
        0.5
    """
    inside = (lower <= actual) & (actual <= upper)
    return _mean(np.where(np.isnan(actual), np.nan, inside.astype(np.float64)))


def _mean(terms: FloatArray) -> float:
    known = terms[~np.isnan(terms)]
    return float(np.mean(known)) if known.size else float("nan")
