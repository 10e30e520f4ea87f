"""The scores of the Numenta Anomaly Benchmark, by its published rules."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Share of a file in which nothing is scored, and the rows it is counted from at most.
_PROBATION, _PROBATION_ROWS = 0.15, 5000
# Widths of a window after which a false positive counts in full.
_FAR = 3.0


@dataclass(frozen=True)
class Profile:
    """What a detected window, a missed window and a false positive weigh."""

    name: str
    hit: float
    miss: float
    false: float


PROFILES = (
    Profile("standard", 1.0, 1.0, 0.11),
    Profile("low FP", 1.0, 1.0, 0.22),
    Profile("low FN", 1.0, 2.0, 0.11),
)


@dataclass(frozen=True)
class Judged:
    """The scores of a file and its windows as half-open ranges."""

    scores: Floats
    windows: Sequence[tuple[int, int]]


def probation(count: int) -> int:
    """Return how many rows of a file come before scoring starts.

    Example:
        >>> probation(1000), probation(20_000)
        (150, 750)
    """
    return int(min(math.floor(_PROBATION * count), _PROBATION * _PROBATION_ROWS))


def worth(count: int, windows: Sequence[tuple[int, int]], profile: Profile) -> Floats:
    """Return what an alarm at each row is worth: early in a window most, shape (n,)."""
    points = np.full(count, -profile.false)
    for start, stop in windows:
        width = stop - start
        if width > 1:
            past = np.arange(stop, count) - (stop - 1)
            points[stop:] = profile.false * _curve(past / (width - 1))
        position = -(stop - np.arange(start, stop)) / width
        points[start:stop] = profile.hit * _curve(position) / _curve(np.array([-1.0]))
    return points


def _curve(position: Floats) -> Floats:
    value = 2 / (1 + np.exp(5 * np.minimum(position, _FAR))) - 1
    return np.where(position >= _FAR, -1.0, value)


def sweep(files: Sequence[Judged], profile: Profile) -> tuple[Floats, Floats]:
    """Return thresholds, falling, and the raw score of all files at each of them.

    Args:
        files: Scores and windows.
        profile: The weights.

    Returns:
        Two arrays of one shape; the first threshold flags nothing.
    """
    scores, changes = [np.array([np.inf])], [np.array([_missed(files, profile)])]
    for file in files:
        found = _gains(file, profile)
        scores.append(found[0])
        changes.append(found[1])
    level, change = np.concatenate(scores), np.concatenate(changes)
    order = np.argsort(-level, kind="stable")
    level, total = level[order], np.cumsum(change[order])
    last = np.append(level[1:] != level[:-1], True)
    return level[last], total[last]


def _missed(files: Sequence[Judged], profile: Profile) -> float:
    return -profile.miss * sum(len(_scored(file)) for file in files)


def _scored(file: Judged) -> list[tuple[int, int]]:
    start = probation(len(file.scores))
    return [(max(a, start), b) for a, b in file.windows if b > start]


def _gains(file: Judged, profile: Profile) -> tuple[Floats, Floats]:
    """Return for each row its score and by how much an alarm there moves the total."""
    points = worth(len(file.scores), file.windows, profile)
    gains = points.copy()
    for start, stop in _scored(file):
        piece = slice(start, stop)
        order = np.argsort(-file.scores[piece], kind="stable")
        best = np.maximum.accumulate(points[piece][order])
        before = np.concatenate([[-profile.miss], np.maximum(best[:-1], -profile.miss)])
        moved = np.empty(stop - start)
        moved[order] = np.maximum(best, -profile.miss) - before
        gains[piece] = moved
    begin = probation(len(file.scores))
    return file.scores[begin:], gains[begin:]


def normalised(raw: float, files: Sequence[Judged], profile: Profile) -> float:
    """Return a raw score between 0 (no alarm at all) and 100 (perfect)."""
    count = sum(len(_scored(file)) for file in files)
    null, perfect = -profile.miss * count, profile.hit * count
    return 100 * (raw - null) / (perfect - null)


def best(files: Sequence[Judged], profile: Profile) -> tuple[float, float]:
    """Return the best threshold, and the score it reaches: an oracle's threshold."""
    levels, totals = sweep(files, profile)
    place = int(np.argmax(totals))
    return float(levels[place]), normalised(float(totals[place]), files, profile)


def at(files: Sequence[Judged], profile: Profile, *, threshold: float) -> float:
    """Return the score at a threshold that was chosen elsewhere."""
    levels, totals = sweep(files, profile)
    place = int(np.searchsorted(-levels, -threshold, side="right")) - 1
    return normalised(float(totals[max(place, 0)]), files, profile)
