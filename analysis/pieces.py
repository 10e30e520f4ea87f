"""An exact search for the best split of a series into constant or straight pieces."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Places = NDArray[np.int64]

SHORTEST_PIECE = 5


@dataclass(frozen=True)
class Sums:
    """Running sums from which the misfit of any piece follows at once.

    Attributes:
        values: (n + 1, m) of the values, a column each series.
        squares: (n + 1, m) of their squares.
        moments: (n + 1, m) of values times their place.
        straight: fit a line to a piece, else a constant.
    """

    values: Floats
    squares: Floats
    moments: Floats
    straight: bool

    def misfit(self, starts: Places | int, stops: Places | int) -> Floats:
        """Return the sums of squared residuals of the pieces, (k, m) or (m,)."""
        starts, stops = np.asarray(starts)[..., None], np.asarray(stops)[..., None]
        count = stops - starts
        total = _over(self.values, starts, stops)
        found = _over(self.squares, starts, stops) - total**2 / count
        if self.straight:
            middle = (starts + stops - 1) / 2
            lean = _over(self.moments, starts, stops) - middle * total
            # The sum of squared places of a piece around their middle.
            width = count * (count**2 - 1.0) / 12
            found = found - lean**2 / np.maximum(width, 0.5)
        return np.asarray(np.maximum(found, 0.0))


def _over(sums: Floats, starts: Places, stops: Places) -> Floats:
    return np.asarray(sums[stops[..., 0]] - sums[starts[..., 0]])


def running_sums(values: Floats, *, straight: bool) -> Sums:
    """Return the sums of values, (n,) or (n, m) without NaN; they should be centred."""
    table = values.reshape(len(values), -1)
    places = np.arange(len(values))[:, None]
    zero = np.zeros((1, table.shape[1]))
    return Sums(
        values=np.concatenate([zero, np.cumsum(table, axis=0)]),
        squares=np.concatenate([zero, np.cumsum(table**2, axis=0)]),
        moments=np.concatenate([zero, np.cumsum(table * places, axis=0)]),
        straight=straight,
    )


def best_splits(samples: Floats, *, straight: bool) -> tuple[Places, Floats]:
    """Return where each series is best split in two, and what the split gains.

    Args:
        samples: (n, m) a column each series, no NaN; n is at least ten.
        straight: Pieces are lines, else constants.

    Returns:
        (m,) places, and (m,) by how much the sums of squares shrink.

    Example:
        >>> places, gains = best_splits(np.repeat([[0.0], [4.0]], 5, 0), straight=False)
        >>> places.tolist(), gains.tolist()
        ([5], [40.0])
    """
    count = len(samples)
    sums = running_sums(samples - np.mean(samples, axis=0), straight=straight)
    joints = np.arange(SHORTEST_PIECE, count - SHORTEST_PIECE + 1)
    apart = sums.misfit(0, joints) + sums.misfit(joints, count)
    best = np.argmin(apart, axis=0)
    gains = sums.misfit(0, count) - apart[best, np.arange(apart.shape[1])]
    return joints[best], np.asarray(gains)


def _misfits(sums: Sums) -> Callable[[Places, int], Floats]:
    """Return what the misfit of pieces with a common stop is, all series together."""
    if sums.values.shape[1] > 1:
        return lambda starts, stop: sums.misfit(starts, stop).sum(axis=1)
    # Nearly all calls are for one series, and there the columns cost most of the time.
    values, squares, moments = (
        np.ascontiguousarray(one[:, 0])
        for one in (sums.values, sums.squares, sums.moments)
    )

    def of_one(starts: Places, stop: int) -> Floats:
        count = stop - starts
        total = values[stop] - values[starts]
        found = squares[stop] - squares[starts] - total**2 / count
        if sums.straight:
            lean = moments[stop] - moments[starts] - (starts + stop - 1) / 2 * total
            found -= lean**2 / (count * (count**2 - 1.0) / 12)
        return np.asarray(np.maximum(found, 0.0))

    return of_one


def find_breaks(
    values: Floats, *, penalty: float, straight: bool = False
) -> tuple[float, list[int]]:
    """Return the least cost of a split, and where all pieces but the first begin.

    Args:
        values: (n,), or (n, m) for several series with common places; any unit, no
            NaN.
        penalty: Cost of one more piece, in squared units.
        straight: Pieces are lines, else constants.

    Returns:
        The misfit plus the penalty for each break; places in rising order. Every
        piece has at least five points.

    References:
        Killick, Fearnhead and Eckley (2012), doi:10.1080/01621459.2012.737745.

    Example:
        >>> find_breaks(np.repeat([0.0, 5.0], 10), penalty=3.0)
        (3.0, [10])
    """
    count, least = len(values), SHORTEST_PIECE
    misfits = _misfits(
        running_sums(values - np.mean(values, axis=0), straight=straight)
    )
    best = np.full(count + 1, np.inf)
    best[0] = -penalty
    previous = np.zeros(count + 1, dtype=np.int64)
    # Rows: where the last piece may begin, and up to which stop.
    still, size = np.zeros((2, count + 1), dtype=np.int64), 0
    for stop in range(least, count + 1):
        kept = still[1, :size] > stop
        if not kept.all():
            remaining = still[:, :size][:, kept]
            size = remaining.shape[1]
            still[:, :size] = remaining
        still[:, size] = stop - least, count + 1
        size += 1
        starts, ends = still[:, :size]
        candidates = best[starts] + misfits(starts, stop) + penalty
        choice = candidates.argmin()
        best[stop], previous[stop] = candidates[choice], starts[choice]
        # A start that loses to a break here is done for, but only from where a
        # piece that begins here is long enough.
        beaten = candidates - penalty > best[stop]
        ends[beaten] = np.minimum(ends[beaten], stop + least)
    found, stop = [], int(previous[count])
    while stop > 0:
        found.append(stop)
        stop = int(previous[stop])
    return float(best[count]), found[::-1]


def fitted(values: Floats, edges: list[int], *, straight: bool) -> Floats:
    """Return the line or the mean of each piece between the edges, (n,) or (n, m)."""
    found = np.empty(values.shape)
    for start, stop in pairwise(edges):
        piece = values[start:stop]
        found[start:stop] = np.mean(piece, axis=0)
        if straight and stop - start > 1:
            places = np.arange(stop - start) - (stop - start - 1) / 2
            slopes = places @ (piece - found[start]) / float(places @ places)
            found[start:stop] += np.multiply.outer(places, slopes)
    return found


def persistence(residuals: Floats) -> float:
    """Return the correlation of residuals with the one before, in [0, 0.99]."""
    total = float(np.sum(residuals**2))
    if total <= 0:
        return 0.0
    echo = float(np.sum(residuals[1:] * residuals[:-1])) / total
    return float(np.clip(echo, 0.0, 0.99))
