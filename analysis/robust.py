"""Medians that ignore missing points: over windows, over phases, as a spread."""

import numpy as np
import pandas as pd  # type: ignore[import-untyped]  # ships no type information
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Quantiles of |x| for a standard normal x: they make every fallback of `spread`
# estimate the same thing.
NORMAL_MEDIAN_SIZE = 0.6745
_NORMAL_QUANTILES = ((0.5, NORMAL_MEDIAN_SIZE), (0.75, 1.1503), (0.9, 1.6449))

# Stands in for a scale when the series is zero throughout.
_SMALLEST = 1e-12


def trailing_median(values: Floats, *, window: int) -> Floats:
    """Median of the `window` points before each point, kept through a gap.

    Args:
        values: (n,) any unit; NaN is missing and ignored.
        window: Steps, at least 1; with less than a quarter of them present the
            median stays what it was.

    Returns:
        (n,) in the unit of `values`; NaN until a quarter of a window came before.

    Example:
        >>> trailing_median(np.array([1.0, 2.0, 9.0, 4.0]), window=3)
        array([nan, 1. , 1.5, 2. ])
    """
    rolling = pd.Series(values).rolling(window, min_periods=max(1, window // 4))
    return np.asarray(rolling.median().shift(1).ffill(), dtype=np.float64)


def latest_median(values: Floats, *, window: int) -> Floats:
    """Median of what is present among the `window` points before each point.

    Args:
        values: (n,) any unit; NaN is missing and ignored.
        window: Steps, at least 1; one of them must be present.

    Returns:
        (n,) in the unit of `values`; NaN where none is present.

    Example:
        >>> latest_median(np.array([1.0, np.nan, 9.0, 4.0]), window=2)
        array([nan,  1.,  1.,  9.])
    """
    rolling = pd.Series(values).rolling(window, min_periods=1)
    return np.asarray(rolling.median().shift(1), dtype=np.float64)


def centred_median(values: Floats, *, window: int) -> Floats:
    """Median of the `window` points around each point.

    Args:
        values: (n,) any unit; NaN is missing and ignored.
        window: Steps, at least 1; half of them must be present.

    Returns:
        (n,) in the unit of `values`; NaN where too little is around.

    Example:
        >>> centred_median(np.array([1.0, 2.0, 9.0, 4.0]), window=3)
        array([1.5, 2. , 4. , 6.5])
    """
    rolling = pd.Series(values).rolling(
        window, min_periods=max(1, window // 2), center=True
    )
    return np.asarray(rolling.median(), dtype=np.float64)


def phase_median(values: Floats, *, season: int, cycles: int) -> Floats:
    """Median of the values at the same phase of the last few cycles.

    Args:
        values: (n,) any unit; NaN is missing and ignored.
        season: Steps of one cycle.
        cycles: How many cycles to look back; at least two values must be present.

    Returns:
        (n,) in the unit of `values`; NaN where fewer than two are present.

    Example:
        >>> phase_median(np.array([1.0, 5, 3, 7, 0, 0]), season=2, cycles=2)
        array([nan, nan, nan, nan,  2.,  6.])
    """
    lagged = np.full((len(values), cycles), np.nan)
    for cycle in range(1, cycles + 1):
        lag = cycle * season
        if lag >= len(values):
            break
        lagged[lag:, cycle - 1] = values[:-lag]
    lagged.sort(axis=1)
    present = np.isfinite(lagged).sum(axis=1)
    rows = np.arange(len(values))
    low = lagged[rows, np.maximum(present - 1, 0) // 2]
    high = lagged[rows, np.minimum(present // 2, cycles - 1)]
    return np.where(present > 1, (low + high) / 2, np.nan)


def spread(residuals: Floats) -> float:
    """Typical size of residuals around zero, as a normal standard deviation.

    The median of the sizes; when more than half of them are zero, a higher quantile,
    so that a mostly quiet series is not called noiseless.

    Args:
        residuals: (n,) any unit; NaN is ignored.

    Returns:
        A number in the unit of `residuals`; 0 when nine tenths are zero or none
        is present.

    Example:
        >>> round(spread(np.array([-0.6745, 0.6745, 50.0])), 3)
        1.0
    """
    sizes = np.abs(residuals[np.isfinite(residuals)])
    if not len(sizes):
        return 0.0
    for share, normal in _NORMAL_QUANTILES:
        size = float(np.quantile(sizes, share))
        if size > 0:
            return size / normal
    return 0.0


def rounding_floor(values: Floats) -> float:
    """Smallest residual that is more than rounding, in the unit of `values`.

    Args:
        values: (n,) any unit; NaN is ignored, at least one must be present.

    Returns:
        A positive number; for a series of zeros a very small one.
    """
    present = values[np.isfinite(values)]
    rounding = 64 * np.finfo(np.float64).eps * np.max(np.abs(present))
    return float(1e-9 * np.ptp(present) + rounding) or _SMALLEST
