"""Results and observations in the format that Accept asks for."""

import csv
import io
from collections.abc import Iterator
from typing import Any

import orjson
from flask import Response, request

from db.jobs import Job
from tasks.catalog import job_types
from web.errors import WrongMediaType

JSON = "application/json"
CSV = "text/csv"
ARROW = "application/vnd.apache.arrow.stream"


def wanted_format(*offered: str) -> str:
    """Return the offered media type that the client likes best; JSON by default."""
    return request.accept_mimetypes.best_match(offered, default=JSON) or JSON


def result_response(job: Job, text: bytes) -> Response:
    """Return a job's result as JSON as it is stored, or as a table.

    Raises:
        WrongMediaType: a table is asked for and this job type has none.
    """
    form = wanted_format(JSON, CSV, ARROW)
    if form == JSON:
        return Response(text, mimetype=JSON)
    kind = job_types().get(job.type)
    if kind is None or kind.table is None:
        raise WrongMediaType(f"results of {job.type} come as {JSON} only")
    columns, rows = kind.table(orjson.loads(text))
    if form == CSV:
        return Response(_csv(columns, rows), mimetype=CSV)
    return Response(_arrow(columns, rows), mimetype=ARROW)


def _csv(columns: list[str], rows: list[list[Any]]) -> str:
    sheet = io.StringIO()
    writer = csv.writer(sheet, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return sheet.getvalue()


def _arrow(columns: list[str], rows: list[list[Any]]) -> bytes:
    import pyarrow as pa  # noqa: PLC0415 - only where a client asks for Arrow

    table = pa.table(
        {name: [row[at] for row in rows] for at, name in enumerate(columns)}
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def observations_csv(batches: Iterator[Any]) -> Iterator[bytes]:
    """Yield ``ts,value`` lines from Arrow batches; a missing value is empty."""
    yield b"ts,value\n"
    for batch in batches:
        yield "".join(
            f"{_rfc3339(ts)},{'' if value is None else repr(value)}\n"
            for ts, value in _rows(batch)
        ).encode()


def observations_json(head: dict[str, Any], batches: Iterator[Any]) -> Iterator[bytes]:
    """Yield one JSON object whose last member is the list of observations."""
    yield orjson.dumps(head)[:-1] + b',"observations":['
    comma = b""
    for batch in batches:
        rows = [{"ts": _rfc3339(ts), "value": value} for ts, value in _rows(batch)]
        if rows:
            yield comma + orjson.dumps(rows)[1:-1]
            comma = b","
    yield b"]}"


def observations_arrow(batches: Iterator[Any]) -> Iterator[bytes]:
    """Yield an Arrow stream of (ts, value), a message at a time."""
    import pyarrow as pa  # noqa: PLC0415 - only where a client asks for Arrow

    sink = io.BytesIO()
    schema = pa.schema([("ts", pa.timestamp("us", "UTC")), ("value", pa.float64())])
    with pa.ipc.new_stream(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch.select(["ts", "value"]).cast(schema))
            yield sink.getvalue()
            sink.seek(0)
            sink.truncate()
    yield sink.getvalue()


def _rows(batch: Any) -> Iterator[tuple[Any, float | None]]:
    return zip(
        batch.column("ts").to_pylist(), batch.column("value").to_pylist(), strict=True
    )


def _rfc3339(instant: Any) -> str:
    text: str = instant.isoformat()
    return text.replace("+00:00", "Z")
