"""Quantiles of a group of series from the errors that its backtests really made."""

from collections.abc import Sequence
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
    windows = residuals.scaled.shape[1]
    inside = np.zeros(residuals.scaled.shape[2])
    seen = np.zeros(residuals.scaled.shape[2])
    for window in range(windows):
        others = residuals.rows(without=window)
        if others.shape[0] < LEAST_FOLDS:
            continue
        lower, upper = conformal_offsets(others, levels=levels)
        own = residuals.scaled[:, window] / residuals.own(without=window)[:, None]
        inside += ((own >= lower) & (own <= upper)).sum(axis=0)
        seen += (~np.isnan(own)).sum(axis=0)
    shares = np.where(seen > 0, inside / np.maximum(seen, 1), np.nan)
    counted = int((~np.isnan(residuals.scaled).all(axis=2)).sum())
    return shares, counted
