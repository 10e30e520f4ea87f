"""A robust decomposition: level of the recent points plus the shape of past cycles.

Both parts look back only, so a change of level shows as residuals until the level has
followed it, and judging the newest point means the same as judging it in hindsight.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from analysis.detectors import Baseline, detector
from analysis.robust import (
    NORMAL_MEDIAN_SIZE,
    centred_median,
    latest_median,
    phase_median,
    rounding_floor,
    spread,
    trailing_median,
)

Floats = NDArray[np.float64]


class Phase(Protocol):
    """What the values of one phase have in common."""

    def __call__(self, values: Floats, *, season: int) -> Floats:
        """Return it for each point, shape (n,); NaN where too few cycles are there."""


# Up to three of eight cycles may be spoilt before the shape is.
_CYCLES = 8
# A shape learnt from fewer past cycles than this is worse than one from later ones.
_WARM_CYCLES = 4
# One full cycle: the level then ignores disturbances shorter than half a cycle.
_LEVEL_CYCLES = 1
# Drift is the middle of this many residuals, so that one spike is no drift, and it
# is followed this many scales far, so that a break is not taken for drift.
_DRIFT_WINDOW = 3
_DRIFT_REACH = 2.0
_SHORTEST_LEVEL = 5
_LONGEST_UNSEASONAL = 48
# A phase counts with its own residuals as soon as it has more than about this many.
_PRIOR_COUNT = 20.0
# About a month of days: noise that changes with the time of year is followed.
_MEMORY_CYCLES = 28
_SHORTEST_MEMORY = 200


@detector("seasonal")
def seasonal(values: Floats, *, seasons: tuple[int, ...], causal: bool) -> Baseline:
    """Expect the recent level, the median shape of the last cycles and the drift.

    Args:
        values: (n,) on a regular grid, any unit; NaN is missing.
        seasons: Cycles in steps, shortest first; empty for none.
        causal: Expect from the past only; otherwise the first cycles, which have
            no past, are expected from what follows them.

    Returns:
        The baseline; the scale varies with the phase of the shortest season.

    References:
        Hyndman and Athanasopoulos (2021), Forecasting: Principles and Practice,
        3rd ed., sections 3.4 and 3.6.

    Example:
        >>> wave = np.tile([0.0, 5.0, 1.0], 20)
        >>> seasonal(wave, seasons=(3,), causal=True).expected[-3:]
        array([0., 5., 1.])
    """
    window = _level_window(len(values), seasons=seasons)
    shape = _shape(values, seasons=seasons)
    if not causal:
        warm = _WARM_CYCLES * (seasons[-1] if seasons else 0)
        behind = _shape(values[::-1], seasons=seasons)[::-1]
        shape = _prefer_later(shape, behind, count=warm)
        if np.isnan(shape).any():
            # Of three cycles the middle one has too few on either side alone.
            around = _shape(values, seasons=seasons, phase=_beside)
            shape = np.where(np.isnan(shape), around, shape)
    expected = _follow(values - shape, window=window) + shape
    if not causal:
        behind = _follow((values - shape)[::-1], window=window)[::-1] + shape
        expected = _prefer_later(expected, behind, count=window)
    season = seasons[0] if seasons else 1
    scale = _scale_by_phase(values, expected, season=season)
    scale = scale * _calmness((values - expected) / scale, season=season)
    return Baseline(
        expected=expected,
        scale=np.where(np.isfinite(expected), scale, np.nan),
        seasonal=np.nan_to_num(shape),
    )


def _past_cycles(values: Floats, *, season: int) -> Floats:
    return phase_median(values, season=season, cycles=_CYCLES)


def _beside(values: Floats, *, season: int) -> Floats:
    """Return the middle between the cycle before and the one after."""
    middle = np.full(len(values), np.nan)
    middle[season:-season] = values[: -2 * season] / 2 + values[2 * season :] / 2
    return middle


def _shape(
    values: Floats, *, seasons: tuple[int, ...], phase: Phase = _past_cycles
) -> Floats:
    """Add up the shapes of the cycles; NaN until all of them have been seen twice."""
    shape = np.zeros(len(values))
    # On a slope the median of a cycle moves in stairs, which would enter the shape.
    flat = values - np.cumsum(_slope(values, lag=seasons[-1])) if seasons else values
    for season in seasons:
        rest = flat - shape
        # A centred window one cycle back still ends half a cycle before the point.
        detrended = rest - centred_median(rest, window=season)
        shape = shape + phase(detrended, season=season)
    return shape


def _slope(values: Floats, *, lag: int) -> Floats:
    """Rise per step, from differences over whole cycles; 0 when there are too few.

    A median of differences forgets a single step, so a change of level is no slope.
    """
    rise = np.full(len(values), np.nan)
    rise[lag:] = (values[lag:] - values[:-lag]) / lag
    rise = trailing_median(rise, window=_CYCLES * lag)
    known = np.flatnonzero(np.isfinite(rise))
    if len(known):
        # The start rises like the first stretch that can be measured.
        rise[: known[0]] = rise[known[0]]
    return np.nan_to_num(rise)


def _follow(adjusted: Floats, *, window: int) -> Floats:
    level = trailing_median(adjusted, window=window)
    # The median of a window lags a trend by half the window.
    lag = (np.minimum(np.arange(len(level)), window) + 1) / 2
    level = level + _slope(adjusted, lag=window) * lag
    return level + _drift(adjusted - level)


def _level_window(count: int, *, seasons: tuple[int, ...]) -> int:
    if seasons:
        return max(_SHORTEST_LEVEL, _LEVEL_CYCLES * seasons[0])
    return int(np.clip(count // 10, _SHORTEST_LEVEL, _LONGEST_UNSEASONAL))


def _drift(residuals: Floats) -> Floats:
    """Say how much of the latest residuals is still to be expected.

    Series that wander slowly around their level (load with the weather) keep most of
    it, independent noise keeps nothing.
    """
    reach = _DRIFT_REACH * spread(residuals)
    recent = np.clip(
        np.nan_to_num(latest_median(residuals, window=_DRIFT_WINDOW)), -reach, reach
    )
    total = float(np.sum(recent**2))
    if total <= 0:
        return recent
    calm = np.clip(np.nan_to_num(residuals), -reach, reach)
    return np.asarray(recent * np.clip(np.sum(calm * recent) / total, 0.0, 1.0))


def _prefer_later(ahead: Floats, behind: Floats, *, count: int) -> Floats:
    early = np.arange(len(ahead)) < count
    use = (early & np.isfinite(behind)) | ~np.isfinite(ahead)
    return np.where(use, behind, ahead)


def _calmness(sizes: Floats, *, season: int) -> Floats:
    """Say how much wider or narrower than usual the residuals have lately been."""
    window = max(_SHORTEST_MEMORY, _MEMORY_CYCLES * season)
    lately = trailing_median(np.abs(sizes), window=window) / NORMAL_MEDIAN_SIZE
    # Half of it: a calm month is no reason to call every stir of the next unusual.
    return np.sqrt((1 + np.nan_to_num(lately, nan=1.0) ** 2) / 2)


def _scale_by_phase(values: Floats, expected: Floats, *, season: int) -> Floats:
    residuals = values - expected
    overall = max(spread(residuals), rounding_floor(values))
    padding = -len(values) % season
    sizes = np.abs(np.append(residuals, np.full(padding, np.nan)))
    cycles = sizes.reshape(-1, season)
    # The neighbours keep a phase with few cycles from deciding on its own.
    near = np.concatenate([np.roll(cycles, shift, axis=1) for shift in (-1, 0, 1)])
    near.sort(axis=0)
    present = np.isfinite(near).sum(axis=0)
    middle = near[np.maximum(present - 1, 0) // 2, np.arange(season)]
    own = np.where(present > 0, middle, 0.0) / NORMAL_MEDIAN_SIZE
    weight = present / (present + _PRIOR_COUNT)
    # Squares of the smallest numbers would be zero.
    scales = np.hypot(np.sqrt(weight) * own, np.sqrt(1 - weight) * overall)
    return np.tile(scales, len(cycles))[: len(values)]
