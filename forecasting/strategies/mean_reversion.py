"""Mean reversion: what strays far from its mean comes back."""

from pydantic import Field

from forecasting.bars import Bars, Stances
from forecasting.strategies import Banded, strategy


class MeanReversion(Banded):
    """Which mean, and how far is far."""

    window: int = Field(default=20, ge=2, le=10_000, description="Bars of the mean.")
    enter: float = Field(default=2.0, ge=0, description="Deviations from the mean.")


@strategy("mean_reversion", parameters=MeanReversion)
def mean_reversion(bars: Bars, parameters: MeanReversion) -> Stances:
    """Stand against the distance from the mean of the latest ``window`` bars.

    Args:
        bars: prices of any sign.
        parameters: ``enter`` and ``leave`` are distances in standard deviations of the
            window, this bar included. A window without any spread is at its mean.

    Returns:
        Stances, shape (n,); flat until the window is full.

    References:
        Chan (2013), Algorithmic Trading, ch. 3 (Bollinger bands).
    """
    from forecasting.signals import (  # noqa: PLC0415 - the door has no numpy
        deviations,
        held,
    )

    return held(
        -deviations(bars.prices, window=parameters.window),
        enter=parameters.enter,
        leave=parameters.leave,
    )
