"""Drift: the straight line from the first value to the last, drawn on."""

import numpy as np

from forecasting.arrays import FloatArray
from forecasting.fitting import require_points
from forecasting.models import ModelContext, milliseconds, model


@model(
    "drift",
    suits=lambda regime: regime.season == 1,
    cost=milliseconds(0.02),
    calibration=30,
    equivariant=True,
)
def drift(history: FloatArray, context: ModelContext) -> FloatArray:
    """Continue with the mean change.

    Args:
        history: known values, shape (n,), n at least 2, no NaN.
        context: only the horizon is used.

    Returns:
        Mean, shape (horizon,), unit of the history.

    Raises:
        ModelUnfit: the history has one point.

    References:
        Hyndman & Athanasopoulos, Forecasting: Principles and Practice (3rd), 5.2.
    """
    require_points("drift", history=history, least=2)
    slope = (history[-1] - history[0]) / (history.size - 1)
    return np.asarray(history[-1] + slope * np.arange(1, context.horizon + 1))
