"""Naive2: the naive forecast of the deseasonalised series; the M4 benchmark."""

import numpy as np

from forecasting.arrays import FloatArray
from forecasting.models import ModelContext, always, milliseconds, model

# The test at 90 % needs three seasons to say anything.
_SEASONS_TESTED = 3
_NORMAL_90 = 1.645


@model("naive2", suits=always, cost=milliseconds(0.1), calibration=30)
def naive2(history: FloatArray, context: ModelContext) -> FloatArray:
    """Repeat the last value with the season of a classical decomposition.

    The season counts only if the autocorrelation at its lag is significant at 90 %. It
    multiplies where every value is positive, and adds elsewhere. The competitions
    divide by the error of this forecast (OWA).

    Args:
        history: known values, shape (n,), n at least 1, no NaN.
        context: the horizon and the season are used.

    Returns:
        Mean, shape (horizon,), unit of the history; the naive forecast without a
        significant season.

    References:
        Makridakis, Spiliotis & Assimakopoulos, The M4 Competition, Int. J. Forecasting
        36 (2020) 54-74.
    """
    season = context.season
    if season == 1 or not _is_seasonal(history, season):
        return np.full(context.horizon, history[-1])
    multiplies = bool(history.min() > 0)
    figure = _figure(history, season, multiplies=multiplies)
    now = figure[(history.size - 1) % season]
    ahead = figure[(history.size + np.arange(context.horizon)) % season]
    mean = history[-1] / now * ahead if multiplies else history[-1] - now + ahead
    return np.asarray(mean)


def _is_seasonal(history: FloatArray, season: int) -> bool:
    if history.size < _SEASONS_TESTED * season:
        return False
    away = history - history.mean()
    # Squares of huge or tiny values leave the doubles; the correlation has no unit.
    away = away / (np.abs(away).max() or 1.0)
    size = away @ away
    if size == 0:
        return False
    lags = range(1, season + 1)
    correlations = np.array([away[lag:] @ away[:-lag] for lag in lags]) / size
    limit = np.sqrt((1 + 2 * (correlations[:-1] ** 2).sum()) / history.size)
    return bool(abs(correlations[-1]) > _NORMAL_90 * limit)


def _figure(history: FloatArray, season: int, *, multiplies: bool) -> FloatArray:
    # Centred means over one season; an even one takes half of both ends.
    shares = np.ones(season + 1 - season % 2)
    if season % 2 == 0:
        shares[[0, -1]] = 0.5
    trend = np.convolve(history, shares / season, mode="valid")
    start = season // 2
    inner = history[start : start + trend.size]
    detrended = inner / trend if multiplies else inner - trend
    phases = (start + np.arange(trend.size)) % season
    sums = np.bincount(phases, weights=detrended, minlength=season)
    figure = sums / np.bincount(phases, minlength=season)
    figure = figure / figure.mean() if multiplies else figure - figure.mean()
    return np.asarray(figure)
