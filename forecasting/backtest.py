"""Rolling-origin backtests: the same code path as the forecast, cut off earlier."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile

import numpy as np

from forecasting.arrays import FloatArray
from forecasting.cases import Case, Fitted, ModelContext
from forecasting.covariates import AnyCovariate, align
from forecasting.errors import InvalidSeries, ModelUnfit
from forecasting.frequency import Frequency, times_after
from forecasting.grid import RegularSeries
from forecasting.losses import seasonal_error
from forecasting.models import Model, registered_models
from forecasting.vintages import Vintages

# A forecast this many ranges outside everything ever seen is taken for a failed fit.
_RANGES_OUTSIDE = 3.0
LEAST_HISTORY = 5
# Earlier windows before the stride gives up phase for number.
_WANTED_EARLIER = 10


@dataclass(frozen=True)
class Problem:
    """One series on its grid and what is to be forecast.

    Attributes:
        unique_id: the name of the series.
        series: the regular series.
        frequency: its step.
        horizon: steps to forecast.
        season: steps, at least 1.
        long_season: a second season in steps, or None.
        seed: seed of every random choice.
        covariates: what is known besides the series.
        attributes: static attributes, by name.
        vintages: what was known when; None takes the values of now for those of ever.
    """

    series: RegularSeries
    frequency: Frequency
    horizon: int
    season: int
    long_season: int | None
    seed: int
    unique_id: str = "series"
    covariates: tuple[AnyCovariate, ...] = ()
    attributes: tuple[tuple[str, str], ...] = ()
    vintages: Vintages | None = None
    _contexts: dict[int, ModelContext] = field(
        default_factory=dict, compare=False, repr=False
    )

    @property
    def baseline(self) -> str:
        """The name of the model that every other one has to beat."""
        seasonal = self.season > 1 and self.series.values.size > self.season
        return "seasonal_naive" if seasonal else "naive"

    @property
    def final(self) -> int:
        """The index of the latest value."""
        return self.series.values.size - 1

    def until(self, cutoff: int) -> "Problem":
        """Return the same series as it was known at an earlier index."""
        kept = slice(0, cutoff + 1)
        series = replace(
            self.series,
            times=self.series.times[kept],
            values=self.history(cutoff),
            observed=self.series.observed[kept],
        )
        return replace(self, series=series, vintages=None, _contexts={})

    def history(self, cutoff: int) -> FloatArray:
        """Return the values up to an index as they were known there.

        Raises:
            InvalidSeries: nothing was known.
        """
        if self.vintages is None or cutoff == self.final:
            return self.series.values[: cutoff + 1]
        return self.vintages.history(self.series, cutoff=cutoff)

    def scale(self, cutoff: int) -> float:
        """Tell the error of the seasonal naive known at a cutoff, always above zero.

        Series too short for a season, or that never changed, take the naive's error,
        then their size, then 1.
        """
        known = self.series.known[: cutoff + 1]
        for lag in (self.season, 1):
            error = seasonal_error(known, season=lag) if known.size > lag else 0.0
            if error > 0:
                return error
        return float(np.nanmax(np.abs(known), initial=0.0)) or 1.0

    def case(self, cutoff: int) -> Case:
        """Describe the forecast that starts after index `cutoff`."""
        # A read-only view: no model can change what the next one sees.
        history = self.history(cutoff).view()
        history.flags.writeable = False
        return Case(history, self.context(cutoff))

    def context(self, cutoff: int) -> ModelContext:
        """Describe what is known besides the history at index `cutoff`.

        Raises:
            InvalidSeries: a covariate is not known for the steps to forecast.
        """
        if cutoff not in self._contexts:
            self._contexts[cutoff] = self._context(cutoff)
        return self._contexts[cutoff]

    def informed(self, cutoff: int) -> bool:
        """Tell whether history and covariates are known for a forecast from here."""
        try:
            self.context(cutoff)
            self.history(cutoff)
        except InvalidSeries:
            return False
        return True

    def _context(self, cutoff: int) -> ModelContext:
        times = self.series.times
        if cutoff == self.final:
            ahead = times_after(
                self.frequency, cutoff=times[cutoff], horizon=self.horizon
            )
        else:
            ahead = times[cutoff + 1 : cutoff + 1 + self.horizon]
        plain = ModelContext(
            horizon=self.horizon,
            season=self.season,
            long_season=self.long_season,
            times=times[: cutoff + 1],
            future_times=ahead,
            seed=self.seed,
            attributes=self.attributes,
        )
        return self._with_covariates(plain) if self.covariates else plain

    def _with_covariates(self, plain: ModelContext) -> ModelContext:
        found = align(
            self.covariates,
            grid_times=plain.times,
            cutoff_time=plain.times[-1],
            future_times=plain.future_times,
        )
        return replace(
            plain,
            names=found.names,
            covariates=found.past,
            future_covariates=found.future,
            notes=found.notes,
        )


def baseline_of(problems: Sequence[Problem]) -> str:
    """Name the baseline that most of the series have."""
    names = Counter(problem.baseline for problem in problems)
    return names.most_common(1)[0][0]


@dataclass(frozen=True)
class Trial:
    """How models did on the backtest windows of one series.

    Attributes:
        cutoffs: indices of the latest value each window's models saw, latest first.
        actual: observed values, shape (windows, horizon), NaN where missing.
        baseline: the baseline's means, shape (windows, horizon).
        means: by model, shape (windows, horizon); the baseline's where it failed.
        failures: by model, what went wrong in which window.
        scale: the seasonal naive's error known at each cutoff, shape (windows,).
    """

    cutoffs: tuple[int, ...]
    actual: FloatArray
    baseline: FloatArray
    means: dict[str, FloatArray]
    failures: dict[str, dict[int, str]]
    scale: FloatArray

    def some(self, windows: Sequence[int]) -> "Trial":
        """Keep only these windows."""
        kept = list(windows)
        return Trial(
            cutoffs=tuple(self.cutoffs[window] for window in kept),
            actual=self.actual[kept],
            baseline=self.baseline[kept],
            means={name: rows[kept] for name, rows in self.means.items()},
            failures={
                name: {
                    place: said[window]
                    for place, window in enumerate(kept)
                    if window in said
                }
                for name, said in self.failures.items()
            },
            scale=self.scale[kept],
        )


def plan_cutoffs(problem: Problem, *, windows: int, most: int) -> tuple[int, ...]:
    """Choose the cutoffs of the backtest.

    The evaluation takes the latest windows, end to end. The windows before it keep the
    phase of the season, and rotate through a second season (the days of a week), when
    the series is long enough for that. A window before the covariates were known could
    not have been forecast, and is left out.

    Args:
        problem: the series and the horizon.
        windows: windows of the evaluation, at least 1.
        most: windows in all, the evaluation among them.

    Returns:
        Indices, latest first; none when the series is too short for one window.

    References:
        Tashman, Int. J. Forecasting 16 (2000) 437-450.
    """
    horizon = problem.horizon
    first = max(2 * problem.season, LEAST_HISTORY) - 1
    latest = [problem.final - horizon * back for back in range(1, windows + 1)]
    evaluation = tuple(takewhile(lambda cutoff: cutoff >= first, latest))
    if not evaluation:
        return ()
    stride = _stride(problem, room=evaluation[-1] - first)
    earlier = range(evaluation[-1] - stride, first - 1, -stride)
    planned = (*evaluation, *earlier)[:most]
    return tuple(cutoff for cutoff in planned if problem.informed(cutoff))


def _stride(problem: Problem, *, room: int) -> int:
    in_phase = problem.season * -(-problem.horizon // problem.season)
    wanted = [2 * in_phase] if problem.long_season else []
    for stride in (*wanted, in_phase):
        if room // stride >= _WANTED_EARLIER:
            return stride
    return problem.horizon


def guarded(model: Model, case: Case) -> FloatArray:
    """Forecast with one local model, refusing what cannot be true.

    Args:
        model: a local model.
        case: the history and its context.

    Returns:
        Mean, shape (horizon,).

    Raises:
        ModelUnfit: the model cannot be fitted to this history, or its forecast is not
            finite or further outside the range of the history than three times that.
    """
    mean = model.predict(case.history, case.context)
    return sane(model.name, mean, case)


def sane(name: str, mean: FloatArray, case: Case) -> FloatArray:
    """Return a forecast if it can be true.

    Raises:
        ModelUnfit: it is not finite, or far outside the range of the history.
    """
    low, high = float(case.history.min()), float(case.history.max())
    # Round-off must not condemn the forecast of a flat history.
    slack = _RANGES_OUTSIDE * (high - low) + 1e-9 * max(abs(low), abs(high))
    if not np.all((mean >= low - slack) & (mean <= high + slack)):
        raise ModelUnfit(f"{name} left the range of the series")
    return mean


def baseline_mean(problem: Problem, cutoff: int) -> FloatArray:
    """Forecast with the baseline, which never fails."""
    case = problem.case(cutoff)
    season = case.context.season
    if problem.baseline == "seasonal_naive" and case.history.size >= season:
        return registered_models()["seasonal_naive"].predict(case.history, case.context)
    return registered_models()["naive"].predict(case.history, case.context)


def start_trial(problem: Problem, *, cutoffs: Sequence[int]) -> Trial:
    """Lay out the windows of one series with nothing but the baseline's forecasts.

    Args:
        problem: the series and the horizon.
        cutoffs: indices, latest first; a whole window follows each.

    Returns:
        The trial, to be filled by `try_local` and `try_global`.
    """
    known, shape = problem.series.known, (len(cutoffs), problem.horizon)
    actual = [known[cutoff + 1 : cutoff + 1 + problem.horizon] for cutoff in cutoffs]
    baseline = [baseline_mean(problem, cutoff) for cutoff in cutoffs]
    return Trial(
        cutoffs=tuple(cutoffs),
        actual=np.array(actual).reshape(shape),
        baseline=np.array(baseline).reshape(shape),
        means={},
        failures={},
        scale=np.array([problem.scale(cutoff) for cutoff in cutoffs]),
    )


def try_local(
    problem: Problem,
    trial: Trial,
    *,
    model: Model,
    windows: Sequence[int] | None = None,
) -> None:
    """Add a local model's forecasts, refitted before each window.

    Args:
        problem: the series and the horizon.
        trial: its windows.
        model: a local model.
        windows: which of them; None for all.
    """
    means = trial.means.setdefault(model.name, trial.baseline.copy())
    failures = trial.failures.setdefault(model.name, {})
    for window in range(len(trial.cutoffs)) if windows is None else windows:
        try:
            means[window] = guarded(model, problem.case(trial.cutoffs[window]))
        except ModelUnfit as error:
            failures[window] = str(error)


def try_global(
    problems: Sequence[Problem], trials: Sequence[Trial], *, model: Model, refits: int
) -> None:
    """Add a global model's forecasts, fitted on what lay before each block of windows.

    Args:
        problems: the series of the group.
        trials: their trials, in the same order.
        model: a global model.
        refits: blocks of windows; each block has one fit, before its earliest window.
    """
    for trial in trials:
        trial.means[model.name] = trial.baseline.copy()
        trial.failures[model.name] = {}
    deepest = max((len(trial.cutoffs) for trial in trials), default=0)
    for block in np.array_split(np.arange(deepest), min(refits, deepest) or 1):
        if block.size:
            _try_block(problems, trials, model, range(block[0], block[-1] + 1))


def _try_block(
    problems: Sequence[Problem], trials: Sequence[Trial], model: Model, block: range
) -> None:
    pairs = [
        (problem, trial, [window for window in block if window < len(trial.cutoffs)])
        for problem, trial in zip(problems, trials, strict=True)
    ]
    try:
        fitted = _fit_before(pairs, model, block)
    except ModelUnfit as error:
        for _, trial, windows in pairs:
            trial.failures[model.name] |= dict.fromkeys(windows, str(error))
        return
    asked = [(problem, trial, w) for problem, trial, ws in pairs for w in ws]
    cases = [problem.case(trial.cutoffs[window]) for problem, trial, window in asked]
    for (_, trial, window), case, mean in zip(
        asked, cases, fitted.predict(cases), strict=True
    ):
        try:
            trial.means[model.name][window] = sane(model.name, mean, case)
        except ModelUnfit as error:
            trial.failures[model.name][window] = str(error)


def _fit_before(
    pairs: Sequence[tuple[Problem, Trial, list[int]]], model: Model, block: range
) -> Fitted:
    assert model.fit is not None  # noqa: S101 - a global model has a fit
    # A series without a window in this block lends what lies as far back in time.
    back = block[-1] + 1
    cases = []
    for problem, trial, windows in pairs:
        cutoff = (
            trial.cutoffs[windows[-1]]
            if windows
            else problem.final - problem.horizon * back
        )
        if cutoff >= LEAST_HISTORY - 1:
            cases.append(problem.case(cutoff))
    if not cases:
        raise ModelUnfit(f"{model.name} has no history to learn from")
    return model.fit(cases)
