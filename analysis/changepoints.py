"""Lasting changes of level: an exact search for the best split into constant pieces."""

import math

import numpy as np
from numpy.typing import NDArray

from analysis.records import ChangePoint
from analysis.robust import rounding_floor
from analysis.wording import show_number, show_time

Floats = NDArray[np.float64]
Times = NDArray[np.datetime64]

# Cost of one more change in units of the long-run variance times log n: one for
# the level, one for the place, one against the many places tried.
_PENALTY = 3.0
_SHORTEST_PIECE = 5
# Blocks above which the search would be slow, and below which it would be coarse.
_MOST_BLOCKS = 2000
_ENOUGH_BLOCKS = 30
_HIGHEST_PERSISTENCE = 0.99


def find_change_points(
    values: Floats, *, times: Times, season: int
) -> list[ChangePoint]:
    """Return the places where the level of a series changed and stayed changed.

    The mean of a season (or of a longer block, for long series) is searched by PELT;
    each break is then placed to the step. A trend through the whole series is taken
    out first where that explains more; one that bends is cut into steps. Persistence
    of the noise is paid for: a wandering series has a large long-run variance, so its
    wandering is no change.

    Args:
        values: (n,) without their seasonal part, any unit; NaN is missing.
        times: (n,) UTC of the grid.
        season: Main cycle in steps, 1 for none.

    Returns:
        The changes in order of time; `before` and `after` in the unit of `values`.

    References:
        Killick, Fearnhead and Eckley (2012), doi:10.1080/01621459.2012.737745.
    """
    places = np.flatnonzero(np.isfinite(values))
    present = values[places]
    size = _block_size(len(present), season=season)
    count = len(present) // size
    if count < 2 * _SHORTEST_PIECE:
        return []
    blocks = np.median(present[: count * size].reshape(count, size), axis=1)
    # Sums of squares are exact to about this share of themselves.
    floor = max(rounding_floor(values) ** 2, 1e-9 * float(np.var(blocks)))
    variance = _long_run_variance(blocks, floor=floor)
    penalty = _PENALTY * math.log(count) * variance
    slope = _slope(blocks)
    cost, breaks = _pelt(blocks, penalty=penalty)
    cost_sloped, sloped = _pelt(blocks - slope * np.arange(count), penalty=penalty)
    # A trend has to earn its place as a break does.
    if cost_sloped + penalty < cost:
        breaks, slope = sloped, slope / size
        present = present - slope * np.arange(len(present))
    else:
        slope = 0.0
    edges = [0, *(place * size for place in breaks), len(present)]
    edges = _place(present, edges, reach=size)
    return [
        _change_point(
            present,
            time=times[places[middle]],
            edges=(low, middle, high),
            rise=slope * middle,
            noise=(variance * size, count),
        )
        for low, middle, high in zip(edges, edges[1:], edges[2:], strict=False)
    ]


def _block_size(count: int, *, season: int) -> int:
    enough = season > 1 and count // season >= _ENOUGH_BLOCKS
    smallest = season if enough else 1
    return smallest * max(1, math.ceil(count / smallest / _MOST_BLOCKS))


def _slope(blocks: Floats) -> float:
    """Rise per block of a trend that goes through the whole series.

    A change of level is in a quarter of the differences, so their median forgets it.
    """
    lag = max(1, len(blocks) // 4)
    return float(np.median(blocks[lag:] - blocks[:-lag])) / lag


def _long_run_variance(blocks: Floats, *, floor: float) -> float:
    """Variance of a sum of blocks, per block, if they follow an AR(1).

    Differences see a change of level only once, and there it is pulled in.
    """
    steps = np.diff(blocks)
    limit = 3 * float(np.median(np.abs(steps))) / 0.6745
    calm = np.clip(steps, -limit, limit)
    variance = float(np.mean(calm**2))
    if variance <= floor:
        return floor
    echo = float(np.mean(calm[1:] * calm[:-1])) / variance
    persistence = float(np.clip(1 + 2 * echo, 0.0, _HIGHEST_PERSISTENCE))
    own = variance / (2 * (1 - persistence))
    return max(floor, own * (1 + persistence) / (1 - persistence))


def _pelt(blocks: Floats, *, penalty: float) -> tuple[float, list[int]]:
    """Return the least cost, and where all pieces but the first then begin."""
    count, least = len(blocks), _SHORTEST_PIECE
    centred = blocks - np.mean(blocks)
    sums = np.concatenate([[0.0], np.cumsum(centred)])
    squares = np.concatenate([[0.0], np.cumsum(centred**2)])
    best = np.full(count + 1, np.inf)
    best[0] = -penalty
    previous = np.zeros(count + 1, dtype=np.int64)
    starts, ends = np.zeros((2, 0), dtype=np.int64)
    for stop in range(least, count + 1):
        starts = np.append(starts[ends > stop], stop - least)
        ends = np.append(ends[ends > stop], count + 1)
        total = sums[stop] - sums[starts]
        cost = squares[stop] - squares[starts] - total**2 / (stop - starts)
        candidates = best[starts] + cost + penalty
        choice = int(np.argmin(candidates))
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


def _place(values: Floats, edges: list[int], *, reach: int) -> list[int]:
    """Move each edge, within a block either way, to where the pieces fit best."""
    placed = list(edges)
    for position in range(1, len(edges) - 1):
        low, high = placed[position - 1], edges[position + 1]
        piece = np.cumsum(values[low:high] - np.mean(values[low:high]))
        middles = np.arange(edges[position] - reach, edges[position] + reach + 1) - low
        middles = middles[(middles > 0) & (middles < high - low)]
        gain = piece[middles - 1] ** 2 / (middles * (high - low - middles))
        placed[position] = low + int(middles[np.argmax(gain)])
    return placed


def _change_point(
    values: Floats,
    *,
    time: np.datetime64,
    edges: tuple[int, int, int],
    rise: float,
    noise: tuple[float, int],
) -> ChangePoint:
    low, middle, high = edges
    variance, chances = noise
    before = float(np.mean(values[low:middle])) + rise
    after = float(np.mean(values[middle:high])) + rise
    error = math.sqrt(variance * (1 / (middle - low) + 1 / (high - middle)))
    distance = abs(after - before) / error if error > 0 else math.inf
    # Each block could have been the place, so chance had that many tries.
    by_chance = chances * math.erfc(distance / math.sqrt(2))
    range_ = float(np.ptp(values))
    return ChangePoint(
        time=time,
        confidence=float(np.clip(1 - by_chance, 0.0, 1.0)),
        before=before,
        after=after,
        explanation=(
            f"The level {'rose' if after > before else 'fell'} from "
            f"{show_number(before, spread=range_)} to "
            f"{show_number(after, spread=range_)} at {show_time(time)}"
        ),
    )
