"""Stretches in a mask, and how unusual their length is."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

# More runs than this, or than one in a thousand steps, are the habit of the series;
# then only the longest hundredth of them is unusual.
FEW_RUNS = 10
FEW_RATE = 0.001
FEW_SHARE = 0.01
# Equal values in a row: fewer are common in rounded series.
SHORTEST_FLATLINE = 6
# A flatline is this many times longer than all but the longest hundredth of runs.
FLATLINE_FACTOR = 2.0


@dataclass(frozen=True)
class Run:
    """Steps [start, stop) of the grid; `surprise` is -log10 of its rarity.

    `usual` is the length that a run of the series may have, in points.
    """

    start: int
    stop: int
    surprise: float
    usual: float = 0.0


def find_runs(mask: Mask) -> list[tuple[int, int]]:
    """Return the half-open stretches of True.

    Example:
        >>> find_runs(np.array([True, False, True, True]))
        [(0, 1), (2, 4)]
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def find_gaps(values: Floats) -> tuple[list[Run], int]:
    """Return the runs of missing points, and how many were left out as usual.

    Args:
        values: (n,) on a regular grid; NaN is missing.

    Returns:
        All runs when they are few; else the hundredth that is longest.

    Example:
        >>> runs, usual = find_gaps(np.array([1.0, np.nan, np.nan, 2.0]))
        >>> [(run.start, run.stop) for run in runs], usual
        ([(1, 3)], 0)
    """
    stretches = find_runs(np.isnan(values))
    lengths = np.array([stop - start for start, stop in stretches])
    kept, usual = stretches, 0.0
    if len(stretches) > max(FEW_RUNS, FEW_RATE * len(values)):
        usual = float(np.quantile(lengths, 1 - FEW_SHARE))
        kept = [(a, b) for a, b in stretches if b - a > usual]
    runs = [
        _run(a, b, lengths=lengths, count=len(values), usual=usual) for a, b in kept
    ]
    return runs, len(stretches) - len(kept)


def find_flatlines(values: Floats) -> list[Run]:
    """Return the runs of one repeated value that are unusually long for the series.

    Args:
        values: (n,) on a regular grid; NaN is missing and ends a run.

    Returns:
        The runs; none for a series that repeats itself most of the time.

    Example:
        >>> values = np.concatenate([np.arange(90.0), np.full(10, 7.0)])
        >>> [(run.start, run.stop) for run in find_flatlines(values)]
        [(90, 100)]
    """
    repeated = np.diff(values) == 0
    if not len(repeated) or repeated.mean() > 1 / 2:
        return []
    # A run of k equal steps is k + 1 equal values; the others are runs of one.
    stretches = [(a, b + 1) for a, b in find_runs(repeated)]
    if not stretches:
        return []
    lengths = np.array([b - a for a, b in stretches])
    singles = int(np.isfinite(values).sum()) - int(lengths.sum())
    everything = np.concatenate([lengths, np.ones(max(singles, 0))])
    usual = float(np.quantile(everything, 1 - FEW_SHARE))
    least = max(SHORTEST_FLATLINE, FLATLINE_FACTOR * usual)
    return [
        _run(a, b, lengths=lengths, count=len(values), usual=least)
        for a, b in stretches
        if b - a >= least
    ]


def _run(start: int, stop: int, *, lengths: Floats, count: int, usual: float) -> Run:
    # How rarely a run at least this long begins; a longer one is rarer still.
    rivals = int((lengths >= stop - start).sum())
    surprise = float(np.log10(count / rivals * (stop - start)))
    return Run(start, stop, surprise, usual)
