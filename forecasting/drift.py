"""Drift: is a forecaster worse than it said, is a series no longer what it was."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, special, stats  # type: ignore[import-untyped]  # scipy has none

from forecasting.arrays import FloatArray, TimeArray
from forecasting.errors import InvalidSeries
from forecasting.frequency import Frequency, parse_frequency, season_lengths

DRIFTED, UNCERTAIN, CALM, NOT_ENOUGH = "drifted", "uncertain", "calm", "not_enough"
Verdicts = NDArray[np.str_]
IntArray = NDArray[np.int64]

# Below so many independent values the Kolmogorov-Smirnov distribution is not reached:
# a random walk would be called changed one night in ten.
_LEAST_EFFECTIVE = 8.0
# A phase needs several values of both windows before its mean can be taken off.
_LEAST_CYCLES = 6
_ROUNDING = 1e-9
# An open finding ends when its p-value is this many levels above the level.
_CALM_LEVELS = 4.0


@dataclass(frozen=True)
class Rules:
    """When drift is said to be there.

    Attributes:
        worse_by: share by which the error must exceed its baseline.
        alpha: level of the test for a changed input, over all series of a run.
        minimum_forecasts: forecasts that must have come to be judged.
        minimum_points: matched points behind an error; observations in a window.
    """

    worse_by: float = 0.2
    alpha: float = 0.05
    minimum_forecasts: int = 3
    minimum_points: int = 24


@dataclass(frozen=True)
class Errors:
    """Rolling errors, an element for each series and forecaster; all shape (n,).

    Attributes:
        mae: of the forecasts that were matched, in the unit of the series.
        baseline: the error that was stated when they were made; NaN where none was.
        size: mean absolute observed value, for the rounding of sums.
        forecasts: how many forecasts are behind it.
        points: how many matched points are behind it.
    """

    mae: FloatArray
    baseline: FloatArray
    size: FloatArray
    forecasts: IntArray
    points: IntArray


@dataclass(frozen=True)
class Window:
    """A stretch of a series.

    Attributes:
        steps: whole numbers of steps from any origin shared by both windows, shape
            (n,), ascending; gaps are allowed.
        values: observed values, shape (n,), finite.
    """

    steps: IntArray
    values: FloatArray


@dataclass(frozen=True)
class InputChange:
    """How two windows of a series differ.

    Attributes:
        statistic: largest distance between the two distribution functions, 0 to 1.
        p_value: of that distance, if nothing had changed.
        season: steps of the season whose phase means were taken off; 1 for none.
        recent_effective: independent values that the recent window is worth.
        reference_effective: the same of the reference.
        shift: median of the recent window less that of the reference, after the
            season was taken off; unit of the series.
    """

    statistic: float
    p_value: float
    season: int
    recent_effective: float
    reference_effective: float
    shift: float


def judge_errors(errors: Errors, *, rules: Rules) -> Verdicts:
    """Say where forecasts are worse than their baseline.

    Args:
        errors: rolling errors, shape (n,) each; a NaN cannot be judged.
        rules: when drift is said to be there.

    Returns:
        For each element DRIFTED (the error exceeds the baseline by more than
        ``worse_by``), CALM (by no more than half of that), UNCERTAIN (between), or
        NOT_ENOUGH; shape (n,).

    Example:
        >>> three = np.array([1.3, 1.15, 1.0])
        >>> enough = np.full(3, 24)
        >>> errors = Errors(three, np.ones(3), np.ones(3), enough, enough)
        >>> judge_errors(errors, rules=Rules()).tolist()
        ['drifted', 'uncertain', 'calm']
    """
    slack = _ROUNDING * np.nan_to_num(errors.size)
    excess = errors.mae - errors.baseline
    allowed = rules.worse_by * errors.baseline
    told = (errors.forecasts >= rules.minimum_forecasts) & (
        errors.points >= rules.minimum_points
    )
    told &= np.isfinite(errors.mae) & np.isfinite(errors.baseline)
    verdicts = np.full(errors.mae.shape, UNCERTAIN, dtype="U10")
    verdicts[excess <= allowed / 2 + slack] = CALM
    verdicts[excess > allowed + slack] = DRIFTED
    verdicts[~told] = NOT_ENOUGH
    return verdicts


def judge_p_values(p_values: FloatArray, *, tests: int, rules: Rules) -> Verdicts:
    """Say which series have changed, of all that were tested in one run.

    Holm's step-down keeps the chance of one false alarm in the run at ``alpha``.

    Args:
        p_values: of the tests, shape (n,); larger ones may be left out as long as
            ``tests`` counts them.
        tests: how many there were, at least n.
        rules: when drift is said to be there.

    Returns:
        For each DRIFTED (its adjusted p-value is below ``alpha``), CALM (its own is
        above four times that) or UNCERTAIN; shape (n,).

    Example:
        >>> found = np.array([0.001, 0.04, 0.5])
        >>> judge_p_values(found, tests=3, rules=Rules()).tolist()
        ['drifted', 'uncertain', 'calm']
    """
    verdicts = np.full(p_values.shape, UNCERTAIN, dtype="U10")
    verdicts[p_values > _CALM_LEVELS * rules.alpha] = CALM
    verdicts[holm(p_values, tests=tests) < rules.alpha] = DRIFTED
    return verdicts


def doubtful(p_value: float, *, rules: Rules) -> bool:
    """Say whether a p-value could be anything but calm.

    Args:
        p_value: of one test.
        rules: when drift is said to be there.

    Returns:
        Whether it is small enough to be worth keeping.

    Example:
        >>> doubtful(0.1, rules=Rules()), doubtful(0.3, rules=Rules())
        (True, False)
    """
    return p_value <= _CALM_LEVELS * rules.alpha


def holm(p_values: FloatArray, *, tests: int) -> FloatArray:
    """Adjust p-values for how many tests there were.

    Args:
        p_values: shape (n,), the n smallest of all.
        tests: how many there were, at least n.

    Returns:
        Adjusted p-values in the same order, at most 1; shape (n,).

    References:
        Holm, Scandinavian Journal of Statistics 6 (1979) 65-70.

    Example:
        >>> holm(np.array([0.04, 0.01]), tests=4).round(2).tolist()
        [0.12, 0.04]
    """
    order = np.argsort(p_values, kind="stable")
    factors = tests - np.arange(p_values.size)
    stepped = np.maximum.accumulate(p_values[order] * factors)
    adjusted = np.empty(p_values.shape)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def input_change(
    reference: Window, *, recent: Window, seasons: Sequence[int], rules: Rules
) -> InputChange | None:
    """Compare the distribution of recent values with that of a reference.

    The test is Kolmogorov and Smirnov's for two samples. A season and memory would
    break it, so the mean of each phase, over both windows together, is taken off, and
    the sample sizes are those of independent values that would tell as much.

    Args:
        reference: what used to be; unit of the series.
        recent: what came since, no step of it before the reference's last.
        seasons: in steps; the longest that both windows together hold six times is
            taken off.
        rules: ``minimum_points`` is what each window must hold.

    Returns:
        The difference; None where a window holds too few values, or so much memory
        that they are worth fewer than eight independent ones.

    References:
        Kolmogorov-Smirnov with Stephens' correction: Stephens, JRSS B 32 (1970)
        115-122. Initial monotone sequence: Geyer, Statistical Science 7 (1992) 473-483.

    Example:
        >>> noise = np.random.default_rng(0).normal(size=200)
        >>> before, after = (Window(np.arange(a, a + 100), noise[a : a + 100])
        ...     for a in (0, 100))
        >>> changed = Window(after.steps, after.values + 1)
        >>> found = input_change(before, recent=changed, seasons=(1,), rules=Rules())
        >>> found.p_value < 1e-3
        True
    """
    if min(len(reference.values), len(recent.values)) < rules.minimum_points:
        return None
    season = _season(len(reference.values) + len(recent.values), seasons)
    old, new = _without_season(reference, recent, season)
    inefficiency = _inefficiency([(reference.steps, old), (recent.steps, new)])
    # The phase means took freedom: what is left strays less than the test supposes.
    worth = (1.0 - (season > 1) * season / (old.size + new.size)) / inefficiency
    sizes = old.size * worth, new.size * worth
    if min(sizes) < _LEAST_EFFECTIVE:
        return None
    statistic = float(stats.ks_2samp(old, new, method="asymp").statistic)
    return InputChange(
        statistic=statistic,
        p_value=_p_value(statistic, sizes[0] * sizes[1] / sum(sizes)),
        season=season,
        recent_effective=sizes[1],
        reference_effective=sizes[0],
        shift=float(np.median(new) - np.median(old)),
    )


def on_steps(
    times: TimeArray, *, frequency: str | None
) -> tuple[IntArray, tuple[int, ...]]:
    """Count times in steps, and name the seasons that are usual for the step.

    Args:
        times: UTC, shape (n,), strictly ascending.
        frequency: such as "1h"; None, or one that cannot be read, stands for the most
            common step. Steps of the calendar count the times themselves.

    Returns:
        The steps since the first time, shape (n,), and the seasons in steps.

    Example:
        >>> days = np.array(["2026-01-01", "2026-01-02", "2026-01-05"], "M8[us]")
        >>> steps, seasons = on_steps(days, frequency="1D")
        >>> steps.tolist(), seasons
        ([0, 1, 4], (7,))
    """
    found = _frequency(times, frequency)
    if found is None or found.step_us is None:
        counted = np.arange(times.size, dtype=np.int64)
        return counted, season_lengths(found) if found else (1,)
    since = (times - times[0]).astype("m8[us]").astype(np.int64)
    return np.rint(since / found.step_us).astype(np.int64), season_lengths(found)


def _frequency(times: TimeArray, text: str | None) -> Frequency | None:
    try:
        return parse_frequency(text) if text else _common(times)
    except InvalidSeries:
        return _common(times)


def _common(times: TimeArray) -> Frequency | None:
    if times.size < 2:  # noqa: PLR2004 - a step has two ends
        return None
    gaps, counts = np.unique(np.diff(times).astype("m8[us]"), return_counts=True)
    step_us = int(gaps[np.argmax(counts)].astype(np.int64))
    return parse_frequency(f"{step_us}us")


def _season(values: int, seasons: Sequence[int]) -> int:
    held = [one for one in seasons if one > 1 and values >= _LEAST_CYCLES * one]
    return max(held, default=1)


def _without_season(
    reference: Window, recent: Window, season: int
) -> tuple[FloatArray, FloatArray]:
    """Take the mean of each phase off, weighing all values alike.

    Under no change the values of both windows then still follow one distribution; the
    means of one window alone would fit it better than the other.
    """
    values = np.concatenate([reference.values, recent.values])
    if season > 1:
        phases = np.concatenate([reference.steps, recent.steps]) % season
        counts = np.bincount(phases, minlength=season)
        means = np.bincount(phases, values, season) / np.maximum(counts, 1)
        values = values - means[phases]
        # Equal phases must come out equal: rounding is no difference in distribution.
        digits = _ROUNDING * float(np.abs(means).max())
        values = np.round(values / digits) * digits if digits > 0 else values
    return values[: len(reference.values)], values[len(reference.values) :]


def _inefficiency(windows: Sequence[tuple[IntArray, FloatArray]]) -> float:
    """Return how many values are worth one independent value, at least 1.

    Each window is taken about its own mean, so that a change between them does not
    pass for memory inside them.
    """
    lags = max(2, min(_span(steps) for steps, _ in windows) // 2)
    found = np.mean([_autocorrelation(s, v, lags) for s, v in windows], axis=0)
    first = _summed(found)
    # About its own mean a window looks less alike than it is, by about this much.
    smallest = min(len(values) for _, values in windows)
    return _summed(found + (1 - found) * min(first / smallest, 0.5))


def _span(steps: IntArray) -> int:
    return int(steps[-1] - steps[0]) + 1


def _autocorrelation(steps: IntArray, values: FloatArray, lags: int) -> FloatArray:
    """Return the autocorrelation of a window at lags 0, 1, ...; gaps are left out."""
    line = np.zeros(_span(steps))
    known = np.zeros_like(line)
    places = steps - steps[0]
    line[places], known[places] = values - values.mean(), 1.0
    length = fft.next_fast_len(2 * line.size, real=True)
    power, pairs = (np.abs(fft.rfft(one, length)) ** 2 for one in (line, known))
    sums, counts = (fft.irfft(one, length)[:lags] for one in (power, pairs))
    covariance = sums / np.maximum(np.round(counts), 1.0)
    covariance *= 1.0 - np.arange(covariance.size) / line.size
    if covariance[0] <= _ROUNDING**2 * float(np.mean(values**2)):
        return np.concatenate([[1.0], np.zeros(lags - 1)])
    correlation: FloatArray = covariance / covariance[0]
    return correlation


def _summed(correlation: FloatArray) -> float:
    """Sum pairs of lags for as long as they are positive, and never let them grow."""
    even = correlation.size // 2 * 2
    pairs = correlation[0:even:2] + correlation[1:even:2]
    ended = np.flatnonzero(pairs <= 0)
    kept = pairs[: ended[0]] if ended.size else pairs
    return max(1.0, 2.0 * float(np.minimum.accumulate(kept).sum()) - 1.0)


def _p_value(statistic: float, size: float) -> float:
    root = np.sqrt(size)
    return float(special.kolmogorov((root + 0.12 + 0.11 / root) * statistic))
