"""The competitions' own measures, over the windows of a collection.

M4 and M3 average sMAPE and MASE over the series, and OWA is the mean of both beside
Naive2's; M5 averages RMSSE; the weighted quantile loss pools all points.
"""

from collections.abc import Sequence

import numpy as np

from bench.accuracy.windows import LEVELS, Collection, Forecasts, Window
from forecasting.arrays import FloatArray
from forecasting.losses import mae, mase, rmsse, smape

_PLACES = {level: place for place, level in enumerate(LEVELS)}
_DECILES = LEVELS[1:-1]


def score(
    collection: Collection, forecasts: Forecasts, *, naive2: FloatArray
) -> dict[str, float]:
    """Score a model's forecasts of a collection.

    Args:
        collection: the windows.
        forecasts: of all its windows, in their order.
        naive2: mean forecasts of Naive2, shape (windows, horizon).

    Returns:
        "OWA", "sMAPE", "MASE", "MAE", "RMSSE", "WQL", "cover80" and "cover95"; NaN
        where it cannot be told.
    """
    found = _points(collection, forecasts.mean)
    reference = _points(collection, naive2)
    found["OWA"] = owa(
        smape=found["sMAPE"],
        mase=found["MASE"],
        naive2_smape=reference["sMAPE"],
        naive2_mase=reference["MASE"],
    )
    actual = actuals(collection.windows)
    found["WQL"] = weighted_quantile_loss(actual, forecasts.quantiles)
    found["cover80"] = cover(actual, forecasts.quantiles, ends=(0.1, 0.9))
    found["cover95"] = cover(actual, forecasts.quantiles, ends=(0.025, 0.975))
    return found


def owa(*, smape: float, mase: float, naive2_smape: float, naive2_mase: float) -> float:
    """Return the overall weighted average of M4: below 1 is better than Naive2.

    References:
        Makridakis, Spiliotis & Assimakopoulos, Int. J. Forecasting 36 (2020) 54-74.

    Example:
        >>> owa(smape=5.0, mase=1.0, naive2_smape=10.0, naive2_mase=4.0)
        0.375
    """
    return (smape / naive2_smape + mase / naive2_mase) / 2


def actuals(windows: Sequence[Window]) -> FloatArray:
    """Return what came, shape (windows, horizon)."""
    return np.array([window.actual for window in windows])


def weighted_quantile_loss(actual: FloatArray, quantiles: FloatArray) -> float:
    """Return the mean over the deciles of twice the pinball loss beside all sizes.

    Args:
        actual: shape (windows, horizon); NaN steps are left out.
        quantiles: shape (windows, levels, horizon), levels as in LEVELS.

    Returns:
        Without unit; NaN where a window has no quantiles.
    """
    places = [_PLACES[level] for level in _DECILES]
    levels = np.array(_DECILES)[None, :, None]
    short = actual[:, None, :] - quantiles[:, places, :]
    known = ~np.isnan(actual)
    if np.isnan(quantiles[:, places, :]).any():
        return float("nan")
    losses = np.maximum(levels * short, (levels - 1) * short)
    total = np.nansum(losses) / len(places)
    return float(2 * total / np.abs(actual[known]).sum())


def cover(
    actual: FloatArray, quantiles: FloatArray, *, ends: tuple[float, float]
) -> float:
    """Return the share of the points inside an interval, ends included."""
    low, high = (quantiles[:, _PLACES[level], :] for level in ends)
    known = ~(np.isnan(actual) | np.isnan(low) | np.isnan(high))
    if np.isnan(low).any() or not known.any():
        return float("nan")
    return float(np.mean(((low <= actual) & (actual <= high))[known]))


def _points(collection: Collection, mean: FloatArray) -> dict[str, float]:
    season = collection.scale_season
    rows: dict[str, list[float]] = {
        name: [] for name in ("sMAPE", "MASE", "RMSSE", "MAE")
    }
    for window, forecast in zip(collection.windows, mean, strict=True):
        actual, history = window.actual, window.history
        rows["sMAPE"].append(smape(actual, forecast=forecast))
        rows["MAE"].append(mae(actual, forecast=forecast))
        for name, scaled in (("MASE", mase), ("RMSSE", rmsse)):
            told = scaled(actual, forecast=forecast, history=history, season=season)
            rows[name].append(told)
    return {name: _mean(values) for name, values in rows.items()}


def _mean(values: list[float]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")
