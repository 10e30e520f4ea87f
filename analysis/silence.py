"""Runs of missing and of repeated values, counted as they come.

The rules are those of `analysis.runs`, which looks at whole series; here the lengths
of the runs so far are kept as a histogram, so a state does not grow with the series.
"""

import math
from collections.abc import Iterable

from analysis.runs import (
    FEW_RATE,
    FEW_RUNS,
    FEW_SHARE,
    FLATLINE_FACTOR,
    SHORTEST_FLATLINE,
)


class Lengths:
    """A histogram of the lengths of runs that ended, and the run that goes on."""

    __slots__ = ("current", "ended", "points")

    def __init__(
        self,
        ended: Iterable[tuple[int, int]] = (),
        current: int = 0,
        points: int = 0,
    ) -> None:
        self.ended = dict(ended)
        self.current = current
        # Steps so far, of the series.
        self.points = points

    def stop(self) -> None:
        """End the run that goes on, if there is one."""
        if self.current:
            self.ended[self.current] = self.ended.get(self.current, 0) + 1
            self.current = 0

    def table(self) -> dict[int, int]:
        """Return the histogram with the run that goes on."""
        found = dict(self.ended)
        if self.current:
            found[self.current] = found.get(self.current, 0) + 1
        return found

    def surprise(self) -> float:
        """Return -log10 of how rarely a run as long as the one that goes on begins."""
        table = self.table()
        rivals = sum(n for length, n in table.items() if length >= self.current)
        return math.log10(self.points / rivals * self.current)


class Silence:
    """What a stream remembers of missing and repeated values."""

    __slots__ = ("equal", "last", "missing", "points", "present", "repeats")

    def __init__(self) -> None:
        self.missing = Lengths()
        self.equal = Lengths()
        self.last = math.nan
        self.points = self.present = self.repeats = 0

    def add(self, value: float) -> None:
        """Take the value of the next step in; NaN is missing."""
        self.points += 1
        self.missing.points = self.equal.points = self.points
        if value != value:  # noqa: PLR0124 - NaN, and math.isnan is twice as slow
            self.missing.current += 1
            self.equal.stop()
        else:
            self.present += 1
            self.missing.stop()
            if value == self.last:
                self.repeats += 1
                # A run of one repeat is two equal values.
                self.equal.current = max(self.equal.current, 1) + 1
            else:
                self.equal.stop()
        self.last = value

    def pass_over(self, count: int) -> None:
        """Let so many missing values come after one that is missing."""
        self.points += count
        self.missing.points = self.equal.points = self.points
        self.missing.current += count

    def gap(self) -> tuple[int, float]:
        """Return the length of the gap that goes on, and what usual ones have.

        The first is 0 where there is none, or a usual one.
        """
        length = self.missing.current
        if not length:
            return 0, 0.0
        table = self.missing.table()
        if sum(table.values()) <= max(FEW_RUNS, FEW_RATE * self.points):
            return length, 0.0
        usual = _quantile(table, 1 - FEW_SHARE)
        return (length if length > usual else 0), usual

    def flatline(self) -> tuple[int, float]:
        """Return the length of the flatline that goes on, and from where it is one."""
        length = self.equal.current
        if length < SHORTEST_FLATLINE or 2 * self.repeats > self.points - 1:
            return 0, 0.0
        table = self.equal.table()
        inside = sum(size * n for size, n in table.items())
        table[1] = max(self.present - inside, 0)
        usual = FLATLINE_FACTOR * _quantile(table, 1 - FEW_SHARE)
        least = max(float(SHORTEST_FLATLINE), usual)
        return (length if length >= least else 0), least


def _quantile(table: dict[int, int], share: float) -> float:
    """Return the quantile of a histogram, interpolated as numpy does."""
    place = share * (sum(table.values()) - 1)
    below, rest = int(place), place - int(place)
    low = _at(table, below)
    return low + rest * (_at(table, below + 1) - low) if rest else float(low)


def _at(table: dict[int, int], place: int) -> int:
    passed = 0
    for size in sorted(table):
        passed += table[size]
        if place < passed:
            return size
    return max(table)
