"""What strategies measure of prices: each value from its own bar and those before."""

from collections.abc import Callable

import numpy as np

from forecasting.arrays import FloatArray
from forecasting.bars import Bars, Stances
from forecasting.errors import InvalidSeries

_BLOCK_VALUES = 2**20
"""Values in memory at once while windows are copied: 8 MiB."""


def held(scores: FloatArray, *, enter: float, leave: float) -> Stances:
    """Stand with a score beyond ``enter`` until it falls below ``leave``.

    Args:
        scores: shape (n,); above zero speaks for long; NaN is no opinion.
        enter: a stance begins where the score's size is above, at least 0.
        leave: a stance ends where the score in its favour is below, up to ``enter``.

    Returns:
        Stances 1, 0 or -1, shape (n,); flat where the score is NaN.

    Example:
        >>> held(np.array([0.0, 3.0, 1.0, 0.5, -3.0]), enter=2.0, leave=1.0).tolist()
        [0, 1, 1, 0, -1]
    """
    stances = np.zeros(scores.size, np.int8)
    stance = 0
    for at, score in enumerate(scores.tolist()):
        if abs(score) > enter:
            stance = 1 if score > 0 else -1
        elif not stance * score >= leave:
            stance = 0
        stances[at] = stance
    return stances


def relative(values: FloatArray, *, to: FloatArray) -> FloatArray:
    """Return by which share of its size values lie above a reference.

    Args:
        values: shape (n,), NaN where unknown.
        to: shape (n,), NaN where unknown; of any sign.

    Returns:
        Shares, shape (n,); infinite beside a reference of zero, NaN if both are zero.

    Example:
        >>> relative(np.array([110.0, -90.0]), to=np.array([100.0, -100.0])).tolist()
        [0.1, 0.1]
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return (values - to) / np.abs(to)


def lagged(values: FloatArray, *, steps: int) -> FloatArray:
    """Return each value of ``steps`` bars before, shape (n,); NaN where there is none.

    Example:
        >>> lagged(np.array([1.0, 2.0, 3.0]), steps=1).tolist()
        [nan, 1.0, 2.0]
    """
    shifted = np.full(values.size, np.nan)
    shifted[steps:] = values[: max(0, values.size - steps)]
    return shifted


def rolling_mean(values: FloatArray, *, window: int) -> FloatArray:
    """Return the mean of the latest ``window`` values.

    Args:
        values: shape (n,), no NaN.
        window: bars, this one included; at least 1.

    Returns:
        Means, shape (n,); NaN until the window is full.

    Example:
        >>> rolling_mean(np.array([1.0, 3.0, 5.0]), window=2).tolist()
        [nan, 2.0, 4.0]
    """
    return _over_windows(_means, values, window)


def deviations(values: FloatArray, *, window: int) -> FloatArray:
    """Return how many standard deviations each value lies above its window's mean.

    Args:
        values: shape (n,), no NaN.
        window: bars, this one included; at least 2.

    Returns:
        Deviations, shape (n,); NaN until the window is full, 0 in a constant window.

    Example:
        >>> deviations(np.array([1.0, 1.0, 3.0]), window=2).round(3).tolist()
        [nan, 0.0, 0.707]
    """
    return _over_windows(_latest_deviation, values, window)


def _means(rows: FloatArray) -> FloatArray:
    # From its first number on, so that the mean of equal numbers is that number and
    # not a bit beside it: a score of zero must be zero.
    first = rows[:, 0]
    means: FloatArray = first + (rows - first[:, None]).mean(axis=1)
    return means


def _latest_deviation(rows: FloatArray) -> FloatArray:
    distance = rows[:, -1] - _means(rows)
    spread = (rows - rows[:, :1]).std(axis=1, ddof=1)
    answer: FloatArray = np.divide(
        distance, spread, out=np.zeros_like(spread), where=spread > 0
    )
    return answer


def _over_windows(
    measure: Callable[[FloatArray], FloatArray], values: FloatArray, window: int
) -> FloatArray:
    measured = np.full(values.size, np.nan)
    if values.size < window:
        return measured
    windows = np.lib.stride_tricks.sliding_window_view(values, window)
    rows = max(1, _BLOCK_VALUES // window)
    for first in range(0, len(windows), rows):
        # In a copy each window is summed alone, in one order; in the view numpy may
        # choose another order for another length, and so let the future change a bit.
        block = np.ascontiguousarray(windows[first : first + rows])
        start = first + window - 1
        measured[start : start + len(block)] = measure(block)
    return measured


def next_forecasts(bars: Bars, *, ahead: int) -> FloatArray:
    """Return, for each bar, what was then forecast for the bars that follow.

    Args:
        bars: with forecasts.
        ahead: how many next bars are averaged, at least 1.

    Returns:
        Means, shape (n,), unit of the price, from the newest forecast known at each
        bar; NaN where that forecast does not reach ``ahead`` bars on.

    Raises:
        InvalidSeries: the bars have no forecasts.
    """
    known = bars.forecasts
    if known is None:
        raise InvalidSeries("there are no forecasts to compare the price with")
    issues, starts = np.unique(known.known_from, return_index=True)
    ends = np.append(starts[1:], known.times.size)
    newest = np.searchsorted(issues, bars.times, side="right") - 1
    means = np.full(bars.times.size, np.nan)
    for at in np.flatnonzero(newest >= 0).tolist():
        start, end = starts[newest[at]], ends[newest[at]]
        times = known.times[start:end]
        first = start + np.searchsorted(times, bars.times[at], side="right")
        if first + ahead <= end:
            means[at] = _means(known.values[None, first : first + ahead])[0]
    return means
