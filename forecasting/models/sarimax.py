"""SARIMAX: a seasonal ARIMA of fixed order around a regression on covariates."""

import numpy as np

from forecasting.arrays import FloatArray
from forecasting.errors import ModelUnfit
from forecasting.fitting import contained_fit, recent, require_points, undo_difference
from forecasting.models import ModelContext, Regime, model, never

_LEAST_POINTS = 16
# The state holds a whole season: with 168 steps one fit takes minutes.
_LONGEST_SEASON = 24
_MOST_POINTS = 1_500
_ITERATIONS = 50


def _cost(regime: Regime) -> float:
    return 10.0 + 0.04 * regime.season * min(regime.points, _MOST_POINTS)


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
    used = recent(history, season=season)[-_MOST_POINTS:]
    scale = float(used.std())
    if scale == 0:
        return np.full(context.horizon, history[-1])
    spans = (1, season) if season > 1 else (1,)
    beside = _regressors(context, used.size)
    for span in spans:
        beside = beside[span:] - beside[:-span]
    # Differencing here and not in the model's state makes the filter several times
    # faster, and its start is not diffuse.
    levels = [used / scale]
    for span in spans:
        levels.append(levels[-1][span:] - levels[-1][:-span])
    with contained_fit("sarimax"):
        mean = _fitted_mean(levels[-1], beside, context)
    for span, level in zip(reversed(spans), reversed(levels[:-1]), strict=True):
        mean = undo_difference(mean, latest=level[-span:])
    if not np.isfinite(mean).all():
        raise ModelUnfit("sarimax gave a forecast that is not finite")
    return scale * mean


def _fitted_mean(
    changes: FloatArray, beside: FloatArray, context: ModelContext
) -> FloatArray:
    # A second to import; only a job that uses it should pay.
    from statsmodels.tsa.statespace.sarimax import (  # type: ignore[import-untyped]  # noqa: PLC0415
        SARIMAX,
    )

    season, columns = context.season, beside.shape[1]
    fitted = SARIMAX(
        changes,
        exog=beside[: changes.size] if columns else None,
        order=(1, 0, 1),
        seasonal_order=(0, 0, 1, season) if season > 1 else (0, 0, 0, 0),
        concentrate_scale=True,
    ).fit(disp=False, maxiter=_ITERATIONS, low_memory=True)
    ahead = beside[changes.size :] if columns else None
    return np.asarray(fitted.forecast(context.horizon, exog=ahead), dtype=np.float64)


def _regressors(context: ModelContext, points: int) -> FloatArray:
    # A column known only for the past cannot be used; one that never changes is lost
    # in the differences.
    if not context.names:
        return np.empty((points + context.horizon, 0))
    columns = np.vstack([context.covariates[-points:], context.future_covariates])
    columns = columns[:, np.isfinite(columns).all(axis=0)]
    spread = columns[:points].std(axis=0)
    kept = spread > 0
    return np.asarray(columns[:, kept] / spread[kept])
