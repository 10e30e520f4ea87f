"""Rows of Open-Meteo's tables: keys, times, values, and when a value was forecast."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ingest.batch import INSTANT, Batch
from ingest.columns import RawRows
from ingest.open_meteo_answers import Issue, Table, is_stamp
from ingest.parse import parse
from ingest.times import parse_times

_PREVIOUS = re.compile(r"(.+)_previous_day(\d{1,3})")


def batches(
    found: Sequence[Table],
    *,
    key_of: Callable[[Table, str], str],
    issue: Issue | None,
) -> Iterator[Batch]:
    """Yield the rows of tables, a batch for each.

    Args:
        found: the tables.
        key_of: gives the series key of a variable of a table.
        issue: the run, where values are forecasts. A value for a time that has passed
            was issued at that time at the latest, and ``_previous_dayN`` that many
            days before: that is assumed, the answer does not say it.
    """
    row = 1
    for table in found:
        raw = _raw(table, key_of, issue, row)
        row += len(raw.ts)
        yield from parse([raw], layout=table.layout)


def lead(variable: str) -> tuple[str, int]:
    """Return a variable without its lead, and the lead in days.

    Example:
        >>> lead("temperature_2m_previous_day2"), lead("rain")
        (('temperature_2m', 2), ('rain', 0))
    """
    named = _PREVIOUS.fullmatch(variable)
    return (named[1], int(named[2])) if named else (variable, 0)


def _raw(
    table: Table,
    key_of: Callable[[Table, str], str],
    issue: Issue | None,
    first_row: int,
) -> RawRows:
    once, instants = _times(table)
    size, names = len(once), list(table.columns)
    keys = [key_of(table, name) for name in names]
    cells = [cell for name in names for cell in table.columns[name]]
    total = size * len(names)
    issued = [
        _issued(instants, issue.issued_at, lead(name)[1]) for name in names if issue
    ]
    published = issue.published_at if issue else None
    return RawRows(
        series=_joined([pa.repeat(pa.scalar(key), size) for key in keys], pa.string()),
        ts=_joined([once] * len(names), once.type),
        value=_cells(cells),
        row_no=pa.arange(first_row, first_row + total),
        published_at=published and pa.repeat(pa.scalar(published, INSTANT), total),
        issued_at=_joined(issued, INSTANT) if issue else None,
    )


def _joined(arrays: list[Any], kind: pa.DataType) -> pa.Array:
    return pa.concat_arrays(arrays) if arrays else pa.nulls(0, kind)


def _times(table: Table) -> tuple[pa.Array, pa.Array]:
    """Return the times as they are to be parsed, and as instants, null where bad."""
    if all(map(is_stamp, table.times)):
        stamps = pa.array(table.times, pa.int64()).cast(pa.timestamp("s", "UTC"))
        return stamps.cast(INSTANT), stamps.cast(INSTANT)
    texts = pa.array(map(_time_text, table.times), pa.string())
    instants = parse_times(texts, table.layout).instants
    if table.offset_s:
        ahead = pa.scalar(timedelta(seconds=table.offset_s), pa.duration("us"))
        instants = pc.subtract(instants, ahead)
        return instants, instants
    return texts, instants


def _time_text(cell: Any) -> str:
    if is_stamp(cell):
        return datetime.fromtimestamp(cell, UTC).isoformat()
    return _text(cell) or ""


def _issued(instants: pa.Array, latest: datetime, days: int) -> pa.Array:
    back = pa.scalar(timedelta(days=days), pa.duration("us"))
    before, newest = pc.subtract(instants, back), pa.scalar(latest, INSTANT)
    return pc.if_else(pc.less(before, newest), before, newest)


def _cells(cells: list[Any]) -> pa.Array:
    if set(map(type, cells)) <= {int, float, type(None)}:
        try:
            return pa.array(cells, pa.float64())
        except (pa.ArrowInvalid, OverflowError):
            pass  # an integer beyond what a float holds exactly
    return pa.array(map(_text, cells), pa.string())


def _text(cell: Any) -> str | None:
    if cell is None:
        return None
    text = cell if isinstance(cell, str) else json.dumps(cell)
    # JSON can write half a character, which no other text format can hold.
    return text.encode(errors="replace").decode()
