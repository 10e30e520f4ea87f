"""Curves of the IEC 62325 documents: positions inside a period to rows at instants.

A period says where it starts and ends, how long its steps are, and then only the
positions of values. With curve type A01 every point is there; with A03 a position is
left out where the value repeats the one before, up to the end of the period and never
beyond it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import repeat

import pyarrow as pa
import pyarrow.compute as pc

from ingest.batch import INSTANT, ROWS, Batch, Rejected
from ingest.entsoe_runs import Points, Problems, runs_of, trimmed
from ingest.entsoe_steps import micros
from ingest.layout import UploadLayout
from ingest.numbers import parse_values

_PIECE = 32_768
_LAYOUT = UploadLayout("ndjson", series_key="any", missing=("-", "n/e", "N/A"))
_GROUPED = r"^(\s*[+-]?\d{1,3})((?:,\d{3})+)(\.\d*)?\s*$"


@dataclass(frozen=True)
class Piece:
    """Runs of equal values: columns key, first, step, length, value, row."""

    keys: tuple[str, ...]
    runs: pa.RecordBatch
    rejected: tuple[Rejected, ...]
    missing: int

    def batches(self) -> Iterator[Batch]:
        """Spell the runs out, at most some ten thousand rows at a time."""
        ends = pc.cumulative_sum(self.runs["length"])
        total = ends[-1].as_py() if len(ends) else 0
        if total == len(ends):
            yield self._batch(self.runs, self.runs["first"], first=True)
            return
        index = pa.arange(0, len(ends))
        begins = pc.subtract(ends, self.runs["length"])
        runs = pa.RunEndEncodedArray.from_arrays(ends, index)
        for low in range(0, total, _PIECE * 2):
            high = min(total, low + _PIECE * 2)
            which = pc.run_end_decode(runs[low:high])
            spelt = self.runs.take(which)
            nth = pc.subtract(pa.arange(low, high), begins.take(which))
            instants = pc.add(spelt["first"], pc.multiply(nth, spelt["step"]))
            yield self._batch(spelt, instants, first=low == 0)

    def _batch(self, runs: pa.RecordBatch, instants: pa.Array, *, first: bool) -> Batch:
        keys = pa.array(self.keys, pa.string()).take(runs["key"])
        rows = pa.RecordBatch.from_arrays(
            [keys, instants.cast(INSTANT), runs["value"], runs["row"]],
            names=ROWS.names,
        )
        rows = rows.filter(runs["value"].is_valid()).cast(ROWS)
        return Batch(rows, self.rejected, self.missing) if first else Batch(rows)


def _empty() -> tuple[list[int], ...]:
    return ([], [], [], [], [])


@dataclass
class Curves:
    """Collects periods and makes pieces of them, trimmed to [start, end).

    Attributes:
        start: what lies before is left out; None leaves the side open.
        end: what lies at it or after is left out; None leaves the side open.
        pieces: what is finished.
        faulty: whether any row was refused, any value was missing, or any period has
            an end without points.
    """

    start: datetime | None = None
    end: datetime | None = None
    pieces: list[Piece] = field(default_factory=list)
    faulty: bool = False
    _keys: dict[str, int] = field(default_factory=dict)
    _columns: tuple[list[int], ...] = field(default_factory=_empty)
    _values: list[str | None] = field(default_factory=list)
    _problems: Problems = field(default_factory=Problems)

    @property
    def empty(self) -> bool:
        """Whether no row at all, good or bad, lies in the window."""
        return not any(piece.runs.num_rows or piece.rejected for piece in self.pieces)

    def add(self, points: Points) -> None:
        """Take the points of one period.

        Raises:
            Unreadable: the period is too long.
        """
        low = None if self.start is None else micros(self.start)
        high = None if self.end is None else micros(self.end)
        runs = trimmed(runs_of(points, self._problems), low, high)
        if not runs.values:
            return
        number = self._keys.setdefault(points.key, len(self._keys))
        size = len(runs.values)
        news = (repeat(number, size), runs.first, runs.step, runs.length, runs.rows)
        for column, more in zip(self._columns, news, strict=True):
            column.extend(more)
        self._values.extend(runs.values)
        if len(self._values) >= _PIECE:
            self.finish()

    def finish(self) -> None:
        """Make a piece of what has been collected."""
        problems, self._problems = self._problems, Problems()
        self.faulty = self.faulty or problems.short
        if not (self._values or problems.rejected or problems.missing):
            return
        key, first, step, length, row = (pa.array(c, pa.int64()) for c in self._columns)
        texts = _without_commas(pa.array(self._values, pa.string()))
        numbers = parse_values(texts, _LAYOUT)
        rejected = list(problems.rejected)
        for fault in numbers.faults:
            where = pc.indices_nonzero(fault.mask)
            told = zip(
                row.take(where).to_pylist(), texts.take(where).to_pylist(), strict=True
            )
            rejected += [Rejected(n, fault.code, fault.explain(t)) for n, t in told]
        gone = pc.if_else(numbers.missing, length, 0)
        missing = problems.missing + (pc.sum(gone, min_count=0).as_py() or 0)
        runs = pa.RecordBatch.from_arrays(
            [key, first, step, length, numbers.values, row],
            names=["key", "first", "step", "length", "value", "row"],
        )
        self.faulty = self.faulty or bool(rejected or missing)
        piece = Piece(tuple(self._keys), runs, tuple(sorted(rejected)), missing)
        self.pieces.append(piece)
        self._keys, self._columns, self._values = {}, _empty(), []


def _without_commas(texts: pa.Array) -> pa.Array:
    """Take out commas that set off thousands; other commas stay and are refused."""
    commas = pc.fill_null(pc.match_substring(texts, ","), fill_value=False)
    if not pc.any(commas, min_count=0).as_py():
        return texts
    grouped = pc.fill_null(pc.match_substring_regex(texts, _GROUPED), fill_value=False)
    return pc.if_else(grouped, pc.replace_substring(texts, ",", ""), texts)
