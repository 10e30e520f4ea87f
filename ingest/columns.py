"""Columns between the file and the batch: texts as they stood, and what is wrong."""

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from ingest.batch import Rejected


@dataclass(frozen=True)
class RawRows:
    """Rows as a format reads them.

    Attributes:
        series: texts, or None where the layout names one key for all rows.
        ts: texts, timestamps or dates.
        value: texts or numbers.
        row_no: 1-based rows of the file, ascending.
        rejected: rows that could not even be cut into columns.
        offset: line minus row of a text file, None where there are no lines.
        published_at: instants since when the rows are known, or None if no row says.
        issued_at: instants at which the rows were forecast, or None for observations.
    """

    series: pa.Array | None
    ts: pa.Array
    value: pa.Array
    row_no: pa.Array
    rejected: tuple[Rejected, ...] = ()
    offset: int | None = None
    published_at: pa.Array | None = None
    issued_at: pa.Array | None = None


@dataclass(frozen=True)
class Fault:
    """The rows that have one thing wrong, and how to say it of a single row's text."""

    mask: pa.BooleanArray
    code: str
    explain: Callable[[str], str]


def cast_or_null(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """Cast what can be cast and return null for the rest.

    Arrow casts all or nothing, so a failing stretch is halved until the bad rows are
    alone: the price is paid for bad rows only.
    """
    try:
        return column.cast(kind)
    except pa.ArrowInvalid:
        if len(column) == 1:
            return pa.nulls(1, kind)
    half = len(column) // 2
    return pa.concat_arrays(
        [cast_or_null(column[:half], kind), cast_or_null(column[half:], kind)]
    )


def is_text(kind: pa.DataType) -> bool:
    """Return whether a column holds text."""
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
    )


def false(length: int) -> pa.BooleanArray:
    """Return a mask of no rows."""
    return pa.repeat(pa.scalar(value=False), length)


def any_true(mask: pa.BooleanArray) -> bool:
    """Return whether a mask without nulls names any row."""
    return bool(pc.any(mask, min_count=0).as_py())
