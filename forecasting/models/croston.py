"""Croston: sizes and gaps of rare demand, smoothed apart and corrected for bias."""

import numpy as np

from forecasting.arrays import FloatArray
from forecasting.fitting import recent
from forecasting.models import ModelContext, Regime, milliseconds, model

_SMOOTHING = 0.1


def _suits(regime: Regime) -> bool:
    return regime.intermittent


@model("croston", suits=_suits, cost=milliseconds(0.3), calibration=30)
def croston(history: FloatArray, context: ModelContext) -> FloatArray:
    """Forecast the mean demand per step, with Syntetos' and Boylan's correction.

    Args:
        history: known values, shape (n,), n at least 1, no NaN; every value that is
            not zero is a demand. The last 60 seasons are used (at least 200 points).
        context: the horizon and the season are used.

    Returns:
        Mean, shape (horizon,), unit of the history per step, the same at every step.

    References:
        Syntetos & Boylan, The accuracy of intermittent demand estimates, Int. J.
        Forecasting 21 (2005) 303-314.
    """
    used = recent(history, season=context.season)
    (when,) = np.nonzero(used)
    if not when.size:
        return np.zeros(context.horizon)
    gaps = np.diff(when, prepend=-1)
    # Only gaps that vary bias their quotient: demand at every step needs no correction.
    correction = 1.0 if gaps.max() == 1 else 1 - _SMOOTHING / 2
    mean = correction * _smoothed(used[when]) / _smoothed(gaps.astype(np.float64))
    return np.full(context.horizon, mean)


def _smoothed(values: FloatArray) -> float:
    level = float(values[0])
    for value in values[1:].tolist():
        level += _SMOOTHING * (value - level)
    return level
