"""Parquet and Arrow: typed columns, a row group or a record batch at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from ingest.columns import RawRows, is_text
from ingest.errors import InvalidFile, InvalidLayout
from ingest.layout import UploadLayout, check_columns

_ROWS = 65_536


def read_parquet(stream: BinaryIO, layout: UploadLayout) -> Iterator[RawRows]:
    """Yield the declared columns of a Parquet file; the stream must be seekable.

    Raises:
        InvalidFile: not a Parquet file, or damaged.
        InvalidLayout: a declared column is not there, or holds something else.
    """
    with _named("Parquet file"):
        table = pq.ParquetFile(stream, pre_buffer=False)
        check_columns(table.schema_arrow.names, layout)
        batches = table.iter_batches(
            _ROWS, columns=list(layout.columns), use_threads=False
        )
        yield from _numbered(batches, layout)


def read_arrow(stream: BinaryIO, layout: UploadLayout) -> Iterator[RawRows]:
    """Yield the declared columns of an Arrow IPC stream or file.

    Raises:
        InvalidFile: neither of the two, or damaged.
        InvalidLayout: a declared column is not there, or holds something else.
    """
    with _named("Arrow stream"):
        magic = stream.read(6)
        stream.seek(0)
        if magic == b"ARROW1":
            file = pa.ipc.open_file(stream)
            check_columns(file.schema.names, layout)
            batches = (file.get_batch(i) for i in range(file.num_record_batches))
            yield from _numbered(batches, layout)
        else:
            reader = pa.ipc.open_stream(stream)
            check_columns(reader.schema.names, layout)
            yield from _numbered(reader, layout)


@contextmanager
def _named(kind: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, EOFError) as error:
        message = f"the file is not a whole {kind}: {error}"
        raise InvalidFile(message) from error


def _numbered(
    batches: Iterator[pa.RecordBatch], layout: UploadLayout
) -> Iterator[RawRows]:
    row = 1
    for whole in batches:
        for start in range(0, whole.num_rows, _ROWS):
            batch = whole.slice(start, _ROWS)
            *key, ts, value = (_plain(batch.column(name)) for name in layout.columns)
            numbers = pa.arange(row, row + batch.num_rows)
            series = _key_text(key[0], layout) if key else None
            yield RawRows(series, ts, value, numbers)
            row += batch.num_rows


def _plain(column: pa.Array) -> pa.Array:
    # Arrow trusts the offsets in a file; a hostile one would read foreign memory.
    column.validate(full=True)
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.dictionary_decode()
        kind = column.type
    return column.cast(pa.string()) if is_text(kind) else column


def _key_text(column: pa.Array, layout: UploadLayout) -> pa.Array:
    if pa.types.is_string(column.type):
        return column
    if pa.types.is_integer(column.type):
        return column.cast(pa.string())
    message = f"column {layout.series_column!r} holds {column.type}, not series keys"
    raise InvalidLayout(message)
