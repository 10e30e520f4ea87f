"""Features of (series, cutoff, step) pairs, for direct forecasts by trees.

Every value feature is a difference to the level at the cutoff in units of the series'
own seasonal-naive error, so one model serves series of any size, and a model that
cannot extrapolate (a tree) still follows a series that has moved to a new level.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from forecasting.arrays import FloatArray
from forecasting.calendar import CALENDAR, calendar_columns
from forecasting.layout import SEASONS_BACK, LagPlan, Layout
from forecasting.tracks import Tracks

# Where the latest errors of the seasonal naive are read, in steps before the cutoff.
_ERRORS = (0, 1, 3)


@dataclass(frozen=True)
class Pairs:
    """What to forecast: `steps` ahead of `cutoffs` of `series`, arrays of shape (r,).

    Attributes:
        series: index of the series in its panel.
        cutoffs: index of the latest known value of that series.
        steps: steps ahead, at least 1.
    """

    series: Any
    cutoffs: Any
    steps: Any


@dataclass(frozen=True)
class Rows:
    """Features and what turns a forecast in their unit into one of the series.

    Attributes:
        matrix: shape (r, columns), single precision; NaN where nothing is known.
        parts: what each column tells about, for explanations.
        anchor: shape (r,), added to a forecast.
        scale: shape (r,), multiplied before; zero for a history that never changed.
    """

    matrix: npt.NDArray[np.float32]
    parts: tuple[str, ...]
    anchor: FloatArray
    scale: FloatArray


def feature_rows(tracks: Tracks, *, pairs: Pairs, layout: Layout, codes: Any) -> Rows:
    """Build one row of features per pair; no row reads values beyond its cutoff.

    Args:
        tracks: the panel.
        pairs: what to forecast, shape (r,).
        layout: the columns.
        codes: code of each attribute of each series, shape (series, attributes), NaN
            where it is not known.

    Returns:
        The rows; the final columns are the attributes.
    """
    level = tracks.level(pairs.series, pairs.cutoffs)
    scale = tracks.scale(pairs.series, pairs.cutoffs)
    size = tracks.size(pairs.series, pairs.cutoffs)
    scale = np.where(np.isnan(scale), layout.prior * size, scale)
    unit = np.where(scale > 0, scale, 1.0)
    parts: list[str] = []
    columns: list[npt.NDArray[np.float32]] = []

    def add(part: str, column: FloatArray) -> None:
        parts.append(part)
        columns.append(column.astype(np.float32))

    for part, column in _value_columns(tracks, pairs, layout.plan):
        add(part, (column - level) / unit)
    for part, column in _change_columns(tracks, pairs, layout.plan):
        add(part, column / unit)
    add("step", pairs.steps)
    add("scale", scale / np.where(size > 0, size, 1.0))
    calendar = calendar_columns(tracks.time(pairs.series, pairs.cutoffs + pairs.steps))
    for index, name in enumerate(CALENDAR):
        add(name, calendar[:, index])
    for part, column in _covariate_columns(tracks, pairs, layout):
        add(part, column)
    for index, (name, _values) in enumerate(layout.attributes):
        add(name, codes[pairs.series, index])
    anchor = _anchor(tracks, pairs, layout.plan, level)
    return Rows(np.column_stack(columns), tuple(parts), anchor, scale)


def back(steps: Any, season: int) -> Any:
    """Offset from the cutoff of the target's latest known same-phase value.

    Args:
        steps: steps ahead, shape (r,), at least 1.
        season: steps, at least 1.

    Returns:
        Shape (r,), at most 0.

    Example:
        >>> back(np.array([1, 4, 5]), 4).tolist()
        [-3, 0, -3]
    """
    return -((-steps) % season)


def _value_columns(
    tracks: Tracks, pairs: Pairs, plan: LagPlan
) -> Iterator[tuple[str, FloatArray]]:
    series, cutoffs = pairs.series, pairs.cutoffs
    for lag in range(plan.recent):
        yield "recent values", tracks.value(series, cutoffs - lag)
    for width in plan.windows:
        yield "trend", tracks.mean(series, cutoffs, width)
        yield "range", tracks.low(series, cutoffs, width)
        yield "range", tracks.high(series, cutoffs, width)
    phase = cutoffs + back(pairs.steps, plan.season)
    for season in range(plan.seasons_back):
        yield "season", tracks.value(series, phase - season * plan.season)
    if plan.season > 1:
        yield "season", _phase_mean(tracks, series, phase, plan.season)
        for beside in (-1, 1):
            where = np.where(phase + beside > cutoffs, phase - plan.season, phase)
            yield "season", tracks.value(series, where + beside)
    if plan.long_season:
        phase = cutoffs + back(pairs.steps, plan.long_season)
        yield "long season", tracks.value(series, phase)
        yield "long season", tracks.value(series, phase - plan.long_season)


def _change_columns(
    tracks: Tracks, pairs: Pairs, plan: LagPlan
) -> Iterator[tuple[str, FloatArray]]:
    series, cutoffs, season = pairs.series, pairs.cutoffs, plan.season
    if season > 1:
        for lag in _ERRORS:
            now = tracks.value(series, cutoffs - lag)
            yield "recent values", now - tracks.value(series, cutoffs - lag - season)
        before = tracks.mean(series, cutoffs - season, season)
        yield "trend", tracks.mean(series, cutoffs, season) - before
    if plan.long_season:
        phase = cutoffs + back(pairs.steps, plan.long_season)
        now = tracks.value(series, phase)
        yield "long season", now - tracks.value(series, phase - season)
        yield "long season", now - tracks.mean(series, phase, season)


def _anchor(
    tracks: Tracks, pairs: Pairs, plan: LagPlan, level: FloatArray
) -> FloatArray:
    # The average of three plain forecasts: each alone was best on some collection (the
    # level on single loads, the seasonal naive on M4 hours, its mean over seasons on
    # quarters) and clearly worse on another.
    phase = pairs.cutoffs + back(pairs.steps, plan.season)
    latest = tracks.value(pairs.series, phase)
    mean = (level + latest) / 2
    if plan.steady:
        usual = _phase_mean(tracks, pairs.series, phase, plan.season)
        mean = (level + latest + usual) / 3
    return np.where(np.isnan(latest), level, mean)


def _phase_mean(tracks: Tracks, series: Any, phase: Any, season: int) -> FloatArray:
    # Of the seasons there are: a short series has at least the latest.
    found = [tracks.value(series, phase - i * season) for i in range(SEASONS_BACK)]
    known = np.sum([~np.isnan(each) for each in found], axis=0)
    total = np.sum([np.nan_to_num(each) for each in found], axis=0)
    return np.where(known > 0, total / np.maximum(known, 1), np.nan)


def _covariate_columns(
    tracks: Tracks, pairs: Pairs, layout: Layout
) -> Iterator[tuple[str, FloatArray]]:
    series, cutoffs, plan = pairs.series, pairs.cutoffs, layout.plan
    target = cutoffs + pairs.steps
    for column, name in enumerate(layout.columns):
        usual = tracks.covariate_mean(series, cutoffs, max(plan.season, 2), column)
        latest = tracks.covariate(series, cutoffs, column)
        if name in layout.past:
            yield name, latest
            yield name, latest - usual
            continue
        now = tracks.covariate(series, target, column)
        yield name, now
        yield name, now - usual
        yield name, tracks.covariate_mean(series, target, max(plan.season, 2), column)
        for season in {plan.season: 0, plan.long_season or plan.season: 0}:
            phase = cutoffs + back(pairs.steps, season)
            yield name, now - tracks.covariate(series, phase, column)
