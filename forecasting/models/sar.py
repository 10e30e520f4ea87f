"""SAR: sparse autoregressions by robust ridge, averaged over lags and unit roots."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from forecasting.arrays import FloatArray
from forecasting.errors import ModelUnfit
from forecasting.fitting import require_points, undo_difference
from forecasting.models import ModelContext, Regime, model

# One lag per this many equations; below that the smaller set of lags forecasts better.
_ROWS_PER_LAG = 5
_SPARE_ROWS = 2
_MOST_POINTS = 10_000
# Lags of the last hours or weeks; more of them cost time and gained nothing.
_DENSE, _DENSER = 50, 75
_STRENGTHS = 10.0 ** np.arange(-6, 2.1, 0.5)
_HUBER, _REWEIGHTS = 1.345, 2
# From absolute deviations to the standard deviation of normal residuals.
_NORMAL = 1.4826
_ROUND_OFF = 1e-9
_FLAT = 1e-12
_WEEKS_OF_A_YEAR = 52
_HOURS_OF_A_DAY = 24


# Short series of years and quarters flatter a regression in one window and punish it in
# the next; the measurements behind "auto" favoured smoothing there.
_LEAST_SUITED = 60


def _suits(regime: Regime) -> bool:
    least = max(3 * regime.season, _LEAST_SUITED)
    return regime.points >= least and not regime.intermittent


def _cost(regime: Regime) -> float:
    # Measured: 1.0 ms at 70 points, 3.5 at 900, 24 at 10,000.
    return 1.0 + 0.0025 * min(regime.points, _MOST_POINTS)


@model("sar", suits=_suits, cost=_cost, calibration=30)
def sar(history: FloatArray, context: ModelContext) -> FloatArray:
    """Average autoregressions of the level, of its changes and of seasonal changes.

    A regression on chosen lags (the latest, one season, two seasons, the long season)
    is as good a forecaster of loads, prices and weekly sums as much slower models.
    Nobody knows from one history whether its level returns or wanders, so the
    forecasts are averaged: two sets of lags on the level, the same on the first
    difference (not for parts of a day, whose level returns), and one on the difference
    of a season. Logarithms where they make the history likelier. Huber weights keep
    outliers from the coefficients; the strength of the ridge minimises the corrected
    information criterion. At most 10,000 points, or three long seasons, are used.

    Args:
        history: known values, shape (n,), no NaN; a season and seven
            points, or two seasons and five below a season of seven.
        context: the horizon, the season and the long season are used.

    Returns:
        Mean, shape (horizon,), unit of the history, at most one range outside it.

    Raises:
        ModelUnfit: the history is too short.

    References:
        Hastie, Tibshirani & Friedman, The Elements of Statistical Learning (2nd), 3.4;
        Hurvich & Tsai, Biometrika 76 (1989) 297-307; Huber, Robust Statistics, ch. 7.
    """
    longer = context.long_season
    if longer and history.size < 3 * longer:
        longer = None
    used = history[-max(_MOST_POINTS, 3 * (longer or context.season)) :]
    sets = lag_sets(context.season, long_season=longer)
    least = sets[0][-1] + len(sets[0]) + _SPARE_ROWS + 1
    require_points("sar", history=used, least=least)
    low, high = float(used.min()), float(used.max())
    if used.std() == 0:
        return np.full(context.horizon, used[-1])
    logs = low > 0 and _likelier_in_logs(used, sets[0])
    values = np.log(used) if logs else used
    with np.errstate(over="ignore", invalid="ignore"):
        parts = np.array(_parts(values, sets, context, longer))
        means = np.exp(parts) if logs else parts
        means = np.clip(means, low - (high - low), high + (high - low))
    means = means[np.isfinite(means).all(axis=1)]
    if not means.size:
        raise ModelUnfit("every autoregression of sar exploded")
    return np.asarray(means.mean(axis=0), dtype=np.float64)


def lag_sets(season: int, *, long_season: int | None) -> list[tuple[int, ...]]:
    """List the lags to regress on, from few to many.

    Args:
        season: in steps, at least 1.
        long_season: a second season in steps, or None.

    Returns:
        Increasing lags; a set has more lags than the one before it.

    Example:
        >>> lag_sets(4, long_season=None)[:2]
        [(1, 2, 3, 4, 5), (1, 2, 3, 4, 5, 7, 8, 9)]
    """
    if season == 1:
        sets = [{1, 2}, _first(4), _first(13)]
    elif season == _WEEKS_OF_A_YEAR:
        near = {51, 52, 53}
        sets = [{1, 52, 53}, _first(4) | near, _first(13) | near, _first(53)]
    elif season < 7:  # noqa: PLR2004 - the seasons of days have their own line
        several = _first(season + 1) | _around(2 * season)
        sets = [_first(season + 1), several, _first(3 * season + 1)]
    elif season == 7:  # noqa: PLR2004 - days of a week
        sets = [{1, 7, 8}, _first(8), _first(22), _first(36)]
    else:
        cycles = long_season // season if long_season else 4
        sets = _sets_of_long_seasons(season, cycles)
    if long_season:
        sets[-2] |= _around(long_season)
        sets[-1] |= _around(long_season) | {long_season - 2, long_season + 2}
        sets[-1] |= _first(long_season + 1 if long_season < _DENSE else 1)
    return [tuple(sorted(lags)) for lags in sets]


def _sets_of_long_seasons(season: int, cycles: int) -> list[set[int]]:
    one = _first(min(season + 1, _DENSE)) | _around(season)
    several = one | _around(2 * season)
    many = several | _first(min(2 * season + 1, _DENSER))
    for back in range(3, cycles + 1):
        many |= _around(back * season)
    return [{1, season, season + 1}, one, several, many]


def _first(count: int) -> set[int]:
    return set(range(1, count + 1))


def _around(lag: int) -> set[int]:
    return {lag - 1, lag, lag + 1}


def _parts(
    values: FloatArray,
    sets: list[tuple[int, ...]],
    context: ModelContext,
    longer: int | None,
) -> list[FloatArray]:
    horizon, season = context.horizon, context.season
    chosen = _supported(sets, values.size)[-2:] or sets[:1]
    parts = _regressions(values, chosen, horizon)
    part_of_a_day = context.long_season or season >= _HOURS_OF_A_DAY
    if not part_of_a_day or season == _WEEKS_OF_A_YEAR:
        changes = _regressions(np.diff(values), chosen, horizon)
        parts += [undo_difference(part, latest=values[-1:]) for part in changes]
    cycle = longer or season
    chosen = _supported(sets[:-1], values.size - cycle)[-1:] if cycle > 1 else []
    if chosen:
        part = _regressions(values[cycle:] - values[:-cycle], chosen, horizon)[0]
        parts.append(undo_difference(part, latest=values[-cycle:]))
    return parts


def _supported(sets: list[tuple[int, ...]], points: int) -> list[tuple[int, ...]]:
    return [lags for lags in sets if points - lags[-1] >= _ROWS_PER_LAG * len(lags)]


@dataclass(frozen=True)
class _Moments:
    # Sums of squares and products of the centred lags, and of each with the target.
    center: FloatArray
    target: float
    squares: FloatArray
    products: FloatArray
    total: float
    rows: int

    def of(self, some: Any) -> "_Moments":
        return _Moments(
            self.center[some],
            self.target,
            self.squares[np.ix_(some, some)],
            self.products[some],
            self.total,
            self.rows,
        )


def _regressions(
    values: FloatArray, sets: list[tuple[int, ...]], horizon: int
) -> list[FloatArray]:
    # The sets are nested: the sums of the richest one hold those of the others.
    shift, scale = values.mean(), values.std()
    if scale <= _FLAT * np.abs(values).max():
        return [np.full(horizon, shift)] * len(sets)
    standard = (values - shift) / scale
    richest = np.array(sets[-1])
    moments, strength = _robust_moments(standard, richest)
    forecasts = []
    for lags in sets:
        own = moments.of(np.searchsorted(richest, lags))
        chosen = strength if len(lags) == richest.size else _strength(own)
        weights, constant = _solve(own, chosen)
        ahead = _recur(standard, np.array(lags), (weights, constant), horizon)
        forecasts.append(ahead * scale + shift)
    return forecasts


def _robust_moments(standard: FloatArray, lags: Any) -> tuple[_Moments, float]:
    rows = _rows(standard, lags)
    moments = _moments(rows, None)
    strength = _strength(moments)
    for _ in range(_REWEIGHTS):
        weights, constant = _solve(moments, strength)
        away = np.abs(rows[:, -1] - constant - rows[:, :-1] @ weights)
        usual = _NORMAL * float(np.median(away))
        if usual <= _ROUND_OFF:
            break
        moments = _moments(rows, _HUBER * usual / np.maximum(away, _HUBER * usual))
    return moments, strength


def _rows(values: FloatArray, lags: Any) -> FloatArray:
    # One row per target: its lagged values, then itself.
    reach = lags[-1]
    windows = np.lib.stride_tricks.sliding_window_view(values, reach + 1)
    return np.ascontiguousarray(windows[:, np.append(reach - lags, reach)])


def _moments(rows: FloatArray, weights: FloatArray | None) -> _Moments:
    if weights is None:
        center = rows.mean(axis=0)
        centred = rows - center
    else:
        center = weights @ rows / weights.sum()
        centred = (rows - center) * np.sqrt(weights)[:, None]
    sums = centred.T @ centred
    return _Moments(
        center[:-1],
        float(center[-1]),
        sums[:-1, :-1],
        sums[:-1, -1],
        float(sums[-1, -1]),
        rows.shape[0],
    )


def _strength(moments: _Moments) -> float:
    # The corrected Akaike criterion of each strength, from one eigendecomposition.
    sizes, axes = np.linalg.eigh(moments.squares)
    sizes = np.maximum(sizes, 0.0)
    along = (axes.T @ moments.products) ** 2
    strengths = moments.rows * _STRENGTHS[:, None]
    kept = sizes / (sizes + strengths)
    left = moments.total - (along / (sizes + strengths) * (2 - kept)).sum(axis=1)
    left = np.maximum(left, _ROUND_OFF**2)
    freedom = 1 + kept.sum(axis=1)
    spare = np.maximum(moments.rows - freedom - 1, _ROUND_OFF)
    criterion = np.log(left / moments.rows) + 2 * freedom / spare
    return float(strengths[np.argmin(criterion), 0])


def _solve(moments: _Moments, strength: float) -> tuple[FloatArray, float]:
    ridge = moments.squares + strength * np.eye(moments.center.size)
    weights = np.asarray(np.linalg.solve(ridge, moments.products), dtype=np.float64)
    return weights, moments.target - float(moments.center @ weights)


def _recur(
    values: FloatArray,
    lags: Any,
    coefficients: tuple[FloatArray, float],
    horizon: int,
) -> FloatArray:
    weights, constant = coefficients
    reach = int(lags[-1])
    path = np.concatenate([values[-reach:], np.zeros(horizon)])
    for step in range(reach, reach + horizon):
        path[step] = constant + weights @ path[step - lags]
    return path[reach:]


def _likelier_in_logs(values: FloatArray, lags: tuple[int, ...]) -> bool:
    # Box and Cox: densities are comparable once the change of scale (the geometric
    # mean) is counted; the spread is a robust one.
    logs = np.log(values)
    size = float(np.exp(logs.mean()))
    return _spread(logs, lags) * size < _spread(values, lags)


def _spread(values: FloatArray, lags: tuple[int, ...]) -> float:
    scale = float(values.std())
    rows = _rows((values - values.mean()) / scale, np.array(lags))
    moments = _moments(rows, None)
    weights, constant = _solve(moments, 1e-3 * moments.rows)
    away = np.abs(rows[:, -1] - constant - rows[:, :-1] @ weights)
    return scale * float(np.median(away))
