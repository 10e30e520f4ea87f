"""Lasting changes of level or of slope, at the scale of the whole series."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.pieces import (
    SHORTEST_PIECE,
    best_splits,
    find_breaks,
    fitted,
    persistence,
)
from analysis.records import ChangePoint
from analysis.robust import rounding_floor
from analysis.steps import is_step
from analysis.wording import show_number, show_time

Floats = NDArray[np.float64]
Times = NDArray[np.datetime64]

# Cost of one more piece in units of the variance of the series times log n, and how
# much of it persistent noise adds. Both, and the weight below, are from the middle of
# a plateau on the bundled half of the Turing change point data.
_PENALTY = 5.0
_PERSISTENT = 0.3
# Weight of a parameter beside log n when constants and lines are compared.
_WEIGHT = 4.0
# Blocks above which the search would be slow, and below which it would be coarse.
_MOST_BLOCKS = 2000
_ENOUGH_BLOCKS = 30
# Copies of the pieces beside a change from which its confidence is told, the blocks
# on each side that are copied at most, and how far the copy's change may be off, in
# blocks and as a share of the shorter piece.
_COPIES = 200
_BESIDE = 200
_OFF, _OFF_SHARE = 5, 0.1
# Share of a variance that is rounding.
_NOISELESS = 1e-9


@dataclass(frozen=True)
class _Search:
    """Blocks with mean 0 and variance 1, and the pieces they fall into."""

    blocks: Floats
    breaks: list[int]
    straight: bool
    penalty: float

    @property
    def edges(self) -> list[int]:
        return [0, *self.breaks, len(self.blocks)]


def find_change_points(
    values: Floats, *, times: Times, season: int, seed: int = 0
) -> list[ChangePoint]:
    """Return the places where a series began to run on another level or slope.

    Optimal partitioning into constants, and into lines; the simpler wins unless the
    other explains more (a BIC with a heavier penalty). The scale is that of the whole
    series: a change that a chart of it would not show is none. Persistence of the
    noise is paid for.

    The confidence is the share of block-bootstrap copies of the two pieces beside a
    change whose best split is near it and worth the penalty.

    Args:
        values: (n,) without their seasonal part, any unit; NaN is missing.
        times: (n,) UTC of the grid.
        season: Main cycle in steps, 1 for none.
        seed: Of the copies.

    Returns:
        The changes in order of time; `before` and `after` in the unit of `values`.

    References:
        Killick, Fearnhead and Eckley (2012), doi:10.1080/01621459.2012.737745;
        Kuensch (1989), doi:10.1214/aos/1176347265 (the block bootstrap).

    Example:
        >>> days = np.datetime64("2024-01-01") + np.arange(100)
        >>> noise = np.random.default_rng(0).normal(size=100)
        >>> noise[60:] += 5
        >>> found = find_change_points(noise, times=days, season=1)
        >>> [(str(one.time), one.kind, one.confidence) for one in found]
        [('2024-03-01', 'level_shift', 1.0)]
    """
    places = np.flatnonzero(np.isfinite(values))
    present = values[places]
    size = _block_size(len(present), season=season)
    count = len(present) // size
    if count < 2 * SHORTEST_PIECE:
        return []
    blocks = np.median(present[: count * size].reshape(count, size), axis=1)
    scale = float(np.std(blocks))
    if scale <= rounding_floor(values):
        return []
    search = search_breaks((blocks - np.mean(blocks)) / scale)
    confidences = _confidences(search, seed=seed)
    edges = [0, *(place * size for place in search.breaks), len(present)]
    edges = _place(present, edges, reach=size, straight=search.straight)
    fit = fitted(present, edges, straight=search.straight)
    return [
        _change_point(
            present,
            fit,
            edges=(edges[number], edges[number + 1], edges[number + 2]),
            time=times[places[edges[number + 1]]],
            confidence=confidence,
        )
        for number, confidence in enumerate(confidences)
    ]


def find_common_breaks(values: Floats) -> list[int]:
    """Return the rows where several series began to run on other levels or slopes.

    Args:
        values: (n, m) without season, any units; rows with NaN are left out.

    Returns:
        The first row of each new stretch, in rising order.

    Example:
        >>> values = np.random.default_rng(0).normal(size=(90, 2))
        >>> values[50:] += [3.0, -4.0]
        >>> find_common_breaks(values)
        [50]
    """
    places = np.flatnonzero(np.isfinite(values).all(axis=1))
    table = values[places]
    size = _block_size(len(table), season=1)
    count = len(table) // size
    if count < 2 * SHORTEST_PIECE:
        return []
    blocks = np.median(table[: count * size].reshape(count, size, -1), axis=1)
    scales = np.std(blocks, axis=0)
    moving = scales > [rounding_floor(column) for column in table.T]
    if not moving.any():
        return []
    blocks = (blocks - np.mean(blocks, axis=0))[:, moving] / scales[moving]
    return [int(places[place * size]) for place in search_breaks(blocks).breaks]


def _block_size(count: int, *, season: int) -> int:
    if count <= _MOST_BLOCKS:
        return 1
    enough = season > 1 and count // season >= _ENOUGH_BLOCKS
    smallest = season if enough else 1
    return smallest * max(1, math.ceil(count / smallest / _MOST_BLOCKS))


def search_breaks(blocks: Floats) -> _Search:
    """Return the best pieces, constants or lines.

    Args:
        blocks: (n,), or (n, m) for several series with common places; each with
            mean 0 and standard deviation 1, no NaN.
    """
    table = blocks.reshape(len(blocks), -1)
    count, width = table.shape
    ranked = []
    for straight in (False, True):
        # A piece has a place, which the series share, and numbers for each of them.
        penalty = _PENALTY * (width + 1) / 2 * math.log(count)
        _, breaks = find_breaks(table, penalty=penalty, straight=straight)
        rest = table - fitted(table, [0, *breaks, count], straight=straight)
        echo = float(np.mean([_echo(rest[:, one]) for one in range(width)]))
        penalty *= 1 + _PERSISTENT * echo / (1 - echo)
        _, breaks = find_breaks(table, penalty=penalty, straight=straight)
        rest = table - fitted(table, [0, *breaks, count], straight=straight)
        numbers = (1 + width * (1 + straight)) * (len(breaks) + 1)
        misfits = np.maximum(np.mean(rest**2, axis=0), _NOISELESS)
        criterion = count * float(np.sum(np.log(misfits)))
        criterion += _WEIGHT * numbers * math.log(count)
        ranked.append((criterion, straight, breaks, penalty))
    _, straight, breaks, penalty = min(ranked)
    return _Search(table, breaks, straight, penalty)


def _echo(rest: Floats) -> float:
    # What is left of an exact fit is rounding, whose persistence means nothing.
    return persistence(rest) if float(np.mean(rest**2)) > _NOISELESS else 0.0


def _confidences(search: _Search, *, seed: int) -> list[float]:
    """Return for each break the share of copies that have it too."""
    generator = np.random.default_rng(seed)
    blocks = search.blocks[:, 0]
    edges = search.edges
    fit = fitted(blocks, edges, straight=search.straight)
    shares = []
    for low, middle, high in zip(edges, edges[1:], edges[2:], strict=False):
        start, stop = max(low, middle - _BESIDE), min(high, middle + _BESIDE)
        copies = fit[start:stop, None] + np.concatenate(
            [
                _resampled((blocks - fit)[start:middle], generator),
                _resampled((blocks - fit)[middle:stop], generator),
            ]
        )
        places, gains = best_splits(copies, straight=search.straight)
        short = min(middle - start, stop - middle)
        off = max(_OFF, _OFF_SHARE * short if search.straight else 0)
        near = np.abs(places - (middle - start)) <= off
        shares.append(float(np.mean(near & (gains > search.penalty))))
    return shares


def _resampled(rest: Floats, generator: np.random.Generator) -> Floats:
    """Return copies of a stretch of noise, made of runs of it, shape (n, copies)."""
    count = len(rest)
    length = max(1, min(count, math.ceil(2 * count ** (1 / 3))))
    runs = math.ceil(count / length)
    starts = generator.integers(0, count - length + 1, size=(runs, 1, _COPIES))
    rows = starts + np.arange(length)[:, None]
    return np.asarray(rest[rows.reshape(runs * length, _COPIES)[:count]])


def _place(
    values: Floats, edges: list[int], *, reach: int, straight: bool
) -> list[int]:
    """Move each edge, within a block either way, to where the pieces fit best."""
    placed = list(edges)
    # A bend has no single step; levels found without blocks are exact already.
    if straight or reach == 1:
        return placed
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
    fit: Floats,
    *,
    edges: tuple[int, int, int],
    time: np.datetime64,
    confidence: float,
) -> ChangePoint:
    low, middle, high = edges
    slopes = [_slope(fit[low:middle]), _slope(fit[middle:high])]
    before = float(fit[middle - 1]) + slopes[0]
    after = float(fit[middle])
    flat = slopes[0] == slopes[1] == 0
    bent = not flat and not is_step(values, middle, low=low, high=high)
    range_ = float(np.ptp(fit))
    return ChangePoint(
        time=time,
        confidence=confidence,
        before=before,
        after=after,
        explanation=(
            _bend_in_words(slopes, range_=range_ / (high - low))
            if bent
            else _jump_in_words(before, after, range_=range_)
        )
        + f" at {show_time(time)} (confidence {confidence:.0%})",
        kind="trend_change" if bent else "level_shift",
    )


def _slope(line: Floats) -> float:
    return float(line[-1] - line[0]) / (len(line) - 1)


def _jump_in_words(before: float, after: float, *, range_: float) -> str:
    return (
        f"The level {'rose' if after > before else 'fell'} from "
        f"{show_number(before, spread=range_)} to {show_number(after, spread=range_)}"
    )


def _bend_in_words(slopes: list[float], *, range_: float) -> str:
    before, after = (show_number(slope, spread=range_) for slope in slopes)
    return f"The slope turned from {before} to {after} a step"
