"""CES: complex exponential smoothing, which needs no split into level and trend."""

from forecasting.arrays import FloatArray
from forecasting.fitting import library_mean, recent, require_points
from forecasting.models import ModelContext, Regime, model

_LEAST_POINTS = 6
# Of two dozen years, complex smoothing makes too much.
_LEAST_SUITED = 40


def _suits(regime: Regime) -> bool:
    return regime.points >= _LEAST_SUITED and regime.short_season


def _cost(regime: Regime) -> float:
    return 0.3 + 0.03 * min(regime.points, 60 * regime.season + 200)


@model("ces", suits=_suits, cost=_cost, calibration=20)
def ces(history: FloatArray, context: ModelContext) -> FloatArray:
    """Forecast the last 60 seasons (at least 200 points) by complex smoothing.

    Without a season, with a simple or with a full one: the corrected Akaike criterion
    chooses.

    Args:
        history: known values, shape (n,), no NaN; more than two seasons, and six.
        context: the horizon and the season are used.

    Returns:
        Mean, shape (horizon,), unit of the history.

    Raises:
        ModelUnfit: the history is too short, or the fit failed.

    References:
        Svetunkov, Kourentzes & Ord, Complex exponential smoothing, Naval Research
        Logistics 69 (2022) 1108-1123.
    """
    least = max(_LEAST_POINTS, 2 * context.season + 1)
    require_points("ces", history=history, least=least)
    # A second to import; only a job that uses it should pay.
    from statsforecast.models import AutoCES  # noqa: PLC0415

    return library_mean(
        "ces",
        history=recent(history, season=context.season),
        horizon=context.horizon,
        build=lambda: AutoCES(season_length=context.season),
    )
