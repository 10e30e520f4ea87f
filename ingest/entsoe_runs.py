"""Positions of points to runs of equal values, and what is wrong with the points."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, repeat
from operator import itemgetter, lt

from ingest.batch import Rejected
from ingest.entsoe_steps import MOST_STEPS, Step, Unreadable, micros

_COUNT = [str(number) for number in range(1, 3_001)]


@dataclass(frozen=True)
class Points:
    """The points of one period of one series, as they stand in the document."""

    key: str
    begin: datetime
    end: datetime
    step: Step
    repeats: bool
    positions: Sequence[str | None]
    values: Sequence[str | None]
    rows: Sequence[int]


@dataclass(frozen=True)
class Runs:
    """Runs of a period: the first instant, the step, how many, the value, its row."""

    first: Sequence[int]
    step: Sequence[int]
    length: Sequence[int]
    values: Sequence[str | None]
    rows: Sequence[int]


@dataclass(frozen=True)
class _Places:
    """Points by their place from zero, ascending."""

    starts: Sequence[int]
    values: Sequence[str | None]
    rows: Sequence[int]


@dataclass
class Problems:
    """What is wrong with points.

    Attributes:
        rejected: the bad ones.
        missing: how many are not there.
        short: whether a period goes on after its last point, and nothing says how.
    """

    rejected: list[Rejected] = field(default_factory=list)
    missing: int = 0
    short: bool = False


def runs_of(points: Points, problems: Problems) -> Runs:
    """Return the runs of one period, and note what is wrong with its points.

    Raises:
        Unreadable: the period is too long.
    """
    steps = points.step.count(points.begin, points.end)
    if not 0 < steps <= MOST_STEPS:
        raise Unreadable(f"a period of {steps} steps")
    bad = len(problems.rejected)
    places = _places(points, steps, problems)
    # Where a point has no place, nobody knows how far the value before it goes.
    repeats = points.repeats and len(problems.rejected) == bad
    starts = places.starts
    after = [*starts[1:], steps][: len(starts)]
    ends = after if repeats else [start + 1 for start in starts]
    lengths = [end - start for start, end in zip(starts, ends, strict=True)]
    _note_gaps(points, places, steps, problems)
    if not isinstance(starts, range) and len(set(starts)) < len(starts):
        places, lengths = _settled(places, lengths, problems)
    runs = _at_instants(points, places, lengths)
    return runs if points.step.us else _by_calendar(runs, points)


def _at_instants(points: Points, places: _Places, lengths: list[int]) -> Runs:
    unit = points.step.us or 1
    base = micros(points.begin) if points.step.us else 0
    starts = places.starts
    first: Sequence[int]
    if isinstance(starts, range):
        first = range(base, base + len(starts) * unit, unit)
    else:
        first = [base + start * unit for start in starts]
    return Runs(first, [unit] * len(lengths), lengths, places.values, places.rows)


def _note_gaps(points: Points, places: _Places, steps: int, problems: Problems) -> None:
    starts = places.starts
    if not points.positions and points.repeats:
        problems.missing += steps
    if not starts:
        problems.short = True
        return
    if not points.repeats:
        # Up to the last point only: a period may run into the future.
        problems.missing += starts[-1] + 1 - len(set(starts))
        problems.short |= starts[-1] + 1 < steps
    elif starts[0] > 0:
        detail = (
            f"positions 1 to {starts[0]} of {steps} of {points.key} at "
            f"{points.begin:%Y-%m-%dT%H:%MZ} are not there, and there is no "
            "value before them to repeat"
        )
        first = Rejected(places.rows[0], "missing_first_position", detail)
        problems.rejected.append(first)


def _places(points: Points, steps: int, problems: Problems) -> _Places:
    """Return the points that have a place; reject those that have none."""
    size = len(points.positions)
    if size <= steps and _counts_up(points.positions):
        return _Places(range(size), points.values, points.rows)
    if (starts := _ascending(points.positions, steps)) is not None:
        return _Places(starts, points.values, points.rows)
    found: list[tuple[int, str | None, int]] = []
    for text, value, row in zip(
        points.positions, points.values, points.rows, strict=True
    ):
        number = _position(text)
        if number is None or not 1 <= number <= steps:
            detail = f"position {text!r} is not a whole number from 1 to {steps}"
            problems.rejected.append(Rejected(row, "bad_position", detail))
        else:
            found.append((number - 1, value, row))
    found.sort(key=itemgetter(0))
    return _Places(
        [start for start, _, _ in found],
        [value for _, value, _ in found],
        [row for _, _, row in found],
    )


def _settled(
    places: _Places, lengths: list[int], problems: Problems
) -> tuple[_Places, list[int]]:
    """Keep one of points at the same place; none where their values differ."""
    found: dict[int, list[int]] = {}
    for nth, start in enumerate(places.starts):
        found.setdefault(start, []).append(nth)
    kept: list[int] = []
    for start, same in found.items():
        if len({places.values[nth] for nth in same}) == 1:
            kept.append(same[-1])  # the last one goes up to the next place
            continue
        detail = f"position {start + 1} has {len(same)} points of different values"
        problems.rejected += [
            Rejected(places.rows[nth], "conflicting_rows", detail) for nth in same
        ]
    settled = _Places(
        [places.starts[nth] for nth in kept],
        [places.values[nth] for nth in kept],
        [places.rows[nth] for nth in kept],
    )
    return settled, [lengths[nth] for nth in kept]


def _position(text: str | None) -> int | None:
    """Return a position; thousands may be set off with commas."""
    try:
        return int((text or "").replace(",", ""))
    except ValueError:
        return None


def _ascending(positions: Sequence[str | None], steps: int) -> list[int] | None:
    """Return positions from zero if all are sound and in order, as they usually are."""
    try:
        starts = [int(text or "") - 1 for text in positions]
    except ValueError:
        return None
    inside = bool(starts) and starts[0] >= 0 and starts[-1] < steps
    return starts if inside and all(map(lt, starts, starts[1:])) else None


def _counts_up(positions: Sequence[str | None]) -> bool:
    size = len(positions)
    if size <= len(_COUNT):
        return positions == _COUNT[:size]
    return positions == [str(number) for number in range(1, size + 1)]


def _by_calendar(runs: Runs, points: Points) -> Runs:
    """Give each step of the calendar its own run, because no two are equally long."""
    edges = points.step.edges(points.begin, points.end)
    spans = [range(f, f + n) for f, n in zip(runs.first, runs.length, strict=True)]
    first = [edges[step] for span in spans for step in span]
    again = [len(span) for span in spans]
    return Runs(
        first,
        [1] * len(first),
        [1] * len(first),
        list(chain.from_iterable(map(repeat, runs.values, again))),
        list(chain.from_iterable(map(repeat, runs.rows, again))),
    )


def trimmed(runs: Runs, low: int | None, high: int | None) -> Runs:
    """Leave out what lies outside [low, high): publishers answer with whole days."""
    if not runs.values:
        return runs
    inside = (low is None or runs.first[0] >= low) and (
        high is None or runs.first[-1] + runs.step[-1] * (runs.length[-1] - 1) < high
    )
    if inside:
        return runs
    kept = []
    for first, step, length, value, row in zip(
        runs.first, runs.step, runs.length, runs.values, runs.rows, strict=True
    ):
        skip = 0 if low is None else max(0, -(-(low - first) // step))
        stop = length if high is None else min(length, -(-(high - first) // step))
        if skip < stop:
            kept.append((first + skip * step, step, stop - skip, value, row))
    columns = zip(*kept, strict=True) if kept else ((), (), (), (), ())
    return Runs(*columns)
