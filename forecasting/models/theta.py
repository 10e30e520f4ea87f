"""Theta: a drift and a smoothed level around an additive season, by statsmodels."""

import numpy as np

from forecasting.arrays import FloatArray
from forecasting.errors import ModelUnfit
from forecasting.fitting import contained_fit, recent
from forecasting.models import ModelContext, always, milliseconds, model

_LEAST_POINTS = 5
_ROUND_OFF = 1e-12


@model("theta", suits=always, cost=milliseconds(5), calibration=20, equivariant=True)
def theta(history: FloatArray, context: ModelContext) -> FloatArray:
    """Forecast the last 60 seasons (at least 200 points) by the theta method.

    Args:
        history: known values, shape (n,), no NaN; more than two seasons, and five.
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
    if _repeats(used, context.season):
        return np.resize(used[-context.season :], context.horizon)
    with contained_fit("theta"):
        fitted = ThetaModel(
            used,
            period=context.season,
            deseasonalize=context.season > 1,
            use_test=False,
            method="additive",
        ).fit()
        return np.asarray(fitted.forecast(context.horizon), dtype=np.float64)


def _repeats(used: FloatArray, season: int) -> bool:
    # Statsmodels 0.15 takes a deseasonalised series that is flat for the constant of
    # its own trend regression (`add_trend` skips a constant that is there) and makes a
    # drift of it. The answer is known without a fit; drop this when that is mended.
    change = np.abs(used[season:] - used[:-season]).max()
    return bool(change <= _ROUND_OFF * np.abs(used).max())
