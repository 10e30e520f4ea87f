"""Linear regression on covariates and the calendar, with errors that persist."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from forecasting.arrays import FloatArray
from forecasting.design import column_count, design_of
from forecasting.errors import ModelUnfit
from forecasting.models import Case, Contributions, ModelContext, Regime, global_model
from forecasting.regression import PENALTIES, Lines, Ridge

# About two years of hours: two of every season of the year.
_POINTS_USED = 17_520
_LEAST_POINTS = 12
_LEAST_SEASONS = 3
_SUITED_SEASONS = 4
# Cases that choose the strength of the ridge.
_SAMPLE = 50
_ERROR_PENALTY = 1e-3
_NEAR = (1, 2, 3)
# Repetitions of the longest lag that a history must hold.
_LAG_REPETITIONS = 4


def _suits(regime: Regime) -> bool:
    long_enough = regime.points >= _SUITED_SEASONS * regime.season
    return regime.covariates >= 1 and long_enough


def _cost(regime: Regime) -> float:
    # Milliseconds: the Gram matrix rules, once for the fit and once for the forecast.
    columns = column_count(regime)
    points = min(regime.points, _POINTS_USED)
    return 2 + 3e-7 * points * columns**2 + 1e-6 * columns**3


def _restore(state: bytes) -> "FittedLinear":
    return FittedLinear(float(json.loads(state)["penalty"]))


@global_model("linear", suits=_suits, cost=_cost, restore=_restore, covariates=True)
def linear(cases: Sequence[Case]) -> "FittedLinear":
    """Choose one strength of the ridge for all series, by cross-validation.

    What is learned is that strength; the weights of a series are found again from the
    history that is shown, so they are never older than it.

    Args:
        cases: histories, each shape (n,), no NaN.

    Returns:
        The model.

    Raises:
        ModelUnfit: every history is too short.

    References:
        Hong, Short term electric load forecasting, dissertation, NCSU 2010, for
        covariates by hour; Hyndman & Athanasopoulos, Forecasting: Principles and
        Practice, 3rd edition, chapter 10, for regression with errors that persist.
    """
    able = [case for case in cases if _enough(case)]
    if not able:
        raise ModelUnfit("linear needs three seasons, and 12 points, of some series")
    curve = np.zeros(PENALTIES.size)
    for case in able[:: -(-len(able) // _SAMPLE)]:
        curve += _Regression(case).ridge.criterion(PENALTIES)
    return FittedLinear(float(PENALTIES[curve.argmin()]))


def _enough(case: Case) -> bool:
    return case.history.size >= max(_LEAST_POINTS, _LEAST_SEASONS * case.context.season)


@dataclass(frozen=True)
class FittedLinear:
    """The strength of the ridge, from which each forecast follows.

    Attributes:
        penalty: in units of the variance of the regressors.
    """

    penalty: float

    def predict(self, cases: Sequence[Case]) -> list[FloatArray]:
        """Forecast each case.

        Args:
            cases: histories, each shape (n,), no NaN.

        Returns:
            Means, each shape (horizon,), unit of its series; NaN where the history is
            too short.
        """
        return [found.values.sum(axis=0) for found in self.explain(cases)]

    def explain(self, cases: Sequence[Case]) -> list[Contributions]:
        """Split each forecast into level, calendar, covariates and recent errors.

        Args:
            cases: as for the forecast.

        Returns:
            Contributions; that of a covariate is against its mean in the history, and
            "limits" is what keeping the forecast near the history's range took away.
        """
        return [self._explain(case) for case in cases]

    def state(self) -> bytes:
        """Write the strength as JSON."""
        return json.dumps({"penalty": self.penalty}).encode()

    def _explain(self, case: Case) -> Contributions:
        horizon = case.context.horizon
        if not _enough(case):
            return Contributions(("base",), np.full((1, horizon), np.nan))
        regression = _Regression(case)
        values = regression.parts(regression.ridge.line(self.penalty))
        used = regression.values
        total, span = values.sum(axis=0), np.ptp(used)
        limits = np.clip(total, used.min() - span, used.max() + span) - total
        names = ("base", *regression.design.parts, "recent errors", "limits")
        return Contributions(names, np.vstack([values, limits]))


class _Regression:
    """The regression of one series, ready for any strength of the ridge."""

    def __init__(self, case: Case) -> None:
        self.values = case.history[-_POINTS_USED:]
        self.design = design_of(self.values.size, case.context)
        self.ridge = Ridge(self.design.past, self.values)
        self._horizon = case.context.horizon
        self._lags = _lags(self.values.size, case.context)

    def parts(self, line: Lines) -> FloatArray:
        """Forecast base, parts of the design and errors, shape (parts + 2, horizon)."""
        design, weights = self.design, line.weights[:, 0]
        centre = design.past.mean(axis=0)
        level = float(self.values.mean())
        effects = (design.ahead - centre) * weights
        shared = [
            effects[:, design.owner == part].sum(axis=1)
            for part in range(len(design.parts))
        ]
        errors = self.values - line.at(design.past)[:, 0]
        base = np.full(self._horizon, level)
        return np.vstack([base, *shared, self._carried(errors)])

    def _carried(self, errors: FloatArray) -> FloatArray:
        """Let the latest errors persist as errors did: an autoregression of them."""
        track = np.concatenate([errors, np.zeros(self._horizon)])
        if not self._lags:
            return track[errors.size :]
        longest = max(self._lags)
        earlier = [errors[longest - lag : -lag] for lag in self._lags]
        memory = Ridge(np.column_stack(earlier), errors[longest:]).line(_ERROR_PENALTY)
        back = np.array(self._lags)
        for step in range(errors.size, track.size):
            track[step] = track[step - back] @ memory.weights[:, 0]
        return track[errors.size :]


def _lags(points: int, context: ModelContext) -> tuple[int, ...]:
    season, longer = context.season, context.long_season
    wanted = {*_NEAR, season, season + 1, 2 * season}
    if longer:
        wanted |= {longer, longer + 1}
    return tuple(
        sorted(lag for lag in wanted if _LAG_REPETITIONS * (lag + 1) <= points)
    )
