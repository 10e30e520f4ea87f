"""Slow, obvious versions of what the room computes with arrays."""

import math
import statistics
from itertools import pairwise


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


def relative_error(series):
    """Mean scaled error over the baseline's; of (actual, mean, baseline, scale)."""
    own, reference = [], []
    for windows in series:
        errors = [[], []]
        for actual, forecast, baseline, scale in windows:
            for found, made in zip(errors, (forecast, baseline), strict=True):
                error = mae(actual, made)
                if not math.isnan(error):
                    found.append(error / scale)
        if errors[0]:
            own.append(mean(errors[0]))
            reference.append(mean(errors[1]))
    return sum(own) / sum(reference)


def p_of_signed_ranks(differences):
    """One-sided p-value by trying all signs: how often the sum is at most as high."""
    order = sorted(range(len(differences)), key=lambda at: abs(differences[at]))
    ranks = {at: rank for rank, at in enumerate(order, start=1)}
    seen = sum(ranks[at] for at, one in enumerate(differences) if one > 0)
    count = 2 ** len(differences)
    low = 0
    for signs in range(count):
        total = sum(rank for at, rank in ranks.items() if signs >> at & 1)
        low += total <= seen
    return low / count


def solved(matrix, right):
    """The solution of a small system, by elimination with pivots."""
    rows = [[*row, end] for row, end in zip(matrix, right, strict=True)]
    for at in range(len(rows)):
        pivot = max(range(at, len(rows)), key=lambda i: abs(rows[i][at]))
        rows[at], rows[pivot] = rows[pivot], rows[at]
        for other in range(len(rows)):
            if other != at:
                share = rows[other][at] / rows[at][at]
                rows[other] = [
                    a - share * b for a, b in zip(rows[other], rows[at], strict=True)
                ]
    return [row[-1] / row[i] for i, row in enumerate(rows)]


class Ridge:
    """A weighted ridge regression of the last value of each row on the others."""

    def __init__(self, rows, weights):
        size = sum(weights)
        self.center = [
            sum(w * row[i] for w, row in zip(weights, rows, strict=True)) / size
            for i in range(len(rows[0]))
        ]
        away = [[a - c for a, c in zip(row, self.center, strict=True)] for row in rows]
        self.count, self.width = len(rows), len(rows[0]) - 1
        self.sums = [
            [
                sum(w * row[i] * row[j] for w, row in zip(weights, away, strict=True))
                for j in range(self.width + 1)
            ]
            for i in range(self.width + 1)
        ]

    def with_strength(self, strength):
        return [
            [self.sums[i][j] + strength * (i == j) for j in range(self.width)]
            for i in range(self.width)
        ]

    def solve(self, strength):
        products = [self.sums[i][-1] for i in range(self.width)]
        slopes = solved(self.with_strength(strength), products)
        middle = sum(s * c for s, c in zip(slopes, self.center[:-1], strict=True))
        return slopes, self.center[-1] - middle

    def best_strength(self):
        """The strength of the least corrected Akaike criterion."""
        return min(
            (self.count * 10.0 ** (k / 2) for k in range(-12, 5)), key=self._criterion
        )

    def _criterion(self, strength):
        slopes, _ = self.solve(strength)
        n = range(self.width)
        left = self.sums[-1][-1] - 2 * sum(slopes[i] * self.sums[i][-1] for i in n)
        left += sum(slopes[i] * slopes[j] * self.sums[i][j] for i in n for j in n)
        ridge = self.with_strength(strength)
        freedom = 1 + sum(solved(ridge, [self.sums[i][j] for i in n])[j] for j in n)
        spare = max(self.count - freedom - 1, 1e-9)
        return math.log(max(left, 1e-18) / self.count) + 2 * freedom / spare


def lagged(values, lags):
    return [
        [*(values[at - lag] for lag in lags), values[at]]
        for at in range(lags[-1], len(values))
    ]


def autoregressions(values, sets, horizon):
    """Forecasts of nested sets of lags, weighted as the richest one is (Huber)."""
    center = mean(values)
    spread = math.sqrt(mean((v - center) ** 2 for v in values))
    standard = [(v - center) / spread for v in values]
    rows, weights = lagged(standard, sets[-1]), None
    strength = Ridge(rows, [1.0] * len(rows)).best_strength()
    for _ in range(2):
        slopes, constant = Ridge(rows, weights or [1.0] * len(rows)).solve(strength)
        errors = [
            abs(
                row[-1]
                - constant
                - sum(s * v for s, v in zip(slopes, row, strict=False))
            )
            for row in rows
        ]
        usual = 1.345 * 1.4826 * statistics.median(errors)
        weights = [min(1.0, usual / error) if error else 1.0 for error in errors]
    forecasts = []
    for lags in sets:
        places = [sets[-1].index(lag) for lag in lags]
        ridge = Ridge([[*(row[p] for p in places), row[-1]] for row in rows], weights)
        chosen = strength if lags == sets[-1] else ridge.best_strength()
        slopes, constant = ridge.solve(chosen)
        path = list(standard)
        for _ in range(horizon):
            seen = [path[-lag] for lag in lags]
            path.append(
                constant + sum(s * v for s, v in zip(slopes, seen, strict=True))
            )
        forecasts.append([center + spread * v for v in path[len(standard) :]])
    return forecasts


def sparse_ar(values, season, sets, horizon):
    """The mean of autoregressions of level, change and seasonal change, in a range."""
    parts = autoregressions(values, sets, horizon)
    changes = [b - a for a, b in pairwise(values)]
    for part in autoregressions(changes, sets, horizon):
        parts.append([values[-1] + sum(part[: k + 1]) for k in range(horizon)])
    if season > 1:
        yearly = [b - a for a, b in zip(values, values[season:], strict=False)]
        path = list(values)
        for change in autoregressions(yearly, sets[:1], horizon)[0]:
            path.append(path[-season] + change)
        parts.append(path[len(values) :])
    low, high = min(values), max(values)
    least, most = low - (high - low), high + (high - low)
    return [
        mean(min(max(v, least), most) for v in step)
        for step in zip(*parts, strict=True)
    ]


def naive2(values, season, horizon):
    """The naive forecast of the classically deseasonalised series."""
    n, half = len(values), season // 2
    multiplies = min(values) > 0
    ratios = {phase: [] for phase in range(season)}
    for at in range(half, n - half):
        inside = list(values[at - half : at + half + 1])
        if season % 2 == 0:
            inside[0], inside[-1] = inside[0] / 2, inside[-1] / 2
        trend = sum(inside) / season
        gap = values[at] / trend if multiplies else values[at] - trend
        ratios[at % season].append(gap)
    figure = [mean(ratios[phase]) for phase in range(season)]
    level = mean(figure)
    now, ahead = figure[(n - 1) % season], [(n + k) % season for k in range(horizon)]
    if multiplies:
        return [values[-1] / (now / level) * (figure[k] / level) for k in ahead]
    return [values[-1] - (now - level) + (figure[k] - level) for k in ahead]


def holm(p_values: list[float], tests: int) -> list[float]:
    """Adjusted p-values by the definition: the largest of the steps up to one's own."""
    ranked = sorted(range(len(p_values)), key=lambda at: p_values[at])
    adjusted = [0.0] * len(p_values)
    for rank, at in enumerate(ranked):
        steps = [(tests - j) * p_values[ranked[j]] for j in range(rank + 1)]
        adjusted[at] = min(1.0, max(steps))
    return adjusted


def ks(left, right) -> float:
    """The largest distance between two empirical distribution functions."""
    return max(
        abs(
            sum(x <= at for x in left) / len(left)
            - sum(x <= at for x in right) / len(right)
        )
        for at in [*left, *right]
    )
