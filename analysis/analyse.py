"""The way in: one series in, every point judged and the events out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from analysis.changepoints import find_change_points
from analysis.detectors import detector_names, find_detector
from analysis.events import MOVES, Judged, find_events
from analysis.filling import filled
from analysis.grid import Grid, put_on_grid
from analysis.hindsight import judge, short
from analysis.ranking import rank_points
from analysis.records import (
    Analysis,
    AnalysisOptions,
    Anomaly,
    ChangePoint,
    Expected,
    InvalidOptions,
    InvalidSeries,
    Label,
)
from analysis.remarks import FEWEST, remarks_on
from analysis.replay import replay
from analysis.runs import find_flatlines, find_gaps
from analysis.spans import spans_apart
from analysis.stretches import (
    Stretch,
    block_size,
    find_spread_changes,
    find_stretches,
)
from analysis.verdicts import anomaly_of

__all__ = [
    "Analysis",
    "AnalysisOptions",
    "Anomaly",
    "ChangePoint",
    "Expected",
    "InvalidOptions",
    "InvalidSeries",
    "Label",
    "analyse",
    "detector_names",
]

Floats = NDArray[np.float64]
Times = NDArray[np.datetime64]

# What lasted is reported when chance does it in fewer than one series in ten.
_LEAST_LASTING = 1.0
# Share of the range of a series that is no noise.
_NOISELESS = 1e-6


@dataclass(frozen=True)
class _Found:
    """The judged points, what was found in them, and what is said about both."""

    judged: Judged
    strangeness: Floats
    anomalies: list[Anomaly]
    remarks: list[str]
    detector: str


def analyse(values: Floats, *, times: Times, options: AnalysisOptions) -> Analysis:
    """Judge the points of a series against what the series itself makes usual.

    Args:
        values: (n,) any unit; NaN is missing, infinite is refused.
        times: (n,) UTC datetime64, rising strictly, on the grid of the frequency;
            steps may be absent.
        options: What to look for.

    Returns:
        Every step of the focus (the newest alone with mode "latest"), missing ones
        included as NaN, in the unit of `values`.

    Raises:
        InvalidSeries: The series cannot be analysed; the message says what to do.
        InvalidOptions: The frequency or the detector is not known.

    References:
        Hyndman and Athanasopoulos (2021), Forecasting: Principles and Practice,
        3rd ed., section 13.9; Vovk, Gammerman and Shafer (2022), Algorithmic
        Learning in a Random World, 2nd ed., chapter 2.

    Example:
        >>> hours = np.datetime64("2024-01-01", "h") + np.arange(480)
        >>> noise = np.random.default_rng(0).normal(scale=0.1, size=480)
        >>> values = np.sin(np.arange(480) * np.pi / 12) + noise
        >>> values[400] = 3.0
        >>> found = analyse(values, times=hours, options=AnalysisOptions("1h"))
        >>> [(event.kind, str(event.start)[:13]) for event in found.anomalies]
        [('spike', '2024-01-17T16')]
    """
    find_detector(options.detector)
    values, times = _until(values, times=times, end=options.focus[1])
    grid = put_on_grid(values, times=times, frequency=options.frequency)
    whole, remarks = filled(grid.values, options)
    grid = replace(grid, values=whole)
    latest = options.mode == "latest"
    # The newest point must not help to judge itself.
    known = grid.values[:-1] if latest else grid.values
    remarks += remarks_on(known, budget=options.budget)
    if latest or options.mode == "replay":
        found = _from_the_past(grid, options, remarks)
    else:
        found = _in_hindsight(grid, options, remarks)
    return _report(found, options=options)


def _until(
    values: Floats, *, times: Times, end: np.datetime64 | None
) -> tuple[Floats, Times]:
    if end is None or len(values) != len(times):
        return values, times
    before = times < end
    if len(times) and not before.any():
        msg = f"no observation before {end}; move the end of the focus"
        raise InvalidSeries(msg)
    return values[before], times[before]


def _in_hindsight(grid: Grid, options: AnalysisOptions, remarks: list[str]) -> _Found:
    judged, more = judge(grid, options)
    events = _events(judged, remarks, stretches=_stretches(judged))
    return _Found(
        judged,
        _strangeness(grid.values),
        _reported(events, judged, options=options),
        remarks + more,
        options.detector,
    )


def _from_the_past(grid: Grid, options: AnalysisOptions, remarks: list[str]) -> _Found:
    done = replay(grid, options)
    if options.mode == "latest":
        newest = anomaly_of(done.last)
        events = [newest] if newest else []
    else:
        events = _events(done.judged, remarks, stretches=())
    events = _reported(events, done.judged, options=options)
    return _Found(done.judged, done.strength, events, remarks, "views")


def _strangeness(values: Floats) -> Floats:
    if np.isfinite(values).sum() < FEWEST:
        return np.zeros(len(values))
    return np.where(np.isfinite(values), rank_points(values), 0.0)


def _events(
    judged: Judged, remarks: list[str], *, stretches: Sequence[Stretch]
) -> list[Anomaly]:
    gaps, usual = find_gaps(judged.values)
    if usual:
        remarks.append(f"{usual} runs of missing points are usual here and not listed")
    flatlines = find_flatlines(judged.values)
    return find_events(judged, gaps=gaps, flatlines=flatlines, stretches=stretches)


def _reported(
    events: list[Anomaly], judged: Judged, *, options: AnalysisOptions
) -> list[Anomaly]:
    """Leave out what the options do not want to hear of."""
    quiet = spans_apart(options).silent.mask(judged.times)
    kept = []
    for event in events:
        first, stop = np.searchsorted(judged.times, [event.start, event.end])
        # What stays has no end of its own: it is known by when it came.
        until = first + 1 if event.kind in MOVES else max(stop, first + 1)
        silent = quiet[first:until].all()
        if not silent and _wanted(event, options=options):
            kept.append(event)
    return kept


def _wanted(event: Anomaly, *, options: AnalysisOptions) -> bool:
    if not event.direction:
        return True
    if options.direction not in ("both", event.direction):
        return False
    # A slope is no size.
    if event.kind == "trend_change":
        return True
    relative = options.min_change_relative * abs(event.expected)
    band = max(options.min_change, relative)
    return band == 0 or not abs(event.value - event.expected) <= band


def _report(found: _Found, *, options: AnalysisOptions) -> Analysis:
    judged, remarks = found.judged, found.remarks
    begin = judged.times[-1] if options.mode == "latest" else options.focus[0]
    inside = np.ones(len(judged.times), dtype=np.bool_)
    if begin is not None:
        inside = judged.times >= begin
        if not inside.any():
            remarks.append(f"there is no point from {begin} on; nothing was reported")
    blind = int(np.isnan(judged.expected[inside]).sum())
    if blind:
        remarks.append(f"too little came before {blind} points to expect anything")
    return Analysis(
        times=judged.times[inside],
        values=judged.values[inside],
        expected=judged.expected[inside],
        lower=judged.lower[inside],
        upper=judged.upper[inside],
        score=judged.score[inside],
        strangeness=found.strangeness[inside],
        is_anomaly=judged.outside[inside],
        anomalies=_clipped(found.anomalies, begin=options.focus[0]),
        change_points=_changes(judged, options=options, begin=begin),
        season=judged.season,
        detector=found.detector,
        warnings=tuple(remarks),
    )


def _stretches(judged: Judged) -> list[Stretch]:
    # A few points outside their bounds, reported or not, are no level, and would
    # bend a line.
    unusual = judged.outside if judged.departs is None else judged.departs
    level = np.where(short(unusual), np.nan, judged.level)
    found = list(find_stretches(level, season=judged.season))
    if judged.strays is not None:
        width = judged.upper - judged.expected
        # What hardly strays at all has no spread that could change.
        noisy = width > _NOISELESS * judged.spread
        found += find_spread_changes(np.where(noisy, judged.strays, np.nan))
    return [
        one
        for one in found
        if one.surprise >= _LEAST_LASTING and not _came_in_a_hole(one, judged)
    ]


def _came_in_a_hole(one: Stretch, judged: Judged) -> bool:
    """Say whether something stayed that came while nothing was to be reported."""
    if judged.holes is None or one.kind not in MOVES:
        return False
    # It may be placed as far off as the blocks are long in which it was looked for.
    near = block_size(int(np.isfinite(judged.level).sum()))
    return bool(judged.holes[max(0, one.start - near) : one.start + 1].any())


def _clipped(
    events: list[Anomaly], *, begin: np.datetime64 | None
) -> tuple[Anomaly, ...]:
    if begin is None:
        return tuple(events)
    begin = begin.astype("datetime64[us]")
    return tuple(
        replace(event, start=max(event.start, begin))
        for event in events
        if event.end > begin
    )


def _changes(
    judged: Judged, *, options: AnalysisOptions, begin: np.datetime64 | None
) -> tuple[ChangePoint, ...]:
    if options.mode != "changepoints":
        return ()
    found = find_change_points(judged.level, times=judged.times, season=judged.season)
    return tuple(change for change in found if begin is None or change.time >= begin)
