"""Ended jobs again, one or many, and the record of who did what."""

from typing import Any

import orjson
from apiflask import APIBlueprint
from flask import Response

from db import audit
from db.jobs import JobFilter
from db.keys import Identity
from db.session import Connection
from tasks import replay, submit
from web.acts import Once, marked
from web.door import door, identity
from web.openapi import answers
from web.representation import json_response
from web.requests import json_body, next_link, whole_number
from web.routes.jobs import job_response
from web.schemas.audit import AuditList
from web.schemas.jobs import JobOut, Page, ReplayJobs, ReplayOut

bp = APIBlueprint("replay", __name__, url_prefix="/v1", tag="Replay and audit")


@bp.post("/jobs/<job_id>/retry")
@bp.doc(responses=answers(202, "The new job", JobOut))
def retry_job(job_id: str) -> Response:
    """Run a failed or cancelled job again, as a new job that links to the first."""
    who, call = identity(), Once.of(None)
    with door().database.tenant(who.tenant_id) as connection:
        known = call.recall(connection)
        if known is not None:
            job = submit.find(connection, tenant_id=who.tenant_id, job_id=known)
        else:
            job = replay.retry(
                connection, tenant_id=who.tenant_id, job_id=job_id, key_id=who.key_id
            )
            call.remember(connection, job.id)
    return marked(job_response(job, accepted=True), replayed=known is not None)


@bp.post("/jobs/replay")
@bp.input(ReplayJobs, arg_name="body")
@bp.doc(responses=answers(200, "Which jobs became which", ReplayOut))
def replay_jobs(body: ReplayJobs) -> Response:
    """Submit again the failed jobs that a filter finds, each only once."""
    who, call = identity(), Once.of(json_body())
    with door().database.tenant(who.tenant_id) as connection:
        if (known := call.recall(connection)) is not None:
            return marked(json_response(orjson.loads(known)), replayed=True)
        result = _replay(connection, who, body)
        call.remember(connection, orjson.dumps(result).decode())
    return json_response(result)


def _replay(connection: Connection, who: Identity, body: ReplayJobs) -> dict[str, Any]:
    chosen = body.filter
    wanted = JobFilter(
        states=[chosen.state],
        type=chosen.type,
        labels=chosen.labels or None,
        reason=chosen.reason,
        since=chosen.since,
        until=chosen.until,
    )
    done = replay.replay(
        connection,
        tenant_id=who.tenant_id,
        wanted=wanted,
        pace=(body.limit, body.per_minute),
        key_id=who.key_id,
        cursor=body.cursor,
    )
    return {
        "replayed": [{"id": old, "new_id": new} for old, new in done.replayed],
        "refused": [{"id": old, "detail": why} for old, why in done.refused],
        "next_cursor": done.next_cursor,
    }


@bp.get("/audit")
@bp.input(Page, location="query", arg_name="query")
@bp.doc(responses=answers(200, "A page, newest first", AuditList))
def list_audit(query: Page) -> Response:
    """List who did what; nothing can change or remove these rows."""
    before = whole_number(query.cursor, name="cursor") if query.cursor else None
    tenant_id = identity().tenant_id
    with door().database.tenant(tenant_id) as connection:
        found = audit.page(
            connection, tenant_id=tenant_id, before=before, limit=query.limit + 1
        )
    shown = found[: query.limit]
    cursor = str(shown[-1].id) if len(found) > query.limit else None
    body: dict[str, Any] = {
        "items": [vars(entry) for entry in shown],
        "next_cursor": cursor,
    }
    return next_link(json_response(body), cursor)
