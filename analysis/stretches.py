"""What lasted: excursions, shifts of level, bends of trend and changes of spread.

Single points are judged by their bounds (see `analysis.events`). Whole stretches are
judged here, at the scale of the noise from step to step, so that a small change that
lasts counts as much as a large one that does not.
"""

import math
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from analysis.pieces import SHORTEST_PIECE, find_breaks, fitted, persistence
from analysis.ranking import shares_below
from analysis.robust import NORMAL_MEDIAN_SIZE, rounding_floor
from analysis.steps import is_step

Floats = NDArray[np.float64]

# Cost of one more piece in units of the long-run variance times log n: one for each
# number of the piece, one for the place, one against the many places tried.
_PENALTY = 3.0
# Weight of a parameter beside log n when constants and lines are compared.
_WEIGHT = 4.0
_MOST_BLOCKS = 5000
# Edges of a series in one piece.
_WHOLE = 2
# Share of a variance that is rounding.
_NOISELESS = 1e-9
_FEWEST_BLOCKS = 4 * SHORTEST_PIECE
_HIGHEST_PERSISTENCE = 0.99
# Share of the series, and of a season, that an excursion lasts at most.
_EXCURSION, _EXCURSION_SEASON = 1 / 40, 1 / 4
# A joint is a step when it moves the level so many times as far as its slopes do.
_MOSTLY = 8.0
# What comes back by this much of the way was an excursion.
_BACK = 0.5
# Points from which one spread is told, and the ratio of spreads that is worth a word.
_SPREAD_POINTS = 10
LEAST_RATIO = 1.5
# Share of the mean size that stands in for none at all.
_LEAST_SPREAD = 1e-3
_MOST_SURPRISE = 300.0


@dataclass(frozen=True)
class Stretch:
    """Steps [start, stop); `surprise` is -log10 of its probability by chance.

    `before` and `during` are levels, slopes a step or spreads, as `kind` has it;
    `limit` is the least change between them, or ratio, that is no chance.
    """

    start: int
    stop: int
    kind: str
    surprise: float
    before: float
    during: float
    limit: float = 0.0


@dataclass(frozen=True)
class _Noise:
    variance: float
    chances: int

    def limit(self, counts: tuple[int, int]) -> float:
        """Return the change between pieces of these sizes whose surprise is zero."""
        error = math.sqrt(self.variance * (1 / counts[0] + 1 / counts[1]))
        return error * math.sqrt(2 * math.log(max(self.chances, 2)))

    def surprise(self, change: float, counts: tuple[int, int]) -> float:
        """Return -log10 of the chance of a change between pieces of these sizes."""
        error = math.sqrt(self.variance * (1 / counts[0] + 1 / counts[1]))
        distance = abs(change) / error if error > 0 else math.inf
        # The tail of a normal, whose logarithm does not underflow.
        found = (distance**2 / 2 + math.log(1 + distance)) / math.log(10)
        found -= math.log10(self.chances)
        return min(max(found, 0.0), _MOST_SURPRISE)


@dataclass(frozen=True)
class _Split:
    criterion: float
    edges: list[int]


def find_stretches(level: Floats, *, season: int) -> list[Stretch]:
    """Return what lasted, in order of time.

    Args:
        level: (n,) values without their seasonal part, any unit; NaN is missing.
        season: Main cycle in steps, 1 for none.

    Returns:
        Excursions ("spike", "dip"), "level_shift" and "trend_change"; shifts and
        bends reach as far as it takes to tell them.

    References:
        Killick, Fearnhead and Eckley (2012), doi:10.1080/01621459.2012.737745.

    Example:
        >>> noise = np.random.default_rng(0).normal(size=1000)
        >>> noise[500:515] += 6
        >>> [(one.start, one.stop, one.kind) for one in find_stretches(noise, season=1)]
        [(500, 515, 'spike')]
    """
    places = np.flatnonzero(np.isfinite(level))
    size = block_size(len(places))
    count = len(places) // size
    if count < _FEWEST_BLOCKS:
        return []
    blocks = level[places][: count * size].reshape(count, size).mean(axis=1)
    floor = rounding_floor(level) ** 2
    longest = longest_excursion(len(places), season=season) / size
    found = _best_stretches(blocks, floor=floor, longest=longest)
    edges = np.append(places[::size][:count], len(level))
    return [_in_steps(one, edges) for one in found]


def block_size(count: int) -> int:
    """Return how many of so many points are taken together, so that few are split."""
    return max(1, math.ceil(count / _MOST_BLOCKS))


def longest_excursion(count: int, *, season: int) -> float:
    """Return the steps after which what has not come back will stay."""
    return max(_EXCURSION * count, _EXCURSION_SEASON * season)


def _best_stretches(blocks: Floats, *, floor: float, longest: float) -> list[Stretch]:
    """Split into constants and, where that is not one, into lines."""
    variance = _long_run_variance(blocks, floor=floor)
    # Without noise every step is a change; single points are judged elsewhere.
    if variance <= max(floor, _NOISELESS * float(np.var(blocks))):
        return []
    flat = _split(blocks, straight=False, variance=variance)
    if len(flat.edges) == _WHOLE:
        return []
    noise = _noise_around_lines(blocks, floor=floor)
    bent = _split(blocks, straight=True, variance=noise)
    if bent.criterion < flat.criterion:
        return _bends(blocks, bent.edges, noise=_Noise(noise, len(blocks)))
    noise_ = _Noise(variance, len(blocks))
    return _shifts(blocks, flat.edges, noise=noise_, longest=longest)


def _split(blocks: Floats, *, straight: bool, variance: float) -> _Split:
    count = len(blocks)
    penalty = (_PENALTY + straight) * variance * math.log(count)
    _, breaks = find_breaks(blocks, penalty=penalty, straight=straight)
    edges = [0, *breaks, count]
    rest = blocks - fitted(blocks, edges, straight=straight)
    numbers = (2 + straight) * (len(breaks) + 1)
    misfit = max(float(np.mean(rest**2)), _NOISELESS * variance)
    criterion = count * math.log(misfit) + _WEIGHT * numbers * math.log(count)
    return _Split(criterion, edges)


def _noise_around_lines(blocks: Floats, *, floor: float) -> float:
    """Return the long-run variance around straight pieces."""
    turns = np.abs(np.diff(blocks, n=2))
    # White noise is six times as large in second differences.
    white = max((float(np.median(turns)) / NORMAL_MEDIAN_SIZE) ** 2 / 6, floor)
    penalty = (_PENALTY + 1) * white * math.log(len(blocks))
    _, breaks = find_breaks(blocks, penalty=penalty, straight=True)
    rest = blocks - fitted(blocks, [0, *breaks, len(blocks)], straight=True)
    variance = float(np.mean(rest**2))
    if variance <= floor:
        return floor
    echo = persistence(rest)
    return max(white, variance * (1 + echo) / (1 - echo))


def find_spread_changes(sizes: Floats) -> list[Stretch]:
    """Return where points began to stray more, or less, than before.

    Args:
        sizes: (n,) residuals over their usual size; NaN is missing.

    Returns:
        Stretches of kind "variance_change".

    Example:
        >>> noise = np.random.default_rng(0).normal(size=1000)
        >>> noise[500:] *= 3
        >>> (one,) = find_spread_changes(noise)
        >>> abs(one.start - 500) <= 20
        True
    """
    places = np.flatnonzero(np.isfinite(sizes))
    count = len(places) // _SPREAD_POINTS
    if count < _FEWEST_BLOCKS:
        return []
    strays = np.abs(sizes[places][: count * _SPREAD_POINTS])
    # A spike widens nothing, and few different numbers are no spreads: ranks see both.
    ranks = shares_below(strays)
    white = float(np.var(ranks)) / _SPREAD_POINTS
    if white <= 0:
        return []
    blocks = ranks.reshape(count, _SPREAD_POINTS).mean(axis=1)
    noise = _Noise(max(_long_run_variance(blocks, floor=white), white), count)
    _, breaks = find_breaks(
        blocks, penalty=(_PENALTY + 1) * noise.variance * math.log(count)
    )
    edges = [0, *breaks, count]
    found = []
    for low, start, stop in zip(edges, edges[1:], edges[2:], strict=False):
        pair = _usual_size(strays, low, start), _usual_size(strays, start, stop)
        if max(pair) < LEAST_RATIO * min(pair):
            continue
        change = float(np.mean(blocks[start:stop]) - np.mean(blocks[low:start]))
        surprise = noise.surprise(change, (start - low, stop - start))
        end = start + SHORTEST_PIECE
        found.append(
            Stretch(start, end, "variance_change", surprise, *pair, LEAST_RATIO)
        )
    steps = np.append(places[::_SPREAD_POINTS][:count], len(sizes))
    return [_in_steps(one, steps) for one in found]


def _usual_size(strays: Floats, start: int, stop: int) -> float:
    """Return the mean size in some blocks, but for the largest tenth of them."""
    piece = np.sort(strays[start * _SPREAD_POINTS : stop * _SPREAD_POINTS])
    usual = float(np.mean(piece[: len(piece) * 9 // 10]))
    return max(usual, _LEAST_SPREAD * float(np.mean(strays)))


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


def _shifts(
    blocks: Floats, edges: list[int], *, noise: _Noise, longest: float
) -> list[Stretch]:
    """Tell excursions from what stays; both are measured from the settled level."""
    levels = [float(np.mean(blocks[a:b])) for a, b in pairwise(edges)]
    found: list[Stretch] = []
    settled, piece, away = 0, 1, False
    while piece < len(levels):
        start, stop = edges[piece : piece + 2]
        change = levels[piece] - levels[settled]
        counts = (edges[settled + 1] - edges[settled], stop - start)
        limit = noise.limit(counts)
        back = _return(edges, levels, piece=piece, settled=settled, longest=longest)
        if away and abs(change) <= limit:
            settled, piece, away = piece, piece + 1, False
            continue
        kind, end = "level_shift", min(start + SHORTEST_PIECE, stop)
        if back is not None:
            kind, end = ("spike" if change > 0 else "dip"), edges[back]
        surprise = noise.surprise(change, counts)
        pair = levels[settled], levels[piece]
        found.append(Stretch(start, end, kind, surprise, *pair, limit))
        # What came back may have come back to another level, or to one more excursion.
        settled = settled if back else piece
        piece, away = back or piece + 1, back is not None
    return _one_after_another(found)


def _one_after_another(found: list[Stretch]) -> list[Stretch]:
    """Make one excursion of those that come back by steps."""
    joined: list[Stretch] = []
    for one in found:
        last = joined[-1] if joined else None
        same = last and (last.stop, last.kind) == (one.start, one.kind)
        if last and same and one.kind != "level_shift":
            joined[-1] = replace(last, stop=one.stop)
        else:
            joined.append(one)
    return joined


def _return(
    edges: list[int],
    levels: list[float],
    *,
    piece: int,
    settled: int,
    longest: float,
) -> int | None:
    """Return where the level is back, or on the other side, if it comes back soon."""
    change = levels[piece] - levels[settled]
    crossed = None
    for later in range(piece + 1, len(levels)):
        if edges[later] - edges[piece] > longest:
            return None
        left = levels[later] - levels[settled]
        if abs(left) < _BACK * abs(change):
            return crossed or later
        if crossed is None and left * change < 0:
            crossed = later
    return None


def _bends(blocks: Floats, edges: list[int], *, noise: _Noise) -> list[Stretch]:
    line = fitted(blocks, edges, straight=True)
    found = []
    for low, start, stop in zip(edges, edges[1:], edges[2:], strict=False):
        before = float(line[start - 1] - line[low]) / (start - 1 - low)
        during = float(line[stop - 1] - line[start]) / (stop - 1 - start)
        jump = float(line[start] - line[start - 1]) - before
        counts = (start - low, stop - start)
        moved = abs(during - before) * min(counts) / 2
        end = start + SHORTEST_PIECE
        # Slopes that hardly differ bend nothing, however long the change took.
        if abs(jump) > _MOSTLY * moved or is_step(blocks, start, low=low, high=stop):
            kind, pair = "level_shift", (float(line[start - 1]) + before, line[start])
            surprise, limit = noise.surprise(jump / 2, counts), 2 * noise.limit(counts)
        else:
            kind, pair = "trend_change", (before, during)
            surprise = noise.surprise(moved, counts)
            limit = 2 * noise.limit(counts) / min(counts)
        found.append(
            Stretch(start, end, kind, surprise, float(pair[0]), float(pair[1]), limit)
        )
    return found


def _in_steps(one: Stretch, edges: NDArray[np.intp]) -> Stretch:
    """Turn places of blocks into steps of the grid."""
    size = 1.0
    if one.kind == "trend_change" and len(edges) > 1:
        size = float(edges[-1]) / (len(edges) - 1)
    stop = min(max(one.stop, one.start + 1), len(edges) - 1)
    return Stretch(
        int(edges[one.start]),
        int(edges[stop]),
        one.kind,
        one.surprise,
        one.before / size,
        one.during / size,
        one.limit / size,
    )
