"""Linear regression on covariates and the calendar, with errors that persist."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from forecasting.arrays import FloatArray
from forecasting.design import Design, design_of
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
# The first regression only serves to see how errors persist.
_FIRST_PENALTY = 1e-3
_ERROR_PENALTY = 1e-3
_NEAR = (1, 2, 3)
# Repetitions of the longest lag that a history must hold.
_LAG_REPETITIONS = 4


def _suits(regime: Regime) -> bool:
    long_enough = regime.points >= _SUITED_SEASONS * regime.season
    return regime.covariates >= 1 and long_enough


def _cost(regime: Regime) -> float:
    # Milliseconds: the Gram matrix rules, twice for the fit and twice for the forecast.
    phases = 2 * regime.season if regime.season <= 48 else 0  # noqa: PLR2004
    columns = min(regime.season, 168) + 8 + regime.covariates * (4 + phases)
    points = min(regime.points, _POINTS_USED)
    return 2 + 4e-7 * points * columns**2


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
        Cochrane & Orcutt, J. Am. Stat. Assoc. 44 (1949) 32-61, for the errors; Hong,
        Short term electric load forecasting, dissertation, NCSU 2010, for covariates
        by hour.
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

    values: FloatArray
    design: Design
    ridge: Ridge

    def __init__(self, case: Case) -> None:
        self.values = case.history[-_POINTS_USED:]
        self._horizon = case.context.horizon
        self._lags = _lags(self.values.size, case.context)
        self.design = design_of(self.values.size, case.context)
        rows = self.design.past
        first = Ridge(rows, self.values).line(_FIRST_PENALTY)
        errors = self.values - first.at(rows)[:, 0]
        # Errors that persist would make the regression trust accidents; what is left
        # of rows and values after taking out the persistence does not persist.
        self._memory = self._persistence(errors)
        self.ridge = Ridge(self._whitened(rows), self._whitened(self.values))

    def parts(self, line: Lines) -> FloatArray:
        """Forecast base, parts of the design and errors, shape (parts + 2, horizon)."""
        design, weights = self.design, line.weights[:, 0]
        centre = design.past.mean(axis=0)
        level = float(self.values.mean())
        effects = (design.ahead - centre) * weights
        shared = np.array(
            [
                effects[:, design.owner == part].sum(axis=1)
                for part in range(len(design.parts))
            ]
        )
        errors = self.values - level - (design.past - centre) @ weights
        memory = self._persistence(errors)
        return np.vstack(
            [np.full(self._horizon, level), shared, self._carried(errors, memory)]
        )

    def _persistence(self, errors: FloatArray) -> FloatArray:
        if not self._lags:
            return np.empty(0)
        return (
            Ridge(self._lagged(errors), errors[max(self._lags) :])
            .line(_ERROR_PENALTY)
            .weights[:, 0]
        )

    def _lagged(self, values: FloatArray) -> FloatArray:
        longest = max(self._lags)
        return np.stack(
            [values[longest - lag : len(values) - lag] for lag in self._lags], axis=1
        )

    def _whitened(self, values: FloatArray) -> FloatArray:
        if not self._lags:
            return values
        longest = max(self._lags)
        left = values[longest:].copy()
        for lag, weight in zip(self._lags, self._memory, strict=True):
            left -= weight * values[longest - lag : len(values) - lag]
        return left

    def _carried(self, errors: FloatArray, memory: FloatArray) -> FloatArray:
        track = np.concatenate([errors, np.zeros(self._horizon)])
        if self._lags:
            back = np.array(self._lags)
            for step in range(errors.size, track.size):
                track[step] = track[step - back] @ memory
        return track[errors.size :]


def _lags(points: int, context: ModelContext) -> tuple[int, ...]:
    season, longer = context.season, context.long_season
    wanted = {*_NEAR, season, season + 1, 2 * season}
    if longer:
        wanted |= {longer, longer + 1}
    return tuple(
        sorted(lag for lag in wanted if _LAG_REPETITIONS * (lag + 1) <= points)
    )
