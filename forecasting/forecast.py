"""Forecast one series: from values and times to an evaluated answer."""

from dataclasses import dataclass

import numpy as np

from forecasting.arrays import FloatArray, TimeArray
from forecasting.backtest import (
    Fold,
    Plan,
    Problem,
    backtest,
    backtest_while_fit,
    plan_cutoffs,
    predict_at,
)
from forecasting.errors import InvalidSeries, ModelUnfit
from forecasting.evaluation import Evaluation, evaluate
from forecasting.frequency import parse_frequency, season_lengths
from forecasting.grid import regularise
from forecasting.models import registered_models
from forecasting.options import AUTO, ForecastOptions, check_options
from forecasting.quantiles import final_quantiles
from forecasting.selection import Candidate, Choice, choose_model

__all__ = [
    "Candidate",
    "Evaluation",
    "ForecastOptions",
    "InvalidSeries",
    "SeriesForecast",
    "forecast_series",
    "model_names",
]


@dataclass(frozen=True)
class SeriesForecast:
    """The forecast of one series.

    Attributes:
        model: the registered model behind the mean.
        cutoff: UTC time of the latest observed value, datetime64[us].
        times: UTC times, shape (horizon,), datetime64[us], all after the cutoff.
        mean: point forecasts, shape (horizon,), unit of the series.
        quantiles: by increasing level, each shape (horizon,); empty for a series of
            one point, whose spread nobody can know.
        season: the season that was used, in steps.
        evaluation: out-of-sample errors; None when the series is too short.
        candidates: the models compared by "auto", on their selection windows.
        warnings: what a reader has to know, in sentences.
    """

    model: str
    cutoff: np.datetime64
    times: TimeArray
    mean: FloatArray
    quantiles: dict[float, FloatArray]
    season: int
    evaluation: Evaluation | None
    candidates: tuple[Candidate, ...]
    warnings: tuple[str, ...]


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
    """Forecast one series and report how well the same method did before.

    The series is put on the grid of its frequency. "auto" compares all models on
    backtest windows and takes the least MASE; the evaluation is made on later windows
    that had no part in that, or a warning says that the series is too short for it.
    The quantiles come from out-of-sample residuals of the chosen model.

    Args:
        values: observations, shape (n,), any unit, at most 1e100 in size; NaN means
            missing.
        times: their UTC times, shape (n,), datetime64, increasing and unique.
        options: what to forecast and how.

    Returns:
        The forecast of the `horizon` steps after the latest observed value.

    Raises:
        InvalidSeries: the options, the values or the times cannot be forecast.

    References:
        Hyndman & Athanasopoulos, Forecasting: Principles and Practice (3rd), 5.8-5.10.

    Example:
        >>> days = np.datetime64("2024-01-01", "us") + np.arange(70).astype("m8[D]")
        >>> wish = ForecastOptions(horizon=2, frequency="D", model="seasonal_naive")
        >>> forecast_series(np.arange(70) % 7.0, times=days, options=wish).mean
        array([0., 1.])
    """
    check_options(options, known=model_names())
    problem, warnings = _pose(values, times, options)
    plan = plan_cutoffs(problem, windows=options.windows)
    choice, notes = _choose(problem, plan, options)
    name, mean, doubts = _final_mean(problem, choice.model)
    made = choice.folds if name == choice.model else ()
    wanted = max(registered_models()[name].calibration, len(plan.evaluation))
    folds = backtest_while_fit(
        problem, name=name, cutoffs=plan.calibration[:wanted], made=made
    )
    levels = tuple(sorted(options.quantiles))
    evaluation, remarks = _evaluation(problem, plan, folds, (name, levels))
    quantiles, limits = final_quantiles(problem, mean=mean, folds=folds, levels=levels)
    return SeriesForecast(
        model=name,
        cutoff=problem.series.times[-1],
        times=problem.context(problem.final).future_times,
        mean=mean,
        quantiles=quantiles,
        season=problem.season,
        evaluation=evaluation,
        candidates=choice.candidates,
        warnings=(
            *warnings,
            *_shortness(plan, options),
            *notes,
            *doubts,
            *remarks,
            *limits,
        ),
    )


def _pose(
    values: FloatArray, times: TimeArray, options: ForecastOptions
) -> tuple[Problem, tuple[str, ...]]:
    frequency = parse_frequency(options.frequency)
    seasons = (options.season,) if options.season else season_lengths(frequency)
    season, longer = seasons[0], seasons[1] if len(seasons) > 1 else None
    series = regularise(values, times=times, frequency=frequency, season=season)
    warnings = series.warnings
    points = series.values.size
    if season > 1 and points < 2 * season:
        text = (
            f"{points} points are less than two seasons of {season}: no season is used"
        )
        warnings, season = (*warnings, text), 1
    if longer and points < 2 * longer:
        longer = None
    problem = Problem(
        series=series,
        frequency=frequency,
        horizon=options.horizon,
        season=season,
        long_season=longer,
        seed=options.seed,
    )
    return problem, warnings


def _choose(
    problem: Problem, plan: Plan, options: ForecastOptions
) -> tuple[Choice, tuple[str, ...]]:
    baseline = problem.baseline
    if problem.final > 0 and np.ptp(problem.series.values) == 0:
        text = f"the series never changes: forecast by {baseline}"
        return Choice(baseline), (text,)
    if options.model != AUTO:
        return Choice(options.model), ()
    choice = choose_model(problem, cutoffs=plan.selection)
    if not choice.candidates:
        return choice, (f"too short to compare models: forecast by {baseline}",)
    notes = []
    if choice.model == baseline:
        notes.append(f"no model beat {baseline} on the selection windows: it is used")
    if not plan.nested:
        notes.append(
            "the model was chosen on the windows of the evaluation, "
            "so the evaluation is optimistic"
        )
    return choice, tuple(notes)


def _final_mean(problem: Problem, name: str) -> tuple[str, FloatArray, tuple[str, ...]]:
    try:
        mean, replaced = predict_at(problem, name=name, cutoff=problem.final)
    except ModelUnfit as error:
        text = f"{error}: forecast by {problem.baseline}"
        mean, _ = predict_at(problem, name=problem.baseline, cutoff=problem.final)
        return problem.baseline, mean, (text,)
    if replaced:
        text = f"{name} left the range of the series: forecast by {problem.baseline}"
        return problem.baseline, mean, (text,)
    return name, mean, ()


def _evaluation(
    problem: Problem,
    plan: Plan,
    folds: tuple[Fold, ...],
    method: tuple[str, tuple[float, ...]],
) -> tuple[Evaluation | None, tuple[str, ...]]:
    name, levels = method
    scored = tuple(fold for fold in folds if fold.cutoff in plan.evaluation)
    reference = backtest(
        problem,
        name=problem.baseline,
        cutoffs=[fold.cutoff for fold in scored],
    )
    evaluation = evaluate(
        problem, folds=scored, baseline=reference, calibration=folds, levels=levels
    )
    return evaluation, _remarks(evaluation, name, folds)


def _remarks(
    evaluation: Evaluation | None, name: str, folds: tuple[Fold, ...]
) -> tuple[str, ...]:
    remarks = []
    failed = sum(fold.replaced for fold in folds)
    if failed:
        remarks.append(f"{failed} of {len(folds)} backtests of {name} left the range")
    if evaluation is None:
        remarks.append("nothing could be evaluated: the accuracy is not known")
    elif evaluation.skill_vs_naive is not None and evaluation.skill_vs_naive < 0:
        remarks.append(
            f"{name} did worse than {evaluation.baseline} on the evaluation windows"
        )
    return tuple(remarks)


def _shortness(plan: Plan, options: ForecastOptions) -> tuple[str, ...]:
    fitting = len(plan.evaluation)
    if fitting == options.windows:
        return ()
    return (f"the history holds {fitting} of the {options.windows} windows asked for",)
