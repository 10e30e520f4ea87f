"""ETS: additive errors, damped trend and additive season, fitted by statsmodels."""

import numpy as np

from forecasting.arrays import FloatArray
from forecasting.errors import ModelUnfit
from forecasting.fitting import contained_fit, recent
from forecasting.models import ModelContext, milliseconds, model

# The start values come from a heuristic that needs ten points.
_LEAST_POINTS = 10
# The cost grows with the square of the season; minutes of a day would take seconds.
_LONGEST_SEASON = 400


@model("ets", suits=lambda one: one.season <= 12, cost=milliseconds(60), calibration=20)
def ets(history: FloatArray, context: ModelContext) -> FloatArray:
    """Forecast by exponential smoothing of the last 60 seasons (at least 200 points).

    Args:
        history: known values, shape (n,), no NaN; more than two seasons, and ten.
            A season has at most 400 steps.
        context: the horizon and the season are used.

    Returns:
        Mean, shape (horizon,), unit of the history.

    Raises:
        ModelUnfit: the history is too short, the season too long, or the fit failed.

    References:
        Hyndman & Athanasopoulos, Forecasting: Principles and Practice (3rd), chapter 8.
    """
    least = max(_LEAST_POINTS, 2 * context.season + 1)
    if context.season > _LONGEST_SEASON:
        raise ModelUnfit(f"ets is too slow for a season of {context.season} steps")
    if history.size < least:
        raise ModelUnfit(f"ets needs {least} points and got {history.size}")
    # Statsmodels takes a second to import; only a job that uses it should pay.
    from statsmodels.tsa.exponential_smoothing.ets import (  # type: ignore[import-untyped]  # noqa: PLC0415
        ETSModel,
    )

    used = recent(history, season=context.season)
    seasonal = context.season > 1
    with contained_fit("ets"):
        fitted = ETSModel(
            used,
            error="add",
            trend="add",
            damped_trend=True,
            seasonal="add" if seasonal else None,
            seasonal_periods=context.season if seasonal else None,
            initialization_method="heuristic",
        ).fit(disp=False)
        return np.asarray(fitted.forecast(context.horizon), dtype=np.float64)
