"""Slow, obvious versions of what the room computes with arrays."""

import math
import statistics


def trailing_median(values, window):
    out = []
    for place in range(len(values)):
        seen = [v for v in values[max(0, place - window) : place] if not math.isnan(v)]
        enough = seen and len(seen) >= max(1, window // 4)
        kept = out[-1] if out else math.nan
        out.append(statistics.median(seen) if enough else kept)
    return out


def latest_median(values, window):
    out = []
    for place in range(len(values)):
        seen = [v for v in values[max(0, place - window) : place] if not math.isnan(v)]
        out.append(statistics.median(seen) if seen else math.nan)
    return out


def phase_median(values, season, cycles):
    out = []
    for place in range(len(values)):
        places = [place - cycle * season for cycle in range(1, cycles + 1)]
        seen = [values[p] for p in places if p >= 0 and not math.isnan(values[p])]
        out.append(statistics.median(seen) if len(seen) > 1 else math.nan)
    return out


def runs(mask):
    out, start = [], None
    for place, inside in enumerate([*mask, False]):
        if inside and start is None:
            start = place
        if not inside and start is not None:
            out.append((start, place))
            start = None
    return out


def share_at_least(sizes, size):
    """The conformal p-value: ranks with the point itself counted once."""
    return sum(other >= size for other in sizes) / (len(sizes) + 1)


def misfit(piece, *, straight=False):
    """The squares left by the mean of a piece, or by its line, step by step."""
    middle = sum(piece) / len(piece)
    places = [place - (len(piece) - 1) / 2 for place in range(len(piece))]
    slope = 0.0
    if straight:
        slope = sum(p * v for p, v in zip(places, piece, strict=True))
        slope /= sum(p * p for p in places)
    pairs = zip(places, piece, strict=True)
    return sum((v - middle - slope * p) ** 2 for p, v in pairs)


def best_breaks(values, penalty, least, *, straight=False):
    """Try every way to cut the series into pieces of at least `least` points."""

    def best(stop):
        options = [(misfit(values[:stop], straight=straight), [])]
        for start in range(least, stop - least + 1):
            before, breaks = best(start)
            last = misfit(values[start:stop], straight=straight)
            options.append((before + last + penalty, [*breaks, start]))
        return min(options, key=lambda option: option[0])

    return best(len(values))[1]


def optimal_cost(columns, penalty, least, *, straight=False):
    """The least cost by the full O(n^2) recursion, nothing pruned."""
    count = len(columns[0])
    best = {0: -penalty}
    for stop in range(least, count + 1):
        best[stop] = min(
            before
            + penalty
            + sum(misfit(c[start:stop], straight=straight) for c in columns)
            for start, before in best.items()
            if stop - start >= least
        )
    return best[count]


def best_split(values, least, *, straight=False):
    """The place that splits a series best in two, and what that gains."""
    whole = misfit(values, straight=straight)
    gains = {
        place: whole
        - misfit(values[:place], straight=straight)
        - misfit(values[place:], straight=straight)
        for place in range(least, len(values) - least + 1)
    }
    return max(gains.items(), key=lambda pair: pair[1])
