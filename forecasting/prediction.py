"""Forecast a group of series with what was learned: means, then quantiles."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from forecasting.arrays import FloatArray
from forecasting.backtest import Problem, baseline_mean, guarded, sane
from forecasting.cases import Case
from forecasting.errors import ModelUnfit
from forecasting.intervals import LEAST_FOLDS, conformal_offsets
from forecasting.learning import Learned
from forecasting.models import registered_models
from forecasting.options import ForecastOptions
from forecasting.quantiles import guessed_quantiles, limits
from forecasting.samples import Sampler, sampler

# Weights below this are said to be zero: they are the rounding of a sum.
_NO_WEIGHT = 1e-9


@dataclass(frozen=True)
class Prediction:
    """The forecast of one series.

    Attributes:
        mean: shape (horizon,), unit of the series.
        quantiles: by increasing level, each shape (horizon,); may be empty.
        weights: of the models behind the mean, largest first; they sum to 1.
        members: what each of them forecast, shape (horizon,).
        warnings: what a reader has to know.
        samples: whole futures, shape (samples, horizon); None unless asked for.
    """

    mean: FloatArray
    quantiles: dict[float, FloatArray]
    weights: dict[str, float]
    members: dict[str, FloatArray]
    warnings: tuple[str, ...]
    samples: FloatArray | None


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
    paths = None
    if options.samples:
        paths = sampler(learned.rows, count=options.samples)
    found = []
    for place, problem in enumerate(problems):
        made = _made(learned, problem, {n: rows[place] for n, rows in shared.items()})
        quantiles, remarks = _quantiles(learned, problem, (made.mean, offsets), levels)
        low, high = _bounds(problem, options)
        found.append(
            Prediction(
                mean=np.clip(made.mean, low, high),
                quantiles={a: np.clip(row, low, high) for a, row in quantiles.items()},
                weights=made.weights,
                members=made.members,
                warnings=(*made.doubts, *remarks),
                samples=_samples(learned, problem, (made.mean, paths), options),
            )
        )
    return found


def _shared(
    learned: Learned, problems: Sequence[Problem]
) -> dict[str, list[FloatArray]]:
    cases = [problem.case(problem.final) for problem in problems]
    return {name: fitted.predict(cases) for name, fitted in learned.fitted.items()}


@dataclass(frozen=True)
class _Made:
    weights: dict[str, float]
    members: dict[str, FloatArray]
    doubts: tuple[str, ...]

    @property
    def mean(self) -> FloatArray:
        weighed = [self.weights[name] * row for name, row in self.members.items()]
        return np.asarray(np.sum(weighed, axis=0))


def _made(learned: Learned, problem: Problem, shared: dict[str, FloatArray]) -> _Made:
    weights = learned.own.get(problem.unique_id, learned.weights)
    case = problem.case(problem.final)
    made: dict[str, tuple[float, FloatArray]] = {}
    doubts = []
    for name, weight in zip(learned.names, weights, strict=True):
        if weight <= _NO_WEIGHT:
            continue
        try:
            made[name] = float(weight), _member(learned, name, shared, case)
        except ModelUnfit as error:
            doubts.append(str(error))
    if not made:
        told = tuple(f"{text}: forecast by {problem.baseline}" for text in doubts)
        mean = baseline_mean(problem, problem.final)
        return _Made({problem.baseline: 1.0}, {problem.baseline: mean}, told)
    total = sum(weight for weight, _ in made.values())
    order = sorted(made, key=lambda name: (-made[name][0], name))
    return _Made(
        {name: made[name][0] / total for name in order},
        {name: made[name][1] for name in order},
        tuple(f"{text}: the other models forecast without it" for text in doubts),
    )


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
    band = mean + _size(learned, problem) * offsets
    quantiles = dict(zip(levels, band, strict=True))
    return quantiles, limits(learned.rows, levels)


def _samples(
    learned: Learned,
    problem: Problem,
    around: tuple[FloatArray, Sampler | None],
    options: ForecastOptions,
) -> FloatArray | None:
    mean, paths = around
    if paths is None:
        return None
    errors = paths.draw(seed=options.seed, name=problem.unique_id)
    low, high = _bounds(problem, options)
    return np.clip(mean + _size(learned, problem) * errors, low, high)


def _size(learned: Learned, problem: Problem) -> float:
    own = learned.sizes.get(problem.unique_id, 1.0)
    return problem.scale(problem.final) * own


def _bounds(problem: Problem, options: ForecastOptions) -> tuple[float, float]:
    low = -np.inf if float(problem.series.values.min()) < 0 else 0.0
    low = low if options.lower is None else options.lower
    return low, np.inf if options.upper is None else options.upper
