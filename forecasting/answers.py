"""The answer of a forecast: what was forecast, by whom, and how well it did before."""

from dataclasses import dataclass, replace

import numpy as np

from forecasting.arrays import FloatArray, TimeArray
from forecasting.backtest import Problem, Trial
from forecasting.calibration import Band, banded, coverage_by_step, left_out_bands
from forecasting.evaluation import (
    Evaluation,
    evaluate,
    mean_scaled,
    scored_windows,
    told,
)
from forecasting.learning import Evidence, Learned
from forecasting.losses import mae
from forecasting.members import Line
from forecasting.options import ForecastOptions
from forecasting.prediction import Prediction

BLEND = "blend"


@dataclass(frozen=True)
class Candidate:
    """One model that was considered for a series.

    Attributes:
        model: the registered name.
        mase: mean scaled error on the backtest windows; None when it cannot be told.
        mae: mean absolute error on the same windows, unit of the series.
        weight: its share of the forecast.
        error: why the model was out of the running, or None.
    """

    model: str
    mase: float | None
    mae: float | None
    weight: float
    error: str | None


@dataclass(frozen=True)
class SeriesForecast:
    """The forecast of one series.

    Attributes:
        unique_id: the name of the series.
        model: the registered model behind the mean, or "blend" of several.
        weights: of the models behind the mean, largest first; they sum to 1.
        cutoff: UTC time of the latest observed value, datetime64[us].
        times: UTC times, shape (horizon,), datetime64[us], all after the cutoff.
        mean: point forecasts, shape (horizon,), unit of the series.
        quantiles: by increasing level, each shape (horizon,); empty for a series of
            one point, whose spread nobody can know.
        season: the season that was used, in steps.
        evaluation: out-of-sample errors; None when the series is too short.
        candidates: the models compared by "auto", on their backtest windows.
        warnings: what a reader has to know, in sentences.
        samples: whole futures, shape (samples, horizon); None unless asked for.
    """

    unique_id: str
    model: str
    weights: dict[str, float]
    cutoff: np.datetime64
    times: TimeArray
    mean: FloatArray
    quantiles: dict[float, FloatArray]
    season: int
    evaluation: Evaluation | None
    candidates: tuple[Candidate, ...]
    warnings: tuple[str, ...]
    samples: FloatArray | None = None


@dataclass(frozen=True)
class Coverage:
    """How often the outermost interval held in the backtests of the panel.

    Attributes:
        nominal: what it should be.
        by_step: share of the windows in which each step lay inside, shape (horizon,);
            NaN where nothing was observed.
        windows: windows behind it, over all series.
    """

    nominal: float
    by_step: FloatArray
    windows: int


@dataclass(frozen=True)
class PanelForecast:
    """The forecast of a panel.

    Attributes:
        series: in the order of the panel, without those that failed.
        failed: (unique_id, what is wrong) of the others.
        coverage: of the outermost quantiles; None with fewer than two.
        line: the models that were tried; None without a series that moves.
        learned: what was learned of the series that move; None without any.
        seasons: what the panel agreed on, in steps.
        errors: of the blend in the backtests, one (windows, horizon) for each of the
            series, NaN where nothing was observed.
    """

    series: tuple[SeriesForecast, ...]
    failed: tuple[tuple[str, str], ...]
    coverage: Coverage | None
    line: Line | None
    learned: Learned | None
    seasons: tuple[int, int | None]
    errors: tuple[FloatArray, ...] = ()


@dataclass(frozen=True)
class Seen:
    """The backtest of a group, ready to be told for each of its series.

    Attributes:
        evidence: what the backtest saw.
        options: the wish.
        levels: of the quantiles, increasing.
        bands: by window, offsets made without that window.
    """

    evidence: Evidence
    options: ForecastOptions
    levels: tuple[float, ...]
    bands: dict[int, Band]


def look_at(evidence: Evidence, *, options: ForecastOptions) -> Seen:
    """Make the quantile offsets of every evaluated window without its own errors.

    Args:
        evidence: what the backtest saw.
        options: the wish.

    Returns:
        What `compose` needs for each series.
    """
    levels = tuple(sorted(options.quantiles))
    bands = left_out_bands(evidence.residuals, levels=levels, windows=options.windows)
    return Seen(evidence, options, levels, bands)


def covered(seen: Seen) -> Coverage | None:
    """Tell how often the outermost interval held; None with fewer than two levels."""
    if len(seen.levels) <= 1:
        return None
    pair = seen.levels[0], seen.levels[-1]
    shares, windows = coverage_by_step(seen.evidence.residuals, levels=pair)
    return Coverage(round(pair[1] - pair[0], 9), shares, windows)


def compose(
    problem: Problem,
    prediction: Prediction,
    *,
    seen: Seen,
    row: int,
    warnings: tuple[str, ...],
) -> SeriesForecast:
    """Put the answer for one series together.

    Args:
        problem: the series.
        prediction: its forecast.
        seen: the backtest of its group.
        row: its position in the group.
        warnings: what is known already.

    Returns:
        The answer.
    """
    evidence = seen.evidence
    evaluation = _evaluation(problem, seen, row)
    trial = evidence.trials[row]
    plain = compose_unseen(problem, prediction, warnings=warnings)
    return replace(
        plain,
        evaluation=evaluation,
        candidates=_candidates(evidence, row, prediction),
        warnings=(
            *warnings,
            *_shortness(trial, seen.options),
            *evidence.notes,
            *prediction.warnings,
            *_remarks(prediction, trial, evaluation),
        ),
    )


def compose_unseen(
    problem: Problem, prediction: Prediction, *, warnings: tuple[str, ...]
) -> SeriesForecast:
    """Put the answer for one series together where no backtest was made.

    Args:
        problem: the series.
        prediction: its forecast.
        warnings: what is known already.

    Returns:
        The answer, without evaluation and candidates.
    """
    names = list(prediction.weights)
    return SeriesForecast(
        unique_id=problem.unique_id,
        model=names[0] if len(names) == 1 else BLEND,
        weights=prediction.weights,
        cutoff=problem.series.times[-1],
        times=problem.context(problem.final).future_times,
        mean=prediction.mean,
        quantiles=prediction.quantiles,
        season=problem.season,
        evaluation=None,
        candidates=(),
        warnings=(*warnings, *prediction.warnings),
        samples=prediction.samples,
    )


def _evaluation(problem: Problem, seen: Seen, row: int) -> Evaluation | None:
    whole = seen.evidence.trials[row]
    trial = whole.some(range(min(seen.options.windows, len(whole.cutoffs))))
    mean = seen.evidence.earlier[row][: len(trial.cutoffs)]
    quantiles = banded(
        seen.bands, row=row, mean=mean, scale=trial.scale, levels=seen.levels
    )
    scored = scored_windows(problem, trial, mean=mean, quantiles=quantiles)
    return evaluate(scored, baseline=problem.baseline)


def _candidates(
    evidence: Evidence, row: int, prediction: Prediction
) -> tuple[Candidate, ...]:
    trial = evidence.trials[row]
    if len(evidence.line.names) <= 1 or not trial.cutoffs:
        return ()
    return tuple(
        _candidate(name, trial, evidence, prediction.weights.get(name, 0.0))
        for name in sorted(evidence.line.names)
    )


def _candidate(name: str, trial: Trial, evidence: Evidence, weight: float) -> Candidate:
    error = evidence.left_out.get(name)
    failures = trial.failures.get(name, {})
    if error is None and len(failures) == len(trial.cutoffs):
        error = next(iter(failures.values()))
    if error is not None or name not in trial.means:
        return Candidate(name, mase=None, mae=None, weight=weight, error=error)
    mean = trial.means[name]
    return Candidate(
        model=name,
        mase=told(mean_scaled(trial.actual, mean=mean, scale=trial.scale)),
        mae=told(mae(trial.actual.ravel(), forecast=mean.ravel())),
        weight=weight,
        error=None,
    )


def _remarks(
    prediction: Prediction, trial: Trial, evaluation: Evaluation | None
) -> tuple[str, ...]:
    remarks = []
    for name in prediction.weights:
        failed, windows = len(trial.failures.get(name, {})), len(trial.cutoffs)
        if failed:
            first = next(iter(trial.failures[name].values()))
            remarks.append(f"{failed} of {windows} backtests of {name} failed: {first}")
    if evaluation is None:
        remarks.append("nothing could be evaluated: the accuracy is not known")
    elif evaluation.skill_vs_naive is not None and evaluation.skill_vs_naive < 0:
        remarks.append(
            f"the forecast did worse than {evaluation.baseline} "
            "on the evaluation windows"
        )
    return tuple(remarks)


def _shortness(trial: Trial, options: ForecastOptions) -> tuple[str, ...]:
    fitting = min(len(trial.cutoffs), options.windows)
    if fitting == options.windows:
        return ()
    return (f"the history holds {fitting} of the {options.windows} windows asked for",)
