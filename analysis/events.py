"""From judged points to events: joined, named, rated and explained."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis import scores, wording
from analysis.records import Anomaly
from analysis.runs import Run, find_runs

Floats = NDArray[np.float64]
Times = NDArray[np.datetime64]

# Share of a season: hits closer than this are one event.
_JOIN = 1 / 8
# Share of a season: what returns sooner is a spike or a dip.
_SHORT = 1 / 4
_SHORT_LEAST = 3
# A level has shifted when afterwards this much of the deviation is still there.
_STAYS = 0.5
# Flagged points of the lesser sign that make an event two-sided.
_TWO_SIDED = 0.2


@dataclass(frozen=True)
class Judged:
    """The judged points on their grid; every array is (n,).

    `seasonal` is the repeating part of `expected`; `after` the step after the last.
    """

    times: Times
    values: Floats
    expected: Floats
    lower: Floats
    upper: Floats
    score: Floats
    seasonal: Floats
    season: int
    after: np.datetime64

    @property
    def outside(self) -> NDArray[np.bool_]:
        """True where the value is outside its bounds."""
        return (self.values < self.lower) | (self.values > self.upper)

    def step(self, place: int) -> np.datetime64:
        """Return the time of a step, of the one after the last too."""
        return self.after if place >= len(self.times) else self.times[place]


def find_events(
    judged: Judged, *, gaps: list[Run], flatlines: list[Run]
) -> list[Anomaly]:
    """Return the events, ordered by start.

    Args:
        judged: The points.
        gaps: Runs of missing points.
        flatlines: Runs of one repeated value; they take over the points in them.

    Returns:
        One anomaly a run and one for each group of neighbouring points outside
        their bounds.
    """
    free = judged.outside
    for run in flatlines:
        free[run.start : run.stop] = False
    events = [_band_event(judged, *stretch) for stretch in _joined(judged, free)]
    events += [_run_event(judged, run, kind="flatline") for run in flatlines]
    events += [_run_event(judged, run, kind="gap") for run in gaps]
    return sorted(events, key=lambda event: (event.start, event.end, event.kind))


def _joined(judged: Judged, free: NDArray[np.bool_]) -> list[tuple[int, int]]:
    reach = max(1, int(judged.season * _JOIN))
    joined: list[tuple[int, int]] = []
    for start, stop in find_runs(free):
        if joined and start - joined[-1][1] < reach:
            joined[-1] = (joined[-1][0], stop)
        else:
            joined.append((start, stop))
    return joined


def _run_event(judged: Judged, run: Run, *, kind: str) -> Anomaly:
    score = float(scores.score(np.array([run.surprise]))[0])
    start, end = judged.times[run.start], judged.step(run.stop)
    last = judged.times[run.stop - 1]
    count = run.stop - run.start
    if kind == "gap":
        text = wording.explain_gap(start, last, count=count)
    else:
        text = wording.explain_flatline(
            start, last, count=count, value=float(judged.values[run.start])
        )
    return Anomaly(start, end, kind, scores.severity(score), score, text)


def _band_event(judged: Judged, start: int, stop: int) -> Anomaly:
    peak = start + int(np.argmax(judged.score[start:stop]))
    kind = _kind(judged, start, stop)
    score = float(judged.score[peak])
    above = bool(judged.values[peak] > judged.expected[peak])
    text = wording.explain_reading(
        wording.Reading(
            time=judged.times[peak],
            value=float(judged.values[peak]),
            expected=float(judged.expected[peak]),
            bound=float((judged.upper if above else judged.lower)[peak]),
            spread=float(np.nanmax(judged.values) - np.nanmin(judged.values)),
        )
    )
    text += wording.explain_kind(
        kind,
        start=judged.times[start],
        last=judged.times[stop - 1],
        outside=int(judged.outside[start:stop].sum()),
        count=stop - start,
    )
    return Anomaly(
        judged.times[start],
        judged.step(stop),
        kind,
        scores.severity(score),
        score,
        text,
    )


def _kind(judged: Judged, start: int, stop: int) -> str:
    outside = judged.outside[start:stop]
    residuals = (judged.values - judged.expected)[start:stop][outside]
    upward = float((residuals > 0).mean())
    if min(upward, 1 - upward) >= _TWO_SIDED:
        return "pattern_break"
    if stop - start <= max(_SHORT_LEAST, int(judged.season * _SHORT)):
        return "spike" if upward > 1 / 2 else "dip"
    return "level_shift" if _stays(judged, start, stop) else "pattern_break"


def _stays(judged: Judged, start: int, stop: int) -> bool:
    """Compare the level after the event with the one before it."""
    width = max(2 * _SHORT_LEAST, judged.season)
    level = judged.values - judged.seasonal
    before = _middle(level[max(0, start - width) : start])
    during = _middle(level[start:stop])
    after = _middle(level[stop : stop + width])
    if after is None or before is None or during is None:
        return True
    kept = (after - before) * np.sign(during - before)
    return bool(kept >= _STAYS * abs(during - before))


def _middle(values: Floats) -> float | None:
    present = values[np.isfinite(values)]
    return float(np.median(present)) if len(present) else None
