"""The quantiles of the answer, and how far they can be trusted."""

import numpy as np

from forecasting.arrays import FloatArray
from forecasting.backtest import Fold, Problem
from forecasting.evaluation import known_points
from forecasting.intervals import (
    LEAST_FOLDS,
    conformal_offsets,
    in_sample_offsets,
    pool_size,
)

# With fewer residuals the standard error of an 80 % coverage is above 7 points.
_SOLID_POOL = 30
# The rank (n + 1) * level of a quantile has to fall on a residual.
_LEAST_RANK = 1.0


def final_quantiles(
    problem: Problem,
    *,
    mean: FloatArray,
    folds: tuple[Fold, ...],
    levels: tuple[float, ...],
) -> tuple[dict[float, FloatArray], tuple[str, ...]]:
    """Put quantiles around the mean forecast.

    Args:
        problem: the series and the horizon.
        mean: forecast, shape (horizon,), unit of the series.
        folds: all backtest folds of the same model.
        levels: increasing, in (0, 1).

    Returns:
        Quantiles by level, each shape (horizon,), and warnings about them. A series of
        one point gets none: nothing tells its spread.
    """
    if not levels:
        return {}, ()
    if problem.series.values.size == 1:
        return {}, ("one point tells nothing about the spread: no quantiles are given",)
    informative = [fold.residuals for fold in folds if known_points(fold)]
    residuals = np.array(informative)
    # A rare event that no window met leaves errors of exactly zero; the whole history
    # knows better.
    if len(informative) >= LEAST_FOLDS and np.nan_to_num(residuals).any():
        offsets = conformal_offsets(residuals, levels=levels)
        warnings = _limits(pool_size(residuals), levels)
    else:
        offsets = in_sample_offsets(
            problem.series.known,
            season=problem.season,
            horizon=problem.horizon,
            levels=levels,
        )
        warnings = ("quantiles from in-sample differences: not calibrated",)
        if not offsets.any():
            warnings = ("no difference was ever seen: the quantiles have no width",)
    return dict(zip(levels, mean + offsets, strict=True)), warnings


def _limits(pool: int, levels: tuple[float, ...]) -> tuple[str, ...]:
    limits = []
    if pool < _SOLID_POOL:
        limits.append(f"{pool} residuals per step: the coverage is only a rough guess")
    beyond = [a for a in levels if (pool + 1) * min(a, 1 - a) < _LEAST_RANK]
    if beyond:
        named = ", ".join(str(level) for level in beyond)
        limits.append(f"quantiles {named} lie beyond {pool} residuals: too narrow")
    return tuple(limits)
