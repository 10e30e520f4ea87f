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


def best_breaks(values, penalty, least):
    """Try every way to cut the series into pieces of at least `least` points."""

    def cost(piece):
        mean = sum(piece) / len(piece)
        return sum((v - mean) ** 2 for v in piece)

    def best(stop):
        options = [(cost(values[:stop]), [])]
        for start in range(least, stop - least + 1):
            before, breaks = best(start)
            total = before + cost(values[start:stop]) + penalty
            options.append((total, [*breaks, start]))
        return min(options, key=lambda option: option[0])

    return best(len(values))[1]
