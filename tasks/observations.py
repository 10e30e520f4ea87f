"""Small bodies of observations, stored at once: the web door's way past the queue."""

import gzip
import io
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, BinaryIO, NotRequired, TypedDict, Unpack

from db import ingest_runs
from db.ids import new_id
from db.session import Connection
from tasks.errors import FieldError, InvalidData, InvalidParams
from tasks.ingest import CONTENT_TYPES
from tasks.loads import Tally, store_batches

if TYPE_CHECKING:
    from ingest.batch import Batch

MOST_BYTES = 64_000_000
"""The largest body once it is unpacked; the web door limits what comes in."""

MOST_ROWS = 1_000_000
"""The most observations of one body: a small Parquet file can hold billions."""

_GZIP = b"\x1f\x8b"


class Sent(TypedDict):
    """The body of a request as it was sent.

    ``content_type`` comes without parameters; none means JSON. ``gzipped`` is what
    Content-Encoding says; a packed body is also known by its first bytes. ``layout``
    holds the fields of ``UploadLayout`` that differ from the defaults.
    """

    body: BinaryIO
    content_type: str
    gzipped: NotRequired[bool]
    layout: NotRequired[Mapping[str, Any]]


def load_observations(
    connection: Connection,
    *,
    tenant_id: int,
    series_key: str,
    now: datetime,
    **sent: Unpack[Sent],
) -> dict[str, Any]:
    """Store the observations of one series, creating the series if need be.

    Returns:
        written, revised, unchanged, missing, duplicates, rejected (the first thousand
        bad rows with row, code and detail), rejected_total.

    Raises:
        InvalidParams: the body is malformed, too large, or of a type not known; as
            InvalidData when it holds rows, but not a single good one.
    """
    data = _unpacked(sent["body"], gzipped=sent.get("gzipped", False))
    run = ingest_runs.NewRun(id=new_id("run"), source="observations", counts={})
    with _explained():
        effect = store_batches(
            connection,
            tenant_id=tenant_id,
            batches=_batches(data, series_key, sent),
            run=run,
            now=now,
            tally=Tally(most_rows=MOST_ROWS),
        )
    return dict(effect.result)


def _batches(data: bytes, series_key: str, sent: Sent) -> Iterable["Batch"]:
    from ingest.layout import UploadLayout
    from ingest.parse import parse
    from ingest.records import raw_records
    from ingest.upload import read_batches

    kind = sent["content_type"].lower()
    declared = {"series_key": series_key, **sent.get("layout", {})}
    if kind in ("application/json", ""):
        layout = UploadLayout("ndjson", **declared)
        return parse([raw_records(_records(data), layout=layout)], layout=layout)
    if kind not in CONTENT_TYPES:
        known = ", ".join(("application/json", *CONTENT_TYPES))
        raise _malformed(f"observations do not come as {kind}, but as {known}")
    layout = UploadLayout(CONTENT_TYPES[kind], **declared)
    return read_batches(io.BytesIO(data), layout=layout)


def _unpacked(body: BinaryIO, *, gzipped: bool) -> bytes:
    data = body.read(MOST_BYTES + 1)
    if gzipped or data.startswith(_GZIP):
        try:
            data = gzip.GzipFile(fileobj=io.BytesIO(data)).read(MOST_BYTES + 1)
        except (EOFError, OSError, zlib.error) as error:
            raise _malformed(f"the body is not whole gzip: {error}") from error
    if len(data) > MOST_BYTES:
        raise _malformed(
            f"the body is larger than {MOST_BYTES} bytes: upload it as a file and "
            "submit ingest.run"
        )
    return data


def _records(data: bytes) -> list[Any]:
    try:
        decoded = json.loads(data)
    except ValueError as error:
        raise _malformed(f"the body is not JSON: {error}") from error
    records = decoded.get("observations") if isinstance(decoded, dict) else None
    if not isinstance(records, list):
        raise _malformed(
            'the body is {"observations": [{"ts": ..., "value": ...}, ...]}',
            pointer="/observations",
        )
    for number, record in enumerate(records):
        if isinstance(record, dict) and (missing := {"ts", "value"} - set(record)):
            name = min(missing)
            raise _malformed(
                f"observation {number} has no {name}; a missing value is null",
                pointer=f"/observations/{number}/{name}",
            )
    return records


@contextmanager
def _explained() -> Iterator[None]:
    """Turn what ingest says of a body into the words of both doors."""
    from ingest.errors import IngestError

    try:
        yield
    except IngestError as error:
        raise _malformed(error.detail) from error
    except UnicodeError as error:
        raise _malformed("the body holds text that is not valid Unicode") from error
    except InvalidData as error:
        raise InvalidData(error.detail, (FieldError("", error.detail),)) from error


def _malformed(detail: str, *, pointer: str = "") -> InvalidParams:
    return InvalidParams(detail, (FieldError(pointer, detail),))
