"""Spans of time that are kept apart: not reported, not learnt, or known to be usual."""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.records import AnalysisOptions, Expected, Label

Times = NDArray[np.datetime64]
Mask = NDArray[np.bool_]


class Spans:
    """The union of half-open spans, in microseconds since 1970.

    Example:
        >>> spans = Spans([(5, 9), (1, 3), (2, 4)])
        >>> [spans.cover(place) for place in (0, 3, 4, 8, 9)]
        [False, True, False, True, False]
    """

    __slots__ = ("ends", "starts")

    def __init__(self, spans: Iterable[tuple[int, int]]) -> None:
        self.starts: list[int] = []
        self.ends: list[int] = []
        for start, end in sorted(spans):
            if self.ends and start <= self.ends[-1]:
                self.ends[-1] = max(self.ends[-1], end)
            else:
                self.starts.append(start)
                self.ends.append(end)

    def cover(self, place: int) -> bool:
        """Say whether a place is inside one of them."""
        before = bisect_right(self.starts, place)
        return before > 0 and place < self.ends[before - 1]

    def mask(self, times: Times) -> Mask:
        """Say which times are inside, shape (n,)."""
        inside = np.zeros(len(times), dtype=np.bool_)
        places = times.astype("datetime64[us]").astype(np.int64)
        for start, end in zip(self.starts, self.ends, strict=True):
            first, stop = np.searchsorted(places, [start, end])
            inside[first:stop] = True
        return inside


@dataclass(frozen=True)
class Apart:
    """What the options keep apart.

    Attributes:
        silent: nothing is reported there.
        unlearnt: nothing is learnt from there.
        usual: what is seen there is usual for the series.
    """

    silent: Spans
    unlearnt: Spans
    usual: Spans


def spans_apart(options: AnalysisOptions) -> Apart:
    """Return what calendars and labels keep apart.

    Example:
        >>> day = np.datetime64("2024-05-01")
        >>> label = Label(day, day + 1, "true")
        >>> apart = spans_apart(AnalysisOptions("1h", labels=(label,)))
        >>> len(apart.silent.starts), len(apart.unlearnt.starts)
        (0, 1)
    """
    said = {
        verdict: [_micros(one) for one in options.labels if one.verdict == verdict]
        for verdict in ("true", "false", "expected")
    }
    planned = {
        action: [_micros(one) for one in options.calendar if one.action == action]
        for action in ("suppress", "learn", "both")
    }
    both = said["expected"] + planned["both"]
    return Apart(
        silent=Spans(both + planned["suppress"] + said["false"]),
        unlearnt=Spans(both + planned["learn"] + said["true"]),
        usual=Spans(said["false"]),
    )


def _micros(one: Expected | Label) -> tuple[int, int]:
    start, end = (
        int(edge.astype("datetime64[us]").astype(np.int64))
        for edge in (one.start, one.end)
    )
    return start, end
