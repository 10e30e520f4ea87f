"""Results in the format that Accept asks for."""

import csv
import io
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
