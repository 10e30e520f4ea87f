"""How far quantiles can be trusted, and a guess where no backtest was made."""

from forecasting.arrays import FloatArray
from forecasting.backtest import Problem
from forecasting.intervals import in_sample_offsets, pool_size

# With fewer residuals the standard error of an 80 % coverage is above 7 points.
_SOLID_POOL = 30
# The rank (n + 1) * level of a quantile has to fall on a residual.
_LEAST_RANK = 1.0


def guessed_quantiles(
    problem: Problem, *, mean: FloatArray, levels: tuple[float, ...]
) -> tuple[dict[float, FloatArray], tuple[str, ...]]:
    """Put quantiles around a mean that was never held against anything.

    Args:
        problem: the series and the horizon.
        mean: forecast, shape (horizon,), unit of the series.
        levels: increasing, in (0, 1).

    Returns:
        Quantiles by level, each shape (horizon,), and warnings about them. A series of
        one point gets none: nothing tells its spread.
    """
    if not levels:
        return {}, ()
    if problem.series.values.size == 1:
        return {}, ("one point tells nothing about the spread: no quantiles are given",)
    offsets = in_sample_offsets(
        problem.series.known,
        season=problem.season if problem.series.values.size > problem.season else 1,
        horizon=problem.horizon,
        levels=levels,
    )
    warnings = ("quantiles from in-sample differences: not calibrated",)
    if not offsets.any():
        warnings = ("no difference was ever seen: the quantiles have no width",)
    return dict(zip(levels, mean + offsets, strict=True)), warnings


def limits(residuals: FloatArray, levels: tuple[float, ...]) -> tuple[str, ...]:
    """Say where the quantiles ask more of the residuals than they can tell.

    Args:
        residuals: shape (rows, horizon), NaN steps are left out.
        levels: increasing, in (0, 1).

    Returns:
        Sentences; none when there are enough residuals.
    """
    if not levels:
        return ()
    found, pool = [], pool_size(residuals)
    if pool < _SOLID_POOL:
        found.append(f"{pool} residuals per step: the coverage is only a rough guess")
    beyond = [a for a in levels if (pool + 1) * min(a, 1 - a) < _LEAST_RANK]
    if beyond:
        named = ", ".join(str(level) for level in beyond)
        found.append(f"quantiles {named} lie beyond {pool} residuals: too narrow")
    return tuple(found)
