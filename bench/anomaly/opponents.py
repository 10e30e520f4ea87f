"""Simple detectors beside ours, and the cheap opponents that every table must show.

Each takes the values of a series, shape (n,), and returns a strangeness, shape (n,),
higher is stranger. Where a library is too heavy for what it is asked for here, the
method is written down in its plainest form and marked "own".
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd  # type: ignore[import-untyped]  # 2.3 ships no types
from numpy.typing import NDArray
from statsmodels.tsa.seasonal import STL  # type: ignore[import-untyped]  # no types

Floats = NDArray[np.float64]

_HALF_LIFE, _CLOCK_SHARE, _CYCLES = 100, 0.06, 5
_WINDOW = 100
_JUMPS = 10


@dataclass(frozen=True)
class Opponent:
    """A method.

    Attributes:
        name: As the tables say it.
        score: values and steps a day (1 for none) to strangeness.
        causal: It looks at no later point.
    """

    name: str
    score: Callable[[Floats, int], Floats]
    causal: bool


def random(values: Floats, _: int) -> Floats:
    """Return noise."""
    return np.random.default_rng(len(values)).random(len(values))


def clock(values: Floats, _: int) -> Floats:
    """Fire at even distances, whatever the values are."""
    every = max(2, round(_CLOCK_SHARE * len(values)))
    return np.asarray((np.arange(len(values)) % every == 0).astype(np.float64))


def step_size(values: Floats, _: int) -> Floats:
    """Return the size of the step from the value before."""
    return np.abs(np.diff(values, prepend=values[:1]))


def window_norm(values: Floats, _: int) -> Floats:
    """Return the root mean square of the window around, in deviations."""
    z = (values - values.mean()) / max(float(values.std()), 1e-12)
    rolling = pd.Series(z**2).rolling(_WINDOW, center=True, min_periods=1)
    return np.asarray(np.sqrt(rolling.mean().to_numpy()))


def ewma(values: Floats, _: int) -> Floats:
    """Return the deviation from an exponential mean, in exponential deviations."""
    before = pd.Series(values).ewm(halflife=_HALF_LIFE)
    mean, spread = before.mean().shift(1), before.std().shift(1)
    z = (values - mean).abs() / spread.clip(lower=1e-9)
    return np.asarray(z.fillna(0.0).to_numpy())


def seasonal_z(values: Floats, day: int) -> Floats:
    """Return the deviation from the same time of five days, in running deviations."""
    lags = [lag * day for lag in range(1, _CYCLES + 1)] if day > 1 else [1, 2, 3, 4, 5]
    past = np.full((len(lags), len(values)), np.nan)
    for row, lag in zip(past, lags, strict=True):
        row[lag:] = values[:-lag] if lag < len(values) else []
    counts = np.isfinite(past).sum(axis=0)
    usual = np.nansum(past, axis=0) / np.maximum(counts, 1)
    rest = pd.Series(np.where(counts > 0, values - usual, np.nan))
    spread = rest.ewm(halflife=_HALF_LIFE).std().shift(1).clip(lower=1e-9)
    return np.asarray((rest.abs() / spread).fillna(0.0).to_numpy())


def stl_residual(values: Floats, day: int) -> Floats:
    """Return the robustly scaled residual of an STL decomposition."""
    period = day if 1 < day <= len(values) // 3 else 12
    # Fits at a tenth of each window, lines between, as its authors' program does:
    # else a cycle of 1,440 steps takes half a minute a file.
    cycle, trend = math.ceil((period + 1) / _JUMPS), math.ceil(1.5 * period / _JUMPS)
    stl = STL(values, period=period, low_pass_jump=cycle, trend_jump=trend)
    rest = np.asarray(stl.fit().resid)
    spread = float(np.median(np.abs(rest - np.median(rest))))
    return np.asarray(np.abs(rest - np.median(rest)) / max(spread, 1e-9))


OPPONENTS = (
    Opponent("random", random, causal=True),
    Opponent("clock, every 6 %", clock, causal=True),
    Opponent("step size", step_size, causal=True),
    Opponent("window norm", window_norm, causal=False),
    Opponent("EWMA z", ewma, causal=True),
    Opponent("seasonal z", seasonal_z, causal=True),
    Opponent("STL residual", stl_residual, causal=False),
)
