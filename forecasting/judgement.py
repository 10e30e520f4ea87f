"""Hold a trained version against windows that came after its training."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from forecasting.arrays import FloatArray, TimeArray
from forecasting.backtest import Problem, plan_cutoffs, start_trial
from forecasting.errors import InvalidSeries
from forecasting.evaluation import (
    Evaluation,
    Scored,
    evaluate,
    pool_evaluations,
)
from forecasting.losses import seasonal_error
from forecasting.options import ForecastOptions
from forecasting.panel import PanelSeries, pose
from forecasting.prediction import predict
from forecasting.recipe import Recipe


@dataclass(frozen=True)
class Ground:
    """The windows that versions are measured on; equal ones can be compared.

    Attributes:
        first: UTC time of the earliest cutoff.
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
        cutoffs = plan_cutoffs(problem, windows=options.windows, most=options.windows)
        trial = start_trial(problem, cutoffs=cutoffs)
        seen.update(f"{problem.unique_id} {cutoffs} {options.horizon}\n".encode())
        seen.update(trial.actual.tobytes())
        windows += len(cutoffs)
        if cutoffs:
            earliest = problem.series.times[cutoffs[-1]]
            first = earliest if first is None else min(first, earliest)
    return Ground(first, seen.hexdigest(), windows) if windows else None


def judge(
    series: Sequence[PanelSeries], *, recipe: Recipe, options: ForecastOptions
) -> dict[str, float | None]:
    """Measure a trained version on the evaluation windows of a panel.

    The caller makes sure that the windows came after the training: a version that has
    seen them is judged too well.

    Args:
        series: the panel.
        recipe: the version; season, frequency and horizon are its own.
        options: windows and quantiles.

    Returns:
        Pooled metrics, as of `pool_evaluations`.

    Raises:
        InvalidSeries: the horizon or the frequency is not the version's.
    """
    if (options.horizon, options.frequency) != (recipe.horizon, recipe.frequency):
        raise InvalidSeries(
            f"the version forecasts {recipe.horizon} steps of {recipe.frequency!r}, "
            f"not {options.horizon} of {options.frequency!r}"
        )
    posed = pose(series, options=options, agreed=recipe.seasons)
    problems = list(posed.problems.values())
    found = [
        one
        for one in (_evaluation(problem, recipe, options) for problem in problems)
        if one is not None
    ]
    return pool_evaluations(found)


def _evaluation(
    problem: Problem, recipe: Recipe, options: ForecastOptions
) -> Evaluation | None:
    cutoffs = plan_cutoffs(problem, windows=options.windows, most=options.windows)
    if not cutoffs:
        return None
    trial = start_trial(problem, cutoffs=cutoffs)
    made = [
        predict(recipe.learned, [problem.until(cutoff)], options=options)[0]
        for cutoff in cutoffs
    ]
    levels = tuple(sorted(options.quantiles))
    told = all(len(one.quantiles) == len(levels) for one in made)
    return evaluate(
        Scored(
            actual=trial.actual,
            mean=np.array([one.mean for one in made]),
            baseline=trial.baseline,
            quantiles={
                level: np.array([one.quantiles[level] for one in made])
                for level in (levels if told else ())
            },
            scale=_scales(problem, cutoffs, 1),
            squared_scale=_scales(problem, cutoffs, 2),
        ),
        baseline=problem.baseline,
    )


def _scales(problem: Problem, cutoffs: Sequence[int], power: int) -> FloatArray:
    known = problem.series.known
    return np.array(
        [
            seasonal_error(known[: cutoff + 1], season=problem.season, power=power)
            for cutoff in cutoffs
        ]
    )


def span_of(series: Sequence[PanelSeries]) -> tuple[Any, Any]:
    """Return the first and the latest observed time of a panel, UTC."""
    observed: list[TimeArray] = [one.times[~np.isnan(one.values)] for one in series]
    return min(one[0] for one in observed), max(one[-1] for one in observed)
