"""Change points on-line: one point at a time, with a stated rate of false alarms.

Every value becomes a normal score by its rank among older values, so nothing is
assumed about their distribution. Sums of the latest scores that are too large for
noise mean that a lasting change began. The newest points are no part of what is
compared with, so a change does not hide itself.
"""

import math
import struct
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

from analysis.ranks import Ranks

# Lengths of the latest stretches that are summed. What lasts less than the shortest
# is no lasting change.
_LENGTHS = (8, 12, 16, 24, 32, 48, 64, 96)
# Older values that are compared with, and how many it takes to begin.
_MEMORY, _FEWEST = 2000, 100
# Heights of the largest standardised sum of independent normal scores, and -log10 of
# how often it rises above them: counted once on ten million simulated points.
_HEIGHTS = (3.0, 3.25, 3.5, 3.75, 4.0, 4.25, 4.5, 4.75, 5.0)
_RATES = (2.76, 2.98, 3.26, 3.60, 3.98, 4.41, 4.91, 5.31, 5.92)
_LEAST_RATE, _MOST_RATE = 1e-6, 1e-3
# Persistence of the scores is learnt at this pace, and believed up to the limit.
_PACE, _MOST_PERSISTENCE = 0.005, 0.9
_NORMAL = NormalDist()
_SINGLE = struct.Struct("f")


@dataclass(frozen=True)
class LastingChange:
    """A change that has lasted.

    Attributes:
        began: Step of its first point, counted from the first value pushed.
        noticed: Step of the point that gave it away.
        before: Median of what came before, in the unit of the values.
        after: Median of the points since.
        height: Standardised sum of the scores since; `threshold` is what it takes.
        threshold: Follows from the stated rate of false alarms.
    """

    began: int
    noticed: int
    before: float
    after: float
    height: float
    threshold: float


class LastingDetector:
    """Says when a lasting change of level began, from eight points with it on.

    Args:
        false_alarms: Expected false alarms a point on a steady series, 1e-6 to 1e-3.

    Push what is left of a series without its season and its forecast; a change of
    slope is noticed when it has moved the level.

    Example:
        >>> import random
        >>> chance, detector = random.Random(0), LastingDetector()
        >>> values = [chance.gauss(4.0 * (step >= 400), 1) for step in range(450)]
        >>> found = [detector.push(value) for value in values]
        >>> [(one.began, one.noticed) for one in found if one]
        [(400, 406)]
    """

    def __init__(self, *, false_alarms: float = 1e-4) -> None:
        self.false_alarms = false_alarms
        self.threshold = threshold(false_alarms)
        self.step = 0
        self.echo = 0.0
        self._forget()

    def _forget(self) -> None:
        self.older = Ranks(_MEMORY)
        self.latest: deque[tuple[int, float, float]] = deque()

    def push(self, value: float) -> LastingChange | None:
        """Take the value of the next step in.

        Args:
            value: NaN is missing: time goes on.

        Returns:
            The change, once; what came before it is then forgotten.
        """
        here = self.step
        self.step += 1
        if not math.isfinite(value):
            return None
        if len(self.older) < _FEWEST:
            self.older.add(value)
            return None
        self.latest.append((here, value, self._score(value)))
        if len(self.latest) > _LENGTHS[-1]:
            self.older.add(self.latest.popleft()[1])
        return self._change()

    def _score(self, value: float) -> float:
        ascending = self.older.ascending
        count = len(ascending)
        # What is compared with was rounded when it was stored.
        near = _SINGLE.unpack(_SINGLE.pack(value))[0]
        middle = (bisect_left(ascending, near) + bisect_right(ascending, near)) / 2
        score = _NORMAL.inv_cdf((middle + 0.5) / (count + 1))
        if self.latest:
            product = score * self.latest[-1][2]
            self.echo += _PACE * (product - self.echo)
        return score

    def _change(self) -> LastingChange | None:
        scores = [score for _, _, score in self.latest]
        count = len(self.older)
        echo = min(max(self.echo, 0.0), _MOST_PERSISTENCE)
        # Noise that echoes adds up to more than its own size.
        widened = (1 + echo) / (1 - echo)
        highest, best, total, taken = 0.0, 0, 0.0, 0
        for length in _LENGTHS:
            if length > len(scores):
                break
            total += sum(scores[len(scores) - length : len(scores) - taken])
            taken = length
            # What is compared with is itself known from so many values.
            height = abs(total) / math.sqrt(length * (1 + length / count) * widened)
            if height > highest:
                highest, best = height, length
        if highest <= self.threshold:
            return None
        return self._declare(self._onset(scores, best), highest)

    def _onset(self, scores: list[float], length: int) -> int:
        """Return how many of the latest points the change explains best."""
        sign = math.copysign(1.0, sum(scores[-length:]))
        best, place, total = 0.0, length, 0.0
        for count, score in enumerate(reversed(scores), start=1):
            total += sign * score
            gain = total / math.sqrt(count)
            if count >= _LENGTHS[0] // 2 and gain > best:
                best, place = gain, count
        return place

    def _declare(self, length: int, height: float) -> LastingChange:
        since = list(self.latest)[-length:]
        found = LastingChange(
            began=since[0][0],
            noticed=since[-1][0],
            before=_median(self.older.ascending),
            after=_median(sorted(value for _, value, _ in since)),
            height=height,
            threshold=self.threshold,
        )
        self._forget()
        for _, value, _ in since:
            self.older.add(value)
        return found

    def as_state(self) -> dict[str, Any]:
        """Return the state as plain numbers and lists, for JSON."""
        return {
            "false_alarms": self.false_alarms,
            "step": self.step,
            "echo": self.echo,
            "older": list(self.older.newest_last),
            "latest": [list(one) for one in self.latest],
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> "LastingDetector":
        """Return the detector whose state it was; it goes on the same."""
        detector = cls(false_alarms=state["false_alarms"])
        detector.step, detector.echo = state["step"], state["echo"]
        detector.older.refill(state["older"])
        detector.latest.extend(
            (int(step), value, score) for step, value, score in state["latest"]
        )
        return detector


def threshold(false_alarms: float) -> float:
    """Return the height that noise reaches at this rate.

    Raises:
        ValueError: The rate is outside of what was simulated.

    Example:
        >>> threshold(1e-4) > threshold(1e-3)
        True
    """
    if not _LEAST_RATE <= false_alarms <= _MOST_RATE:
        msg = f"false_alarms is {false_alarms}; give a number from 1e-6 to 0.001"
        raise ValueError(msg)
    wanted = -math.log10(false_alarms)
    number = next(
        (n for n, rate in enumerate(_RATES) if rate > wanted), len(_RATES) - 1
    )
    (low, high), (rate, upper) = (
        table[number - 1 : number + 1] for table in (_HEIGHTS, _RATES)
    )
    return low + (high - low) * (wanted - rate) / (upper - rate)


def _median(ascending: list[float]) -> float:
    count = len(ascending)
    return (ascending[(count - 1) // 2] + ascending[count // 2]) / 2
