"""Learn a group of series: who forecasts them, with what weights, how wide to be."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from forecasting.arrays import FloatArray
from forecasting.backtest import (
    Problem,
    Trial,
    baseline_of,
    plan_cutoffs,
    start_trial,
)
from forecasting.blend import (
    Losses,
    blend,
    group_baseline,
    measure,
    pooled_loss,
    weights_of,
)
from forecasting.calibration import Residuals, pool
from forecasting.errors import ModelUnfit
from forecasting.heats import Heats, run_all, run_heats, untested
from forecasting.members import Line, line_up, regime_of
from forecasting.models import Fitted, registered_models
from forecasting.options import ForecastOptions
from forecasting.telling import Tell, nobody


@dataclass(frozen=True)
class Learned:
    """What was learned of a group: enough to forecast it, and series like it.

    Attributes:
        names: the members; none means that every series takes its baseline.
        weights: of the group, shape (members,), summing to 1.
        own: weights of each series, by its name.
        rows: scaled residuals of the blend, shape (rows, horizon).
        sizes: how large a series' errors are beside the group's, by its name.
        fitted: the global members, fitted on all there is.
        unfit: why a global member could not be fitted at the end, by its name.
    """

    names: tuple[str, ...]
    weights: FloatArray
    own: dict[str, FloatArray]
    rows: FloatArray
    sizes: dict[str, float]
    fitted: dict[str, Fitted]
    unfit: dict[str, str]


@dataclass(frozen=True)
class Evidence:
    """What the backtest of a group saw.

    Attributes:
        line: what was tried.
        trials: one a series.
        earlier: the blend's means with weights from earlier windows only, one a
            series, shape (windows, horizon).
        residuals: of the blend with weights from all other windows.
        left_out: why members did not run to the end.
        notes: what a reader has to know of the choice.
    """

    line: Line
    trials: tuple[Trial, ...]
    earlier: tuple[FloatArray, ...]
    residuals: Residuals
    left_out: dict[str, str]
    notes: tuple[str, ...]

    def errors(self, row: int) -> FloatArray:
        """Return what the blend missed of one series, shape (windows, horizon)."""
        trial = self.trials[row]
        windows = len(trial.cutoffs)
        return self.residuals.scaled[row, :windows] * trial.scale[:, None]


@dataclass(frozen=True)
class _Choice:
    names: tuple[str, ...]
    weights: FloatArray
    earlier: tuple[FloatArray, ...]
    others: tuple[FloatArray, ...]
    notes: tuple[str, ...] = ()


def learn(
    problems: Sequence[Problem],
    *,
    options: ForecastOptions,
    flat: bool = False,
    tell: Tell = nobody,
) -> tuple[Learned, Evidence]:
    """Backtest the members on a group of series and learn how to blend them.

    Args:
        problems: at least one series; all of the same season, horizon and frequency.
        options: the wish.
        flat: the series never change, so there is nothing to choose.
        tell: hears the share of the work that is done, and what comes next.

    Returns:
        What was learned, and the evidence for it.
    """
    line = line_up(regime_of(problems), options=options)
    trials = _start(problems, line, options)
    auto, heats = not options.named, Heats(())
    if flat:
        choice = _baselines(problems, trials, "the series never changes: forecast by")
    else:
        run = run_heats if auto else run_all
        heats = run(problems, trials, line=line, tell=tell)
        choice = _choose(problems, trials, heats.names, auto=auto)
    errors = [
        trial.actual - mean for trial, mean in zip(trials, choice.others, strict=True)
    ]
    residuals = pool(errors, scales=[trial.scale for trial in trials])
    evidence = Evidence(
        line=line,
        trials=trials,
        earlier=choice.earlier,
        residuals=residuals,
        left_out=heats.left_out,
        notes=choice.notes,
    )
    return _settle(problems, choice, residuals), evidence


def try_all(
    problems: Sequence[Problem],
    *,
    line: Line,
    options: ForecastOptions,
    tell: Tell = nobody,
) -> tuple[tuple[Trial, ...], tuple[FloatArray, ...]]:
    """Backtest every model of a line on every series, and blend as a forecast would.

    Args:
        problems: at least one series; all of the same season, horizon and frequency.
        line: the models and the number of windows.
        options: the wish.
        tell: hears the share of the work that is done, and what comes next.

    Returns:
        One trial a series, and the blend's means with weights from earlier windows.
    """
    trials = _start(problems, line, options)
    run_all(problems, trials, line=line, tell=tell)
    auto = not options.named
    failed = untested(trials, line.names) if auto else {}
    names = tuple(name for name in line.names if name not in failed)
    losses = measure(trials, names=names)
    return trials, _blended(trials, losses, gated=auto, later=False)


def _start(
    problems: Sequence[Problem], line: Line, options: ForecastOptions
) -> tuple[Trial, ...]:
    return tuple(
        start_trial(
            problem,
            cutoffs=plan_cutoffs(problem, windows=options.windows, most=line.windows),
        )
        for problem in problems
    )


def _choose(
    problems: Sequence[Problem],
    trials: Sequence[Trial],
    names: tuple[str, ...],
    *,
    auto: bool,
) -> _Choice:
    if auto and not any(trial.cutoffs for trial in trials):
        return _baselines(problems, trials, "too short to compare models: forecast by")
    losses = measure(trials, names=names)
    weights = _able_weights(trials, names, weights_of(losses, gated=auto))
    earlier = _blended(trials, losses, gated=auto, later=False)
    others = _blended(trials, losses, gated=auto, later=True)
    if auto and not pooled_loss(trials, others) < group_baseline(trials):
        text = "no model beat the baseline on the backtest windows: forecast by"
        return _baselines(problems, trials, text)
    return _Choice(names, weights, earlier, others)


def _baselines(
    problems: Sequence[Problem], trials: Sequence[Trial], why: str
) -> _Choice:
    means = tuple(trial.baseline for trial in trials)
    nobody = np.ones((len(trials), 0))
    return _Choice((), nobody, means, means, (f"{why} {baseline_of(problems)}",))


def _able_weights(
    trials: Sequence[Trial], names: tuple[str, ...], weights: FloatArray
) -> FloatArray:
    # A member that never forecast a series has shown nothing there.
    able = np.array(
        [
            [
                not trial.cutoffs or len(trial.failures[name]) < len(trial.cutoffs)
                for name in names
            ]
            for trial in trials
        ]
    )
    left = weights * able
    total = left.sum(axis=1, keepdims=True)
    return np.where(total > 0, left / np.where(total > 0, total, 1.0), weights)


def _blended(
    trials: Sequence[Trial], losses: Losses, *, gated: bool, later: bool
) -> tuple[FloatArray, ...]:
    """Blend each window with weights that its own errors had no part in.

    With ``later`` all other windows decide, else only those before it, which is all
    that was known when it was forecast; the first window has equal weights.
    """
    deepest = losses.scaled.shape[1]
    by_window = [
        weights_of(losses.some(_other(window, deepest, later=later)), gated=gated)
        for window in range(deepest)
    ]
    return tuple(
        blend(
            trial,
            weights=np.array(
                [by_window[window][row] for window in range(len(trial.cutoffs))]
            ),
            names=losses.names,
        )
        for row, trial in enumerate(trials)
    )


def _other(window: int, deepest: int, *, later: bool) -> list[int]:
    # Windows are numbered latest first, so those before it in time have the
    # higher numbers.
    later_ones = range(window) if later else range(0)
    return [*later_ones, *range(window + 1, deepest)]


def _settle(
    problems: Sequence[Problem], choice: _Choice, residuals: Residuals
) -> Learned:
    models = registered_models()
    fitted: dict[str, Fitted] = {}
    unfit: dict[str, str] = {}
    used = choice.weights.sum(axis=0) > 0
    for name in (name for name, any_ in zip(choice.names, used, strict=True) if any_):
        fit = models[name].fit
        if fit is None:
            continue
        try:
            fitted[name] = fit([problem.case(problem.final) for problem in problems])
        except ModelUnfit as error:
            unfit[name] = str(error)
    sizes = residuals.own()
    return Learned(
        names=choice.names,
        weights=choice.weights.mean(axis=0),
        own={
            problem.unique_id: row
            for problem, row in zip(problems, choice.weights, strict=True)
        },
        rows=residuals.rows(),
        sizes={
            problem.unique_id: float(size)
            for problem, size in zip(problems, sizes, strict=True)
        },
        fitted=fitted,
        unfit=unfit,
    )
