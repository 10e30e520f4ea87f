"""Finding the cycles of a series, guided by the calendar."""

import math

import numpy as np
from numpy.typing import NDArray

from analysis.pieces import SHORTEST_PIECE, find_breaks, fitted
from analysis.robust import centred_median

Floats = NDArray[np.float64]
Times = NDArray[np.datetime64]

_DAY_S = 86_400.0
_WEEK_S = 7 * _DAY_S
_YEAR_S = 365.25 * _DAY_S
# A cycle must have been seen three times before it is believed.
LEAST_CYCLES = 3
# Longest phase table worth its memory: a week of minutes.
_LONGEST = 10_080
_SHORTEST = 2
# Correlation with the same phase of the cycle before.
_CALENDAR_LEAST = 0.3
_SEARCHED_LEAST = 0.5
# Share of the strongest cycle's correlation that a shorter one must reach.
_SHORTER = 0.7
# How far that must exceed the correlation half a cycle away.
_CONTRAST = 0.1
_PEAKS = 5
# Cost of one more level in units of the variance times log n: enough to follow what
# lasts longer than the cycles that are searched for.
_LEVEL_PENALTY = 2.0
_MOST_BLOCKS = 2000
# Share of the points that may lie in levels too short to show a cycle twice.
_SHORT_LEVELS = 1 / 4
# A cycle may be a part of one that is so many times as long.
_MOST_TIMES = 6


def find_seasons(values: Floats, *, times: Times) -> tuple[int, ...]:
    """Return the cycles that the values show, in steps, shortest first.

    The hour, day, week and year are tried first; when none fits, the strongest peaks
    of the periodogram.

    Args:
        values: (n,) on a regular grid, any unit; NaN is missing.
        times: (n,) UTC of the grid.

    Returns:
        No, one or two lengths; the second is a multiple of the first.

    References:
        Hyndman and Athanasopoulos (2021), Forecasting: Principles and Practice,
        3rd ed., section 2.8.

    Example:
        >>> hours = np.arange(240) * np.timedelta64(1, "h") + np.datetime64("2024", "h")
        >>> find_seasons(np.sin(np.arange(240) * np.pi / 12), times=hours)
        (24,)
    """
    if len(values) < LEAST_CYCLES * 2:
        return ()
    values = _scaled(values)
    candidates = _calendar_cycles(times)
    strengths = [_strength(values, season=season) for season in candidates]
    for position, season in enumerate(candidates):
        # A week repeats whenever its days do: the shorter cycle explains both.
        if strengths[position] > max(_CALENDAR_LEAST, _SHORTER * max(strengths)):
            rest = _without(values, season=season)
            longer = [
                other
                for other in candidates[position + 1 :]
                if other % season == 0
                and _strength(rest, season=other) > _CALENDAR_LEAST
            ]
            return (season, *longer[:1])
    return _stronger(values)


def _scaled(values: Floats) -> Floats:
    """Divide by a power of two, which rounds nothing: squares stay numbers."""
    largest = float(np.max(np.abs(values[np.isfinite(values)]), initial=0.0))
    return np.ldexp(values, -math.frexp(largest)[1])


def _stronger(values: Floats) -> tuple[int, ...]:
    """Search with and without the levels; each hides the cycles of some series."""
    levelled, lasting = _without_levels(values)
    # Stairs cut out of a slope leave teeth, each as long as a stair, and nothing less.
    found = {
        _strength(series, season=season): season
        for series, most in ((values, _LONGEST), (levelled, lasting // 2))
        for season in _searched(series, most=most)
    }
    return (found[max(found)],) if found else ()


def _without_levels(values: Floats) -> tuple[Floats, int]:
    """Take out levels that last: excursions and shifts have echoes of their own.

    Returns:
        The rest, and how many steps the levels last in which most of the points lie.
    """
    places = np.flatnonzero(np.isfinite(values))
    size = max(1, math.ceil(len(places) / _MOST_BLOCKS))
    count = len(places) // size
    if count < 2 * SHORTEST_PIECE:
        return values, len(values)
    present = values[places]
    blocks = present[: count * size].reshape(count, size).mean(axis=1)
    penalty = _LEVEL_PENALTY * math.log(count) * float(np.var(blocks))
    if penalty <= 0:
        return values, len(values)
    _, breaks = find_breaks(blocks, penalty=penalty)
    edges = [0, *breaks, count]
    levels = np.repeat(fitted(blocks, edges, straight=False), size)
    lengths = np.diff(edges)
    shortest = np.quantile(np.repeat(lengths, lengths), _SHORT_LEVELS)
    rest = values.copy()
    rest[places[: len(levels)]] -= levels
    rest[places[len(levels) :]] -= levels[-1]
    return rest, int(shortest * len(values) / count)


def _calendar_cycles(times: Times) -> list[int]:
    span_s = float((times[-1] - times[0]) / np.timedelta64(1, "s"))
    step_s = span_s / (len(times) - 1)
    # A year has too few repetitions of a day's or an hour's phase to learn from.
    cycles = [_WEEK_S / 168, _DAY_S, _WEEK_S]
    if step_s > 6 * _DAY_S:
        cycles = [_YEAR_S]
    found = []
    for cycle_s in cycles:
        steps = cycle_s / step_s
        # Months and business days have no exact step; the mean is close.
        near = round(steps)
        if steps > _SHORTEST and near <= _LONGEST and abs(steps - near) < 0.05 * steps:
            found.append(near)
    return found


def _without(values: Floats, *, season: int) -> Floats:
    rest = values - centred_median(values, window=season)
    phases = np.arange(len(values)) % season
    present = np.isfinite(rest)
    counts = np.bincount(phases[present], minlength=season)
    sums = np.bincount(phases[present], rest[present], minlength=season)
    shape = sums / np.maximum(counts, 1)
    return np.asarray(values - shape[phases])


def _strength(values: Floats, *, season: int) -> float:
    """Correlate each cycle with the one before; 0 when half a cycle does as well."""
    if len(values) < LEAST_CYCLES * season:
        return 0.0
    rest = _calm(values - centred_median(values, window=season))
    same = _correlation(rest, lag=season)
    contrast = same - _correlation(rest, lag=season // 2)
    return same if contrast > _CONTRAST else 0.0


def _calm(rest: Floats) -> Floats:
    """Pull the rarest hundredths in, so that one spike decides nothing."""
    present = rest[np.isfinite(rest)]
    if not len(present):
        return rest
    return np.clip(rest, *np.quantile(present, [0.01, 0.99]))


def _correlation(rest: Floats, *, lag: int) -> float:
    ahead, behind = rest[lag:], rest[:-lag]
    both = np.isfinite(ahead) & np.isfinite(behind)
    if both.sum() < LEAST_CYCLES:
        return 0.0
    ahead, behind = ahead[both] - ahead[both].mean(), behind[both] - behind[both].mean()
    size = float(np.sqrt((ahead**2).sum() * (behind**2).sum()))
    return float((ahead * behind).sum()) / size if size > 0 else 0.0


def _searched(values: Floats, *, most: int) -> tuple[int, ...]:
    present = np.isfinite(values)
    if not present.any():
        return ()
    places = np.arange(len(values))
    filled = np.interp(places, places[present], values[present])
    filled = _calm(filled - np.polyval(np.polyfit(places, filled, 1), places))
    power = np.abs(np.fft.rfft(filled, n=2 * len(values))) ** 2
    everything = power.copy()
    # Fewer than three cycles in the series, or fewer than three steps in a cycle.
    power[: 2 * LEAST_CYCLES] = 0.0
    power[2 * len(values) // 3 + 1 :] = 0.0
    strongest = [peak for peak in np.argsort(power)[::-1][:_PEAKS] if power[peak] > 0]
    fitting: dict[int, float] = {}
    for peak in strongest:
        length = 2 * len(values) / peak
        season = _nearest_echo(_echo_above(everything, peak), length=length)
        if season <= _LONGEST:
            fitting[season] = _strength(values, season=season)
    fitting = {
        season: strength
        for season, strength in fitting.items()
        if strength > _SEARCHED_LEAST
    }
    if min(fitting, default=_LONGEST) >= most:
        return ()
    season = max(fitting, key=lambda season: fitting[season])
    return (_longer(values, season=season),)


def _longer(values: Floats, *, season: int) -> int:
    """Return a multiple of the cycle if that repeats better, else the cycle itself."""
    best, gain = season, _CONTRAST
    for times in range(2, _MOST_TIMES + 1):
        longest = times * (season + 1) + 1
        if len(values) < LEAST_CYCLES * longest or longest > _LONGEST:
            break
        rest = _calm(values - centred_median(values, window=times * season))
        own = _correlation(rest, lag=season)
        # Half a step of a cycle is some steps of its multiple.
        for lag in range(times * (season - 1), longest):
            more = _correlation(rest, lag=lag) - own
            if more > gain:
                best, gain = lag, more
    return best


def _echo_above(power: Floats, peak: int) -> Floats:
    """Return the autocovariance without what is slower than two of the cycles.

    Wandering levels lean on the echo of a cycle, and move its summit.
    """
    kept = power.copy()
    kept[: peak // 2] = 0.0
    return np.asarray(np.fft.irfft(kept))


def _nearest_echo(echo: Floats, *, length: float) -> int:
    """The periodogram knows a long cycle only roughly; its echo is exact."""
    slack = max(1.0, 0.1 * length)
    lowest = max(3, round(length - slack))
    return lowest + int(np.argmax(echo[lowest : round(length + slack) + 1]))
