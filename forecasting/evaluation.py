"""The error of the chosen model on windows it had not seen, beside the baseline's."""

from dataclasses import dataclass

import numpy as np

from forecasting.arrays import FloatArray
from forecasting.backtest import Fold, Problem
from forecasting.intervals import LEAST_FOLDS, conformal_offsets
from forecasting.losses import coverage, mae, mase, rmse, rmsse, smape, wql


@dataclass(frozen=True)
class Evaluation:
    """Out-of-sample errors; None where a number cannot be told.

    Attributes:
        mae: mean absolute error, unit of the series.
        rmse: root mean squared error, unit of the series.
        smape: symmetric percentage error, 0 to 200.
        mase: mean over the windows of the absolute scaled error.
        rmsse: mean over the windows of the root mean squared scaled error.
        wql: weighted quantile loss over all levels.
        coverage: share of the points inside the outermost pair of quantiles.
        skill_vs_naive: 1 - mae / mae of the baseline on the same windows.
        windows: windows with at least one observed point.
        points: observed points in them.
        nominal_coverage: what the coverage should be.
        baseline: "seasonal_naive" or "naive".
    """

    mae: float | None
    rmse: float | None
    smape: float | None
    mase: float | None
    rmsse: float | None
    wql: float | None
    coverage: float | None
    skill_vs_naive: float | None
    windows: int
    points: int
    nominal_coverage: float | None
    baseline: str


def evaluate(
    problem: Problem,
    *,
    folds: tuple[Fold, ...],
    baseline: tuple[Fold, ...],
    calibration: tuple[Fold, ...],
    levels: tuple[float, ...],
) -> Evaluation | None:
    """Score the folds of a model.

    The quantiles of each window come from the residuals of all other windows, never
    from its own.

    Args:
        problem: the series and the horizon.
        folds: the model's evaluation folds.
        baseline: the baseline's folds of the same windows.
        calibration: all folds of the model, the evaluation among them.
        levels: quantile levels, increasing.

    Returns:
        The evaluation; None when no window holds an observed point.
    """
    scored = tuple(fold for fold in folds if known_points(fold))
    if not scored:
        return None
    actual = np.concatenate([fold.actual for fold in scored])
    forecast = np.concatenate([fold.mean for fold in scored])
    quantiles = _left_out_quantiles(scored, calibration, levels)
    pair = (min(quantiles), max(quantiles)) if len(quantiles) > 1 else None
    return Evaluation(
        mae=_told(mae(actual, forecast=forecast)),
        rmse=_told(rmse(actual, forecast=forecast)),
        smape=_told(smape(actual, forecast=forecast)),
        mase=mean_scaled(problem, scored),
        rmsse=_mean_root_scaled(problem, scored),
        wql=_told(wql(actual, quantiles=quantiles)),
        coverage=_told(_inside(actual, quantiles, pair)) if pair else None,
        skill_vs_naive=_skill(scored, baseline),
        windows=len(scored),
        points=int(np.count_nonzero(~np.isnan(actual))),
        nominal_coverage=round(pair[1] - pair[0], 9) if pair else None,
        baseline=problem.baseline,
    )


def known_points(fold: Fold) -> int:
    """Count the observed points of a fold."""
    return int(np.count_nonzero(~np.isnan(fold.actual)))


def mean_absolute(folds: tuple[Fold, ...]) -> float | None:
    """Pool the absolute errors of the folds; None without an observed point."""
    errors = [np.abs(fold.residuals) for fold in folds]
    pooled = np.concatenate(errors) if errors else np.empty(0)
    return _told(mae(pooled, forecast=np.zeros(pooled.size)))


def mean_scaled(problem: Problem, folds: tuple[Fold, ...]) -> float | None:
    """Average the MASE of the folds; None where the history never changes."""
    known = problem.series.known
    return _mean(
        [
            mase(
                fold.actual,
                forecast=fold.mean,
                history=known[: fold.cutoff + 1],
                season=problem.season,
            )
            for fold in folds
        ]
    )


def _mean_root_scaled(problem: Problem, folds: tuple[Fold, ...]) -> float | None:
    known = problem.series.known
    return _mean(
        [
            rmsse(
                fold.actual,
                forecast=fold.mean,
                history=known[: fold.cutoff + 1],
                season=problem.season,
            )
            for fold in folds
        ]
    )


def _left_out_quantiles(
    scored: tuple[Fold, ...], calibration: tuple[Fold, ...], levels: tuple[float, ...]
) -> dict[float, FloatArray]:
    informative = [fold for fold in calibration if known_points(fold)]
    if not levels or len(informative) <= LEAST_FOLDS:
        return {}
    parts = []
    for fold in scored:
        others = [other for other in informative if other.cutoff != fold.cutoff]
        residuals = np.array([other.residuals for other in others])
        parts.append(fold.mean + conformal_offsets(residuals, levels=levels))
    joined = np.concatenate(parts, axis=1)
    return dict(zip(levels, joined, strict=True))


def _inside(
    actual: FloatArray, quantiles: dict[float, FloatArray], pair: tuple[float, float]
) -> float:
    return coverage(actual, lower=quantiles[pair[0]], upper=quantiles[pair[1]])


def _skill(folds: tuple[Fold, ...], baseline: tuple[Fold, ...]) -> float | None:
    cutoffs = {fold.cutoff for fold in folds}
    reference = mean_absolute(tuple(f for f in baseline if f.cutoff in cutoffs))
    own = mean_absolute(folds)
    return 1 - own / reference if own is not None and reference else None


def _mean(values: list[float]) -> float | None:
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else None


def _told(value: float) -> float | None:
    return None if np.isnan(value) else value
