"""TSB: the chance and the size of a demand; a product that dies out goes to zero."""

import numpy as np

from forecasting.arrays import FloatArray
from forecasting.fitting import recent
from forecasting.models import ModelContext, Regime, milliseconds, model

_SMOOTHING = 0.1


def _suits(regime: Regime) -> bool:
    return regime.intermittent


@model("tsb", suits=_suits, cost=milliseconds(0.5), calibration=30)
def tsb(history: FloatArray, context: ModelContext) -> FloatArray:
    """Forecast the chance of a demand times its size, both smoothed.

    The chance falls with every step without a demand, which Croston's method misses.

    Args:
        history: known values, shape (n,), n at least 1, no NaN; every value that is
            not zero is a demand. The last 60 seasons are used (at least 200 points).
        context: the horizon and the season are used.

    Returns:
        Mean, shape (horizon,), unit of the history per step, the same at every step.

    References:
        Teunter, Syntetos & Babai, Intermittent demand: linking forecasting to inventory
        obsolescence, European J. Operational Research 214 (2011) 606-615.
    """
    used = recent(history, season=context.season)
    demands = used[used != 0]
    if not demands.size:
        return np.zeros(context.horizon)
    chance = _smoothed((used != 0).astype(np.float64))
    return np.full(context.horizon, chance * _smoothed(demands))


def _smoothed(values: FloatArray) -> float:
    level = float(values[0])
    for value in values[1:].tolist():
        level += _SMOOTHING * (value - level)
    return level
