"""The latest numbers of a stream in order, for ranks and nearest neighbours."""

import math
import struct
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable

_SINGLE = struct.Struct("f")
_LARGEST = 3.4e38


class Ranks:
    """At most `limit` numbers; the oldest is forgotten when another comes.

    They are kept in single precision: ranks need no more, and a state that is stored
    for every series is half as large.
    """

    __slots__ = ("ascending", "limit", "newest_last")

    def __init__(self, limit: int, numbers: Iterable[float] = ()) -> None:
        self.limit = limit
        self.refill(numbers)

    def __len__(self) -> int:
        return len(self.ascending)

    def refill(self, numbers: Iterable[float]) -> None:
        """Hold these numbers instead, the oldest first."""
        self.newest_last = deque(numbers)
        self.ascending = sorted(self.newest_last)

    def add(self, number: float) -> None:
        """Take a finite number in."""
        number = min(max(number, -_LARGEST), _LARGEST)
        number = _SINGLE.unpack(_SINGLE.pack(number))[0]
        insort(self.ascending, number)
        self.newest_last.append(number)
        if len(self.ascending) > self.limit:
            oldest = self.newest_last.popleft()
            del self.ascending[bisect_left(self.ascending, oldest)]

    def nearest(self, number: float) -> float:
        """Return the distance to the nearest number; infinite when there is none.

        Example:
            >>> Ranks(9, [1.0, 4.0]).nearest(3.5)
            0.5
        """
        ascending = self.ascending
        place = bisect_left(ascending, number)
        distance = math.inf
        if place < len(ascending):
            distance = ascending[place] - number
        if place:
            distance = min(distance, number - ascending[place - 1])
        return distance

    def surprise(self, number: float) -> float:
        """Return -log10 of the conformal p-value: the share at least as large.

        Beyond the largest a Pareto tail of index one goes on: ten times the largest
        is ten times as rare. It is heavier than most, so it errs towards silence.

        Example:
            >>> round(Ranks(99, range(1, 10)).surprise(90.0), 6)
            2.0
        """
        ascending = self.ascending
        count = len(ascending)
        above = count - bisect_left(ascending, number)
        found = math.log10((count + 1) / (above + 1))
        if count and not above and ascending[-1] > 0:
            found += math.log10(number / ascending[-1])
        return found

    def quantile(self, share: float) -> float:
        """Return the number below which a share of them lies, by conformal rank.

        Example:
            >>> Ranks(9, [3.0, 1.0, 2.0]).quantile(0.75)
            3.0
        """
        place = math.ceil(share * (len(self.ascending) + 1)) - 1
        return self.ascending[min(max(place, 0), len(self.ascending) - 1)]
