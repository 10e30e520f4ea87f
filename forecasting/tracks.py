"""The histories of a panel laid end to end: rows of all series are read at once.

A position is an index local to its series. Reading before the first value gives NaN; a
mean, minimum or maximum over more steps than there are takes those there are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from forecasting.arrays import BoolArray, FloatArray, TimeArray
from forecasting.cases import Case

# Part of the mean step from value to value: the scale of a series whose season repeats
# without an error.
_LEAST_SHARE = 0.05
# Shorter seasons are too noisy: the latest value says more about the level than they.
_SEASON_AVERAGED = 7


@dataclass(frozen=True, kw_only=True)
class Tracks:
    """Flat arrays of a panel.

    Attributes:
        values: all histories, shape (n,); natural logarithms where `logs`.
        starts: index of the first value of each series in `values`, shape (s,).
        lengths: points of each series, shape (s,).
        logs: whether a series is taken in logarithms, shape (s,).
        sums: running sums of the values over the first of the series, shape (n,).
        errors: running sums of the absolute differences to a season before, shape (n,).
        moves: running sums of the absolute differences to a step before, shape (n,).
        lows: minimum of the latest steps, shape (n,), by window.
        highs: maximum of the latest steps, shape (n,), by window.
        ahead: steps beyond the history that `times` and `covariates` hold.
        times: UTC times of each series and of the steps ahead of it, shape (n + s *
            ahead,), datetime64[us].
        covariates: values at these times, shape (n + s * ahead, columns).
        cumulated: running sums of the covariates of each series, same shape.
        season: steps, at least 1.
    """

    values: FloatArray
    starts: Any
    lengths: Any
    logs: BoolArray
    sums: FloatArray
    errors: FloatArray
    moves: FloatArray
    lows: dict[int, FloatArray]
    highs: dict[int, FloatArray]
    ahead: int
    times: TimeArray
    covariates: FloatArray
    cumulated: FloatArray
    season: int

    def value(self, series: Any, position: Any) -> FloatArray:
        """Read values; NaN before the first."""
        return _read(self.values, self.starts[series], position)

    def mean(self, series: Any, position: Any, width: int) -> FloatArray:
        """Average the latest `width` values up to and including each position."""
        start = self.starts[series]
        above = _window_mean(self.sums, start, position, width)
        return np.asarray(self.values[start] + above)

    def low(self, series: Any, position: Any, width: int) -> FloatArray:
        """Take the minimum of the latest `width` values."""
        return _read(self.lows[width], self.starts[series], position)

    def high(self, series: Any, position: Any, width: int) -> FloatArray:
        """Take the maximum of the latest `width` values."""
        return _read(self.highs[width], self.starts[series], position)

    def covariate(self, series: Any, position: Any, column: int) -> FloatArray:
        """Read a covariate, also ahead of the history; NaN before the first value."""
        start = self.starts[series] + self.ahead * series
        return _read(self.covariates[:, column], start, position)

    def covariate_mean(
        self, series: Any, position: Any, width: int, column: int
    ) -> FloatArray:
        """Average the latest `width` values of a covariate."""
        start = self.starts[series] + self.ahead * series
        return _window_mean(self.cumulated[:, column], start, position, width)

    def time(self, series: Any, position: Any) -> TimeArray:
        """Read times, also ahead of the history."""
        found = self.times[self.starts[series] + self.ahead * series + position]
        return np.asarray(found)

    def level(self, series: Any, position: Any) -> FloatArray:
        """Average the latest season of 7 steps or more; else take the latest value."""
        if self.season >= _SEASON_AVERAGED:
            return self.mean(series, position, self.season)
        return self.value(series, position)

    def scale(self, series: Any, position: Any) -> FloatArray:
        """Average the errors of the seasonal naive known at each position.

        Returns:
            Zero for a history that never changed, NaN for one without a season.
        """
        start = self.starts[series]
        pairs = np.asarray(position + 1 - self.season)
        error = self.errors[start + position] / np.maximum(pairs, 1)
        move = self.moves[start + position] / np.maximum(position, 1)
        return np.where(pairs > 0, np.maximum(error, _LEAST_SHARE * move), np.nan)

    def size(self, series: Any, position: Any) -> FloatArray:
        """Size a scale is compared with: the level, or 1 for logarithms."""
        return np.where(self.logs[series], 1.0, np.abs(self.level(series, position)))


def lay_tracks(
    cases: Sequence[Case],
    *,
    season: int,
    windows: tuple[int, ...],
    columns: tuple[str, ...],
    most: int,
) -> Tracks:
    """Lay the cases end to end.

    Args:
        cases: at least one; a history without a value stands as a single zero.
        season: steps, at least 1.
        windows: steps over which minimum and maximum are kept.
        columns: the covariates to take, in this order; one that a case lacks is NaN.
        most: points taken of each series, the latest.

    Returns:
        The tracks; series whose values are all positive are in logarithms.
    """
    ahead = max(case.context.horizon for case in cases)
    histories = [case.history[-most:] for case in cases]
    logs = np.array([bool((history > 0).all()) for history in histories])
    values = [
        np.log(history) if log else history
        for history, log in zip(histories, logs, strict=True)
    ]
    lengths = np.array([each.size for each in values])
    covariates = [_covariates(case, columns, most, ahead) for case in cases]
    return Tracks(
        values=np.concatenate(values),
        starts=np.concatenate(([0], np.cumsum(lengths)[:-1])),
        lengths=lengths,
        logs=logs,
        sums=np.concatenate([np.cumsum(each - each[0]) for each in values]),
        errors=np.concatenate([_running_errors(each, season) for each in values]),
        moves=np.concatenate([_running_errors(each, 1) for each in values]),
        lows={
            w: np.concatenate([-_highs(-each, w) for each in values]) for w in windows
        },
        highs={
            w: np.concatenate([_highs(each, w) for each in values]) for w in windows
        },
        ahead=ahead,
        times=np.concatenate([_times(case, most, ahead) for case in cases]),
        covariates=np.concatenate(covariates),
        cumulated=np.concatenate([np.cumsum(each, axis=0) for each in covariates]),
        season=season,
    )


def _read(flat: FloatArray, start: Any, position: Any) -> FloatArray:
    found = flat[start + np.maximum(position, 0)]
    return np.where(position >= 0, found, np.nan)


def _window_mean(sums: FloatArray, start: Any, position: Any, width: int) -> FloatArray:
    before = position - width
    total = sums[start + np.maximum(position, 0)]
    total = total - np.where(before >= 0, sums[start + np.maximum(before, 0)], 0.0)
    mean = total / np.clip(position + 1, 1, width)
    return np.where(position >= 0, mean, np.nan)


def _running_errors(values: FloatArray, lag: int) -> FloatArray:
    errors = np.zeros(values.size)
    errors[lag:] = np.abs(values[lag:] - values[:-lag])
    return np.cumsum(errors)


def _highs(values: FloatArray, width: int) -> FloatArray:
    # Importing it here keeps the cold start of a job that needs no trees short.
    from scipy import ndimage  # type: ignore[import-untyped]  # noqa: PLC0415

    # The origin moves the window so that it ends at each position.
    origin = (width - 1) // 2
    found = ndimage.maximum_filter1d(
        values, size=width, origin=origin, mode="constant", cval=-np.inf
    )
    return np.asarray(found)


def _covariates(
    case: Case, columns: tuple[str, ...], most: int, ahead: int
) -> FloatArray:
    context = case.context
    past = context.covariates[-most:]
    table = np.full((min(case.history.size, most) + ahead, len(columns)), np.nan)
    for target, name in enumerate(columns):
        if name in context.names:
            source = context.names.index(name)
            table[:-ahead, target] = past[:, source]
            future = context.future_covariates[:, source]
            table[-ahead:, target][: future.size] = future
    return table


def _times(case: Case, most: int, ahead: int) -> TimeArray:
    times = np.concatenate((case.context.times[-most:], case.context.future_times))
    # A case of a shorter horizon repeats its final time; nobody reads it.
    missing = ahead - case.context.horizon
    return np.concatenate((times, np.repeat(times[-1:], missing)))
