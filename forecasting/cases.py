"""What models are given and give back: cases, regimes, fitted models, contributions."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from forecasting.arrays import FloatArray, TimeArray

_LONGEST_SHORT_SEASON = 12
_RARE = 0.2


def _no_columns() -> FloatArray:
    return np.empty((0, 0))


@dataclass(frozen=True, kw_only=True)
class ModelContext:
    """What a model knows besides the history.

    Attributes:
        horizon: steps to forecast.
        season: the season in steps; 1 means none.
        long_season: a second, longer season in steps, or None.
        times: UTC times of the history, shape (n,), datetime64[us].
        future_times: UTC times to forecast, shape (horizon,), datetime64[us].
        seed: seed of every random choice.
        names: names of the covariates, one for each column.
        covariates: their values beside the history, shape (n, columns), no NaN; shape
            (0, 0) without any.
        future_covariates: their values as they were known at the cutoff for the steps
            to forecast, shape (horizon, columns); a column known only for the past is
            all NaN.
        attributes: static attributes of the series, such as its region.
        notes: what was done to the covariates, in sentences.
    """

    horizon: int
    season: int
    long_season: int | None
    times: TimeArray
    future_times: TimeArray
    seed: int
    names: tuple[str, ...] = ()
    covariates: FloatArray = field(default_factory=_no_columns)
    future_covariates: FloatArray = field(default_factory=_no_columns)
    attributes: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Case:
    """One history to learn from or to forecast, and its context.

    Attributes:
        history: known values, shape (n,), no NaN.
        context: what is known besides.
    """

    history: FloatArray
    context: ModelContext


@dataclass(frozen=True)
class Contributions:
    """What each part of a model adds to its forecast of one series.

    Attributes:
        names: of the parts, the first is "base".
        values: shape (parts, horizon), unit of the series; sums to the forecast.
    """

    names: tuple[str, ...]
    values: FloatArray


class Fitted(Protocol):
    """A global model that has learned; it can be kept as bytes."""

    def predict(self, cases: Sequence[Case]) -> list[FloatArray]:
        """Forecast each case; a case that cannot be forecast gives NaN."""

    def explain(self, cases: Sequence[Case]) -> list[Contributions]:
        """Split each forecast into parts that sum to it."""

    def state(self) -> bytes:
        """Return what ``restore`` of the same model takes; never a pickle."""


@dataclass(frozen=True, kw_only=True)
class Regime:
    """What kind of series a panel holds, for a model to say whether it suits.

    Attributes:
        series: how many.
        points: median length in steps.
        season: in steps; 1 means none.
        horizon: in steps.
        zeros: share of the values that are zero, from 0 to 1.
        positive: whether every value is above zero.
        covariates: how many are known for the future.
    """

    series: int
    points: int
    season: int
    horizon: int
    zeros: float
    positive: bool
    covariates: int

    @property
    def short_season(self) -> bool:
        """Whether smoothing methods suit.

        On weeks of a year and hours they did no better than the naive forecast.
        """
        return self.season <= _LONGEST_SHORT_SEASON

    @property
    def intermittent(self) -> bool:
        """Whether demand is rare."""
        return self.zeros > _RARE
