"""Naive: tomorrow is as today; the floor that every other model has to beat."""

import numpy as np

from forecasting.arrays import FloatArray
from forecasting.models import ModelContext, always, milliseconds, model


@model("naive", suits=always, cost=milliseconds(0.02), calibration=30, equivariant=True)
def naive(history: FloatArray, context: ModelContext) -> FloatArray:
    """Repeat the last value.

    Args:
        history: known values, shape (n,), n at least 1, no NaN.
        context: only the horizon is used.

    Returns:
        Mean, shape (horizon,), unit of the history.

    References:
        Hyndman & Athanasopoulos, Forecasting: Principles and Practice (3rd), 5.2.
    """
    return np.full(context.horizon, history[-1])
