"""Split forecasts into contributions that sum to them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from forecasting.answers import PanelForecast
from forecasting.arrays import FloatArray
from forecasting.backtest import Problem
from forecasting.cases import Contributions
from forecasting.learning import Learned
from forecasting.options import ForecastOptions
from forecasting.panel import PanelSeries, pose
from forecasting.prediction import Prediction, predict

BOUNDS = "bounds"
AGREEMENT = "agreement"


@dataclass(frozen=True)
class Explained:
    """The forecast of one series and what each part adds to it.

    Attributes:
        mean: the forecast, shape (horizon,), unit of the series.
        parts: by name, each shape (horizon,), same unit; they sum to the mean.
    """

    mean: FloatArray
    parts: dict[str, FloatArray]


def explain(
    learned: Learned, problems: Sequence[Problem], *, options: ForecastOptions
) -> list[Explained]:
    """Explain the forecast of every series by its members' own contributions.

    A global member is split by features, times its weight. A local model knows only
    one part: its whole forecast, times its weight, under the model's name. What bounds
    take away is a part of its own, so the sum is exact.

    Args:
        learned: what was learned of the group.
        problems: the series.
        options: quantiles and bounds.

    Returns:
        One explanation a series.

    References:
        Lundberg & Lee, A Unified Approach to Interpreting Model Predictions, NeurIPS
        2017, for the trees; linear models by their terms.
    """
    cases = [problem.case(problem.final) for problem in problems]
    shared: dict[str, list[Contributions]] = {
        name: fitted.explain(cases) for name, fitted in learned.fitted.items()
    }
    return [
        _explained(prediction, {name: one[row] for name, one in shared.items()})
        for row, prediction in enumerate(predict(learned, problems, options=options))
    ]


def _explained(prediction: Prediction, shared: dict[str, Contributions]) -> Explained:
    parts: dict[str, FloatArray] = {}
    weighed = {
        name: weight * prediction.members[name]
        for name, weight in prediction.weights.items()
    }
    for name, forecast in weighed.items():
        for part, row in _split(name, forecast, prediction.weights[name], shared):
            parts[part] = parts.get(part, np.zeros(row.shape)) + row
    free = np.sum(list(weighed.values()), axis=0)
    if not np.array_equal(free, prediction.mean):
        parts[BOUNDS] = prediction.mean - free
    return Explained(prediction.mean, parts)


def _split(
    name: str,
    forecast: FloatArray,
    weight: float,
    shared: dict[str, Contributions],
) -> list[tuple[str, FloatArray]]:
    told = shared.get(name)
    if told is None:
        return [(name, forecast)]
    rows = weight * told.values
    # What the split lost to round-off belongs to the base: the sum is the forecast.
    rows[0] += forecast - rows.sum(axis=0)
    return list(zip(told.names, rows, strict=True))


def explain_panel(
    series: Sequence[PanelSeries], *, found: PanelForecast, options: ForecastOptions
) -> dict[str, Explained]:
    """Explain the forecasts of a panel.

    Args:
        series: the panel.
        found: its forecast.
        options: the wish behind it.

    Returns:
        By unique_id; a series that never changes has its baseline as the only part. In
        a hierarchy, what made the sums hold is a part of its own.

    Raises:
        InvalidSeries: the options cannot be met.
    """
    posed = pose(series, options=options, agreed=found.seasons)
    by_name = {one.unique_id: one for one in found.series}
    moving = [
        problem
        for problem in posed.problems.values()
        if np.ptp(problem.series.values) > 0
    ]
    explained = {
        name: Explained(one.mean, {one.model: one.mean})
        for name, one in by_name.items()
    }
    if found.learned and moving:
        parts = explain(found.learned, moving, options=options)
        explained |= {
            problem.unique_id: _agreed(one, by_name[problem.unique_id].mean)
            for problem, one in zip(moving, parts, strict=True)
        }
    return explained


def _agreed(told: Explained, mean: FloatArray) -> Explained:
    # In a hierarchy the forecasts were moved until their sums held.
    if np.array_equal(told.mean, mean):
        return told
    return Explained(mean, {**told.parts, AGREEMENT: mean - told.mean})
