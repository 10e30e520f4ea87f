"""Theta: half the trend and a smoothed level of the deseasonalised series."""

from forecasting.arrays import FloatArray
from forecasting.fitting import library_mean, recent, require_points
from forecasting.models import ModelContext, Regime, model

_LEAST_POINTS = 5


def _suits(regime: Regime) -> bool:
    return regime.short_season


def _cost(regime: Regime) -> float:
    return 0.2 + 0.018 * min(regime.points, 60 * regime.season + 200)


@model("theta", suits=_suits, cost=_cost, calibration=20)
def theta(history: FloatArray, context: ModelContext) -> FloatArray:
    """Forecast the last 60 seasons (at least 200 points) by the theta method.

    A season of four steps or more that is significant is taken out first; it multiplies
    where every value is positive, and adds elsewhere.

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
    require_points("theta", history=history, least=least)
    # A second to import; only a job that uses it should pay.
    from statsforecast.models import Theta  # noqa: PLC0415

    return library_mean(
        "theta",
        history=recent(history, season=context.season),
        horizon=context.horizon,
        build=lambda: Theta(season_length=context.season),
    )
