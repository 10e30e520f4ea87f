"""The forecasts of a job as a stream, however many points they have."""

from collections.abc import Iterator
from typing import Any

import orjson
from apiflask import APIBlueprint
from flask import Response

from db import forecast_stream, jobs, parts
from db.jobs import FINAL_STATES, Job
from tasks import submit
from tasks.answers import point_table
from tasks.errors import NotFound, StateConflict
from web.door import door, identity
from web.exports import export_response
from web.openapi import answers
from web.point_formats import FORMS, wanted_form, writer
from web.schemas.jobs import PointQuery

bp = APIBlueprint(
    "job_forecasts", __name__, url_prefix="/v1/jobs", tag="Forecasts of jobs"
)

_KIND = "forecast.run"
_GIVEN_ROWS = 65_536


@bp.get("/<job_id>/forecasts")
@bp.input(PointQuery, location="query", arg_name="query")
@bp.doc(responses=answers(200, "The points, by series and time", None, *FORMS.values()))
def get_job_forecasts(job_id: str, query: PointQuery) -> Response:
    """Stream what a forecast.run job forecast, as NDJSON, CSV or Arrow."""
    tenant_id = identity().tenant_id
    with door().database.tenant(tenant_id) as connection:
        job = submit.find(connection, tenant_id=tenant_id, job_id=job_id)
    return points_response(job, form=wanted_form(query.format), partial=query.partial)


def points_response(job: Job, *, form: str, partial: bool = False) -> Response:
    """Answer with the points of a job.

    Args:
        job: whose points.
        form: the media type.
        partial: give what the parts of an unsuccessful job stored.

    Raises:
        NotFound: jobs of its type do not forecast.
        StateConflict: it has not succeeded, and the part of it is not asked for.
        TooManyStreams: as many exports as there may be are under way.
    """
    if job.type != _KIND:
        raise NotFound(f"a {job.type} job stores no forecasts")
    if job.state != "succeeded":
        _refuse(job, partial=partial)
    if job.params.get("data") is not None:
        levels, batches = _given(job)
    else:
        levels, batches = _stored(job)
    answer = export_response(batches, writer(form, _schema(levels)), form=form)
    if job.state != "succeeded":
        answer.headers["Forebay-Complete"] = "false"
    return answer


def _refuse(job: Job, *, partial: bool) -> None:
    if job.state not in FINAL_STATES:
        detail = "its forecasts come when it has succeeded"
        raise StateConflict(f"{job.id} is {job.state}; {detail}")
    if partial:
        return
    with door().database.tenant(job.tenant_id) as connection:
        count = forecast_stream.count(
            connection, tenant_id=job.tenant_id, job_id=job.id
        )
        done, total = parts.counts(connection, parent_id=job.id)
    told = f"{job.id} has {job.state}: its forecasts are not whole"
    if total:
        told += f"; {done} of its {total} parts stored {count} forecasts"
    raise StateConflict(f"{told}, which ?partial=true gives" if count else told)


def _stored(job: Job) -> tuple[list[float], Iterator[Any]]:
    database, tenant_id, job_id = door().database, job.tenant_id, job.id
    with database.tenant(tenant_id) as connection:
        levels = forecast_stream.levels(connection, tenant_id=tenant_id, job_id=job_id)

    def batches() -> Iterator[Any]:
        with database.tenant(tenant_id) as connection:
            yield from forecast_stream.stream(
                connection, tenant_id=tenant_id, job_id=job_id, named=levels
            )

    return levels, batches()


def _given(job: Job) -> tuple[list[float], Iterator[Any]]:
    """Return what the result of a job holds whose rows were in the request."""
    with door().database.tenant(job.tenant_id) as connection:
        text = jobs.result(connection, tenant_id=job.tenant_id, job_id=job.id)
    if text is None:
        raise NotFound(f"the result of {job.id} is gone")
    result = orjson.loads(text)
    levels = [float(level) for level in result["quantiles"]]
    names, rows = point_table(result)
    rows.sort(key=lambda row: row[0])
    return levels, _batches(names, rows, levels)


def _batches(
    names: list[str], rows: list[list[Any]], levels: list[float]
) -> Iterator[Any]:
    import pyarrow as pa  # noqa: PLC0415 - loaded only where something is exported

    schema = _schema(levels)
    told = schema.set(1, pa.field("ds", pa.string()))
    for first in range(0, len(rows), _GIVEN_ROWS):
        some = [
            dict(zip(names, row, strict=True))
            for row in rows[first : first + _GIVEN_ROWS]
        ]
        batch = pa.RecordBatch.from_pylist(some, schema=told)
        yield batch.cast(schema)


def _schema(levels: list[float]) -> Any:
    import pyarrow as pa  # noqa: PLC0415 - loaded only where something is exported

    kinds = [pa.string(), pa.timestamp("us", "UTC"), pa.string()]
    kinds += [pa.float64()] * (1 + len(levels))
    return pa.schema(list(zip(forecast_stream.columns(levels), kinds, strict=True)))
