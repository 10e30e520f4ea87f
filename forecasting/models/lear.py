"""LEAR: a sparse regression for each phase of the day, as day-ahead prices want it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from forecasting.arrays import BoolArray, FloatArray
from forecasting.errors import ModelUnfit
from forecasting.lasso import lasso_by_aic
from forecasting.models import ModelContext, Regime, model
from forecasting.regression import column_scale

Day: TypeAlias = Callable[[FloatArray], FloatArray]

# Days of the calibration windows whose forecasts are averaged: the short ones follow a
# market that has changed, the long ones know rare days.
_WINDOWS = (56, 84, 728, 1456)
_LAGS = (1, 2, 3, 7)
_COVARIATE_LAGS = (1, 7)
_WEEK = 7
_LEAST_ROWS = 8
_LEAST_DAYS = 100
_SEASONS = (24, 48, 96)
# Share of a price's variance that the criterion takes for noise: chosen on the years
# before the published test years of two markets.
_NOISE = 0.15
# How far beyond the prices of its window a forecast may go, in transformed units: one
# is nearly three times as far from the median.
_MARGIN = 1.0


def _suits(regime: Regime) -> bool:
    long_enough = regime.points >= _LEAST_DAYS * regime.season
    return regime.season in _SEASONS and long_enough and regime.covariates >= 1


def _cost(regime: Regime) -> float:
    # Milliseconds, measured with two covariates and all windows at 24 steps a day.
    width = regime.season / 24 * (len(_LAGS) + 3 * regime.covariates) / 10
    days = regime.points / max(regime.season, 1)
    windows = sum(window <= days for window in _WINDOWS)
    ahead = -(-regime.horizon // max(regime.season, 1))
    return 10 + 50 * windows * width**2 + 0.1 * ahead


@model("lear", suits=_suits, cost=_cost, calibration=14, covariates=True)
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
    least = (_WEEK + _LEAST_ROWS) * context.season
    if history.size < least:
        raise ModelUnfit(f"lear needs {least} points and got {history.size}")
    days = _Days.of(history, context)
    phases = min(context.horizon, context.season)
    past = np.arange(_WEEK, len(days.prices))
    rows = days.rows(past)
    fits = [
        _fit(rows[-window:], days.prices[past[-window:], :phases])
        for window in _windows(past.size)
    ]
    ahead = -(-context.horizon // context.season)
    for day in range(len(days.prices), len(days.prices) + ahead):
        row = days.rows(np.array([day]))[0]
        days = days.followed_by(np.mean([fit(row) for fit in fits], axis=0))
    return days.prices[-ahead:, :phases].ravel()[: context.horizon]


def _windows(rows: int) -> Sequence[int]:
    # A window that all but one week is known of counts as whole.
    allowed = [min(window, rows) for window in _WINDOWS if window - _WEEK <= rows]
    return allowed or [rows]


@dataclass(frozen=True)
class _Days:
    """A history and its covariates cut into days that end with the cutoff.

    Attributes:
        prices: shape (days, season).
        covariates: shape (days and days ahead, season, columns).
        known: which columns are known for the days ahead, shape (columns,).
        phases: how many steps of a day ahead are known at most.
    """

    prices: FloatArray
    covariates: FloatArray
    known: BoolArray
    phases: int

    @classmethod
    def of(cls, history: FloatArray, context: ModelContext) -> "_Days":
        season = context.season
        longest = max(_WINDOWS) + _WEEK
        count = min(history.size // season, longest)
        prices = history[-count * season :].reshape(count, season)
        columns = len(context.names)
        ahead = -(-context.horizon // season)
        beside = np.empty((count + ahead, season, columns))
        known = np.zeros(columns, dtype=bool)
        if columns:
            past = context.covariates[-count * season :]
            future = context.future_covariates
            known = np.isfinite(future).all(axis=0)
            beside[:count] = past.reshape(count, season, columns)
            for day in range(count, count + ahead):
                beside[day] = beside[day - _WEEK]
            beside[count:].reshape(-1, columns)[: context.horizon, known] = future[
                :, known
            ]
        return cls(prices, beside, known, min(context.horizon, season))

    def rows(self, days: FloatArray) -> FloatArray:
        """Build the regressors of days, each at least a week after the first."""
        known = self.covariates[:, : self.phases, self.known]
        parts = [self.prices[days - lag] for lag in _LAGS]
        parts.append(known[days])
        parts += [self.covariates[days - lag] for lag in _COVARIATE_LAGS]
        parts.append(np.eye(_WEEK)[days % _WEEK])
        return np.hstack([part.reshape(len(days), -1) for part in parts])

    def followed_by(self, prices: FloatArray) -> "_Days":
        """Append a day; phases that it does not reach repeat the latest ones."""
        day = self.prices[-1].copy()
        day[: prices.size] = prices
        return _Days(
            np.vstack([self.prices, day]), self.covariates, self.known, self.phases
        )


def _fit(rows: FloatArray, prices: FloatArray) -> Day:
    """Fit all phases on one window, in a domain where spikes are not far away."""
    row_centre, row_scale = column_scale(rows)
    centre, scale = column_scale(prices)
    targets = np.arcsinh((prices - centre) / scale)
    lines = lasso_by_aic(
        np.arcsinh((rows - row_centre) / row_scale), targets, noise=_NOISE
    )
    low, high = targets.min(axis=0) - _MARGIN, targets.max(axis=0) + _MARGIN

    def day(row: FloatArray) -> FloatArray:
        found = lines.at(np.arcsinh((row - row_centre) / row_scale))
        return np.asarray(centre + scale * np.sinh(np.clip(found, low, high)))

    return day
