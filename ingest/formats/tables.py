"""Parquet and Arrow: typed columns, a row group or a record batch at a time."""

from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa

from ingest.cells import Cells, Choose, arrow_cells, parquet_cells
from ingest.columns import RawRows
from ingest.errors import InvalidLayout
from ingest.layout import UploadLayout, check_columns


def read_parquet(stream: BinaryIO, layout: UploadLayout) -> Iterator[RawRows]:
    """Yield the declared columns of a Parquet file; the stream must be seekable.

    Raises:
        InvalidFile: not a Parquet file, or damaged.
        InvalidLayout: a declared column is not there, or holds something else.
    """
    return _rows(parquet_cells(stream, choose=_declared(layout)), layout)


def read_arrow(stream: BinaryIO, layout: UploadLayout) -> Iterator[RawRows]:
    """Yield the declared columns of an Arrow IPC stream or file.

    Raises:
        InvalidFile: neither of the two, or damaged.
        InvalidLayout: a declared column is not there, or holds something else.
    """
    return _rows(arrow_cells(stream, choose=_declared(layout)), layout)


def _declared(layout: UploadLayout) -> Choose:
    def choose(names: list[str]) -> dict[str, int]:
        check_columns(names, layout)
        return {name: names.index(name) for name in layout.columns}

    return choose


def _rows(pieces: Iterator[Cells], layout: UploadLayout) -> Iterator[RawRows]:
    for piece in pieces:
        *key, ts, value = (piece.columns[name] for name in layout.columns)
        series = _key_text(key[0], layout) if key else None
        yield RawRows(series, ts, value, piece.row_no)


def _key_text(column: pa.Array, layout: UploadLayout) -> pa.Array:
    if pa.types.is_string(column.type):
        return column
    if pa.types.is_integer(column.type):
        return column.cast(pa.string())
    message = f"column {layout.series_column!r} holds {column.type}, not series keys"
    raise InvalidLayout(message)
