"""Trend: a fast mean above a slow one is a rising market."""

from pydantic import Field, ValidationInfo, field_validator

from forecasting.bars import Bars, Stances
from forecasting.strategies import Banded, strategy


class Trend(Banded):
    """Which two means."""

    fast: int = Field(default=10, ge=1, le=10_000, description="Bars of the fast mean.")
    slow: int = Field(default=50, ge=2, le=10_000, description="Bars of the slow mean.")

    @field_validator("slow")
    @classmethod
    def _slower(cls, slow: int, given: ValidationInfo) -> int:
        fast = given.data.get("fast", 0)
        if slow <= fast:
            message = f"slow {slow} must be above fast {fast}"
            raise ValueError(message)
        return slow


@strategy("trend", parameters=Trend)
def trend(bars: Bars, parameters: Trend) -> Stances:
    """Stand with the fast mean's distance from the slow one.

    Args:
        bars: prices of any sign.
        parameters: ``enter`` and ``leave`` are distances as a share of the slow mean's
            size; equal means keep the stance.

    Returns:
        Stances, shape (n,); flat until the slow window is full.

    References:
        Brock, Lakonishok & LeBaron (1992), Simple technical trading rules, JoF 47(5).
    """
    from forecasting.signals import (  # noqa: PLC0415 - the door has no numpy
        held,
        relative,
        rolling_mean,
    )

    fast = rolling_mean(bars.prices, window=parameters.fast)
    slow = rolling_mean(bars.prices, window=parameters.slow)
    return held(relative(fast, to=slow), enter=parameters.enter, leave=parameters.leave)
