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

    def steps(self, start: int, stop: int, *, most: int) -> int | None:
        """Return how many steps lead from one place to another, at most so many.

        Returns:
            None where no steps lead there, or too many.

        Example:
            >>> [Pace("1min").steps(0, stop, most=9) for stop in (180_000_000, 1)]
            [3, None]
        """
        if self.step:
            count, off = divmod(stop - start, self.step)
            return count if count >= 0 and not off and count <= most else None
        count = 0
        while start < stop and count < most:
            start, count = self.after(start), count + 1
        return count if start == stop else None

    def are_steps(
        self, times: NDArray[np.datetime64], *, start: int, most: int
    ) -> NDArray[np.bool_]:
        """Say which rising times are steps from a place on, at most so many from it."""
        if self.step:
            places = times.astype("datetime64[us]").astype(np.int64)
            count, off = np.divmod(places - start, self.step)
            return np.asarray((count >= 0) & (off == 0) & (count <= most))
        if not len(times):
            return np.zeros(0, dtype=np.bool_)
        first = pd.Timestamp(start, unit="us")
        steps = pd.date_range(first, times[-1], freq=self.offset, unit="us")
        return np.asarray(np.isin(times, steps.to_numpy()))

    def until(self, place: int, *, count: int) -> NDArray[np.datetime64]:
        """Return so many steps of which this one is the last."""
        if self.step:
            steps = place - self.step * np.arange(count - 1, -1, -1)
            return steps.astype("datetime64[us]")
        end = pd.Timestamp(place, unit="us")
        found = pd.date_range(end=end, periods=count, freq=self.offset)
        return np.asarray(found.to_numpy().astype("datetime64[us]"))
