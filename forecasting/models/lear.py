"""LEAR: a sparse regression for each phase of the day, as day-ahead prices want it."""

from forecasting.arrays import FloatArray
from forecasting.days import COVARIATE_LAGS, PRICE_LAGS, Columns, Day, forecast_days
from forecasting.lasso import lasso_by_aic
from forecasting.models import ModelContext, Regime, model

# Days of the calibration windows whose forecasts are averaged: the short ones follow a
# market that has changed, the long ones know rare days.
_WINDOWS = (56, 84, 728, 1456)
_LEAST_DAYS = 100
_SEASONS = (24, 48, 96)
# Share of a price's variance that the criterion takes for noise: chosen on the years
# before the published test years of two markets.
_NOISE = 0.15
# Milliseconds of one window with two covariates and 24 steps a day.
_WINDOW_MS = 50.0


def suits_days(regime: Regime) -> bool:
    """Suit day-ahead forecasts: phases of a day, covariates and a hundred days."""
    long_enough = regime.points >= _LEAST_DAYS * regime.season
    return regime.season in _SEASONS and long_enough and regime.covariates >= 1


def _cost(regime: Regime) -> float:
    season = max(regime.season, 1)
    blocks = len(PRICE_LAGS) + (1 + len(COVARIATE_LAGS)) * regime.covariates
    windows = sum(window * season <= regime.points for window in _WINDOWS)
    return 10 + _WINDOW_MS * windows * (season / 24 * blocks / 10) ** 2


@model("lear", suits=suits_days, cost=_cost, calibration=14, covariates=True)
def lear(history: FloatArray, context: ModelContext) -> FloatArray:
    """Regress each phase of a day on days past and on what is known of the day itself.

    A day is a block of one season of steps, counted back from the cutoff; later days
    are forecast from the forecasts of the earlier ones. Regressors are all phases of
    the days 1, 2, 3 and 7 back, every covariate on the day and 1 and 7 days back, and
    the weekday. The lasso chooses among them by the Akaike criterion, in each of
    several windows of the latest days; their forecasts are averaged.

    Args:
        history: known values, shape (n,), no NaN; at least 15 seasons.
        context: horizon, season and covariates are used; of a covariate not known for
            the future only its past is.

    Returns:
        Mean, shape (horizon,), unit of the history.

    Raises:
        ModelUnfit: the history is too short.

    References:
        Lago, Marcjasz, De Schutter & Weron, Applied Energy 293 (2021) 116983;
        Uniejewski, Nowotarski & Weron, Energies 9 (2016) 621.
    """
    return forecast_days(history, context, windows=_WINDOWS, fit=_sparse)


def _sparse(rows: FloatArray, targets: FloatArray, _columns: Columns) -> Day:
    return lasso_by_aic(rows, targets, noise=_NOISE).at
