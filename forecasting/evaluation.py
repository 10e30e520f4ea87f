"""The error of a method on windows it had not seen, beside the baseline's."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from forecasting.arrays import FloatArray
from forecasting.backtest import Problem, Trial
from forecasting.losses import coverage, mae, pinball, rmse, seasonal_error, smape, wql


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
        crps: continuous ranked probability score, from the levels; unit of the series.
        coverage: share of the points inside the outermost pair of quantiles.
        skill_vs_naive: 1 - mae / mae of the baseline on the same windows.
        windows: windows with at least one observed point.
        points: observed points in them.
        nominal_coverage: what the coverage should be.
        baseline: the model behind the skill.
        baseline_mae: its mean absolute error on the same windows.
        mean_size: mean of the observed points without their signs, which the weighted
            quantile loss is divided by.
    """

    mae: float | None
    rmse: float | None
    smape: float | None
    mase: float | None
    rmsse: float | None
    wql: float | None
    crps: float | None
    coverage: float | None
    skill_vs_naive: float | None
    windows: int
    points: int
    nominal_coverage: float | None
    baseline: str
    baseline_mae: float | None
    mean_size: float | None


@dataclass(frozen=True)
class Scored:
    """What was forecast for some windows of one series, and what happened.

    Attributes:
        actual: observed values, shape (windows, horizon), NaN where missing.
        mean: forecasts, same shape.
        baseline: the baseline's forecasts, same shape.
        quantiles: by level, each of the same shape; may be empty.
        scale: in-sample error of the seasonal naive known at each cutoff, (windows,);
            NaN where the history never changed.
        squared_scale: the same of the squared differences.
    """

    actual: FloatArray
    mean: FloatArray
    baseline: FloatArray
    quantiles: dict[float, FloatArray]
    scale: FloatArray
    squared_scale: FloatArray


def scored_windows(
    problem: Problem,
    trial: Trial,
    *,
    mean: FloatArray,
    quantiles: dict[float, FloatArray],
) -> Scored:
    """Put what a method forecast for the windows of one series beside what happened.

    Args:
        problem: the series.
        trial: its windows.
        mean: the method's forecasts, shape (windows, horizon).
        quantiles: by level, each of the same shape; may be empty.

    Returns:
        What can be evaluated.
    """
    known = problem.series.known
    scale, squared_scale = (
        [
            seasonal_error(known[: cutoff + 1], season=problem.season, power=power)
            for cutoff in trial.cutoffs
        ]
        for power in (1, 2)
    )
    return Scored(
        actual=trial.actual,
        mean=mean,
        baseline=trial.baseline,
        quantiles=quantiles,
        scale=np.array(scale, dtype=np.float64),
        squared_scale=np.array(squared_scale, dtype=np.float64),
    )


def evaluate(scored: Scored, *, baseline: str) -> Evaluation | None:
    """Score the windows of one series.

    Args:
        scored: forecasts and observations.
        baseline: name of the baseline.

    Returns:
        The evaluation; None when no window holds an observed point.

    References:
        Hyndman & Athanasopoulos, Forecasting: Principles and Practice (3rd), 5.8-5.9.
    """
    known = ~np.isnan(scored.actual)
    if not known.any():
        return None
    actual, mean = scored.actual.ravel(), scored.mean.ravel()
    quantiles = {level: row.ravel() for level, row in scored.quantiles.items()}
    pair = (min(quantiles), max(quantiles)) if len(quantiles) > 1 else None
    error, reference = mae(actual, forecast=mean), scored.baseline.ravel()
    naive = mae(actual, forecast=reference)
    return Evaluation(
        mae=told(error),
        rmse=told(rmse(actual, forecast=mean)),
        smape=told(smape(actual, forecast=mean)),
        mase=_scaled(np.abs(scored.actual - scored.mean), scored.scale),
        rmsse=_root_scaled((scored.actual - scored.mean) ** 2, scored.squared_scale),
        wql=told(wql(actual, quantiles=quantiles)),
        crps=_crps(actual, quantiles),
        coverage=_inside(actual, quantiles, pair) if pair else None,
        skill_vs_naive=1 - error / naive if naive > 0 else None,
        windows=int(known.any(axis=1).sum()),
        points=int(known.sum()),
        nominal_coverage=round(pair[1] - pair[0], 9) if pair else None,
        baseline=baseline,
        baseline_mae=told(naive),
        mean_size=told(mae(actual, forecast=np.zeros(actual.shape))),
    )


def pool_evaluations(found: Sequence[Evaluation]) -> dict[str, float | None]:
    """Pool the evaluations of several series into one set of metrics.

    Args:
        found: of the series.

    Returns:
        Metrics by name. Absolute, squared, percentage and quantile errors, coverage and
        skill are those of all points together, MASE and RMSSE means over the series,
        windows and points sums. None where no series can tell.
    """
    means = {
        name: _weighted(found, name, points=True)
        for name in ("mae", "smape", "crps", "coverage")
    }
    squares = [(one.rmse**2, one.points) for one in found if one.rmse is not None]
    known = [one for one in found if None not in (one.mae, one.baseline_mae)]
    levelled = [one for one in found if None not in (one.crps, one.mean_size)]
    worse = _ratio(known, "mae", "baseline_mae")
    return {
        **means,
        "rmse": _share(squares) ** 0.5 if squares else None,
        "mase": _weighted(found, "mase", points=False),
        "rmsse": _weighted(found, "rmsse", points=False),
        "wql": _ratio(levelled, "crps", "mean_size"),
        "skill_vs_naive": None if worse is None else 1 - worse,
        "windows": float(sum(one.windows for one in found)),
        "points": float(sum(one.points for one in found)),
    }


def _ratio(found: Sequence[Evaluation], name: str, size: str) -> float | None:
    """Divide one mean over all points by another."""
    over, under = (_weighted(found, one, points=True) for one in (name, size))
    return over / under if over is not None and under else None


def _weighted(found: Sequence[Evaluation], name: str, *, points: bool) -> float | None:
    pairs = [
        (getattr(one, name), one.points if points else 1)
        for one in found
        if getattr(one, name) is not None
    ]
    return _share(pairs) if pairs else None


def _share(pairs: Sequence[tuple[float, int]]) -> float:
    return sum(v * n for v, n in pairs) / sum(n for _, n in pairs)


def told(value: float) -> float | None:
    """Return the number, None where it is NaN and cannot be told."""
    return None if np.isnan(value) else float(value)


def mean_scaled(actual: FloatArray, *, mean: FloatArray, scale: FloatArray) -> float:
    """Average the absolute scaled error over the windows.

    Args:
        actual: observed values, shape (windows, horizon); NaN steps are left out.
        mean: forecasts, same shape.
        scale: of each window, shape (windows,); a NaN scale leaves its window out.

    Returns:
        The MASE; NaN where no window can tell it.
    """
    found = _scaled(np.abs(actual - mean), scale)
    return float("nan") if found is None else found


def _scaled(errors: FloatArray, scale: FloatArray) -> float | None:
    rows = [
        float(row[~np.isnan(row)].mean()) / one
        for row, one in zip(errors, scale, strict=True)
        if one > 0 and not np.isnan(row).all()
    ]
    return float(np.mean(rows)) if rows else None


def _root_scaled(squares: FloatArray, scale: FloatArray) -> float | None:
    rows = [
        float(np.sqrt(row[~np.isnan(row)].mean() / one))
        for row, one in zip(squares, scale, strict=True)
        if one > 0 and not np.isnan(row).all()
    ]
    return float(np.mean(rows)) if rows else None


def _crps(actual: FloatArray, quantiles: dict[float, FloatArray]) -> float | None:
    if not quantiles:
        return None
    losses = [pinball(actual, forecast=q, level=a) for a, q in quantiles.items()]
    return told(2.0 * float(np.mean(losses)))


def _inside(
    actual: FloatArray, quantiles: dict[float, FloatArray], pair: tuple[float, float]
) -> float | None:
    return told(coverage(actual, lower=quantiles[pair[0]], upper=quantiles[pair[1]]))
