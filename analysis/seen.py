"""What a view has read so far, and how strange its newest reading is."""

import math

from analysis.past import Past
from analysis.ranks import Ranks
from analysis.viewing import View

# Points that count as the past; older ones are forgotten, so regimes are too.
MEMORY = 8000


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

    def surprise(self, past: Past) -> float:
        """Return the weighted surprise of the newest point; nothing is learnt."""
        reading = self.view.read(past)
        self.reading, self.distance = reading, math.inf
        if not math.isfinite(reading):
            return 0.0
        self.distance = reading
        if self.view.nearest:
            self.distance = self.readings.nearest(reading - self.origin)
        if self.distance == math.inf:
            return 0.0
        return self.view.weight * self.distances.surprise(self.distance)

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

    def restart(self) -> None:
        """Forget all readings."""
        self.origin = 0.0
        self.readings.refill(())
        self.distances.refill(())
