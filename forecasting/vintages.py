"""Vintages: what was known of a series at a cutoff, before it was revised."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from forecasting.arrays import FloatArray, TimeArray
from forecasting.errors import InvalidSeries
from forecasting.grid import RegularSeries


@dataclass(frozen=True, kw_only=True, eq=False)
class Vintages:
    """Every version of the values of a series.

    Attributes:
        times: UTC times of the values, shape (n,), ascending.
        known: UTC times since which each version was known, shape (n,), ascending
            among those of one time.
        values: shape (n,); NaN where a version withdrew the value.
    """

    times: TimeArray
    known: TimeArray
    values: FloatArray

    def history(self, series: RegularSeries, *, cutoff: int) -> FloatArray:
        """Return the history up to an index, as it was known then.

        Each time has the newest version that was known at the time of the cutoff. A
        time of which nothing was known by then has its first release: a backtest
        assumes that observations arrive at once, and never sees a revision. What was
        withdrawn or is a gap has the value before it, or the first one at the front;
        what the rules state of steps without a row stays.

        Args:
            series: the series as it is known now, on its grid.
            cutoff: index of the latest time.

        Returns:
            Values, shape (cutoff + 1,), finite.

        Raises:
            InvalidSeries: all values were withdrawn.

        Example:
            >>> day = np.array(["2024-01-01", "2024-01-02"], dtype="datetime64[us]")
            >>> grid = RegularSeries(day, np.array([9.0, 5.0]), day == day, ())
            >>> made = Vintages(
            ...     times=day[[0, 0, 1]], known=day[[0, 1, 1]], values=np.r_[3.0, 9, 5]
            ... )
            >>> made.history(grid, cutoff=0), made.history(grid, cutoff=1)
            (array([3.]), array([9., 5.]))
        """
        grid = series.times[: cutoff + 1]
        times, values = self._known(grid[-1])
        found = np.full(grid.shape, np.nan)
        place = np.searchsorted(grid, times).clip(max=grid.size - 1)
        there = grid[place] == times
        found[place[there]] = values[there]
        without = ~np.isin(grid, self.times) & series.observed[: cutoff + 1]
        found[without] = series.values[: cutoff + 1][without]
        if np.isnan(found).all():
            msg = f"no value was known at {grid[-1]}: all had been withdrawn"
            raise InvalidSeries(msg)
        return _carried(found)

    def _known(self, cutoff_time: Any) -> tuple[TimeArray, FloatArray]:
        """Return the newest version of each time at a cutoff, else the first one."""
        end = int(np.searchsorted(self.times, cutoff_time, side="right"))
        times, known = self.times[:end], self.known[:end]
        first = np.ones(end, dtype=bool)
        first[1:] = times[1:] != times[:-1]
        readable = np.flatnonzero(first | (known <= cutoff_time))
        times, values = times[readable], self.values[:end][readable]
        newest = np.ones(times.size, dtype=bool)
        newest[:-1] = times[1:] != times[:-1]
        return times[newest], values[newest]


def _carried(values: FloatArray) -> FloatArray:
    """Fill each gap with the value before it, and the front with the first value."""
    there = np.flatnonzero(~np.isnan(values))
    place = np.searchsorted(there, np.arange(values.size), side="right") - 1
    carried: FloatArray = values[there[place.clip(min=0)]]
    return carried
