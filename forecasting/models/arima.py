"""ARIMA: orders found step by step; slow, and therefore only on request."""

from typing import Any

from forecasting.arrays import FloatArray
from forecasting.errors import ModelUnfit
from forecasting.fitting import library_mean, recent, require_points
from forecasting.models import ModelContext, Regime, model, never

_LEAST_POINTS = 10
# The state holds a whole season: with 168 steps one fit takes minutes.
_LONGEST_SEASON = 24
# Wider searches took twice the time and forecast no better.
_SEARCH: dict[str, Any] = {
    "approximation": True,
    "max_p": 3,
    "max_q": 3,
    "max_P": 1,
    "max_Q": 1,
    "nmodels": 30,
}


def _cost(regime: Regime) -> float:
    return 50.0 + 0.15 * regime.season * min(regime.points, 60 * regime.season + 200)


@model("arima", suits=never, cost=_cost, calibration=6)
def arima(history: FloatArray, context: ModelContext) -> FloatArray:
    """Forecast the last 60 seasons (at least 200 points) by a seasonal ARIMA.

    Args:
        history: known values, shape (n,), no NaN; two seasons, and ten points.
        context: the horizon and the season are used; a season has at most 24 steps.

    Returns:
        Mean, shape (horizon,), unit of the history.

    Raises:
        ModelUnfit: the history is too short, the season too long, or the fit failed.

    References:
        Hyndman & Khandakar, Automatic time series forecasting, J. Statistical Software
        27 (2008) 3.
    """
    if context.season > _LONGEST_SEASON:
        raise ModelUnfit(f"arima is too slow for a season of {context.season} steps")
    least = max(_LEAST_POINTS, 2 * context.season)
    require_points("arima", history=history, least=least)
    # A second to import; only a job that uses it should pay.
    from statsforecast.models import AutoARIMA  # noqa: PLC0415

    return library_mean(
        "arima",
        history=recent(history, season=context.season),
        horizon=context.horizon,
        build=lambda: AutoARIMA(season_length=context.season, **_SEARCH),
    )
