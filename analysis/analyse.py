"""The way in: one series in, every point judged and the events out."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from analysis import scores
from analysis.changepoints import find_change_points
from analysis.detectors import Baseline, Detector, detector_names, find_detector
from analysis.events import Judged, find_events
from analysis.grid import Grid, put_on_grid
from analysis.records import (
    Analysis,
    AnalysisOptions,
    Anomaly,
    ChangePoint,
    InvalidOptions,
    InvalidSeries,
)
from analysis.robust import rounding_floor
from analysis.runs import find_flatlines, find_gaps
from analysis.seasons import LEAST_CYCLES, find_seasons

__all__ = [
    "Analysis",
    "AnalysisOptions",
    "Anomaly",
    "ChangePoint",
    "InvalidOptions",
    "InvalidSeries",
    "analyse",
    "detector_names",
]

Floats = NDArray[np.float64]
Times = NDArray[np.datetime64]

# With fewer observations neither a level nor its noise can be told.
_FEWEST = 12


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
    detect = find_detector(options.detector)
    values, times = _until(values, times=times, end=options.focus[1])
    grid = put_on_grid(values, times=times, frequency=options.frequency)
    latest = options.mode == "latest"
    # The newest point must not help to judge itself.
    known = grid.values.copy()
    if latest:
        known[-1] = np.nan
    seasons, remarks = _choose_seasons(known, times=grid.times, wanted=options.season)
    remarks += _remarks(known, sensitivity=options.sensitivity)
    baseline = _baseline(detect, known, seasons=seasons, causal=latest)
    judged = _judge(
        grid,
        baseline=baseline,
        known=known,
        season=seasons[0] if seasons else 1,
        sensitivity=options.sensitivity,
    )
    return _report(judged, options=options, remarks=remarks)


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


def _choose_seasons(
    known: Floats, *, times: Times, wanted: int | None
) -> tuple[tuple[int, ...], list[str]]:
    if wanted is None:
        return find_seasons(known, times=times), []
    if len(known) >= LEAST_CYCLES * wanted:
        return (wanted,), []
    return (), [
        (
            f"a season of {wanted} steps needs {LEAST_CYCLES * wanted} points; there "
            f"are {len(known)}; none was used"
        )
    ]


def _baseline(
    detect: Detector, known: Floats, *, seasons: tuple[int, ...], causal: bool
) -> Baseline:
    if np.isfinite(known).sum() >= _FEWEST:
        return detect(known, seasons=seasons, causal=causal)
    nothing = np.full(len(known), np.nan)
    return Baseline(nothing, nothing, np.zeros(len(known)))


def _judge(
    grid: Grid, *, baseline: Baseline, known: Floats, season: int, sensitivity: int
) -> Judged:
    """Turn residuals into scores and bounds; `known` is what counts as usual."""
    floor = rounding_floor(known) if np.isfinite(known).any() else 0.0
    sizes = _sizes(known, baseline=baseline, floor=floor)
    margin, surprises = sizes, sizes
    if np.isfinite(sizes).any():
        tail = scores.fit_tail(sizes)
        share = scores.flagged_share(sensitivity)
        # A series without noise has rounding instead, whose rank means nothing.
        margin = np.maximum(scores.threshold(share, tail=tail) * baseline.scale, floor)
        observed = _sizes(grid.values, baseline=baseline, floor=floor)
        surprises = scores.surprise(observed, tail=tail)
    return Judged(
        times=grid.times,
        values=grid.values,
        expected=baseline.expected,
        lower=baseline.expected - margin,
        upper=baseline.expected + margin,
        score=scores.score(surprises),
        seasonal=baseline.seasonal,
        season=season,
        after=grid.after,
    )


def _sizes(values: Floats, *, baseline: Baseline, floor: float) -> Floats:
    sizes = np.abs(values - baseline.expected)
    return np.where(sizes <= floor, 0.0, sizes / baseline.scale)


def _remarks(known: Floats, *, sensitivity: int) -> list[str]:
    present = known[np.isfinite(known)]
    if len(present) < _FEWEST:
        return [
            (
                f"the series is too short: {len(present)} usable values, at least "
                f"{_FEWEST} are needed to expect anything"
            )
        ]
    if np.ptp(present) == 0:
        return ["the series is constant; any other value would be unusual"]
    needed = 1 / scores.flagged_share(sensitivity)
    if len(present) < needed:
        return [
            (
                f"{len(present)} values cannot show 1 in {needed:,.0f}; "
                "the bounds are extrapolated"
            )
        ]
    return []


def _report(
    judged: Judged, *, options: AnalysisOptions, remarks: list[str]
) -> Analysis:
    gaps, usual = find_gaps(judged.values)
    if usual:
        remarks.append(f"{usual} runs of missing points are usual here and not listed")
    events = find_events(judged, gaps=gaps, flatlines=find_flatlines(judged.values))
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
        is_anomaly=judged.outside[inside],
        anomalies=_clipped(events, begin=begin),
        change_points=_changes(judged, options=options, begin=begin),
        season=judged.season,
        detector=options.detector,
        warnings=tuple(remarks),
    )


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
    level = judged.values - judged.seasonal
    found = find_change_points(level, times=judged.times, season=judged.season)
    return tuple(change for change in found if begin is None or change.time >= begin)
