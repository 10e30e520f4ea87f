"""Slow, obvious versions of what streams and rankings compute."""

import math
import statistics


def at_phase(values, season, cycles):
    """Median of the same phase before the newest value; NaN below two."""
    places = [len(values) - 1 - cycle * season for cycle in range(1, cycles + 1)]
    seen = [values[p] for p in places if p >= 0 and not math.isnan(values[p])]
    return statistics.median(seen) if len(seen) > 1 else math.nan


def conformal_surprise(numbers, number):
    """-log10 of the share of all, the new one included, at least as large."""
    above = sum(one >= number for one in numbers)
    return math.log10((len(numbers) + 1) / (above + 1))


def stretch_distances(values, length):
    """Distance of each stretch to the nearest that does not overlap it."""
    count = len(values) - length + 1
    found = []
    for here in range(count):
        others = [
            math.dist(values[here : here + length], values[there : there + length])
            for there in range(count)
            if abs(here - there) >= length
        ]
        found.append(min(others, default=math.nan))
    return found


def fifth_nearest(numbers):
    """Distance of each number to its fifth nearest other."""
    found = []
    for place, number in enumerate(numbers):
        rest = [abs(number - one) for at, one in enumerate(numbers) if at != place]
        found.append(sorted(rest)[min(5, len(rest)) - 1])
    return found
