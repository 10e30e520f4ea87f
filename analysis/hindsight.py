"""Every point of a series, judged with all others in sight."""

from dataclasses import replace
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from analysis import scores
from analysis.clock import all_clock_steps
from analysis.detectors import Baseline, find_detector
from analysis.events import Judged
from analysis.grid import Grid
from analysis.pieces import SHORTEST_PIECE
from analysis.records import NO_SEASON, AnalysisOptions
from analysis.remarks import FEWEST
from analysis.robust import rounding_floor, spread
from analysis.runs import find_runs
from analysis.seasons import LEAST_CYCLES, find_seasons
from analysis.spans import Apart, spans_apart

Floats = NDArray[np.float64]
Times = NDArray[np.datetime64]

# Two readings of one size may differ in their last bits.
_SAME = 1 + 1e-9


def judge(grid: Grid, options: AnalysisOptions) -> tuple[Judged, list[str]]:
    """Say what was expected of each point, how strange it is and whether to report it.

    Args:
        grid: The series.
        options: What to look for.

    Returns:
        The judged points, and remarks.
    """
    apart = spans_apart(options)
    known = np.where(apart.unlearnt.mask(grid.times), np.nan, grid.values)
    seasons, remarks = choose_seasons(known, times=grid.times, wanted=options.season)
    baseline = _baseline(known, times=grid.times, seasons=seasons, options=options)
    floor = rounding_floor(known) if np.isfinite(known).any() else 0.0
    sizes = _sizes(known, baseline=baseline, floor=floor)
    margin, surprises = sizes, sizes
    if np.isfinite(sizes).any():
        tail = scores.fit_tail(sizes)
        # A series without noise has rounding instead, whose rank means nothing.
        margin = scores.threshold(options.budget, tail=tail) * baseline.scale
        margin = np.maximum(margin, floor)
        observed = _sizes(grid.values, baseline=baseline, floor=floor)
        surprises = scores.surprise(observed, tail=tail)
    departs = _outside(
        grid.values, baseline.expected - margin, baseline.expected + margin
    )
    below, above = _margins(grid, baseline, margin, options=options, apart=apart)
    score = scores.score(surprises)
    lower, upper = baseline.expected - below, baseline.expected + above
    outside = _outside(grid.values, lower, upper)
    outside &= _wanted(grid.values - baseline.expected, options.direction)
    silent = apart.silent.mask(grid.times)
    outside &= ~silent
    judged = Judged(
        times=grid.times,
        values=grid.values,
        expected=baseline.expected,
        lower=lower,
        upper=upper,
        score=score,
        seasonal=baseline.seasonal,
        season=seasons[0] if seasons else 1,
        after=grid.after,
        unit=options.unit,
        budget=options.budget,
        flagged=_strangest(outside, score, share=options.most_anomalous_share),
        strays=_strays(known, times=grid.times, seasons=seasons, options=options),
        holes=silent & (np.isnan(known) | short(departs)),
        departs=departs,
    )
    return judged, remarks


def short(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the stretches of a mask that are too short to be a level.

    Example:
        >>> short(np.array([True, False, True, True])).sum()
        np.int64(3)
        >>> short(np.ones(9, dtype=np.bool_)).any()
        np.False_
    """
    found = np.zeros(len(mask), dtype=np.bool_)
    for start, stop in find_runs(mask):
        found[start:stop] = stop - start < SHORTEST_PIECE
    return found


def _outside(values: Floats, lower: Floats, upper: Floats) -> NDArray[np.bool_]:
    return np.asarray((values < lower) | (values > upper))


def choose_seasons(
    known: Floats, *, times: Times, wanted: int | None
) -> tuple[tuple[int, ...], list[str]]:
    """Return the given season, or those that are found, and a remark."""
    if wanted is None:
        return find_seasons(known, times=times), []
    if wanted == NO_SEASON:
        return (), []
    if len(known) >= LEAST_CYCLES * wanted:
        return (wanted,), []
    return (), [
        (
            f"a season of {wanted} steps needs {LEAST_CYCLES * wanted} points; there "
            f"are {len(known)}; none was used"
        )
    ]


def _baseline(
    known: Floats, *, times: Times, seasons: tuple[int, ...], options: AnalysisOptions
) -> Baseline:
    if np.isfinite(known).sum() < FEWEST:
        nothing = np.full(len(known), np.nan)
        return Baseline(nothing, nothing, np.zeros(len(known)))
    found = _detected(known, times=times, seasons=seasons, options=options)
    blind = np.isnan(found.expected)
    if not blind.any():
        return found
    # Where too little is around, all that is present says what to expect.
    middle = float(np.nanmedian(known))
    scale = max(spread(known - middle), rounding_floor(known))
    return replace(
        found,
        expected=np.where(blind, middle, found.expected),
        scale=np.where(blind, scale, found.scale),
    )


def _strays(
    known: Floats, *, times: Times, seasons: tuple[int, ...], options: AnalysisOptions
) -> Floats:
    """Return residuals over their scale, of expectations from the past alone.

    Cycles to come would spread their noise over the time before them.
    """
    if np.isfinite(known).sum() < FEWEST:
        return np.full(len(known), np.nan)
    past = _detected(known, times=times, seasons=seasons, options=options, causal=True)
    return np.asarray((known - past.expected) / past.scale)


def _detected(
    known: Floats,
    *,
    times: Times,
    seasons: tuple[int, ...],
    options: AnalysisOptions,
    causal: bool = False,
) -> Baseline:
    detect = find_detector(options.detector)
    if options.time_zone is None or not seasons:
        return detect(known, seasons=seasons, causal=causal)
    places = _clock_places(times, zone=options.time_zone)
    by_clock = np.full(int(places.max()) + 1, np.nan)
    present = np.isfinite(known)
    # An hour that the clock has twice is known by its later half.
    by_clock[places[present]] = known[present]
    found = detect(by_clock, seasons=seasons, causal=causal)
    return Baseline(found.expected[places], found.scale[places], found.seasonal[places])


def _clock_places(times: Times, *, zone: str) -> NDArray[np.int64]:
    """Return the step of each point as a clock counts, from 0, shape (n,)."""
    step_s = float(np.median(np.diff(times).astype(np.int64))) / 1e6
    steps = all_clock_steps(times, zone=ZoneInfo(zone), step_s=step_s)
    places = np.arange(len(times)) + steps
    return np.asarray(places - places.min())


def _sizes(values: Floats, *, baseline: Baseline, floor: float) -> Floats:
    sizes = np.abs(values - baseline.expected)
    return np.where(sizes <= floor, 0.0, sizes / baseline.scale)


def _margins(
    grid: Grid,
    baseline: Baseline,
    margin: Floats,
    *,
    options: AnalysisOptions,
    apart: Apart,
) -> tuple[Floats, Floats]:
    """Widen the margins by dead bands and by what was said to be usual."""
    relative = options.min_change_relative * np.abs(baseline.expected)
    margin = np.maximum(margin, np.maximum(options.min_change, relative))
    rest = (grid.values - baseline.expected)[apart.usual.mask(grid.times)]
    rest = rest[np.isfinite(rest)] * _SAME
    below = max(0.0, -float(rest.min(initial=0.0)))
    above = max(0.0, float(rest.max(initial=0.0)))
    return np.maximum(margin, below), np.maximum(margin, above)


def _wanted(departures: Floats, direction: str) -> NDArray[np.bool_]:
    if direction == "both":
        return np.ones(len(departures), dtype=np.bool_)
    return np.asarray(departures > 0 if direction == "up" else departures < 0)


def _strangest(
    outside: NDArray[np.bool_], score: Floats, *, share: float
) -> NDArray[np.bool_]:
    """Keep at most a share of all points, the strangest; ties beyond it go."""
    most = int(share * len(outside))
    if outside.sum() <= most:
        return outside
    ranked = np.sort(score[outside])[::-1]
    return np.asarray(outside & (score > ranked[most]))
