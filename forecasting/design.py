"""Columns of a linear regression: the calendar, and covariates by time of day."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from forecasting.arrays import FloatArray
from forecasting.cases import ModelContext, Regime
from forecasting.regression import column_scale

IntArray: TypeAlias = npt.NDArray[np.int64]

_DAY_US = 86_400_000_000
_YEAR_DAYS = 365.25
_HARMONICS = 4
# Steps of a season up to which each has its own dummy; longer ones get waves.
_MOST_DUMMIES = 48
_LONG_HARMONICS = 16
# A long season needs this many repetitions to be told from chance.
_REPETITIONS = 4
# Steps of a season that count as times of day for covariates to act through.
_PHASED = range(4, 49)
_MOST_PHASED_COLUMNS = 400
# Scaled covariates beyond this enter their powers as if they were there: a cube grows
# faster than anything that was seen.
_POWER_REACH = 4.0


@dataclass(frozen=True)
class Design:
    """Regressors of the history and of the steps ahead, and whom each belongs to.

    Attributes:
        past: shape (n, columns).
        ahead: shape (horizon, columns).
        parts: names of the parts: "calendar", then the covariates known ahead.
        owner: position in ``parts`` of each column, shape (columns,).
    """

    past: FloatArray
    ahead: FloatArray
    parts: tuple[str, ...]
    owner: IntArray


def design_of(points: int, context: ModelContext) -> Design:
    """Lay out the columns of one series, over its latest points and the steps ahead.

    Each covariate enters with its square and cube, its mean over the last season, and,
    where a season has 4 to 48 steps, with its value and square at each step of the
    season apart: a hot hour at night is not a hot hour at noon.

    Args:
        points: latest points of the history to cover, at least 1.
        context: season, long season, times and covariates are used; of the covariates
            those that are known for every step ahead.

    Returns:
        The design; without season, years and covariates it has no columns.
    """
    groups = [_calendar(points, context)]
    names = ["calendar"]
    known = [
        column
        for column in range(len(context.names))
        if np.isfinite(context.future_covariates[:, column]).all()
    ]
    phases = _phases(points + context.horizon, context)
    if 2 * len(known) * phases.shape[1] > _MOST_PHASED_COLUMNS:
        phases = phases[:, :0]
    for column in known:
        past = context.covariates[-points:, column]
        values = np.concatenate([past, context.future_covariates[:, column]])
        groups.append(_effects(values, points, phases, season=context.season))
        names.append(context.names[column])
    rows = np.hstack(groups)
    owner = np.repeat(np.arange(len(groups)), [group.shape[1] for group in groups])
    return Design(rows[:points], rows[points:], tuple(names), owner)


def column_count(regime: Regime) -> int:
    """Estimate how many columns the designs of such series have.

    Args:
        regime: what the series are like.

    Returns:
        The number, as if each had a long season and a year.
    """
    season = regime.season if regime.season <= _MOST_DUMMIES else 2 * _LONG_HARMONICS
    phased = 2 * regime.covariates * regime.season
    if regime.season not in _PHASED or phased > _MOST_PHASED_COLUMNS:
        phased = 0
    waves = 2 * (_LONG_HARMONICS + _HARMONICS)
    return int(season + waves + 4 * regime.covariates + phased)


def _effects(
    values: FloatArray, points: int, phases: FloatArray, *, season: int
) -> FloatArray:
    centre, scale = column_scale(values[:points, None])
    scaled = (values - centre[0]) / scale[0]
    near = np.clip(scaled, -_POWER_REACH, _POWER_REACH)
    sums = np.cumsum(np.concatenate([np.full(season, scaled[0]), scaled]))
    mean = (sums[season:] - sums[:-season]) / season
    plain = np.column_stack([scaled, near**2, near**3, mean])
    return np.hstack([plain, scaled[:, None] * phases, near[:, None] ** 2 * phases])


def _phases(rows: int, context: ModelContext) -> FloatArray:
    if context.season not in _PHASED:
        return np.empty((rows, 0))
    return _dummies(rows, context.season)


def _calendar(points: int, context: ModelContext) -> FloatArray:
    rows = points + context.horizon
    columns = [_cycle(rows, context.season)]
    longer = context.long_season
    if longer and points >= _REPETITIONS * longer:
        columns.append(_cycle(rows, longer))
    times = np.concatenate([context.times[-points:], context.future_times])
    days = times.astype(np.int64) / _DAY_US
    if days[points - 1] - days[0] >= _YEAR_DAYS and rows > _HARMONICS * 4:
        columns.append(_waves(days / _YEAR_DAYS, _HARMONICS))
    return np.hstack(columns)


def _cycle(rows: int, season: int) -> FloatArray:
    if season == 1:
        return np.empty((rows, 0))
    if season <= _MOST_DUMMIES:
        return _dummies(rows, season)
    return _waves(np.arange(rows) / season, _LONG_HARMONICS)


def _dummies(rows: int, season: int) -> FloatArray:
    return np.asarray(np.arange(rows)[:, None] % season == np.arange(season), float)


def _waves(turns: FloatArray, harmonics: int) -> FloatArray:
    angles = 2 * np.pi * turns[:, None] * np.arange(1, harmonics + 1)
    return np.hstack([np.sin(angles), np.cos(angles)])
