"""Several aligned series at once: what is strange together, and why."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis import scores
from analysis.grid import put_on_grid
from analysis.groups import Group, group_departures
from analysis.readings import read_together
from analysis.records import AnalysisOptions, InvalidOptions, InvalidSeries
from analysis.relations import RelationChange, find_relation_changes
from analysis.seasons import LEAST_CYCLES, find_seasons
from analysis.together_words import explain_event

Floats = NDArray[np.float64]
Times = NDArray[np.datetime64]
Mask = NDArray[np.bool_]

# Share of a season, and steps: rows closer than this are one event. Averages waver
# around a threshold for about half as long as they average.
_JOIN, _JOIN_LEAST = 1 / 8, 15
# Contributors that are named, and the share that is worth naming.
_NAMED, _WORTH = 5, 0.05
# Rows before an event that its relations are compared with, at most.
_BEFORE = 1000


@dataclass(frozen=True)
class TogetherEvent:
    """Rows that are strange together.

    Attributes:
        start: UTC, of the first row.
        end: The step after the last row.
        score: The highest of its rows.
        severity: "low", "medium", "high" or "critical".
        contributors: Names and their shares of the event, the largest first.
        group: Who moved, in the order in which they did.
        relation_changes: Pairs whose correlation changed with the event.
        explanation: All that in sentences.
    """

    start: np.datetime64
    end: np.datetime64
    score: float
    severity: str
    contributors: tuple[tuple[str, float], ...]
    group: Group
    relation_changes: tuple[RelationChange, ...]
    explanation: str


@dataclass(frozen=True)
class Together:
    """Every row of several series, judged as one.

    Attributes:
        times: (n,) UTC.
        names: (m,) of the series.
        score: (n,) in [0, 1); 0.5 is what one clean row in 1,000 reaches.
        is_anomaly: (n,) beyond the threshold.
        severity: (n,) words, empty where nothing is.
        sizes: (n, m) departures in thresholds of the whole; NaN is missing.
        contributions: (n, m) shares of a row's departure, each row sums to 1, or to
            0 where all is missing.
        events: In order of time.
        season: Main cycle in steps, 1 for none.
    """

    times: Times
    names: tuple[str, ...]
    score: Floats
    is_anomaly: Mask
    severity: tuple[str, ...]
    sizes: Floats
    contributions: Floats
    events: tuple[TogetherEvent, ...]
    season: int


def analyse_together(
    values: Floats,
    *,
    times: Times,
    options: AnalysisOptions,
    names: Sequence[str] = (),
    calm: int | None = None,
    margin: float | None = None,
) -> Together:
    """Judge several aligned series together.

    Args:
        values: (n, m) any units; NaN is missing, infinite is refused.
        times: (n,) UTC, rising strictly, on the grid of the frequency.
        options: `frequency`, `season` and the budget count.
        names: (m,) of the series; numbered when not given.
        calm: So many first rows are known to be clean, and are all that is learnt
            from; None learns from all rows, the strange ones left out.
        margin: Threshold in multiples of the largest reading of the calm rows; None
            sets it by the budget.

    Returns:
        Every step of the grid.

    Raises:
        InvalidSeries: A series cannot be analysed; the message names it.
        InvalidOptions: The names do not fit, or too few rows are calm.

    Example:
        >>> hours = np.datetime64("2024-01-01", "h") + np.arange(300)
        >>> values = np.random.default_rng(0).normal(size=(300, 3))
        >>> values[200:220, 1] += 6
        >>> found = analyse_together(values, times=hours, options=AnalysisOptions("1h"))
        >>> [event.contributors[0][0] for event in found.events]
        ['series 2']
    """
    names = _checked_names(values, names)
    table, grid_times, after = _on_grid(values, times, options.frequency, names)
    usual = np.arange(len(table)) < (len(table) if calm is None else calm)
    if calm is not None and not 0 < calm < len(table):
        msg = f"calm is {calm}; give a number of rows from 1 to {len(table) - 1}"
        raise InvalidOptions(msg)
    season = options.season or _common_season(table[usual], grid_times[usual])
    departures = _without_season(table, usual=usual, season=season)
    found = read_together(departures, usual=usual, budget=options.budget, margin=margin)
    beyond = np.nan_to_num(found.sizes).max(axis=1) > 1
    score = scores.score(found.surprise)
    judged = _Judged(
        times=grid_times,
        after=after,
        names=names,
        departures=departures,
        sizes=found.sizes,
        score=score,
        beyond=beyond,
    )
    severity = (
        "" if not one else scores.severity(value)
        for one, value in zip(beyond, score, strict=True)
    )
    return Together(
        times=grid_times,
        names=names,
        score=score,
        is_anomaly=beyond,
        severity=tuple(severity),
        sizes=found.sizes,
        contributions=_shares(found.sizes),
        events=tuple(_events(judged, season=season)),
        season=season,
    )


@dataclass(frozen=True)
class _Judged:
    times: Times
    after: np.datetime64
    names: tuple[str, ...]
    departures: Floats
    sizes: Floats
    score: Floats
    beyond: Mask


def _checked_names(values: Floats, names: Sequence[str]) -> tuple[str, ...]:
    if values.ndim != 2 or not values.shape[1]:  # noqa: PLR2004 - rows and columns
        msg = f"values have shape {values.shape}; give a row a step, a column a series"
        raise InvalidSeries(msg)
    found = tuple(names) or tuple(f"series {n + 1}" for n in range(values.shape[1]))
    if len(found) != values.shape[1] or len(set(found)) != len(found):
        msg = f"{len(found)} names for {values.shape[1]} series; give each its own"
        raise InvalidOptions(msg)
    return found


def _on_grid(
    values: Floats, times: Times, frequency: str, names: tuple[str, ...]
) -> tuple[Floats, Times, np.datetime64]:
    columns = []
    for name, column in zip(names, values.T, strict=True):
        try:
            grid = put_on_grid(column, times=times, frequency=frequency)
        except InvalidSeries as error:
            msg = f"{name}: {error}"
            raise InvalidSeries(msg) from error
        columns.append(grid.values)
    return np.column_stack(columns), grid.times, grid.after


def _common_season(table: Floats, times: Times) -> int:
    """Return the cycle that most series have, 1 if most have none."""
    found = []
    for column in table.T:
        seasons = find_seasons(column, times=times) if np.isfinite(column).any() else ()
        found.append(seasons[0] if seasons else 1)
    return Counter(found).most_common(1)[0][0]


def _without_season(table: Floats, *, usual: Mask, season: int) -> Floats:
    """Take out the median of each phase of the usual rows."""
    if season <= 1 or usual.sum() < LEAST_CYCLES * season:
        return table
    rest = table.copy()
    phases = np.arange(len(table)) % season
    for phase in range(season):
        here = phases == phase
        known = table[here & usual]
        present = np.isfinite(known).any(axis=0)
        rest[here] -= np.where(
            present, np.nanmedian(np.where(present, known, 0.0), axis=0), 0.0
        )
    return rest


def _shares(sizes: Floats) -> Floats:
    squares = np.nan_to_num(sizes) ** 2
    totals = squares.sum(axis=1, keepdims=True)
    return np.asarray(squares / np.where(totals > 0, totals, 1.0))


def _events(judged: _Judged, *, season: int) -> list[TogetherEvent]:
    reach = max(_JOIN_LEAST, int(season * _JOIN))
    groups = group_departures(
        judged.sizes, departures=judged.departures, names=judged.names, reach=reach
    )
    return [_event(judged, group) for group in groups]


def _event(judged: _Judged, group: Group) -> TogetherEvent:
    inside = slice(group.start, group.stop)
    squares = np.nan_to_num(judged.sizes[inside]) ** 2
    shares = squares.sum(axis=0) / squares.sum()
    order = np.argsort(-shares, kind="stable")[:_NAMED]
    contributors = tuple(
        (judged.names[place], float(shares[place]))
        for place in order.tolist()
        if shares[place] >= _WORTH
    )
    steps = np.arange(len(judged.times))
    before = (steps < group.start) & (steps >= group.start - _BEFORE) & ~judged.beyond
    during = (steps >= group.start) & (steps < group.stop)
    changes = find_relation_changes(
        judged.departures, names=judged.names, before=before, during=during
    )
    score = float(judged.score[inside].max())
    last = judged.times[group.stop - 1]
    return TogetherEvent(
        start=judged.times[group.start],
        end=judged.times[group.stop] if group.stop < len(steps) else judged.after,
        score=score,
        severity=scores.severity(score),
        contributors=contributors,
        group=group,
        relation_changes=tuple(changes),
        explanation=explain_event(
            group,
            changes,
            contributors=contributors,
            span=(judged.times[group.start], last),
        ),
    )
