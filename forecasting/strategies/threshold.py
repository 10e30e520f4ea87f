"""Threshold: buy what a forecast, or a fixed level, says is cheap by enough."""

from pydantic import Field

from forecasting.bars import Bars, Stances
from forecasting.strategies import Banded, strategy


class Threshold(Banded):
    """What the price is compared with, and by how much it must differ."""

    enter: float = Field(
        default=0.01, ge=0, description="Share of the price; 0.01 is one percent."
    )
    ahead: int = Field(
        default=1, ge=1, le=1_000, description="Next bars whose forecasts are averaged."
    )
    level: float | None = Field(
        default=None, description="A fixed price to compare with instead of forecasts."
    )

    @property
    def needs_forecasts(self) -> bool:
        """Without a level, forecasts are what the price is compared with."""
        return self.level is None


@strategy("threshold", parameters=Threshold)
def threshold(bars: Bars, parameters: Threshold) -> Stances:
    """Stand with the distance of a forecast or a level from the price.

    Args:
        bars: prices of any sign, with forecasts unless there is a level.
        parameters: ``enter`` and ``leave`` are shares of the price's size.

    Returns:
        Stances, shape (n,); flat where no forecast was known for all bars ahead.

    Raises:
        InvalidSeries: there is neither a level nor a forecast.
    """
    import numpy as np  # noqa: PLC0415 - the door has no numpy

    from forecasting.signals import (  # noqa: PLC0415 - the same
        held,
        next_forecasts,
        relative,
    )

    if parameters.level is None:
        reference = next_forecasts(bars, ahead=parameters.ahead)
    else:
        reference = np.full(bars.prices.size, parameters.level)
    return held(
        relative(reference, to=bars.prices),
        enter=parameters.enter,
        leave=parameters.leave,
    )
