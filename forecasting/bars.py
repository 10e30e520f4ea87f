"""The prices that a strategy sees; read by the web door, so without numpy."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from forecasting.arrays import FloatArray, TimeArray

Stances: TypeAlias = "npt.NDArray[np.int8]"
"""Which way to stand at each bar, shape (n,): 1 long, 0 flat, -1 short."""


@dataclass(frozen=True, kw_only=True)
class Forecasts:
    """What was forecast of a price, and since when each forecast was known.

    Attributes:
        known_from: shape (m,), UTC, ascending; one forecast shares one instant.
        times: the bars forecast, shape (m,), UTC, ascending within a forecast.
        values: shape (m,), unit of the price, no NaN.
    """

    known_from: "TimeArray"
    times: "TimeArray"
    values: "FloatArray"


@dataclass(frozen=True, kw_only=True)
class Bars:
    """Prices one after the other; a bar is a time that has one.

    Attributes:
        times: shape (n,), UTC, ascending.
        prices: shape (n,), no NaN; may be zero or below.
        forecasts: forecasts of the price, or None.
    """

    times: "TimeArray"
    prices: "FloatArray"
    forecasts: Forecasts | None = None
