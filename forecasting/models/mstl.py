"""MSTL: seasons taken out by local regression, the rest by optimized theta."""

from typing import Any

from forecasting.arrays import FloatArray
from forecasting.errors import ModelUnfit
from forecasting.fitting import library_mean, recent, require_points
from forecasting.models import ModelContext, Regime, model

_LEAST_POINTS = 5
# Where it was worth its time on series of the competitions.
_SHORTEST, _LONGEST = 4, 12
# Two long seasons to decompose and one to see whether they last.
_LONG_SEASONS = 3


def _suits(regime: Regime) -> bool:
    return _SHORTEST <= regime.season <= _LONGEST


def _cost(regime: Regime) -> float:
    each = 0.05 * max(1.0, regime.season / _LONGEST)
    return 0.5 + each * min(regime.points, 60 * regime.season + 200)


@model("mstl", suits=_suits, cost=_cost, calibration=15)
def mstl(history: FloatArray, context: ModelContext) -> FloatArray:
    """Repeat the latest shape of each season around a forecast of the rest.

    The last 60 seasons are used (at least 200 points); both seasons where the history
    holds three of the longer one.

    Args:
        history: known values, shape (n,), no NaN; more than two seasons, and five.
        context: the horizon and both seasons are used; the season is at least 2.

    Returns:
        Mean, shape (horizon,), unit of the history.

    Raises:
        ModelUnfit: there is no season, the history is too short, or the fit failed.

    References:
        Bandara, Hyndman & Bergmeir, MSTL: a seasonal-trend decomposition algorithm for
        time series with multiple seasonal patterns, Int. J. Operational Research
        (2022).
    """
    if context.season == 1:
        raise ModelUnfit("mstl needs a season")
    least = max(_LEAST_POINTS, 2 * context.season + 1)
    require_points("mstl", history=history, least=least)
    seasons = [context.season]
    longer = context.long_season
    if longer and history.size >= _LONG_SEASONS * longer:
        seasons.append(longer)
    return library_mean(
        "mstl",
        history=recent(history, season=seasons[-1]),
        horizon=context.horizon,
        build=lambda: _library_model(seasons),
    )


def _library_model(seasons: list[int]) -> Any:
    # A second to import; only a job that uses it should pay.
    from statsforecast.models import MSTL, DynamicOptimizedTheta  # noqa: PLC0415

    rest = DynamicOptimizedTheta(season_length=1)
    return MSTL(season_length=seasons, trend_forecaster=rest)
