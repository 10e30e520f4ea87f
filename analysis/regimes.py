"""Regimes: the stretches between lasting changes, and what each of them is like."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.records import ChangePoint
from analysis.robust import spread

Floats = NDArray[np.float64]
Times = NDArray[np.datetime64]

# Fewer points have no slope and no spread; fewer cycles no season.
_FEWEST, _FEWEST_CYCLES = 3, 2


@dataclass(frozen=True)
class Regime:
    """A stretch [start, end) in which nothing lasting changed.

    Attributes:
        start: UTC, the first step.
        end: UTC, the step of the change that ended it; None for the last one.
        count: Points that are present.
        level: Mean, in the unit of the values.
        slope: Of a straight line, unit a step; NaN below three points.
        spread: Typical size of what neither line nor season explain, as a normal
            standard deviation, in the unit of the values; NaN likewise.
        season_strength: Share, in [0, 1], of the variance around the line that the
            season explains; NaN with less than two cycles.
        confidence: That of the change that began it; 1 for the first.
    """

    start: np.datetime64
    end: np.datetime64 | None
    count: int
    level: float
    slope: float
    spread: float
    season_strength: float
    confidence: float


def find_regimes(
    values: Floats, *, times: Times, changes: Sequence[ChangePoint], season: int = 1
) -> list[Regime]:
    """Describe a series between its change points.

    Args:
        values: (n,) any unit, with their season; NaN is missing.
        times: (n,) UTC of the grid.
        changes: In order of time.
        season: Main cycle in steps, 1 for none.

    Returns:
        One regime more than there are changes.

    References:
        Hyndman and Athanasopoulos (2021), Forecasting: Principles and Practice,
        3rd ed., section 4.3 (strength of a season).

    Example:
        >>> days = np.datetime64("2024-01-01") + np.arange(6)
        >>> values = np.array([1.0, 2.0, 3.0, 9.0, 9.0, 9.0])
        >>> change = ChangePoint(days[3], 1.0, 4.0, 9.0, "")
        >>> found = find_regimes(values, times=days, changes=[change])
        >>> [(one.level, round(one.slope, 6)) for one in found]
        [(2.0, 1.0), (9.0, 0.0)]
    """
    places = np.searchsorted(times, [change.time for change in changes]).tolist()
    edges = [0, *places, len(values)]
    confidences = [1.0, *(change.confidence for change in changes)]
    return [
        _regime(
            values[start:stop],
            span=(times[start], times[stop] if stop < len(times) else None),
            season=season,
            confidence=confidence,
        )
        for start, stop, confidence in zip(edges, edges[1:], confidences, strict=False)
        if stop > start
    ]


def _regime(
    values: Floats,
    *,
    span: tuple[np.datetime64, np.datetime64 | None],
    season: int,
    confidence: float,
) -> Regime:
    places = np.flatnonzero(np.isfinite(values))
    level = float(np.mean(values[places])) if len(places) else np.nan
    slope = wide = strength = np.nan
    if len(places) >= _FEWEST:
        rest, slope = _without_line(values[places], places)
        if season > 1 and len(places) >= _FEWEST_CYCLES * season:
            rest, strength = _without_season(rest, places % season, season=season)
        wide = spread(rest)
    return Regime(*span, len(places), level, slope, wide, strength, confidence)


def _without_line(values: Floats, places: NDArray[np.intp]) -> tuple[Floats, float]:
    away = places - places.mean()
    slope = float(away @ (values - values.mean()) / (away @ away))
    return values - values.mean() - slope * away, slope


def _without_season(
    rest: Floats, phases: NDArray[np.intp], *, season: int
) -> tuple[Floats, float]:
    counts = np.maximum(np.bincount(phases, minlength=season), 1)
    means = np.bincount(phases, rest, minlength=season) / counts
    left = rest - means[phases]
    # Every phase takes a number of its own out of the noise.
    taken = int(np.count_nonzero(np.bincount(phases)))
    freedom = max(len(rest) - taken, 1) / len(rest)
    total = float(np.var(rest))
    if total <= 0:
        return left, 0.0
    return left, float(np.clip(1 - np.var(left) / freedom / total, 0.0, 1.0))
