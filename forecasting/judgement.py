"""Hold a trained version against windows that came after its training."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from forecasting.arrays import TimeArray
from forecasting.backtest import Problem, plan_cutoffs, start_trial
from forecasting.errors import InvalidSeries
from forecasting.evaluation import (
    Evaluation,
    evaluate,
    pool_evaluations,
    scored_windows,
)
from forecasting.options import ForecastOptions
from forecasting.panel import PanelSeries, pose
from forecasting.prediction import Prediction
from forecasting.recipe import Recipe, column, predict_with


@dataclass(frozen=True)
class Ground:
    """The windows that versions are measured on; equal ones can be compared.

    Attributes:
        first: UTC time of the first step of the earliest window.
        digest: of the series, their cutoffs and what was observed after them.
        windows: over all series.
    """

    first: np.datetime64
    digest: str
    windows: int


def ground(series: Sequence[PanelSeries], *, options: ForecastOptions) -> Ground | None:
    """Name the evaluation windows of a panel.

    Args:
        series: the panel.
        options: the wish; its windows are meant.

    Returns:
        The ground; None without any window.
    """
    seen, windows = hashlib.sha256(), 0
    first: Any = None
    for problem in pose(series, options=options).problems.values():
        cutoffs, times = _cutoffs(problem, options), problem.series.times
        told = [str(times[cutoff]) for cutoff in cutoffs]
        seen.update(f"{problem.unique_id} {told} {options.horizon}\n".encode())
        seen.update(start_trial(problem, cutoffs=cutoffs).actual.tobytes())
        windows += len(cutoffs)
        if cutoffs:
            earliest = times[cutoffs[-1] + 1]
            first = earliest if first is None else min(first, earliest)
    return Ground(first, seen.hexdigest(), windows) if windows else None


def _cutoffs(problem: Problem, options: ForecastOptions) -> tuple[int, ...]:
    return plan_cutoffs(problem, windows=options.windows, most=options.windows)


def judge(
    series: Sequence[PanelSeries], *, recipe: Recipe, options: ForecastOptions
) -> dict[str, float | None]:
    """Measure a trained version on the evaluation windows of a panel.

    The caller makes sure that the windows came after the training: a version that has
    seen them is judged too well.

    Args:
        series: the panel.
        recipe: the version; what it learned and its seasons decide the forecasts.
        options: the wish of whoever asks: windows, quantiles, and the season of the
            scaled errors and of the baseline.

    Returns:
        Pooled metrics, as of `pool_evaluations`.

    Raises:
        InvalidSeries: the version has another horizon or other steps, or learned from
            a covariate that the panel does not have.
    """
    if not recipe.fits(options):
        raise InvalidSeries(
            f"the version forecasts {recipe.horizon} steps of {recipe.frequency!r}, "
            f"not {options.horizon} of {options.frequency!r}"
        )
    wish = recipe.wish(options)
    asked = pose(series, options=options)
    theirs = _as_learned(series, recipe)
    known = pose(theirs, options=options, agreed=recipe.seasons)
    pairs = [
        (problem, known.problems[place], _cutoffs(problem, options))
        for place, problem in asked.problems.items()
    ]
    made: dict[str, list[Prediction]] = {one.unique_id: [] for one, _, _ in pairs}
    for window in range(options.windows):
        reached = [
            (problem.unique_id, own.until(cutoffs[window]))
            for problem, own, cutoffs in pairs
            if window < len(cutoffs)
        ]
        found = predict_with(recipe, [one for _, one in reached], options=wish)
        for (name, _), one in zip(reached, found, strict=True):
            made[name].append(one)
    told = [
        _evaluation(problem, cutoffs, made[problem.unique_id], options)
        for problem, _, cutoffs in pairs
    ]
    return pool_evaluations([one for one in told if one is not None])


def _as_learned(series: Sequence[PanelSeries], recipe: Recipe) -> list[PanelSeries]:
    """Keep the covariates that a version learned from, and no other."""
    there = {column(given) for one in series for given in one.covariates}
    missing = sorted(name for name, _ in recipe.columns - there)
    if missing:
        raise InvalidSeries(
            f"the version learned from the covariates {', '.join(missing)}, which the "
            "panel does not have"
        )
    return [
        replace(
            one,
            covariates=tuple(
                given for given in one.covariates if column(given) in recipe.columns
            ),
        )
        for one in series
    ]


def _evaluation(
    problem: Problem,
    cutoffs: Sequence[int],
    made: Sequence[Prediction],
    options: ForecastOptions,
) -> Evaluation | None:
    if not cutoffs:
        return None
    trial = start_trial(problem, cutoffs=cutoffs)
    levels = tuple(sorted(options.quantiles))
    told = all(len(one.quantiles) == len(levels) for one in made)
    scored = scored_windows(
        problem,
        trial,
        mean=np.array([one.mean for one in made]),
        quantiles={
            level: np.array([one.quantiles[level] for one in made])
            for level in (levels if told else ())
        },
    )
    return evaluate(scored, baseline=problem.baseline)


def span_of(series: Sequence[PanelSeries]) -> tuple[Any, Any]:
    """Return the first and the latest observed time of a panel, UTC."""
    observed: list[TimeArray] = [one.times[~np.isnan(one.values)] for one in series]
    ends = [(one.min(), one.max()) for one in observed if one.size]
    return min(first for first, _ in ends), max(latest for _, latest in ends)
