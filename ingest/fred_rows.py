"""Rows of FRED to batches: one value a vintage, and only where it differs."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress, islice
from operator import le
from typing import Any, NamedTuple

import pyarrow as pa

from ingest.batch import INSTANT, Batch, Rejected
from ingest.columns import RawRows
from ingest.fred_vintages import published_us
from ingest.json_columns import text_column, value_column
from ingest.layout import UploadLayout
from ingest.parse import parse
from ingest.verdicts import Verdict, drift

PIECE = 20_000
_LAYOUT = UploadLayout("ndjson", timezone="UTC", missing=(".", "ND", "NA", "#N/A"))
_CELL = re.compile(r"(.+)_(\d{8})")
_DATE = re.compile(r"\d{4}-[01]\d-[0-3]\d")
_KNOWN = frozenset({"realtime_start", "realtime_end"})
_NONE = "."


class Told(NamedTuple):
    """One value as one vintage told it.

    Attributes:
        number: of the row, 1-based.
        date: of the observation.
        value: as it stood.
        vintage: since which day it was told so; None where that is not known.
    """

    number: int
    date: Any
    value: Any
    vintage: str | None = None


@dataclass(frozen=True)
class Window:
    """Which vintages an answer was asked for.

    Attributes:
        first: the first day; rows that begin with it may have begun earlier.
        overlaps: whether the day belongs to another answer, so its rows are left out.
        true: whether the day is a vintage date, so its rows began with it.
        date: the last observation before this page.
        value: its last value.
    """

    first: str = ""
    overlaps: bool = False
    true: bool = False
    date: str = ""
    value: str = ""


def is_wide(row: Mapping[str, Any]) -> bool:
    """Return whether a row holds a column for each vintage."""
    return "value" not in row and any(_CELL.fullmatch(name) for name in row)


def changes(
    rows: Sequence[Any], *, vintages: bool
) -> tuple[tuple[str, ...], Verdict | None]:
    """Hold the names of all rows against what FRED sends; see ``verdicts.drift``."""
    objects = [row for row in rows if isinstance(row, dict)]
    names: set[str] = set().union(*objects)
    if not objects:
        return (), None
    if is_wide(objects[0]):
        cells = frozenset(name for name in names if _CELL.fullmatch(name))
        return drift(sorted(names), required=frozenset({"date"}), known=cells)
    required = {"date", "value", "realtime_start"} if vintages else {"date", "value"}
    return drift(sorted(names), required=frozenset(required), known=_KNOWN)


def current(
    rows: Sequence[Any],
    *,
    since: int = 1,
    within: tuple[str | None, str | None] | None = None,
) -> Iterator[Told | Rejected]:
    """Yield the rows of a series as it is today.

    Args:
        rows: of the answer.
        since: the number of the first one.
        within: the first and the last date that are wanted.
    """
    first, last = within or (None, None)
    for number, row in enumerate(rows, since):
        if not isinstance(row, dict):
            yield Rejected(number, "malformed_row", "not a JSON object")
            continue
        date = row.get("date")
        text = str(date)
        outside = (first and text < first) or (last and text > last)
        if not (outside and _DATE.fullmatch(text)):
            yield Told(number, date, row.get("value"))


def revisions(rows: Sequence[Any], window: Window) -> Iterator[Told | Rejected]:
    """Yield the rows whose value is not that of the vintage before.

    Args:
        rows: with ``realtime_start``, or with a column for each vintage.
        window: of vintages, to know which beginnings are real.
    """
    last_date: Any = window.date
    last_value = window.value
    wide = is_wide(next((row for row in rows if isinstance(row, dict)), {}))
    unknown = _NONE if wide else ""
    for number, row in _in_order(rows):
        if not isinstance(row, dict):
            yield Rejected(number, "malformed_row", "not a JSON object")
            continue
        date = row.get("date")
        if date != last_date:
            last_date, last_value = date, unknown
        cells = (
            _cells(row)
            if wide
            else ((str(row.get("realtime_start", "")), row.get("value")),)
        )
        for vintage, value in cells:
            text = value if type(value) is str else str(value)
            if text == last_value:
                continue
            last_value = text
            if vintage != window.first:
                yield Told(number, date, value, vintage)
            elif not window.overlaps:
                yield Told(number, date, value, vintage if window.true else None)


def _in_order(rows: Sequence[Any]) -> Sequence[tuple[int, Any]]:
    """Return rows with their numbers, the vintages of each date first to last."""
    numbered = list(enumerate(rows, 1))
    places = [_place(row) for row in rows]
    if all(map(le, places, places[1:])):
        return numbered
    return sorted(numbered, key=lambda one: places[one[0] - 1])


def _place(row: Any) -> tuple[str, str]:
    said = row if isinstance(row, dict) else {}
    return str(said.get("date", "")), str(said.get("realtime_start", ""))


def _cells(row: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """Return the vintages of a wide row, first to last."""
    found = ((_CELL.fullmatch(name), value) for name, value in row.items())
    return sorted(
        ((cell[2], value) for cell, value in found if cell), key=lambda cell: cell[0]
    )


def batches(
    told: Iterable[Told | Rejected], key: str, *, vintages: bool
) -> Iterator[Batch]:
    """Yield batches of some ten thousand rows of one series."""
    rest = iter(told)
    while piece := list(islice(rest, PIECE)):
        yield from parse((_raw(piece, key, vintages=vintages),), layout=_LAYOUT)


def _raw(piece: list[Told | Rejected], key: str, *, vintages: bool) -> RawRows:
    bad = [one for one in piece if type(one) is Rejected]
    rows = [one for one in piece if type(one) is Told]
    known: list[int | None] = []
    if vintages:
        known = [
            None if one.vintage is None else published_us(one.vintage) for one in rows
        ]
        wrong = [
            one.vintage is not None and at is None
            for one, at in zip(rows, known, strict=True)
        ]
        if any(wrong):
            bad += map(_no_vintage, compress(rows, wrong))
            right = [not one for one in wrong]
            rows, known = list(compress(rows, right)), list(compress(known, right))
    return RawRows(
        series=pa.repeat(pa.scalar(key, pa.string()), len(rows)),
        ts=text_column([one.date for one in rows]),
        value=value_column([one.value for one in rows]),
        row_no=pa.array([one.number for one in rows], pa.int64()),
        rejected=tuple(sorted(bad)),
        published_at=pa.array(known, INSTANT) if vintages else None,
    )


def _no_vintage(told: Told) -> Rejected:
    detail = f"vintage {told.vintage!r:.80} is not a date"
    return Rejected(told.number, "bad_vintage", detail)
