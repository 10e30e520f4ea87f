"""Days: a history and its covariates cut into blocks that end with the cutoff."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from forecasting.arrays import BoolArray, FloatArray
from forecasting.cases import ModelContext
from forecasting.errors import ModelUnfit
from forecasting.regression import column_scale

PRICE_LAGS = (1, 2, 3, 7)
COVARIATE_LAGS = (1, 7)
# Days that a window must hold after the week that the lags take.
LEAST_ROWS = 8
_WEEK = 7
# How far beyond the values of its window a forecast may go, in transformed units: one
# is nearly three times as far from the median.
_MARGIN = 1.0

Day: TypeAlias = Callable[[FloatArray], FloatArray]
Fit: TypeAlias = Callable[[FloatArray, FloatArray, "Columns"], Day]


@dataclass(frozen=True)
class Columns:
    """How many regressors of a day come from where, in their order.

    Attributes:
        prices: of each lag in ``PRICE_LAGS``.
        today: covariates of the day itself.
        earlier: covariates of each lag in ``COVARIATE_LAGS``.
        weekdays: dummies.
    """

    prices: int
    today: int
    earlier: int
    weekdays: int = _WEEK


@dataclass(frozen=True)
class Days:
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
    def of(cls, history: FloatArray, context: ModelContext, *, most: int) -> "Days":
        """Cut the latest days, at most so many."""
        season = context.season
        count = min(history.size // season, most)
        prices = history[-count * season :].reshape(count, season)
        columns = len(context.names)
        ahead = -(-context.horizon // season)
        beside = np.empty((count + ahead, season, columns))
        known = np.zeros(columns, dtype=bool)
        if columns:
            past = context.covariates[-count * season :]
            future = context.future_covariates
            known[:] = np.isfinite(future).all(axis=0)
            beside[:count] = past.reshape(count, season, columns)
            for day in range(count, count + ahead):
                beside[day] = beside[day - _WEEK]
            steps = beside[count:].reshape(-1, columns)
            steps[: context.horizon, known] = future[:, known]
        return cls(prices, beside, known, min(context.horizon, season))

    def rows(self, days: Any) -> FloatArray:
        """Build the regressors of days, each at least a week after the first."""
        known = self.covariates[:, : self.phases, self.known]
        parts = [self.prices[days - lag] for lag in PRICE_LAGS]
        parts.append(known[days])
        parts += [self.covariates[days - lag] for lag in COVARIATE_LAGS]
        parts.append(np.eye(_WEEK)[days % _WEEK])
        return np.hstack([part.reshape(len(days), -1) for part in parts])

    def followed_by(self, prices: FloatArray) -> "Days":
        """Append a day; phases that it does not reach repeat the latest ones."""
        day = self.prices[-1].copy()
        day[: prices.size] = prices
        return Days(
            np.vstack([self.prices, day]), self.covariates, self.known, self.phases
        )

    def columns(self) -> Columns:
        """Count the regressors."""
        season, columns = self.covariates.shape[1:]
        return Columns(
            prices=season,
            today=self.phases * int(self.known.sum()),
            earlier=season * columns,
        )


def forecast_days(
    history: FloatArray,
    context: ModelContext,
    *,
    windows: Sequence[int],
    fit: Fit,
) -> FloatArray:
    """Forecast day by day with the mean over several windows of the latest days.

    A day is a block of one season of steps, counted back from the cutoff; later days
    are forecast from the forecasts of the earlier ones.

    Args:
        history: known values, shape (n,), no NaN; at least 15 seasons.
        context: horizon, season and covariates are used.
        windows: days to learn from, each; those that the history does not allow are
            left out, and all of it is used when none is left.
        fit: regressors (days, columns), targets (days, phases), both with tamed
            spikes, and what the columns are -> how to forecast rows of regressors.

    Returns:
        Mean, shape (horizon,).

    Raises:
        ModelUnfit: the history is too short.
    """
    least = (_WEEK + LEAST_ROWS) * context.season
    if history.size < least:
        raise ModelUnfit(f"{least} points are needed and {history.size} are there")
    days = Days.of(history, context, most=max(windows) + _WEEK)
    phases = min(context.horizon, context.season)
    count = len(days.prices)
    past = np.arange(_WEEK, count)
    rows, columns = days.rows(past), days.columns()
    fits = [
        _tamed(rows[-window:], days.prices[past[-window:], :phases], columns, fit)
        for window in _allowed(past.size, windows)
    ]
    ahead = -(-context.horizon // context.season)
    for day in range(count, count + ahead):
        row = days.rows(np.array([day]))
        days = days.followed_by(np.mean([each(row)[0] for each in fits], axis=0))
    return days.prices[-ahead:].ravel()[: context.horizon]


def _allowed(rows: int, windows: Sequence[int]) -> list[int]:
    # A window that all but one week is known of counts as whole.
    allowed = [min(window, rows) for window in windows if window - _WEEK <= rows]
    return allowed or [rows]


def _tamed(rows: FloatArray, prices: FloatArray, columns: Columns, fit: Fit) -> Day:
    """Fit in a domain where spikes are not far away."""
    row_centre, row_scale = column_scale(rows)
    centre, scale = column_scale(prices)
    targets = np.arcsinh((prices - centre) / scale)
    line = fit(np.arcsinh((rows - row_centre) / row_scale), targets, columns)
    low, high = targets.min(axis=0) - _MARGIN, targets.max(axis=0) + _MARGIN

    def day(row: FloatArray) -> FloatArray:
        found = line(np.arcsinh((row - row_centre) / row_scale))
        return np.asarray(centre + scale * np.sinh(np.clip(found, low, high)))

    return day
