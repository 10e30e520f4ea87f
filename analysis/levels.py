"""Lasting changes of a stream's level, as anomalies, one point at a time."""

import math
from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np

from analysis import scores, wording
from analysis.lasting import LastingChange, LastingDetector
from analysis.records import AnalysisOptions, Anomaly
from analysis.spans import spans_apart
from analysis.stream import Stream

# A lasting change is told rather than each of its points, so its budget is smaller.
_SHARE = 0.1
_LEAST, _MOST = 1e-6, 1e-3
# Points whose times are remembered: more than the longest stretch that is summed.
_TIMES = 128


class Levels:
    """Says when a lasting change of level began, beside a stream of the same points.

    Args:
        options: Of the stream; a tenth of its budget is that of lasting changes.

    Example:
        >>> options = AnalysisOptions("1h", season=1)
        >>> stream, levels = Stream(options), Levels(options)
        >>> hours = np.datetime64("2024-01-01", "h") + np.arange(500)
        >>> values = np.random.default_rng(0).normal(size=500)
        >>> values[450:] += 8
        >>> found = []
        >>> for value, hour in zip(values, hours):
        ...     found.append(levels.push(stream, value, time=hour))
        ...     said = stream.push(value, time=hour)
        >>> [one.kind for one in found if one]
        ['level_shift']
    """

    def __init__(self, options: AnalysisOptions) -> None:
        self.options = options
        self.apart = spans_apart(options)
        self.detector = LastingDetector(
            false_alarms=min(max(options.budget * _SHARE, _LEAST), _MOST)
        )
        self.times: deque[int] = deque(maxlen=_TIMES)
        # How far each of those points is from the one a season before.
        self.strides: deque[float] = deque(maxlen=_TIMES)
        self.cyclic = False

    def push(
        self, stream: Stream, value: float, *, time: np.datetime64
    ) -> Anomaly | None:
        """Take the next point in, before the stream does.

        Args:
            stream: Knows the season, which is taken off.
            value: NaN is missing.
            time: UTC.
        """
        usual = stream.past.at_phase(ahead=1) if stream.cyclic else 0.0
        if stream.cyclic != self.cyclic:
            # What is left without a season cannot be held against what had one.
            self.cyclic = stream.cyclic
            self.detector = LastingDetector(false_alarms=self.detector.false_alarms)
        place = int(time.astype("datetime64[us]").astype(np.int64))
        self.times.append(place)
        if self._hole(place):
            value = math.nan
        season = stream.past.season
        self.strides.append(value - stream.past.back(season - 1))
        found = self.detector.push(value - usual)
        if found is not None and stream.cyclic and not self._real(found, season):
            return None
        end = np.datetime64(stream.pace.after(self.times[-1]), "us")
        return None if found is None else self._anomaly(found, usual, end)

    def _real(self, found: LastingChange, season: int) -> bool:
        """Tell a change from its echo: the season learns the new level, too.

        When it has, what is left drops back though no value moved: the first season
        of a change lies apart from the one before it, that of an echo does not.
        """
        since = list(self.strides)[-1 - (found.noticed - found.began) :][:season]
        moved = sorted(abs(one) for one in since if math.isfinite(one))
        middle = moved[len(moved) // 2] if moved else math.inf
        return middle >= abs(found.after - found.before) / 2

    def _anomaly(
        self, found: LastingChange, usual: float, end: np.datetime64
    ) -> Anomaly | None:
        back = found.noticed - found.began
        if back >= len(self.times) or not self._wanted(found):
            return None
        # What stays is known by when it came, which may have been in a hole.
        came = list(self.times)[max(0, len(self.times) - 2 - back) :][:2]
        if self.apart.silent.cover(came[-1]) or self._hole(came[0]):
            return None
        start = np.datetime64(self.times[-1 - back], "us")
        before, after = found.before + usual, found.after + usual
        spread = abs(after - before)
        score = found.height / (found.height + found.threshold)
        old, new = (wording.show_number(one, spread=spread) for one in (before, after))
        return Anomaly(
            start=start,
            end=end,
            kind="level_shift",
            severity=scores.severity(score),
            score=score,
            explanation=(
                f"Since {wording.show_time(start)} the level is "
                f"{wording.with_unit(new, unit=self.options.unit)} instead of "
                f"{old}: {back + 1} points say so"
            ),
            direction="up" if after > before else "down",
            expected=before,
            value=after,
            evidence={
                "rule": "lasting_change",
                "reading": found.height,
                "threshold": found.threshold,
                "unit": "standardised sum of ranks",
                "budget": self.detector.false_alarms,
                "before": before,
                "after": after,
            },
        )

    def _hole(self, place: int) -> bool:
        """Say whether a point is neither reported nor learnt from."""
        apart = self.apart
        return apart.silent.cover(place) and apart.unlearnt.cover(place)

    def _wanted(self, found: LastingChange) -> bool:
        change = found.after - found.before
        asked = self.options.direction
        if (asked == "up" and change < 0) or (asked == "down" and change > 0):
            return False
        band = max(
            self.options.min_change,
            self.options.min_change_relative * abs(found.before),
        )
        return math.isfinite(change) and abs(change) > band

    def as_state(self) -> dict[str, Any]:
        """Return the state as plain numbers and lists, for JSON."""
        return {
            "detector": self.detector.as_state(),
            "times": list(self.times),
            "strides": [one if math.isfinite(one) else None for one in self.strides],
            "cyclic": self.cyclic,
        }

    @classmethod
    def from_state(
        cls, state: Mapping[str, Any], *, options: AnalysisOptions
    ) -> "Levels":
        """Return what goes on the same."""
        levels = cls(options)
        levels.detector = LastingDetector.from_state(state["detector"])
        levels.times.extend(state["times"])
        levels.strides.extend(
            math.nan if one is None else one for one in state["strides"]
        )
        levels.cyclic = state["cyclic"]
        return levels
