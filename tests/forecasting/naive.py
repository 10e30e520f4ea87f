"""Slow, obvious versions of what the room computes with arrays."""

import math
import statistics


def _pairs(actual, forecast):
    return [
        (a, f)
        for a, f in zip(actual, forecast, strict=True)
        if not (math.isnan(a) or math.isnan(f))
    ]


def mean(numbers):
    numbers = list(numbers)
    return sum(numbers) / len(numbers) if numbers else math.nan


def mae(actual, forecast):
    return mean(abs(a - f) for a, f in _pairs(actual, forecast))


def rmse(actual, forecast):
    return math.sqrt(mean((a - f) ** 2 for a, f in _pairs(actual, forecast)))


def smape(actual, forecast):
    shares = []
    for a, f in _pairs(actual, forecast):
        size = abs(a) + abs(f)
        shares.append(0.0 if size == 0 else 200.0 * abs(a - f) / size)
    return mean(shares)


def seasonal_error(history, season, power):
    shifted = list(history)[season:]
    return mean(
        abs(a - b) ** power for a, b in _pairs(shifted, history[: len(shifted)])
    )


def mase(actual, forecast, history, season):
    scale = seasonal_error(history, season, 1)
    return mae(actual, forecast) / scale if scale > 0 else math.nan


def rmsse(actual, forecast, history, season):
    scale = math.sqrt(seasonal_error(history, season, 2))
    return rmse(actual, forecast) / scale if scale > 0 else math.nan


def pinball(actual, forecast, level):
    losses = []
    for a, f in _pairs(actual, forecast):
        losses.append(level * (a - f) if a >= f else (1 - level) * (f - a))
    return mean(losses)


def wql(actual, quantiles):
    size = mean(abs(a) for a in actual if not math.isnan(a))
    losses = [pinball(actual, forecast, level) for level, forecast in quantiles.items()]
    return 2 * mean(losses) / size if size > 0 else math.nan


def coverage(actual, lower, upper):
    hits = []
    for a, low, high in zip(actual, lower, upper, strict=True):
        if not math.isnan(a):
            hits.append(1.0 if low <= a <= high else 0.0)
    return mean(hits)


def rank_quantile(pool, level):
    """The value at rank (n + 1) * level, between neighbours in proportion."""
    ordered = sorted(pool)
    rank = min(max((len(ordered) + 1) * level, 1), len(ordered))
    below = math.floor(rank)
    above = min(below + 1, len(ordered))
    share = rank - below
    return (1 - share) * ordered[below - 1] + share * ordered[above - 1]


def increasing(numbers):
    """Isotonic regression by its min-max formula."""
    n = len(numbers)
    return [
        max(min(mean(numbers[j : k + 1]) for k in range(i, n)) for j in range(i + 1))
        for i in range(n)
    ]


def seasonal_anchor(values, cutoff, step, season):
    """The latest value of the phase of the target that is known at the cutoff."""
    back = math.ceil(step / season)
    return values[: cutoff + 1][cutoff + step - back * season]


def filled(values, at, rule):
    """The value of one step: its own, or what the rule makes of the others."""
    if not math.isnan(values[at]):
        return values[at]
    known = [(place, one) for place, one in enumerate(values) if not math.isnan(one)]
    numbers = [one for _, one in known]
    before = [pair for pair in known if pair[0] < at]
    after = [pair for pair in known if pair[0] > at]
    if rule == "previous":
        return before[-1][1]
    if rule == "linear":
        if not (before and after):
            return (before or after[::-1])[-1][1]
        (left, low), (right, high) = before[-1], after[0]
        return low + (high - low) * (at - left) / (right - left)
    return {
        "zero": lambda _: 0.0,
        "mean": mean,
        "median": statistics.median,
        "min": min,
        "max": max,
    }[rule](numbers)


def known_at(rows, cutoff, *, future):
    """The value of each time, of rows (time, issued, value), as known at a cutoff."""
    newest = {
        time: value
        for time, issued, value in sorted(rows)
        if issued <= cutoff and (future or time <= cutoff)
    }
    return {time: value for time, value in newest.items() if not math.isnan(value)}
