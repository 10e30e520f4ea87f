"""From judged points to events: joined, named, rated and explained."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis import scores, wording
from analysis.kinds import SHORT_LEAST, Decision, decide
from analysis.missing import Scattered, find_scattered
from analysis.records import Anomaly
from analysis.runs import Run, find_runs
from analysis.stretches import Stretch, longest_excursion

Floats = NDArray[np.float64]
Times = NDArray[np.datetime64]
Mask = NDArray[np.bool_]

# Share of a season: hits closer than this are one event.
_JOIN = 1 / 8
# What stays once it has happened.
MOVES = frozenset({"level_shift", "trend_change", "variance_change"})
# Steps by which the place of a change of spread may be off.
_SPREAD_OFF = 20


@dataclass(frozen=True)
class Judged:
    """The judged points on their grid; every array is (n,).

    `seasonal` is the repeating part of `expected`; `after` the step after the last;
    `unit` that of the values and `budget` the share of clean points outside;
    `flagged` says which points are reported, where bounds are not all that counts;
    `strays` are residuals over their scale as the past alone had them; `holes` are
    points that are neither reported nor learnt from, and `departs` says which points
    are unusual, whether they are reported or not.
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
    unit: str = ""
    budget: float = 1e-3
    flagged: Mask | None = None
    strays: Floats | None = None
    holes: Mask | None = None
    departs: Mask | None = None

    @property
    def outside(self) -> NDArray[np.bool_]:
        """True where the point is reported: outside its bounds, if not said else."""
        if self.flagged is not None:
            return self.flagged.copy()
        return (self.values < self.lower) | (self.values > self.upper)

    @property
    def level(self) -> Floats:
        """The values without their seasonal part; NaN where missing and in holes."""
        level = self.values - self.seasonal
        return level if self.holes is None else np.where(self.holes, np.nan, level)

    def step(self, place: int) -> np.datetime64:
        """Return the time of a step, of the one after the last too."""
        return self.after if place >= len(self.times) else self.times[place]

    @property
    def spread(self) -> float:
        """The range of the values."""
        return float(np.nanmax(self.values) - np.nanmin(self.values))


def find_events(
    judged: Judged,
    *,
    gaps: list[Run],
    flatlines: list[Run],
    stretches: Sequence[Stretch] = (),
) -> list[Anomaly]:
    """Return the events, ordered by start.

    Args:
        judged: The points.
        gaps: Runs of missing points.
        flatlines: Runs of one repeated value; they take over the points in them.
        stretches: What lasted; they take over the points in them, and those that
            follow until the expectation has followed.

    Returns:
        One anomaly a run, one a stretch and one for each group of neighbouring
        points outside their bounds.
    """
    free = judged.outside
    for run in flatlines:
        free[run.start : run.stop] = False
    lasting = [one for one in _own(stretches) if not _inside(one, flatlines)]
    bands = _joined(judged, free)
    events = []
    for one in lasting:
        mine = [band for band in bands if _belongs(band, one, season=judged.season)]
        bands = [band for band in bands if band not in mine]
        events.append(_lasting_event(judged, one, mine))
    events += [_band_event(judged, *band) for band in bands]
    events += [_flatline_event(judged, run) for run in flatlines]
    events += [_gap_event(judged, run) for run in gaps]
    events += [
        _scattered_event(judged, one)
        for one in find_scattered(judged.values, season=judged.season)
        if not _explained(one, gaps)
    ]
    return sorted(events, key=lambda event: (event.start, event.end, event.kind))


def _own(stretches: Sequence[Stretch]) -> list[Stretch]:
    """Leave out changes of spread where a level moved: that is what they saw."""
    joints = [
        place
        for one in stretches
        if one.kind != "variance_change"
        for place in (one.start, one.stop)
    ]
    return [
        one
        for one in stretches
        if one.kind != "variance_change"
        or all(abs(one.start - place) > _SPREAD_OFF for place in joints)
    ]


def _inside(one: Stretch | Scattered, runs: list[Run]) -> bool:
    return any(one.start < run.stop and one.stop > run.start for run in runs)


def _explained(one: Scattered, gaps: list[Run]) -> bool:
    """Say whether most of the missing points lie in runs that are listed."""
    listed = sum(
        max(0, min(one.stop, run.stop) - max(one.start, run.start)) for run in gaps
    )
    return 2 * listed >= one.share * (one.stop - one.start)


def _belongs(band: tuple[int, int], one: Stretch, *, season: int) -> bool:
    """Say whether points outside their bounds are what a stretch explains."""
    reach = max(SHORT_LEAST, season) if one.kind in MOVES else SHORT_LEAST
    return band[0] < one.stop + reach and band[1] > one.start - SHORT_LEAST


def _lasting_event(
    judged: Judged, one: Stretch, bands: list[tuple[int, int]]
) -> Anomaly:
    surprises = scores.score(np.array([one.surprise]))
    score = max(
        [float(surprises[0]), *(float(judged.score[a:b].max()) for a, b in bands)]
    )
    # A shift is placed to the step; only excursions have an end of their own.
    stop = one.stop
    if one.kind in MOVES:
        stop = max([stop, *(end for _, end in bands)])
    why = _why_lasting(judged, one)
    text = wording.explain_stretch(
        one.kind,
        pair=(one.before, one.during),
        start=judged.times[one.start],
        last=judged.times[min(one.stop, len(judged.times)) - 1],
        spread=judged.spread,
        unit=judged.unit,
    )
    spreads = one.kind == "variance_change"
    return Anomaly(
        start=judged.times[one.start],
        end=judged.step(stop),
        kind=one.kind,
        severity=scores.severity(score),
        score=score,
        explanation=text + wording.explain_why(why, unit=judged.unit),
        direction="" if spreads else ("up" if one.during > one.before else "down"),
        expected=one.before,
        value=one.during,
        evidence={
            "rule": "lasting_change",
            "reading": one.during / one.before if spreads else one.during - one.before,
            "threshold": one.limit,
            "unit": _unit_of(one.kind, unit=judged.unit),
            "surprise": one.surprise,
            **why.as_evidence(),
        },
    )


def _why_lasting(judged: Judged, one: Stretch) -> Decision:
    unit = _unit_of(one.kind, unit=judged.unit)
    if one.kind in ("spike", "dip"):
        longest = longest_excursion(len(judged.values), season=judged.season)
        lasted = float(one.stop - one.start)
        return Decision(one.kind, "returned", lasted, float(int(longest)), "steps")
    if one.kind == "variance_change":
        ratio = one.during / one.before
        limit = one.limit if ratio > 1 else 1 / one.limit
        return Decision(one.kind, "spread", ratio, limit, unit)
    rule = "bent" if one.kind == "trend_change" else "stayed"
    return Decision(one.kind, rule, abs(one.during - one.before), one.limit, unit)


def _unit_of(kind: str, *, unit: str) -> str:
    if kind == "variance_change":
        return "times"
    return f"{unit} a step".strip() if kind == "trend_change" else unit


def _joined(judged: Judged, free: NDArray[np.bool_]) -> list[tuple[int, int]]:
    reach = max(1, int(judged.season * _JOIN))
    joined: list[tuple[int, int]] = []
    for start, stop in find_runs(free):
        if joined and start - joined[-1][1] < reach:
            joined[-1] = (joined[-1][0], stop)
        else:
            joined.append((start, stop))
    return joined


def _flatline_event(judged: Judged, run: Run) -> Anomaly:
    count, value = run.stop - run.start, float(judged.values[run.start])
    text = wording.explain_flatline(
        judged.times[run.start],
        judged.times[run.stop - 1],
        count=count,
        value=value,
        unit=judged.unit,
    )
    why = Decision("flatline", "repeated_value", float(count), run.usual, "points")
    return _run_event(judged, run, why=why, text=text, value=value)


def _gap_event(judged: Judged, run: Run) -> Anomaly:
    count = run.stop - run.start
    text = wording.explain_gap(
        judged.times[run.start], judged.times[run.stop - 1], count=count
    )
    why = Decision("gap", "missing_run", float(count), run.usual, "points")
    return _run_event(judged, run, why=why, text=text)


def _scattered_event(judged: Judged, one: Scattered) -> Anomaly:
    text = wording.explain_scattered(
        judged.times[one.start],
        judged.times[one.stop - 1],
        shares=(one.usual, one.share),
    )
    why = Decision("missing_data", "missing_share", one.share, one.usual, "share")
    return _run_event(judged, one, why=why, text=text)


def _run_event(
    judged: Judged,
    run: Run | Scattered,
    *,
    why: Decision,
    text: str,
    value: float = math.nan,
) -> Anomaly:
    score = float(scores.score(np.array([run.surprise]))[0])
    return Anomaly(
        start=judged.times[run.start],
        end=judged.step(run.stop),
        kind=why.kind,
        severity=scores.severity(score),
        score=score,
        explanation=text,
        expected=float(judged.expected[run.start]) if value == value else math.nan,  # noqa: PLR0124 - NaN
        value=value,
        evidence={
            "rule": why.rule,
            "reading": why.reading,
            "threshold": why.threshold,
            "unit": why.unit,
            "surprise": run.surprise,
            **why.as_evidence(),
        },
    )


def _band_event(judged: Judged, start: int, stop: int) -> Anomaly:
    peak = start + int(np.argmax(judged.score[start:stop]))
    why = decide(
        np.where(judged.outside, judged.values - judged.expected, np.nan),
        level=judged.level,
        band=(start, stop),
        season=judged.season,
    )
    score = float(judged.score[peak])
    value, expected = float(judged.values[peak]), float(judged.expected[peak])
    above = value > expected
    bound = float((judged.upper if above else judged.lower)[peak])
    text = wording.explain_reading(
        wording.Reading(
            time=judged.times[peak],
            value=value,
            expected=expected,
            bound=bound,
            spread=judged.spread,
            unit=judged.unit,
        )
    )
    text += wording.explain_kind(
        why.kind,
        start=judged.times[start],
        last=judged.times[stop - 1],
        outside=int(judged.outside[start:stop].sum()),
        count=stop - start,
    )
    return Anomaly(
        start=judged.times[start],
        end=judged.step(stop),
        kind=why.kind,
        severity=scores.severity(score),
        score=score,
        explanation=text + (wording.explain_why(why) if stop - start > 1 else ""),
        direction="up" if above else "down",
        expected=expected,
        value=value,
        evidence={
            "rule": "outside_bounds",
            "reading": value,
            "threshold": bound,
            "unit": judged.unit,
            "budget": judged.budget,
            **why.as_evidence(),
        },
    )
