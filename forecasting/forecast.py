"""Forecast series: from values and times to an evaluated answer."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from forecasting.answers import (
    Candidate,
    Coverage,
    PanelForecast,
    SeriesForecast,
    compose,
    compose_unseen,
    covered,
    look_at,
)
from forecasting.arrays import FloatArray, TimeArray
from forecasting.backtest import Problem
from forecasting.errors import InvalidSeries
from forecasting.evaluation import Evaluation
from forecasting.learning import Learned, learn
from forecasting.members import Line
from forecasting.models import registered_models
from forecasting.options import ForecastOptions, check_options
from forecasting.panel import PanelSeries, Posed, pose
from forecasting.prediction import predict
from forecasting.recipe import Recipe, predict_with
from forecasting.telling import Tell, nobody

__all__ = [
    "Candidate",
    "Evaluation",
    "ForecastOptions",
    "InvalidSeries",
    "PanelForecast",
    "PanelSeries",
    "SeriesForecast",
    "forecast_by_recipe",
    "forecast_panel",
    "forecast_series",
    "learned_recipe",
    "model_names",
]


def model_names() -> tuple[str, ...]:
    """Name the registered models in alphabetical order.

    Example:
        >>> "naive" in model_names()
        True
    """
    return tuple(registered_models())


def forecast_series(
    values: FloatArray, *, times: TimeArray, options: ForecastOptions
) -> SeriesForecast:
    """Forecast one series: a panel of one.

    Args:
        values: observations, shape (n,), any unit, at most 1e100 in size; NaN means
            missing.
        times: their UTC times, shape (n,), datetime64, increasing and unique.
        options: what to forecast and how.

    Returns:
        The forecast of the `horizon` steps after the latest observed value.

    Raises:
        InvalidSeries: the options, the values or the times cannot be forecast.

    Example:
        >>> days = np.datetime64("2024-01-01", "us") + np.arange(70).astype("m8[D]")
        >>> wish = ForecastOptions(horizon=2, frequency="D", model="seasonal_naive")
        >>> forecast_series(np.arange(70) % 7.0, times=days, options=wish).mean
        array([0., 1.])
    """
    one = PanelSeries("series", values, times)
    found = forecast_panel([one], options=options)
    if found.failed:
        raise InvalidSeries(found.failed[0][1])
    return found.series[0]


def forecast_panel(
    series: Sequence[PanelSeries], *, options: ForecastOptions, tell: Tell = nobody
) -> PanelForecast:
    """Forecast a panel and report how well the same method did before.

    Every series is put on the grid of its frequency. "auto" backtests the models that
    suit the panel and the budget, leaves out those far behind, and blends the rest by
    the errors of the group and of each series. The evaluation of a window uses weights
    from earlier windows only. The quantiles come from the errors of the blend in the
    backtests of the whole panel, scaled to each series.

    Args:
        series: the panel; names must be unique.
        options: what to forecast and how.
        tell: hears the share of the work that is done, and what comes next.

    Returns:
        The forecasts; a series that cannot be forecast is named in `failed` and does
        not disturb the others.

    Raises:
        InvalidSeries: the options cannot be met by any series.

    References:
        Hyndman & Athanasopoulos, Forecasting: Principles and Practice (3rd), 5.8-5.10;
        Makridakis et al., Int. J. Forecasting 36 (2020) 54-74, on combinations.
    """
    check_options(options, known=model_names())
    posed = pose(series, options=options)
    answers: dict[int, SeriesForecast] = {}
    errors: dict[int, FloatArray] = {}
    moving = [p for p, one in posed.problems.items() if not _flat(one)]
    still = [p for p, one in posed.problems.items() if _flat(one)]
    group = None
    if moving:
        group = _forecast(posed, moving, options, tell=tell)
        answers, errors = group.answers, group.errors
    if still:
        flat = _forecast(posed, still, options, flat=True)
        answers, errors = answers | flat.answers, errors | flat.errors
    return PanelForecast(
        series=tuple(answers[place] for place in sorted(answers)),
        failed=tuple(
            (series[p].unique_id, posed.failed[p]) for p in sorted(posed.failed)
        ),
        coverage=group.coverage if group else None,
        line=group.line if group else None,
        learned=group.learned if group else None,
        seasons=posed.seasons,
        errors=tuple(errors[place] for place in sorted(answers)),
    )


def learned_recipe(
    series: Sequence[PanelSeries], *, found: PanelForecast, options: ForecastOptions
) -> Recipe:
    """Keep what a forecast learned, with the panel it was learned from.

    Args:
        series: the panel.
        found: its forecast.
        options: the wish behind it.

    Returns:
        The recipe.

    Raises:
        InvalidSeries: no series of the panel moves, so nothing was learned.
    """
    if found.learned is None:
        raise InvalidSeries("no series ever changes: there is nothing to learn")
    failed = {name for name, _ in found.failed}
    return Recipe(
        learned=found.learned,
        frequency=options.frequency,
        horizon=options.horizon,
        seasons=found.seasons,
        seed=options.seed,
        calendar=options.calendar,
        timezone=options.timezone,
        rules=options.rules,
        asked_season=options.season,
        lower=options.lower,
        upper=options.upper,
        panel=tuple(one for one in series if one.unique_id not in failed),
    )


def forecast_by_recipe(
    series: Sequence[PanelSeries], *, recipe: Recipe, options: ForecastOptions
) -> PanelForecast:
    """Forecast with what was learned before; nothing is backtested or learned anew.

    Local models are fitted to the series as they are now; global models, weights and
    residuals are the recipe's. From the recipe's own panel this gives the forecast of
    the training bit for bit.

    Args:
        series: the panel; series that the recipe does not know take what was learned
            of the group.
        recipe: a trained version.
        options: quantiles, and bounds if any; the rest is the recipe's.

    Returns:
        The forecasts, without evaluation: that is the version's.

    Raises:
        InvalidSeries: the options cannot be met.
    """
    wish = recipe.wish(options)
    check_options(wish, known=model_names())
    posed = pose(series, options=wish, agreed=recipe.seasons)
    places = sorted(posed.problems)
    problems = [posed.problems[place] for place in places]
    found = predict_with(recipe, problems, options=wish)
    return PanelForecast(
        series=tuple(
            compose_unseen(problem, one, warnings=posed.warnings[place])
            for place, problem, one in zip(places, problems, found, strict=True)
        ),
        failed=tuple(
            (series[p].unique_id, posed.failed[p]) for p in sorted(posed.failed)
        ),
        coverage=None,
        line=None,
        learned=recipe.learned,
        seasons=recipe.seasons,
    )


def _flat(problem: Problem) -> bool:
    return problem.final > 0 and float(np.ptp(problem.series.values)) == 0


@dataclass(frozen=True)
class _Group:
    answers: dict[int, SeriesForecast]
    errors: dict[int, FloatArray]
    learned: Learned
    line: Line
    coverage: Coverage | None


def _forecast(
    posed: Posed,
    places: Sequence[int],
    options: ForecastOptions,
    *,
    flat: bool = False,
    tell: Tell = nobody,
) -> _Group:
    problems = [posed.problems[place] for place in places]
    learned, evidence = learn(problems, options=options, flat=flat, tell=tell)
    predictions = predict(learned, problems, options=options)
    seen = look_at(evidence, options=options)
    answers = {
        place: compose(
            problems[row],
            predictions[row],
            seen=seen,
            row=row,
            warnings=posed.warnings[place],
        )
        for row, place in enumerate(places)
    }
    errors = {place: evidence.errors(row) for row, place in enumerate(places)}
    return _Group(answers, errors, learned, evidence.line, covered(seen))
