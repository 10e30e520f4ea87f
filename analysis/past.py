"""What a stream remembers of its values: enough for every view, and no more."""

import math
from bisect import bisect_left, insort
from collections.abc import Iterable

# Cycles whose values at one phase are compared: two of five may be spoilt.
CYCLES = 5
# Points of the level that does not know of cycles.
MEDIAN_WINDOW = 200
_LEAST_OF_MEDIAN = 20
# Points from which cycles are found.
_SEARCHED = 2048
# Changes of the clock that five cycles can hold, and one to spare.
_CLOCKS = 4


class Past:
    """The latest values in a ring; `count` is how many steps there have been.

    Args:
        season: Steps of a cycle, 1 for none.
        values: What is remembered, oldest first; NaN is missing.
        before: How many steps came before those.
    """

    __slots__ = ("clocks", "count", "ring", "season", "window")

    def __init__(
        self, *, season: int, values: Iterable[float] = (), before: int = 0
    ) -> None:
        self.season = season
        size = max(CYCLES * season, _SEARCHED) + 1
        self.ring = [math.nan] * size
        self.window: list[float] = []
        self.count = before
        # From which step on the clock is ahead by how many steps, newest first.
        self.clocks: list[tuple[int, int]] = []
        for value in values:
            self.add(value)

    def add(self, value: float) -> None:
        """Take the value of the next step in; NaN is missing."""
        leaving = self.back(MEDIAN_WINDOW - 1)
        if leaving == leaving:  # noqa: PLR0124 - NaN, and math.isnan is twice as slow
            del self.window[bisect_left(self.window, leaving)]
        self.ring[self.count % len(self.ring)] = value
        self.count += 1
        if value == value:  # noqa: PLR0124 - as above
            insort(self.window, value)

    def forget(self) -> None:
        """Turn the newest value into a missing one."""
        newest = self.back(0)
        if newest == newest:  # noqa: PLR0124 - NaN, as above
            del self.window[bisect_left(self.window, newest)]
            self.ring[(self.count - 1) % len(self.ring)] = math.nan

    def pass_over(self, count: int) -> None:
        """Let so many missing values come; all that is remembered must be missing."""
        self.count += count

    def tell_clock(self, ahead: int, *, later: int = 0) -> None:
        """Say by how many steps the clock of a point to come is ahead of UTC.

        Args:
            ahead: by how many.
            later: how many points come before it, 0 for the next one.
        """
        if not self.clocks or self.clocks[0][1] != ahead:
            self.clocks = [(self.count + later, ahead), *self.clocks[: _CLOCKS - 1]]

    def back(self, steps: int) -> float:
        """Return the value so many steps before the newest; NaN when missing."""
        if steps >= self.count or steps >= len(self.ring):
            return math.nan
        return self.ring[(self.count - 1 - steps) % len(self.ring)]

    def mean(self, steps: int) -> float:
        """Return the mean of the newest values; NaN when one is missing."""
        if steps > self.count:
            return math.nan
        end = self.count % len(self.ring)
        begin = end - steps
        total = sum(self.ring[max(begin, 0) : end])
        if begin < 0:
            total += sum(self.ring[begin:])
        return total / steps

    def median(self) -> float:
        """Return the median of the latest values, the newest included."""
        count = len(self.window)
        if count < _LEAST_OF_MEDIAN:
            return math.nan
        # Halves first: the sum of two huge values is none.
        return self.window[(count - 1) // 2] / 2 + self.window[count // 2] / 2

    def at_phase(self, ahead: int = 0) -> float:
        """Return the median of the newest point's phase in the cycles before it.

        Args:
            ahead: 1 for the phase of the step that comes next.
        """
        if self.season <= 1:
            return math.nan
        found = []
        for lag in range(self.season - ahead, CYCLES * self.season, self.season):
            value = self._by_clock(lag) if len(self.clocks) > 1 else self.back(lag)
            if value == value:  # noqa: PLR0124 - NaN, as above
                found.append(value)
        found.sort()
        count = len(found)
        if count <= 1:
            return math.nan
        return found[(count - 1) // 2] / 2 + found[count // 2] / 2

    def _by_clock(self, lag: int) -> float:
        """Return the value that the clock, not the count, puts so far back."""
        place = self.count - 1 - lag + self.clocks[0][1]
        stop = self.count
        for start, ahead in self.clocks:
            # An hour that the clock has twice is known by its later half.
            if start <= place - ahead < stop:
                return self.back(self.count - 1 - place + ahead)
            stop = start
        return math.nan

    def latest(self) -> list[float]:
        """Return what is remembered, oldest first."""
        steps = min(self.count, len(self.ring))
        return [self.back(step) for step in range(steps - 1, -1, -1)]
