"""SARIMAX: a seasonal ARIMA of fixed order around a regression on covariates."""

from typing import Any

import numpy as np

from forecasting.arrays import FloatArray
from forecasting.errors import ModelUnfit
from forecasting.fitting import contained_fit, recent, require_points
from forecasting.models import ModelContext, Regime, model, never

_LEAST_POINTS = 16
# The state holds a whole season: with 168 steps one fit takes minutes.
_LONGEST_SEASON = 24
_MOST_POINTS = 1_500
_ITERATIONS = 50


def _cost(regime: Regime) -> float:
    return 30.0 + 0.1 * regime.season * min(regime.points, _MOST_POINTS)


@model("sarimax", suits=never, cost=_cost, calibration=6, covariates=True)
def sarimax(history: FloatArray, context: ModelContext) -> FloatArray:
    """Forecast by SARIMAX(1,1,1)(0,1,1), by maximum likelihood on a Kalman filter.

    Uses the last 60 seasons (at least 200 points) and at most 1,500 points.

    Args:
        history: known values, shape (n,), no NaN; two seasons and 16 points.
        context: the horizon, the season (at most 24) and the covariates that are known
            for the future are used.

    Returns:
        Mean, shape (horizon,), unit of the history.

    Raises:
        ModelUnfit: the history is too short, the season too long, or the fit failed.

    References:
        Durbin & Koopman, Time Series Analysis by State Space Methods (2nd), chapter 3.
    """
    season = context.season
    if season > _LONGEST_SEASON:
        raise ModelUnfit(f"sarimax is too slow for a season of {season} steps")
    require_points("sarimax", history=history, least=_LEAST_POINTS + 2 * season)
    if np.ptp(history) == 0:
        return np.full(context.horizon, history[-1])
    used = recent(history, season=season)[-_MOST_POINTS:]
    known, ahead = _regressors(context, used.size)
    # A second to import; only a job that uses it should pay.
    from statsmodels.tsa.statespace.sarimax import (  # type: ignore[import-untyped]  # noqa: PLC0415
        SARIMAX,
    )

    shift, scale = used.mean(), used.std()
    with contained_fit("sarimax"):
        fitted = SARIMAX(
            (used - shift) / scale,
            exog=known,
            order=(1, 1, 1),
            seasonal_order=(0, 1, 1, season) if season > 1 else (0, 0, 0, 0),
        ).fit(disp=False, maxiter=_ITERATIONS)
        mean = np.asarray(fitted.forecast(context.horizon, exog=ahead))
    if not np.isfinite(mean).all():
        raise ModelUnfit("sarimax gave a forecast that is not finite")
    return np.asarray(shift + scale * mean)


def _regressors(context: ModelContext, points: int) -> Any:
    # A column known only for the past cannot be used; one that never changes is lost
    # in the differences.
    if not context.names:
        return None, None
    known = context.covariates[-points:]
    spread = known.std(axis=0)
    usable = np.isfinite(context.future_covariates).all(axis=0) & (spread > 0)
    if not usable.any():
        return None, None
    shift, scale = known.mean(axis=0)[usable], spread[usable]
    ahead = context.future_covariates[:, usable]
    return (known[:, usable] - shift) / scale, (ahead - shift) / scale
