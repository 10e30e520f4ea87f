"""What a view has read so far, and how strange its newest reading is."""

import math

from analysis.past import Past
from analysis.ranks import Ranks, single
from analysis.viewing import View

# Points that count as the past; older ones are forgotten, so regimes are too.
MEMORY = 8000
# One in so many readings is cut off at each end: one wild value is no range.
_CUT = 20


class Seen:
    """The earlier readings of a view, and how far each was from those before it."""

    __slots__ = ("distance", "distances", "origin", "reading", "readings", "view")

    def __init__(self, view: View) -> None:
        self.view = view
        self.origin = 0.0
        self.readings = Ranks(MEMORY)
        self.distances = Ranks(MEMORY)
        self.reading = math.nan
        self.distance = math.inf

    def surprise(self, past: Past, *, floor: float = 0.0) -> float:
        """Return the weighted surprise of the newest point; nothing is learnt.

        Args:
            past: The values, the newest included.
            floor: Distances up to this one are rounding.
        """
        reading = self.view.read(past)
        self.reading, self.distance = reading, math.inf
        if not math.isfinite(reading):
            return 0.0
        self.distance = reading
        if self.view.nearest:
            self.distance = self.readings.nearest(single(reading - self.origin))
        if self.distance == math.inf:
            return 0.0
        if self.distance <= floor:
            self.distance = 0.0
        found = self.distances.surprise(self.distance, floor=floor)
        return self.view.weight * found

    def learn(self) -> None:
        """Take in what was read last."""
        if not math.isfinite(self.reading):
            return
        if self.view.nearest:
            # Counted from the first one, a small change of a large number is kept.
            self.origin = self.origin if len(self.readings) else self.reading
            self.readings.add(self.reading - self.origin)
        if self.distance < math.inf:
            self.distances.add(self.distance)

    def middle(self) -> tuple[float, float]:
        """Return the ends of the middle nine tenths of the readings; 0 without any."""
        ascending = self.readings.ascending
        if not ascending:
            return 0.0, 0.0
        cut = len(ascending) // _CUT
        return ascending[cut] + self.origin, ascending[-1 - cut] + self.origin

    def restart(self) -> None:
        """Forget all readings."""
        self.origin = 0.0
        self.readings.refill(())
        self.distances.refill(())
