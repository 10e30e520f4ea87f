"""Observations as CSV, NDJSON, an Arrow stream or Parquet, a batch at a time.

A number is written with as many digits as it takes to read the same number back.
"""

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import orjson

from web.formats import ARROW, CSV
from web.point_formats import NDJSON, arrow, rfc3339, taken

if TYPE_CHECKING:
    import pyarrow as pa

PARQUET = "application/vnd.apache.parquet"
Format: TypeAlias = Literal["csv", "ndjson", "arrow", "parquet"]
FORMS: Mapping[Format, str] = {
    "ndjson": NDJSON,
    "csv": CSV,
    "arrow": ARROW,
    "parquet": PARQUET,
}
_ROWS = 8_192  # as text they take many times the memory of a batch


def writer(
    form: str, columns: Sequence[str]
) -> Callable[[Iterator["pa.RecordBatch"]], Iterator[bytes]]:
    """Return what makes bytes of batches of observations.

    Args:
        form: one of the media types of ``FORMS``.
        columns: what to write of the batches; text, a number, or else instants.
    """

    def written(batches: Iterator["pa.RecordBatch"]) -> Iterator[bytes]:
        write = {CSV: _csv, ARROW: arrow, PARQUET: _parquet}.get(form, _ndjson)
        yield from write(
            (batch.select(list(columns)) for batch in batches), schema(columns)
        )

    return written


def as_json(
    head: Mapping[str, Any], columns: Sequence[str]
) -> Callable[[Iterator["pa.RecordBatch"]], Iterator[bytes]]:
    """Return what makes one JSON object, whose last member is the list of rows."""

    def written(batches: Iterator["pa.RecordBatch"]) -> Iterator[bytes]:
        yield orjson.dumps(head)[:-1] + b',"observations":['
        comma = b""
        for lines in writer(NDJSON, columns)(batches):
            yield comma + lines[:-1].replace(b"\n", b",")  # keys hold no line ends
            comma = b","
        yield b"]}"

    return written


def schema(columns: Sequence[str]) -> "pa.Schema":
    """Return what the columns hold."""
    import pyarrow as pa  # noqa: PLC0415 - loaded only where something is exported

    kinds = {"series": pa.string(), "value": pa.float64()}
    instant = pa.timestamp("us", "UTC")
    return pa.schema([(name, kinds.get(name, instant)) for name in columns])


def _csv(batches: Iterator[Any], told: "pa.Schema") -> Iterator[bytes]:
    # No cell needs quotes: keys have no commas, and the others are times and numbers.
    yield ",".join(told.names).encode() + b"\n"
    for some in _small(batches):
        cells = [_text(column, null="") for column in some.columns]
        yield _lines([cells[0], *(part for one in cells[1:] for part in (",", one))])


def _ndjson(batches: Iterator[Any], told: "pa.Schema") -> Iterator[bytes]:
    for some in _small(batches):
        parts: list[Any] = []
        for name, column in zip(told.names, some.columns, strict=True):
            parts += [f'{"," if parts else "{"}"{name}":', _json(column)]
        yield _lines([*parts, "}"])


def _parquet(batches: Iterator[Any], told: "pa.Schema") -> Iterator[bytes]:
    from pyarrow import parquet  # noqa: PLC0415 - loaded only where it is asked for

    sink = io.BytesIO()
    # Its footer comes last, so that half a file is no file.
    with parquet.ParquetWriter(_Onward(sink), told, compression="zstd") as file:
        for batch in batches:
            file.write_batch(batch)
            yield taken(sink)
    yield sink.getvalue()


class _Onward(io.RawIOBase):
    """What is written goes into a sink that is emptied now and then."""

    def __init__(self, sink: io.BytesIO) -> None:
        self._sink = sink
        self._at = 0

    def writable(self) -> bool:
        return True

    def write(self, piece: Any) -> int:
        size = self._sink.write(piece)
        self._at += size
        return size

    def tell(self) -> int:
        return self._at


def _small(batches: Iterator[Any]) -> Iterator[Any]:
    for batch in batches:
        for first in range(0, batch.num_rows, _ROWS):
            yield batch.slice(first, _ROWS)


def _json(column: Any) -> Any:
    import pyarrow as pa  # noqa: PLC0415 - loaded only where something is exported
    import pyarrow.compute as pc  # noqa: PLC0415 - same

    text = _text(column, null="null")
    if pa.types.is_floating(column.type):
        return text
    quoted = pc.binary_join_element_wise('"', text, '"', "")
    return pc.if_else(pc.is_valid(column), quoted, "null")


def _text(column: Any, *, null: str) -> Any:
    import pyarrow as pa  # noqa: PLC0415 - loaded only where something is exported
    import pyarrow.compute as pc  # noqa: PLC0415 - same

    if pa.types.is_timestamp(column.type):
        text = rfc3339(column)
    else:
        text = column.cast(pa.string())
    return pc.fill_null(text, null)


def _lines(parts: Sequence[Any]) -> bytes:
    import pyarrow.compute as pc  # noqa: PLC0415 - loaded only where it is needed

    lines = pc.binary_join_element_wise(*parts, "\n", "")
    # The texts of an array lie one after the other: they are the lines already.
    start = memoryview(lines.buffers()[1]).cast("i")[lines.offset]
    end = memoryview(lines.buffers()[1]).cast("i")[lines.offset + len(lines)]
    return bytes(memoryview(lines.buffers()[2])[start:end])
