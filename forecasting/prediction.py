"""Forecast a group of series with what was learned: means, then quantiles."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from forecasting.arrays import FloatArray
from forecasting.backtest import Problem, baseline_mean, guarded, sane
from forecasting.errors import ModelUnfit
from forecasting.intervals import LEAST_FOLDS, conformal_offsets
from forecasting.learning import Learned
from forecasting.models import Case, registered_models
from forecasting.options import ForecastOptions
from forecasting.quantiles import guessed_quantiles, limits

# Weights below this are said to be zero: they are the rounding of a sum.
_NO_WEIGHT = 1e-9


@dataclass(frozen=True)
class Prediction:
    """The forecast of one series.

    Attributes:
        mean: shape (horizon,), unit of the series.
        quantiles: by increasing level, each shape (horizon,); may be empty.
        weights: of the models behind the mean, largest first; they sum to 1.
        warnings: what a reader has to know.
    """

    mean: FloatArray
    quantiles: dict[float, FloatArray]
    weights: dict[str, float]
    warnings: tuple[str, ...]


def predict(
    learned: Learned, problems: Sequence[Problem], *, options: ForecastOptions
) -> list[Prediction]:
    """Forecast every series of a group.

    A member that fails is left out; where all fail the baseline takes their place. A
    series that was not there to be learned from takes the weights of the group.

    Args:
        learned: what was learned of the group, or of one like it.
        problems: the series; season and horizon as learned.
        options: quantiles and bounds.

    Returns:
        One prediction a series.

    Raises:
        InvalidSeries: a covariate is not known for the steps to forecast.
    """
    shared = _shared(learned, problems)
    levels = tuple(sorted(options.quantiles))
    offsets = None
    # A rare event that no window met leaves errors of exactly zero; the whole history
    # knows better.
    if (
        levels
        and len(learned.rows) >= LEAST_FOLDS
        and np.nan_to_num(learned.rows).any()
    ):
        offsets = conformal_offsets(learned.rows, levels=levels)
    found = []
    for place, problem in enumerate(problems):
        means = {name: rows[place] for name, rows in shared.items()}
        mean, weights, doubts = _mean(learned, problem, means)
        quantiles, remarks = _quantiles(learned, problem, (mean, offsets), levels)
        low, high = _bounds(problem, options)
        clipped = {a: np.clip(row, low, high) for a, row in quantiles.items()}
        warnings = (*doubts, *remarks)
        found.append(Prediction(np.clip(mean, low, high), clipped, weights, warnings))
    return found


def _shared(
    learned: Learned, problems: Sequence[Problem]
) -> dict[str, list[FloatArray]]:
    cases = [problem.case(problem.final) for problem in problems]
    return {name: fitted.predict(cases) for name, fitted in learned.fitted.items()}


def _mean(
    learned: Learned, problem: Problem, shared: dict[str, FloatArray]
) -> tuple[FloatArray, dict[str, float], tuple[str, ...]]:
    weights = learned.own.get(problem.unique_id, learned.weights)
    case = problem.case(problem.final)
    made: dict[str, tuple[float, FloatArray]] = {}
    doubts = []
    for name, weight in zip(learned.names, weights, strict=True):
        if weight <= _NO_WEIGHT:
            continue
        try:
            mean = _member(learned, name, shared, case)
        except ModelUnfit as error:
            doubts.append(str(error))
            continue
        made[name] = float(weight), mean
    if not made:
        told = tuple(f"{text}: forecast by {problem.baseline}" for text in doubts)
        return baseline_mean(problem, problem.final), {problem.baseline: 1.0}, told
    total = sum(weight for weight, _ in made.values())
    blended = np.zeros(problem.horizon)
    for weight, mean in made.values():
        blended += (weight / total) * mean
    order = sorted(made, key=lambda name: (-made[name][0], name))
    told = tuple(f"{text}: the other models forecast without it" for text in doubts)
    return blended, {name: made[name][0] / total for name in order}, told


def _member(
    learned: Learned, name: str, shared: dict[str, FloatArray], case: Case
) -> FloatArray:
    if name in learned.unfit:
        raise ModelUnfit(learned.unfit[name])
    if name in shared:
        return sane(name, shared[name], case)
    return guarded(registered_models()[name], case)


def _quantiles(
    learned: Learned,
    problem: Problem,
    around: tuple[FloatArray, FloatArray | None],
    levels: tuple[float, ...],
) -> tuple[dict[float, FloatArray], tuple[str, ...]]:
    mean, offsets = around
    flat = float(np.ptp(problem.series.values)) == 0
    if offsets is None or flat:
        return guessed_quantiles(problem, mean=mean, levels=levels)
    size = problem.scale(problem.final) * learned.sizes.get(problem.unique_id, 1.0)
    quantiles = dict(zip(levels, mean + size * offsets, strict=True))
    return quantiles, limits(learned.rows, levels)


def _bounds(problem: Problem, options: ForecastOptions) -> tuple[float, float]:
    low = -np.inf if float(problem.series.values.min()) < 0 else 0.0
    low = low if options.lower is None else options.lower
    return low, np.inf if options.upper is None else options.upper
