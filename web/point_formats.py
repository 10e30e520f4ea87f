"""The points of forecasts as CSV, NDJSON or an Arrow stream, a batch at a time."""

import io
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

import orjson
from flask import request

from web.formats import ARROW, CSV

if TYPE_CHECKING:
    import pyarrow as pa

NDJSON = "application/x-ndjson"
Format = Literal["csv", "ndjson", "arrow"]
FORMS: Mapping[Format, str] = {"ndjson": NDJSON, "csv": CSV, "arrow": ARROW}
_SECOND_US = 1_000_000
_LINES = 2_048  # as Python objects they take many times the memory of a batch


def wanted_form(asked: Format | None) -> str:
    """Return the media type that is asked for in the query, else by Accept."""
    if asked is not None:
        return FORMS[asked]
    liked = request.accept_mimetypes.best_match(list(FORMS.values()), default=NDJSON)
    return liked or NDJSON


def writer(
    form: str, schema: "pa.Schema"
) -> Callable[[Iterator["pa.RecordBatch"]], Iterator[bytes]]:
    """Return what makes bytes of batches of points.

    Args:
        form: one of the media types of ``FORMS``.
        schema: of the batches: unique_id, ds, model, mean, and a column a level.
    """
    write = {CSV: _csv, ARROW: arrow}.get(form, _ndjson)
    return lambda batches: write(batches, schema)


def _csv(batches: Iterator[Any], schema: "pa.Schema") -> Iterator[bytes]:
    import pyarrow as pa  # noqa: PLC0415 - loaded only where something is exported
    from pyarrow.csv import CSVWriter, WriteOptions  # noqa: PLC0415 - same

    yield ",".join(schema.names).encode() + b"\n"
    told = schema.set(1, pa.field("ds", pa.string()))
    sink = io.BytesIO()
    how = WriteOptions(include_header=False, quoting_style="needed")
    with CSVWriter(sink, told, write_options=how) as sheet:
        for batch in batches:
            sheet.write_batch(batch.set_column(1, "ds", rfc3339(batch.column(1))))
            yield taken(sink)


def _ndjson(batches: Iterator[Any], schema: "pa.Schema") -> Iterator[bytes]:
    levels = [name.removeprefix("q") for name in schema.names[4:]]
    for batch in batches:
        whole = batch.set_column(1, "ds", rfc3339(batch.column(1)))
        for first in range(0, whole.num_rows, _LINES):
            yield _lines(whole.slice(first, _LINES), levels)


def _lines(some: Any, levels: list[str]) -> bytes:
    columns = [column.to_pylist() for column in some.columns]
    return b"".join(
        orjson.dumps(
            {
                "unique_id": unique_id,
                "ds": ds,
                "model": model,
                "mean": mean,
                "q": dict(zip(levels, q, strict=True)),
            },
            option=orjson.OPT_APPEND_NEWLINE,
        )
        for unique_id, ds, model, mean, *q in zip(*columns, strict=True)
    )


def arrow(batches: Iterator[Any], schema: "pa.Schema") -> Iterator[bytes]:
    """Yield an Arrow stream, a message at a time."""
    import pyarrow as pa  # noqa: PLC0415 - loaded only where something is exported

    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, schema) as stream:
        for batch in batches:
            stream.write_batch(batch)
            yield taken(sink)
    yield sink.getvalue()


def taken(sink: io.BytesIO) -> bytes:
    """Return what a sink holds, and empty it."""
    held = sink.getvalue()
    sink.seek(0)
    sink.truncate()
    return held


def rfc3339(instants: Any) -> Any:
    """Return instants as text, with a fraction only where there is one."""
    import pyarrow as pa  # noqa: PLC0415 - loaded only where something is exported
    import pyarrow.compute as pc  # noqa: PLC0415 - same

    since_1970 = instants.cast(pa.int64())
    whole = instants.cast(pa.timestamp("s", "UTC"), safe=False)
    seconds = pc.multiply(whole.cast(pa.int64()), _SECOND_US)
    text = pc.strftime(whole, "%Y-%m-%dT%H:%M:%SZ")
    if pc.all(pc.equal(seconds, since_1970)).as_py():
        return text
    exact = pc.strftime(instants, "%Y-%m-%dT%H:%M:%SZ")
    return pc.if_else(pc.equal(seconds, since_1970), text, exact)
