"""``ingest.run``: an uploaded file becomes observations, its bad rows a list."""

import io
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Literal, cast

from pydantic import (
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from db import ingest_runs, uploads
from db.ids import new_id
from db.session import Connection
from tasks.catalog import Limits, Params, Parts, job_type
from tasks.context import JobContext, Outcome
from tasks.errors import FieldError, InvalidData, SourceUnavailable
from tasks.inputs import SeriesKey
from tasks.loads import LISTED, Effect, store_batches
from tasks.source_plan import RunParams

if TYPE_CHECKING:
    from ingest.batch import Batch
    from ingest.layout import UploadLayout

FileFormat = Literal["csv", "ndjson", "parquet", "arrow"]

CONTENT_TYPES: Mapping[str, FileFormat] = {
    "text/csv": "csv",
    "application/csv": "csv",
    "application/x-ndjson": "ndjson",
    "application/ndjson": "ndjson",
    "application/jsonl": "ndjson",
    "application/vnd.apache.parquet": "parquet",
    "application/vnd.apache.arrow.stream": "arrow",
    "application/vnd.apache.arrow.file": "arrow",
}
SUFFIXES: Mapping[str, FileFormat] = {
    ".csv": "csv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".arrows": "arrow",
    ".feather": "arrow",
}

UPLOAD = "upload"
BACKFILL_IN_FLIGHT = 2
"""Parts of a source's backfills that run at once; its nightly read is not one."""

ColumnName = Annotated[str, Field(min_length=1, max_length=200)]


class Layout(Params):
    """The columns of the file and how to read them; the defaults are the plain case."""

    format: FileFormat | None = Field(
        default=None,
        description="By default from the upload's content type, else its file name.",
    )
    series_column: ColumnName = Field(
        default="series", description="Column of series keys."
    )
    series_key: SeriesKey | None = Field(
        default=None, description="One key for all rows, instead of a column."
    )
    ts_column: ColumnName = Field(
        default="ts", description="Column of times, ISO 8601."
    )
    value_column: ColumnName = Field(default="value", description="Column of values.")
    timezone: str | None = Field(
        default=None,
        max_length=100,
        description="Zone of times without an offset, such as America/New_York; "
        "without it such times are rejected.",
    )
    stamp: Literal["start", "end"] = Field(
        default="start", description="Which end of its interval a time stands for."
    )
    frequency: str | None = Field(
        default=None,
        max_length=20,
        description="Length of an interval, such as 1h or PT1H; needed for stamp end.",
    )
    ambiguous: Literal["infer", "reject"] = Field(
        default="infer",
        description="Times that came twice in autumn: infer takes two rows of a "
        "series as summer time, then standard time.",
    )
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    decimal: Literal[".", ","] = Field(default=".", description="Decimal mark.")
    missing: Annotated[list[str], Field(max_length=20)] = Field(
        default=[], description="Further marks of a missing value, such as -999."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> "Layout":
        from ingest.errors import InvalidLayout

        try:
            self.of_format(self.format or "csv")
        except InvalidLayout as error:
            raise ValueError(error.detail) from error
        return self

    def of_format(self, form: FileFormat) -> "UploadLayout":
        """Return the layout for the reader of one format."""
        from ingest.layout import UploadLayout

        declared = self.model_dump(exclude={"format", "missing"})
        return UploadLayout(form, **declared, missing=tuple(self.missing))


class IngestParams(RunParams):
    """Which file to load, and what its columns are; or which source to read."""

    upload: Annotated[str, StringConstraints(pattern=r"^upl_[0-9a-f]{32}$")] | None = (
        Field(
            default=None,
            validate_default=True,
            description="Id that POST /v1/uploads returned.",
        )
    )
    layout: Layout = Field(default_factory=Layout)

    @field_validator("upload")
    @classmethod
    def _for_uploads(cls, upload: str | None, given: ValidationInfo) -> str | None:
        if (given.data.get("source", UPLOAD) == UPLOAD) != (upload is not None):
            message = "give either upload, or the name of a source"
            raise PydanticCustomError("missing" if upload is None else "value", message)
        return upload

    @model_validator(mode="after")
    def _one_kind(self) -> "IngestParams":
        if self.upload and (self.start or self.end or self.partition):
            message = "an upload is read whole: start and end are for sources"
            raise ValueError(message)
        if self.mode == "backfill" and not self.upload and self.start is None:
            message = "a backfill needs start"
            raise ValueError(message)
        return self


def _split(params: IngestParams, context: JobContext) -> Sequence[Params]:
    if params.source == UPLOAD:
        return [params]
    from tasks import pull_run

    return pull_run.split(params, context)


def _share(params: IngestParams) -> tuple[str, int] | None:
    """Return how many parts of a source's backfills run at once, under which key."""
    if params.mode != "backfill":
        return None
    return f"backfill:{params.source}", BACKFILL_IN_FLIGHT


def _merge(
    params: IngestParams, results: Iterator[Mapping[str, Any]], context: JobContext
) -> Outcome:
    from tasks import pull_run

    return pull_run.merged(params, results, context)


@job_type(
    "ingest.run",
    params=IngestParams,
    queue="ingest",
    limits=Limits(3_600),
    parts=Parts(_split, _merge, _share),
)
def run(params: IngestParams, context: JobContext) -> Outcome:
    """Load an uploaded file, or read a source; bad rows are listed."""
    if params.source != UPLOAD:
        from tasks import pull_run

        return pull_run.run(params, context)
    with context.read() as connection:
        upload = uploads.find(
            connection, tenant_id=context.tenant_id, upload_id=params.upload or ""
        )
    if upload is None:
        detail = f"there is no upload {params.upload}"
        raise InvalidData(detail, (FieldError("/params/upload", detail),))
    layout = params.layout.of_format(params.layout.format or _format(upload))

    def store(connection: Connection) -> Mapping[str, Any]:
        return _store(connection, upload=upload, layout=layout, context=context)

    return Outcome({}, store)


def _store(
    connection: Connection,
    *,
    upload: uploads.Upload,
    layout: "UploadLayout",
    context: JobContext,
) -> Mapping[str, Any]:
    """Read the file straight into the transaction that ends the job."""
    run_id = new_id("run")
    with _opened(context, upload) as file:
        effect = store_batches(
            connection,
            tenant_id=context.tenant_id,
            batches=_batches(file, layout, context, total=upload.bytes),
            run=ingest_runs.NewRun(
                id=run_id,
                source="upload",
                counts={},
                job_id=context.job_id,
                sha256=upload.sha256,
            ),
            now=context.now,
        )
    source = {
        "source": "upload",
        "upload": upload.id,
        "filename": upload.filename,
        "format": layout.format,
        "bytes": upload.bytes,
        "sha256": upload.sha256,
    }
    step = layout.step or timedelta(microseconds=1)
    return {**_result(effect, step), "run_id": run_id, "sources": [source]}


def _result(effect: Effect, step: timedelta) -> dict[str, Any]:
    counts = effect.result
    result = {
        **counts,
        "quarantined": counts["rejected_total"],
        "windows": [
            {
                "series": window.key,
                "start": _rfc3339(window.first),
                "end": _rfc3339(window.last + step),
                "rows": window.rows,
            }
            for window in effect.windows[:LISTED]
        ],
        "windows_total": len(effect.windows),
    }
    if not counts["written"] and not counts["revised"]:
        result["message"] = (
            f"nothing was new: {counts['unchanged']} values were stored already, "
            f"{counts['missing']} are missing"
        )
    return result


def _format(upload: uploads.Upload) -> FileFormat:
    """Return the format that the upload's content type or name tells."""
    name = PurePath(upload.filename.lower())
    suffix = name.with_suffix("").suffix if name.suffix == ".gz" else name.suffix
    form = CONTENT_TYPES.get(upload.content_type) or SUFFIXES.get(suffix)
    if form is None:
        detail = (
            f"neither the content type {upload.content_type} nor the name "
            f"{upload.filename!r} tells the format: declare csv, ndjson, parquet or "
            "arrow"
        )
        raise InvalidData(detail, (FieldError("/params/layout/format", detail),))
    return form


class _CountedFile(io.FileIO):
    """A file that knows how much of it was read."""

    taken = 0

    def read(self, size: int | None = -1, /) -> bytes:
        piece = super().read(-1 if size is None else size) or b""
        self.taken += len(piece)
        return piece


def _opened(context: JobContext, upload: uploads.Upload) -> _CountedFile:
    path = context.artifacts / "uploads" / str(context.tenant_id) / upload.id
    try:
        return _CountedFile(path)
    except FileNotFoundError as error:
        message = f"the file of {upload.id} is not in this worker's artifacts folder"
        raise SourceUnavailable(message) from error


def _batches(
    file: _CountedFile, layout: "UploadLayout", context: JobContext, *, total: int
) -> Iterator["Batch"]:
    from ingest.errors import IngestError, InvalidLayout
    from ingest.upload import read_batches

    rows = 0
    try:
        for batch in read_batches(cast("BinaryIO", file), layout=layout):
            rows += batch.rows.num_rows
            done = min(file.taken, total)
            context.progress(done, total, "bytes", f"{rows} good rows read")
            yield batch
    except IngestError as error:
        field = "layout" if isinstance(error, InvalidLayout) else "upload"
        fault = FieldError(f"/params/{field}", error.detail)
        raise InvalidData(error.detail, (fault,)) from error
    context.progress(total, total, "bytes", f"storing {rows} rows")


def _rfc3339(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")
