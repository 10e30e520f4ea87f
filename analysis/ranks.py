"""The latest numbers of a stream in order, for ranks and nearest neighbours."""

import math
import struct
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable

_SINGLE = struct.Struct("f")
_LARGEST = 3.4e38
# Beyond the largest, so many times as large is this power of that as rare; a power
# that is half as high when there are only so many numbers.
_TAIL_INDEX, _TAIL_COUNT = 2.0, 12


def single(number: float) -> float:
    """Return a finite number in single precision, the largest there is at most."""
    number = min(max(number, -_LARGEST), _LARGEST)
    return float(_SINGLE.unpack(_SINGLE.pack(number))[0])


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
        number = single(number)
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

    def surprise(self, number: float, *, floor: float = 0.0) -> float:
        """Return -log10 of the conformal p-value: the share at least as large.

        Beyond the largest a Pareto tail goes on. Its index is that of tails so heavy
        that they have no variance, and less for a few numbers, whose largest is too
        small: it errs towards silence.

        Args:
            number: Of the newest point.
            floor: Stands in for the largest where that is smaller: below it numbers
                are rounding.

        Example:
            >>> round(Ranks(99, range(1, 10)).surprise(9.0), 6)
            0.69897
        """
        ascending = self.ascending
        count = len(ascending)
        # Else rounding alone makes an equal number the largest.
        number = single(number)
        above = count - bisect_left(ascending, number)
        found = math.log10((count + 1) / (above + 1))
        if count and not above:
            largest = max(ascending[-1], floor)
            if number > largest > 0:
                index = _TAIL_INDEX * count / (count + _TAIL_COUNT)
                found += index * math.log10(number / largest)
        return found

    def quantile(self, share: float) -> float:
        """Return the number below which a share of them lies, by conformal rank.

        Example:
            >>> Ranks(9, [3.0, 1.0, 2.0]).quantile(0.75)
            3.0
        """
        place = math.ceil(share * (len(self.ascending) + 1)) - 1
        return self.ascending[min(max(place, 0), len(self.ascending) - 1)]
