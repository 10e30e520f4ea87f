"""Quantiles of a group of series from the errors that its backtests really made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from forecasting.arrays import FloatArray
from forecasting.intervals import LEAST_FOLDS, conformal_offsets

# Own windows that a series needs before its own error widens or narrows its quantiles.
_OWN_WINDOWS = 3
_OWN_RANGE = (1 / 3, 3.0)
_TINY = 1e-12


@dataclass(frozen=True)
class Residuals:
    """Errors of the blend on the windows of a group, each over its series' scale.

    Attributes:
        scaled: shape (series, windows, horizon), NaN where unknown.
    """

    scaled: FloatArray

    def own(self, *, without: int | None = None) -> FloatArray:
        """Tell how large each series' errors are beside the group's.

        Args:
            without: a window to leave out.

        Returns:
            Shape (series,); 1 for series with too few windows to tell.
        """
        return _own_sizes(self.scaled[:, self._kept(without)])

    def rows(self, *, without: int | None = None) -> FloatArray:
        """List the residuals with any known step, each over its series' own size.

        Args:
            without: a window to leave out.

        Returns:
            Shape (rows, horizon).
        """
        each = self.scaled[:, self._kept(without)]
        flat = (each / self.own(without=without)[:, None, None]).reshape(
            -1, self.scaled.shape[2]
        )
        return flat[~np.isnan(flat).all(axis=1)]

    def _kept(self, without: int | None) -> list[int]:
        return [one for one in range(self.scaled.shape[1]) if one != without]


def pool(errors: Sequence[FloatArray], *, scales: Sequence[FloatArray]) -> Residuals:
    """Put the residuals of a group together.

    Args:
        errors: of each series, observed minus forecast, shape (windows, horizon).
        scales: the seasonal naive's error known at each cutoff, shape (windows,).

    Returns:
        The residuals; series with fewer windows than others are NaN in the rest.

    References:
        Vovk, Gammerman & Shafer, Algorithmic Learning in a Random World, 2005.
    """
    deepest = max((one.shape[0] for one in errors), default=0)
    horizon = errors[0].shape[1] if errors else 0
    scaled = np.full((len(errors), deepest, horizon), np.nan)
    for row, (error, scale) in enumerate(zip(errors, scales, strict=True)):
        scaled[row, : error.shape[0]] = error / scale[:, None]
    return Residuals(scaled)


def _own_sizes(scaled: FloatArray) -> FloatArray:
    known = ~np.isnan(scaled)
    sizes = np.where(known, np.abs(scaled), 0.0).sum(axis=(1, 2))
    counts = known.sum(axis=(1, 2))
    each = sizes / np.maximum(counts, 1)
    group = sizes.sum() / max(int(counts.sum()), 1)
    enough = (known.any(axis=2).sum(axis=1) >= _OWN_WINDOWS) & (group > _TINY)
    # The geometric mean of the group's size and the series' own: few windows of one
    # series say half as much as its scale does.
    ratio = np.sqrt(np.maximum(each, _TINY) / max(group, _TINY))
    return np.where(enough, np.clip(ratio, *_OWN_RANGE), 1.0)


@dataclass(frozen=True)
class Band:
    """Quantile offsets of one window, made without its own errors.

    Attributes:
        offsets: in scales of the series, shape (levels, horizon).
        sizes: of each series beside the group, shape (series,).
    """

    offsets: FloatArray
    sizes: FloatArray


def left_out_bands(
    residuals: Residuals, *, levels: tuple[float, ...], windows: int | None = None
) -> dict[int, Band]:
    """Make the quantiles of every window from the errors of all others.

    Args:
        residuals: of the group.
        levels: increasing; without any there is no band.
        windows: so many of the latest windows; None for all.

    Returns:
        By window; those for which the others are too few are missing.
    """
    deepest = residuals.scaled.shape[1]
    found = {}
    for window in range(deepest if windows is None else min(windows, deepest)):
        rows = residuals.rows(without=window)
        if levels and len(rows) >= LEAST_FOLDS:
            offsets = conformal_offsets(rows, levels=levels)
            found[window] = Band(offsets, residuals.own(without=window))
    return found


def banded(
    bands: Mapping[int, Band],
    *,
    row: int,
    mean: FloatArray,
    scale: FloatArray,
    levels: tuple[float, ...],
) -> dict[float, FloatArray]:
    """Put the bands around the forecasts of one series' windows.

    Args:
        bands: of the group.
        row: the position of the series in the group.
        mean: its forecasts, shape (windows, horizon).
        scale: its scale at each cutoff, shape (windows,).
        levels: of the bands.

    Returns:
        By level, each shape (windows, horizon); nothing where a window has no band.
    """
    windows = range(len(mean))
    if not windows or any(window not in bands for window in windows):
        return {}
    rows = [
        mean[w] + bands[w].offsets * (scale[w] * bands[w].sizes[row]) for w in windows
    ]
    return dict(zip(levels, np.stack(rows, axis=1), strict=True))


def coverage_by_step(
    residuals: Residuals, *, levels: tuple[float, float]
) -> tuple[FloatArray, int]:
    """Tell how often each step lay inside an interval made without its own window.

    Args:
        residuals: of the group.
        levels: lower and upper.

    Returns:
        Shares, shape (horizon,), NaN where nothing was observed, and the number of
        windows behind them.
    """
    inside = np.zeros(residuals.scaled.shape[2])
    seen = np.zeros(residuals.scaled.shape[2])
    for window, band in left_out_bands(residuals, levels=levels).items():
        lower, upper = band.offsets
        own = residuals.scaled[:, window] / band.sizes[:, None]
        inside += ((own >= lower) & (own <= upper)).sum(axis=0)
        seen += (~np.isnan(own)).sum(axis=0)
    shares = np.where(seen > 0, inside / np.maximum(seen, 1), np.nan)
    counted = int((~np.isnan(residuals.scaled).all(axis=2)).sum())
    return shares, counted
