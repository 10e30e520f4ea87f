"""Rolling-origin backtests: the same code path as the forecast, cut off earlier."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile

import numpy as np

from forecasting.arrays import FloatArray
from forecasting.errors import ModelUnfit
from forecasting.frequency import Frequency, times_after
from forecasting.grid import RegularSeries
from forecasting.models import ModelContext, registered_models

# A forecast this many ranges outside everything ever seen is taken for a failed fit.
_RANGES_OUTSIDE = 3.0
_LEAST_HISTORY = 5
# Windows that choose the model, and the fewest that can do so on their own.
_SELECTION = 4
_LEAST_SELECTION = 2
# Earlier windows before the stride gives up phase for number.
_WANTED_EARLIER = 10
_MOST_EARLIER = 60


@dataclass(frozen=True)
class Problem:
    """One series on its grid and what is to be forecast.

    Attributes:
        series: the regular series.
        frequency: its step.
        horizon: steps to forecast.
        season: steps, at least 1.
        long_season: a second season in steps, or None.
        seed: seed of every random choice.
    """

    series: RegularSeries
    frequency: Frequency
    horizon: int
    season: int
    long_season: int | None
    seed: int

    @property
    def baseline(self) -> str:
        """The name of the model that every other one has to beat."""
        return "seasonal_naive" if self.season > 1 else "naive"

    @property
    def final(self) -> int:
        """The index of the latest value."""
        return self.series.values.size - 1

    def context(self, cutoff: int) -> ModelContext:
        """Describe the forecast that starts after index `cutoff`."""
        times = self.series.times
        if cutoff == self.final:
            ahead = times_after(
                self.frequency, cutoff=times[cutoff], horizon=self.horizon
            )
        else:
            ahead = times[cutoff + 1 : cutoff + 1 + self.horizon]
        return ModelContext(
            horizon=self.horizon,
            season=self.season,
            long_season=self.long_season,
            times=times[: cutoff + 1],
            future_times=ahead,
            seed=self.seed,
        )


@dataclass(frozen=True)
class Fold:
    """One backtest window and what a model forecast for it.

    Attributes:
        cutoff: index of the latest value the model saw.
        actual: observed values of the window, shape (horizon,), NaN where missing.
        mean: forecast, shape (horizon,).
        replaced: the model's output was absurd and the baseline took its place.
    """

    cutoff: int
    actual: FloatArray
    mean: FloatArray
    replaced: bool

    @property
    def residuals(self) -> FloatArray:
        """Observed minus forecast, shape (horizon,), NaN where missing."""
        return self.actual - self.mean


@dataclass(frozen=True)
class Plan:
    """Cutoffs of the backtest, each latest first; windows of different parts are apart.

    Attributes:
        evaluation: the latest windows; their error is reported.
        selection: the windows that choose the model.
        earlier: further windows that may calibrate the quantiles.
        nested: whether the evaluation played no part in the selection.
    """

    evaluation: tuple[int, ...]
    selection: tuple[int, ...]
    earlier: tuple[int, ...]
    nested: bool

    @property
    def calibration(self) -> tuple[int, ...]:
        """All cutoffs, latest first."""
        own_selection = self.selection if self.nested else ()
        return (*self.evaluation, *own_selection, *self.earlier)


def plan_cutoffs(problem: Problem, *, windows: int) -> Plan:
    """Choose the cutoffs of the backtest.

    The evaluation takes the latest windows, end to end. The windows before it keep the
    phase of the season, and rotate through a second season (the days of a week), when
    the series is long enough for that.

    Args:
        problem: the series and the horizon.
        windows: windows of the evaluation, at least 1.

    Returns:
        The plan; without any cutoff when the series is too short for one window.
    """
    horizon = problem.horizon
    first = max(2 * problem.season, _LEAST_HISTORY) - 1
    latest = [problem.final - horizon * back for back in range(1, windows + 1)]
    evaluation = tuple(takewhile(lambda cutoff: cutoff >= first, latest))
    if not evaluation:
        return Plan(evaluation=(), selection=(), earlier=(), nested=False)
    stride = _stride(problem, room=evaluation[-1] - first)
    earlier = tuple(range(evaluation[-1] - stride, first - 1, -stride))[:_MOST_EARLIER]
    if len(earlier) < _LEAST_SELECTION:
        return Plan(evaluation, selection=evaluation, earlier=earlier, nested=False)
    chosen, rest = earlier[:_SELECTION], earlier[_SELECTION:]
    return Plan(evaluation, selection=chosen, earlier=rest, nested=True)


def _stride(problem: Problem, *, room: int) -> int:
    in_phase = problem.season * -(-problem.horizon // problem.season)
    wanted = [2 * in_phase] if problem.long_season else []
    for stride in (*wanted, in_phase):
        if room // stride >= _WANTED_EARLIER:
            return stride
    return problem.horizon


def predict_at(problem: Problem, *, name: str, cutoff: int) -> tuple[FloatArray, bool]:
    """Forecast with one model from one cutoff, guarded.

    A forecast that is not finite, or further outside the range of the history than
    three times that range, is replaced by the baseline.

    Args:
        problem: the series and the horizon.
        name: a registered model.
        cutoff: index of the latest value the model may see.

    Returns:
        Mean, shape (horizon,), and whether it was replaced.

    Raises:
        ModelUnfit: the model cannot be fitted to this history.
    """
    # A read-only view: no model can change what the next one sees.
    history = problem.series.values[: cutoff + 1].view()
    history.flags.writeable = False
    context = problem.context(cutoff)
    mean = registered_models()[name].predict(history, context)
    if not _absurd(mean, history):
        return mean, False
    return registered_models()[problem.baseline].predict(history, context), True


def _absurd(mean: FloatArray, history: FloatArray) -> bool:
    low, high = float(history.min()), float(history.max())
    # Round-off must not condemn the forecast of a flat history.
    slack = _RANGES_OUTSIDE * (high - low) + 1e-9 * max(abs(low), abs(high))
    inside = (mean >= low - slack) & (mean <= high + slack)
    return not bool(np.all(inside))


def backtest(
    problem: Problem, *, name: str, cutoffs: Iterable[int]
) -> tuple[Fold, ...]:
    """Forecast every window with one model, refitted on the data before each.

    Args:
        problem: the series and the horizon.
        name: a registered model.
        cutoffs: indices of the latest known values; a window must follow each.

    Returns:
        One fold per cutoff.

    Raises:
        ModelUnfit: the model cannot be fitted at one of the cutoffs.
    """
    return tuple(_fold(problem, name, cutoff) for cutoff in cutoffs)


def backtest_while_fit(
    problem: Problem, *, name: str, cutoffs: Iterable[int], made: Iterable[Fold] = ()
) -> tuple[Fold, ...]:
    """Backtest as `backtest` does, but stop at the first history that is too short.

    Args:
        problem: the series and the horizon.
        name: a registered model.
        cutoffs: indices of the latest known values, latest first.
        made: folds of this model that need not be made again.

    Returns:
        One fold for each of the first cutoffs.
    """
    ready = {fold.cutoff: fold for fold in made}
    folds: list[Fold] = []
    for cutoff in cutoffs:
        try:
            folds.append(ready.get(cutoff) or _fold(problem, name, cutoff))
        except ModelUnfit:
            break
    return tuple(folds)


def _fold(problem: Problem, name: str, cutoff: int) -> Fold:
    mean, replaced = predict_at(problem, name=name, cutoff=cutoff)
    window = slice(cutoff + 1, cutoff + 1 + problem.horizon)
    return Fold(cutoff, problem.series.known[window], mean, replaced)
