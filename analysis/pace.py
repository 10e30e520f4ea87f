"""From one step of a series to the next, by the calendar where it needs that."""

import numpy as np
import pandas as pd  # type: ignore[import-untyped]  # ships no type information
from numpy.typing import NDArray

from analysis.grid import offset_of

_MICROSECOND_NS = 1_000


class Pace:
    """The steps of a frequency; times are microseconds since 1970, UTC.

    Example:
        >>> Pace("1min").after(0), Pace("MS").after(0) // 86_400_000_000
        (60000000, 31)
    """

    __slots__ = ("offset", "step")

    def __init__(self, frequency: str) -> None:
        self.offset = offset_of(frequency)
        self.step = 0
        if isinstance(self.offset, pd.tseries.offsets.Tick):
            self.step = self.offset.nanos // _MICROSECOND_NS

    @property
    def seconds(self) -> float:
        """The length of a step, the first one where they differ."""
        return self.after(0) / 1e6

    def after(self, place: int) -> int:
        """Return the step after this one."""
        if self.step:
            return place + self.step
        return int((pd.Timestamp(place, unit="us") + self.offset).as_unit("us")._value)  # noqa: SLF001 - the only exact way to the number

    def until(self, place: int, *, count: int) -> NDArray[np.datetime64]:
        """Return so many steps of which this one is the last."""
        if self.step:
            steps = place - self.step * np.arange(count - 1, -1, -1)
            return steps.astype("datetime64[us]")
        end = pd.Timestamp(place, unit="us")
        found = pd.date_range(end=end, periods=count, freq=self.offset)
        return np.asarray(found.to_numpy().astype("datetime64[us]"))
