"""Momentum: what has risen goes on rising."""

from pydantic import Field

from forecasting.bars import Bars, Stances
from forecasting.strategies import Banded, strategy


class Momentum(Banded):
    """How far to look back, and which change counts."""

    lookback: int = Field(default=20, ge=1, le=10_000, description="Bars back.")


@strategy("momentum", parameters=Momentum)
def momentum(bars: Bars, parameters: Momentum) -> Stances:
    """Stand with the change over the latest ``lookback`` bars.

    Args:
        bars: prices of any sign.
        parameters: ``enter`` and ``leave`` are changes as a share of the earlier
            price's size; equal prices keep the stance.

    Returns:
        Stances, shape (n,); flat for the first ``lookback`` bars.

    References:
        Moskowitz, Ooi & Pedersen (2012), Time series momentum, JFE 104(2).
    """
    from forecasting.signals import (  # noqa: PLC0415 - the door has no numpy
        held,
        lagged,
        relative,
    )

    earlier = lagged(bars.prices, steps=parameters.lookback)
    return held(
        relative(bars.prices, to=earlier),
        enter=parameters.enter,
        leave=parameters.leave,
    )
