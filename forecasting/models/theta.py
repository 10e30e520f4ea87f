"""Theta: a drift and a smoothed level around an additive season, by statsmodels."""

import numpy as np

from forecasting.arrays import FloatArray
from forecasting.errors import ModelUnfit
from forecasting.fitting import contained_fit, recent
from forecasting.models import ModelContext, model

_LEAST_POINTS = 5


@model("theta", calibration=20, equivariant=True)
def theta(history: FloatArray, context: ModelContext) -> FloatArray:
    """Forecast the last 60 seasons (at least 200 points) by the theta method.

    Args:
        history: known values, shape (n,), no NaN; at least five points and two seasons.
        context: the horizon and the season are used.

    Returns:
        Mean, shape (horizon,), unit of the history.

    Raises:
        ModelUnfit: the history is too short, or the fit failed.

    References:
        Assimakopoulos & Nikolopoulos, Int. J. Forecasting 16 (2000) 521-530.
    """
    least = max(_LEAST_POINTS, 2 * context.season + 1)
    if history.size < least:
        raise ModelUnfit(f"theta needs {least} points and got {history.size}")
    # Statsmodels takes a second to import; only a job that uses it should pay.
    from statsmodels.tsa.forecasting.theta import (  # type: ignore[import-untyped]  # noqa: PLC0415
        ThetaModel,
    )

    used = recent(history, season=context.season)
    with contained_fit("theta"):
        fitted = ThetaModel(
            used,
            period=context.season,
            deseasonalize=context.season > 1,
            use_test=False,
            method="additive",
        ).fit()
        return np.asarray(fitted.forecast(context.horizon), dtype=np.float64)
