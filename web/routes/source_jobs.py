"""What a source is asked to do: each call submits a job and answers with it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from apiflask import APIBlueprint
from flask import Response

from db import quarantine
from db.session import Connection
from db.sources import Source
from tasks import sources, submit
from tasks.errors import StateConflict
from tasks.submission import Submission
from web.acts import Once, marked
from web.door import door, identity
from web.openapi import answers
from web.representation import json_response
from web.requests import body_optional, trace_context, wait_s
from web.routes.jobs import awaited, job_response
from web.routes.sources import note
from web.schemas.jobs import Body, JobOut
from web.schemas.sources import (
    Backfill,
    Discard,
    DiscardOut,
    PreviewSource,
    Replay,
    RunQuery,
)

bp = APIBlueprint(
    "source_jobs", __name__, url_prefix="/v1/sources", tag="What sources do"
)

_Wanted = Callable[[Connection, Source], Submission]
_ANSWERS: dict[int, Any] = {
    **answers(202, "The job", JobOut),
    **answers(200, "The job, which ended while it was waited for", JobOut),
}


@bp.post("/<name>/test")
@bp.doc(responses=_ANSWERS)
def try_source(name: str) -> Response:
    """Ask the source once, store nothing; ``Prefer: wait=20`` waits for the verdict."""
    return _submit(name, "test", lambda _, source: sources.probe(source, rows=0))


@bp.post("/<name>/preview")
@bp.input(PreviewSource, arg_name="body")
@bp.doc(responses=_ANSWERS)
@body_optional
def preview_source(name: str, body: PreviewSource) -> Response:
    """Ask the source once and show the first rows as they would be stored."""
    return _submit(
        name,
        "preview",
        lambda _, source: sources.probe(source, rows=body.rows, discover=body.discover),
        asked=body,
    )


@bp.post("/<name>/run")
@bp.input(RunQuery, location="query", arg_name="query")
@bp.doc(responses=_ANSWERS)
def run_source(name: str, query: RunQuery) -> Response:
    """Read the source now; its schedule stays as it is, and its watch follows."""
    return _submit(
        name,
        "run",
        lambda _, source: sources.run(source, mode=query.mode),
        asked=query,
    )


@bp.post("/<name>/backfill")
@bp.input(Backfill, arg_name="body")
@bp.doc(responses=_ANSWERS)
def backfill_source(name: str, body: Backfill) -> Response:
    """Read a window in the lane of backfills; no watermark moves."""
    return _submit(
        name,
        "backfill",
        lambda _, source: sources.run(
            source, mode="backfill", start=body.start, end=body.end
        ),
        asked=body,
    )


@bp.post("/<name>/replay")
@bp.input(Replay, arg_name="body")
@bp.doc(responses=_ANSWERS)
@body_optional
def replay_source(name: str, body: Replay) -> Response:
    """Parse kept answers again; the source is not asked."""
    return _submit(
        name,
        "replay",
        lambda _, source: sources.replay(
            source, partition=body.partition, quarantined=False
        ),
        asked=body,
    )


@bp.post("/<name>/quarantine/replay")
@bp.input(Replay, arg_name="body")
@bp.doc(responses=_ANSWERS)
@body_optional
def replay_quarantine(name: str, body: Replay) -> Response:
    """Parse again what holds bad rows; those that are good now are published."""

    def wanted(connection: Connection, source: Source) -> Submission:
        held = quarantine.held_partitions(
            connection, tenant_id=source.tenant_id, source_id=source.id
        )
        if not held or (body.partition is not None and body.partition not in held):
            raise StateConflict(f"no row of {body.partition or name} is held")
        return sources.replay(source, partition=body.partition, quarantined=True)

    return _submit(name, "quarantine.replay", wanted, asked=body)


@bp.post("/<name>/quarantine/discard")
@bp.input(Discard, arg_name="body")
@bp.doc(responses=answers(200, "How many", DiscardOut))
def discard_quarantine(name: str, body: Discard) -> Response:
    """Give up held rows; the same rows are not held again."""
    with door().database.tenant(identity().tenant_id) as connection:
        found = _find(connection, name)
        discarded = quarantine.mark(
            connection,
            tenant_id=found.tenant_id,
            source_id=found.id,
            state="discarded",
            partition_id=body.partition,
            ids=body.ids,
        )
        told = {"rows": discarded, "partition": body.partition}
        note(connection, "source.quarantine.discard", found, told)
    return json_response({"discarded": discarded})


def _find(connection: Connection, name: str) -> Source:
    return sources.find(connection, tenant_id=identity().tenant_id, name=name)


def _submit(
    name: str, act: str, wanted: _Wanted, *, asked: Body | None = None
) -> Response:
    """Submit the job, and note who asked in the same transaction."""
    tenant_id, patience = identity().tenant_id, wait_s()
    call = Once.of(None if asked is None else asked.model_dump(mode="json"))
    with door().database.tenant(tenant_id) as connection:
        # Before anything is checked: what was accepted once stays accepted.
        known = call.recall(connection)
        if known is not None:
            job = submit.find(connection, tenant_id=tenant_id, job_id=known)
        else:
            source = _find(connection, name)
            job, _ = submit.submit(
                connection,
                tenant_id=tenant_id,
                submission=_traced(wanted(connection, source)),
                once=call.pair,
            )
            told = {"job_id": job.id, **_watched(connection, act, source, job.id)}
            note(connection, f"source.{act}", source, told)
    if patience is not None:
        job = awaited(job, patience, until_end=True)
    return marked(job_response(job, accepted=True), replayed=known is not None)


def _watched(
    connection: Connection, act: str, source: Source, job_id: str
) -> dict[str, str]:
    """Have what a read brings scored once it ends, as after a scheduled one."""
    wanted = sources.watch(source, after=job_id) if act == "run" else None
    if wanted is None:
        return {}
    job, _ = submit.submit(
        connection, tenant_id=source.tenant_id, submission=_traced(wanted)
    )
    return {"watch_job_id": job.id}


def _traced(submission: Submission) -> Submission:
    return replace(submission, traceparent=trace_context())
