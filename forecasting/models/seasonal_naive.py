"""Seasonal naive: the coming season is as the last; the baseline of reports."""

import numpy as np

from forecasting.arrays import FloatArray
from forecasting.errors import ModelUnfit
from forecasting.models import ModelContext, always, milliseconds, model


@model(
    "seasonal_naive",
    suits=always,
    cost=milliseconds(0.02),
    calibration=30,
    equivariant=True,
)
def seasonal_naive(history: FloatArray, context: ModelContext) -> FloatArray:
    """Repeat the last season; with a season of 1 this is the naive forecast.

    Args:
        history: known values, shape (n,), at least one season, no NaN.
        context: the horizon and the season are used.

    Returns:
        Mean, shape (horizon,), unit of the history.

    Raises:
        ModelUnfit: the history is shorter than one season.

    References:
        Hyndman & Athanasopoulos, Forecasting: Principles and Practice (3rd), 5.2.
    """
    if history.size < context.season:
        raise ModelUnfit(
            f"{history.size} points are less than one season of {context.season}"
        )
    return np.resize(history[-context.season :], context.horizon)
