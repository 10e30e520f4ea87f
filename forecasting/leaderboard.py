"""Compare models on the same rolling-origin windows, and say how sure the order is."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats  # type: ignore[import-untyped]  # scipy ships no types

from forecasting.arrays import FloatArray, TimeArray
from forecasting.backtest import Problem, Trial, baseline_of
from forecasting.calibration import banded, coverage_by_step, left_out_bands, pool
from forecasting.evaluation import Evaluation, Scored, evaluate, scored_windows

# Below so many pairs a test can say nothing.
_LEAST_PAIRS = 4
_MOST_EXACT = 50


@dataclass(frozen=True)
class Contender:
    """How one method did on every window.

    Attributes:
        name: a model, "auto" for the blend that "auto" would have made, or "blend" for
            that of several named models.
        evaluation: errors pooled over all series and windows; MASE, RMSSE and sMAPE
            are means over the series.
        relative: mean error against the baseline's, 1 is the same; None when unknown.
        p_value: of the test that it is no better than the baseline; None with fewer
            than four pairs, or when no pair differs.
        pairs: series, or windows of a single series, behind the test.
        coverage_by_step: of the outermost interval, shape (horizon,), NaN if unknown.
        failed: windows in which the baseline had to take its place.
    """

    name: str
    evaluation: Evaluation
    relative: float | None
    p_value: float | None
    pairs: int
    coverage_by_step: FloatArray
    failed: int


@dataclass(frozen=True)
class Window:
    """One window over all series: where it began and each method's relative error."""

    cutoff: np.datetime64
    series: int
    relative: dict[str, float | None]


def contend(
    name: str,
    problems: Sequence[Problem],
    trials: Sequence[Trial],
    *,
    means: Sequence[FloatArray],
    levels: tuple[float, ...],
) -> Contender | None:
    """Score one method on all windows of a panel.

    The quantiles of a window come from the method's errors in all other windows. The
    test is paired: Wilcoxon's signed ranks of the differences between its scaled
    absolute error and the baseline's, one for each series, or for each window where
    there are fewer than four series.

    Args:
        name: what to call it.
        problems: the series.
        trials: their windows and what happened.
        means: its forecasts, one (windows, horizon) a series.
        levels: of the quantiles, increasing.

    Returns:
        The contender; None when no window holds an observed point.

    References:
        Wilcoxon, Biometrics Bulletin 1 (1945) 80-83; Diebold & Mariano, J. Business &
        Economic Statistics 13 (1995) 253-263, on testing differences of losses.
    """
    errors = [trial.actual - mean for trial, mean in zip(trials, means, strict=True)]
    residuals = pool(errors, scales=[trial.scale for trial in trials])
    bands = left_out_bands(residuals, levels=levels)
    scored = [
        scored_windows(
            problem,
            trial,
            mean=mean,
            quantiles=banded(
                bands, row=row, mean=mean, scale=trial.scale, levels=levels
            ),
        )
        for row, (problem, trial, mean) in enumerate(
            zip(problems, trials, means, strict=True)
        )
    ]
    each = [evaluate(one, baseline="naive") for one in scored if one.actual.size]
    told = [one for one in each if one is not None]
    whole = evaluate(_joined(scored), baseline=baseline_of(problems))
    if whole is None:
        return None
    p_value, pairs = _paired(trials, means)
    pair = (levels[0], levels[-1]) if len(levels) > 1 else None
    shares = (
        coverage_by_step(residuals, levels=pair)[0]
        if pair
        else np.full(problems[0].horizon, np.nan)
    )
    return Contender(
        name=name,
        evaluation=_averaged(whole, told),
        relative=_relative(trials, means),
        p_value=p_value,
        pairs=pairs,
        coverage_by_step=shares,
        failed=sum(len(trial.failures.get(name, {})) for trial in trials),
    )


def _joined(scored: Sequence[Scored]) -> Scored:
    told = [one for one in scored if one.actual.size]
    if not told:
        return scored[0]
    levels = set.intersection(*(set(one.quantiles) for one in told))
    return Scored(
        actual=np.concatenate([one.actual for one in told]),
        mean=np.concatenate([one.mean for one in told]),
        baseline=np.concatenate([one.baseline for one in told]),
        quantiles={
            level: np.concatenate([one.quantiles[level] for one in told])
            for level in sorted(levels)
        },
        scale=np.concatenate([one.scale for one in told]),
        squared_scale=np.concatenate([one.squared_scale for one in told]),
    )


def _averaged(whole: Evaluation, each: Sequence[Evaluation]) -> Evaluation:
    means: dict[str, float | None] = {}
    for name in ("smape", "mase", "rmsse"):
        known = [getattr(one, name) for one in each if getattr(one, name) is not None]
        means[name] = float(np.mean(known)) if known else None
    return Evaluation(**{**vars(whole), **means})


def _relative(trials: Sequence[Trial], means: Sequence[FloatArray]) -> float | None:
    own, reference = (_by_series(trials, made) for made in (means, _baselines(trials)))
    known = ~np.isnan(own) & ~np.isnan(reference)
    total = float(reference[known].sum())
    return float(own[known].sum()) / total if total > 0 else None


def _baselines(trials: Sequence[Trial]) -> list[FloatArray]:
    return [trial.baseline for trial in trials]


def _by_window(trial: Trial, mean: FloatArray) -> FloatArray:
    errors = np.abs(trial.actual - mean) / trial.scale[:, None]
    known = ~np.isnan(errors)
    count = known.sum(axis=1)
    total = np.where(known, errors, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _by_series(trials: Sequence[Trial], means: Sequence[FloatArray]) -> FloatArray:
    rows = [_by_window(trial, mean) for trial, mean in zip(trials, means, strict=True)]
    known = [row[~np.isnan(row)] for row in rows]
    return np.array([float(row.mean()) if row.size else np.nan for row in known])


def _paired(
    trials: Sequence[Trial], means: Sequence[FloatArray]
) -> tuple[float | None, int]:
    known = _known(_by_series(trials, means) - _by_series(trials, _baselines(trials)))
    if known.size < _LEAST_PAIRS:
        windows = [
            _by_window(trial, mean) - _by_window(trial, trial.baseline)
            for trial, mean in zip(trials, means, strict=True)
        ]
        known = _known(np.concatenate(windows))
    if known.size < _LEAST_PAIRS or not known.any():
        return None, int(known.size)
    return _signed_ranks(known), int(known.size)


def _known(values: FloatArray) -> FloatArray:
    return values[~np.isnan(values)]


def _signed_ranks(differences: FloatArray) -> float:
    # Few pairs have an exact distribution, unless zeros or ties spoil it.
    sizes = np.abs(differences)
    plain = sizes.all() and np.unique(sizes).size == sizes.size
    tested = stats.wilcoxon(
        differences,
        alternative="less",
        method="exact" if plain and sizes.size <= _MOST_EXACT else "asymptotic",
        correction=True,
    )
    return float(tested.pvalue)


def window_table(
    problems: Sequence[Problem],
    trials: Sequence[Trial],
    *,
    means: dict[str, Sequence[FloatArray]],
) -> tuple[Window, ...]:
    """List the windows, latest first, with each method's relative error in it.

    Args:
        problems: the series.
        trials: their windows.
        means: by method, one (windows, horizon) a series.

    Returns:
        One row a window; its cutoff is that of the series that reaches furthest.
    """
    deepest = max((len(trial.cutoffs) for trial in trials), default=0)
    found = []
    for window in range(deepest):
        within = [r for r, trial in enumerate(trials) if window < len(trial.cutoffs)]
        times: TimeArray = np.array(
            [problems[row].series.times[trials[row].cutoffs[window]] for row in within]
        )
        one = [trials[row].some([window]) for row in within]
        relative = {
            name: _relative(one, [rows[row][window : window + 1] for row in within])
            for name, rows in means.items()
        }
        found.append(Window(times.max(), len(within), relative))
    return tuple(found)
