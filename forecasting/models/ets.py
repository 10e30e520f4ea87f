"""ETS: the best exponential smoothing by information criterion, by statsforecast."""

from forecasting.arrays import FloatArray
from forecasting.errors import ModelUnfit
from forecasting.fitting import library_mean, recent, require_points
from forecasting.models import ModelContext, Regime, model

_LEAST_POINTS = 8
# A longer season has as many parameters; the method has no answer to that.
_LONGEST_SEASON = 24


def _suits(regime: Regime) -> bool:
    return regime.short_season


def _cost(regime: Regime) -> float:
    each = 0.02 if regime.season == 1 else 0.35
    return 8.0 + each * min(regime.points, 60 * regime.season + 200)


@model("ets", suits=_suits, cost=_cost, calibration=20)
def ets(history: FloatArray, context: ModelContext) -> FloatArray:
    """Forecast the last 60 seasons (at least 200 points) by exponential smoothing.

    All combinations of error, trend (damped or not) and season are fitted; the
    corrected Akaike criterion chooses.

    Args:
        history: known values, shape (n,), no NaN; more than two seasons, and eight.
            A season has at most 24 steps.
        context: the horizon and the season are used.

    Returns:
        Mean, shape (horizon,), unit of the history.

    Raises:
        ModelUnfit: the history is too short, the season too long, or the fit failed.

    References:
        Hyndman & Athanasopoulos, Forecasting: Principles and Practice (3rd), chapter 8.
    """
    if context.season > _LONGEST_SEASON:
        raise ModelUnfit(f"ets cannot fit a season of {context.season} steps")
    least = max(_LEAST_POINTS, 2 * context.season + 1)
    require_points("ets", history=history, least=least)
    # A second to import; only a job that uses it should pay.
    from statsforecast.models import AutoETS  # noqa: PLC0415

    return library_mean(
        "ets",
        history=recent(history, season=context.season),
        horizon=context.horizon,
        build=lambda: AutoETS(season_length=context.season),
    )
