"""How far each of several series is from its usual level, quickly and lastingly.

A quick reading is the value itself, a slow one its exponential average: it sees small
departures that last. Each is counted in thresholds, which come from the joint largest
reading of usual rows, so that several series spend one budget of false alarms.
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd  # type: ignore[import-untyped]  # ships no type information
from numpy.typing import NDArray

from analysis import scores
from analysis.pieces import persistence
from analysis.robust import rounding_floor, spread

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

# Steps over which the slow reading averages.
_SLOW = 30
_FEWEST = 12


@dataclass(frozen=True)
class Readings:
    """What is known of each point.

    Attributes:
        sizes: (n, m) the larger of both readings over its threshold, 0 or more; NaN
            is missing.
        surprise: (n,) -log10 of the probability of the strangest reading of a row.
    """

    sizes: Floats
    surprise: Floats


def read_together(
    departures: Floats, *, usual: Mask, budget: float, margin: float | None
) -> Readings:
    """Compare several series with what is usual for them.

    Args:
        departures: (n, m) values without season, any units; NaN is missing.
        usual: (n,) True at the rows to learn from. If not all of them are, they are
            taken to be clean; else medians keep the strange ones out.
        budget: Share of usual rows that is beyond a threshold.
        margin: Threshold in multiples of the largest reading of usual rows, instead
            of one that follows from the budget.

    References:
        Roberts (1959), doi:10.1080/00401706.1959.10489860 (exponential averages).
    """
    sizes = np.full(departures.shape, np.nan)
    surprise = np.zeros(len(departures))
    clean = not bool(usual.all())
    for span in (1, _SLOW):
        distances = _distances(departures, span=span, usual=usual, clean=clean)
        largest = np.nanmax(np.nan_to_num(distances), axis=1)
        known = largest[usual & np.isfinite(departures).any(axis=1)]
        if len(known) < _FEWEST:
            return Readings(sizes, surprise)
        tail = scores.fit_tail(known)
        # Two readings share one budget.
        threshold = scores.threshold(budget / 2, tail=tail)
        if margin is not None:
            threshold = margin * float(known.max())
        threshold = max(threshold, 1e-12)
        sizes = np.fmax(sizes, distances / threshold)
        found = scores.surprise(largest, tail=tail) - math.log10(2)
        surprise = np.maximum(surprise, found)
    return Readings(sizes, surprise)


def _distances(departures: Floats, *, span: int, usual: Mask, clean: bool) -> Floats:
    """Return the distance of each average from its centre, in its usual spread."""
    found = np.full(departures.shape, np.nan)
    for column in range(departures.shape[1]):
        series = departures[:, column]
        present = usual & np.isfinite(series)
        if present.sum() < _FEWEST:
            continue
        average = pd.Series(series).ewm(span=span).mean().to_numpy(dtype=np.float64)
        known = average[present]
        centre = float(np.mean(known) if clean else np.median(known))
        scale = float(np.std(known)) if clean else spread(known - centre)
        if span > 1:
            # What wanders by itself has a level that means less.
            rest = series[present] - np.mean(series[present])
            echo = persistence(rest)
            scale *= math.sqrt((1 + echo) / (1 - echo))
        scale = max(scale, rounding_floor(series))
        size = np.abs(average - centre) / scale
        found[:, column] = np.where(np.isfinite(series), size, np.nan)
    return found
