"""Distance from the recent median, for series without a cycle."""

import numpy as np
from numpy.typing import NDArray

from analysis.detectors import Baseline, detector
from analysis.robust import rounding_floor, spread, trailing_median

# Long enough for a steady median, short enough to follow a wandering level; a
# tenth of a short series, so that its one jump stays the exception.
_LONGEST_WINDOW = 48
_SHORTEST_WINDOW = 5


@detector("zscore")
def zscore(
    values: NDArray[np.float64],
    *,
    seasons: tuple[int, ...],  # noqa: ARG001 - part of the detector's signature
    causal: bool,
) -> Baseline:
    """Expect the median of the recent points; the seasons are not used.

    Args:
        values: (n,) on a regular grid, any unit; NaN is missing.
        seasons: Ignored.
        causal: Expect from the past only; otherwise the start, which has no past,
            is expected from what follows it.

    Returns:
        The baseline; one scale for all points.

    References:
        Iglewicz and Hoaglin (1993), How to Detect and Handle Outliers.

    Example:
        >>> zscore(np.arange(20.0), seasons=(), causal=True).expected[-1]
        np.float64(16.0)
    """
    window = int(np.clip(len(values) // 10, _SHORTEST_WINDOW, _LONGEST_WINDOW))
    expected = trailing_median(values, window=window)
    if not causal:
        backward = trailing_median(values[::-1], window=window)[::-1]
        expected[:window] = np.where(
            np.isfinite(backward[:window]), backward[:window], expected[:window]
        )
    scale = max(spread(values - expected), rounding_floor(values))
    return Baseline(
        expected=expected,
        scale=np.where(np.isfinite(expected), scale, np.nan),
        seasonal=np.zeros(len(values)),
    )
