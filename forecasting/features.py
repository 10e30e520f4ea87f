"""Lag, rolling and calendar features of (cutoff, step) pairs, for direct forecasts.

Every value feature is a difference to the level at the cutoff, so a model that cannot
extrapolate (a tree) still follows a series that has moved to a new level.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from forecasting.arrays import FloatArray, TimeArray

# Latest values at the cutoff, in steps before it.
_RECENT = (0, 1, 2, 3)
# Where the latest errors of the seasonal naive are read, in steps before the cutoff.
_ERRORS = (0, 1, 3)
# Same-phase seasons before the target that are known at the cutoff.
_SEASONS_BACK = 3
_HOUR = np.timedelta64(1, "h")
# The epoch, 1970-01-01, was a Thursday; Monday is day 0.
_EPOCH_WEEKDAY = 3


@dataclass(frozen=True)
class LagPlan:
    """Which values of the past a row of features looks at.

    Attributes:
        season: steps, at least 1.
        long_season: a second season in steps, or None.
    """

    season: int
    long_season: int | None

    @property
    def reach(self) -> int:
        """Known steps that a row needs up to and including its cutoff."""
        by_season = (_SEASONS_BACK + 1) * self.season + max(_RECENT)
        return max(by_season, (self.long_season or 0) + self.season) + 1


def anchor(values: FloatArray, *, cutoffs: Any, steps: Any, season: int) -> FloatArray:
    """Take the latest same-phase value known at each cutoff: the seasonal naive.

    Args:
        values: the series, shape (n,), no NaN.
        cutoffs: index of the latest known value of each row, shape (r,).
        steps: steps ahead of each row, shape (r,), at least 1.
        season: steps, at least 1.

    Returns:
        Shape (r,), unit of the values.

    Example:
        >>> anchor(np.arange(9.0), cutoffs=np.array([7]), steps=np.array([1]), season=4)
        array([4.])
    """
    return np.asarray(values[cutoffs + _back(steps, season)], dtype=np.float64)


def _back(steps: Any, season: int) -> Any:
    # The offset of the target's latest known same-phase value, at most 0.
    return steps - season * np.ceil(steps / season).astype(np.int64)


def feature_rows(
    values: FloatArray,
    *,
    target_times: TimeArray,
    cutoffs: Any,
    steps: Any,
    plan: LagPlan,
) -> FloatArray:
    """Build one row of features per (cutoff, step) pair.

    Args:
        values: the series, shape (n,), no NaN; rows read only up to their cutoff.
        target_times: UTC time of each row's target, shape (r,), datetime64[us].
        cutoffs: index of the latest known value, shape (r,), at least `plan.reach` - 1.
        steps: steps ahead, shape (r,), at least 1.
        plan: the lags.

    Returns:
        Shape (r, columns); value columns in the unit of the series, relative to the
        mean of the last season (the last value when the season is 1).
    """
    sums = np.concatenate(([0.0], np.cumsum(values)))
    level = _rolling_mean(sums, cutoffs, plan.season)
    same_phase = cutoffs + _back(steps, plan.season)
    columns = [steps.astype(np.float64), *_calendar(target_times)]
    columns += [values[cutoffs - lag] - level for lag in _RECENT]
    columns += [
        values[cutoffs - lag] - values[cutoffs - lag - plan.season] for lag in _ERRORS
    ]
    columns += [
        values[same_phase - back * plan.season] - level for back in range(_SEASONS_BACK)
    ]
    columns.append(level - _rolling_mean(sums, cutoffs, _SEASONS_BACK * plan.season))
    if plan.long_season:
        phase = cutoffs + _back(steps, plan.long_season)
        columns += [
            values[phase] - level,
            values[phase] - values[phase - plan.season],
            values[phase] - _rolling_mean(sums, phase, plan.season),
            level - _rolling_mean(sums, cutoffs, plan.long_season),
        ]
    return np.column_stack(columns)


def _rolling_mean(sums: FloatArray, ends: Any, width: int) -> FloatArray:
    # `sums` starts with a zero, so the mean up to and including `ends` is a difference.
    return np.asarray((sums[ends + 1] - sums[ends + 1 - width]) / width)


def _calendar(times: TimeArray) -> list[FloatArray]:
    days = times.astype("datetime64[D]")
    weekday = (days.astype(np.int64) + _EPOCH_WEEKDAY) % 7
    month = times.astype("datetime64[M]").astype(np.int64) % 12
    hour = (times - days) / _HOUR
    return [np.asarray(part, dtype=np.float64) for part in (hour, weekday, month)]
