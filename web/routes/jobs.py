"""The job calls: submit, read, wait, stream, cancel."""

import time
from typing import Any

import orjson
from apiflask import APIBlueprint
from flask import Response, request
from pydantic import ValidationError

from db import jobs, place
from db.jobs import FINAL_STATES, Job, JobFilter, NewJob
from tasks import submit
from tasks.errors import FieldError, InvalidParams, NotFound, StateConflict
from tasks.submission import Submission
from web.acts import Once, marked
from web.door import door, identity
from web.errors import as_problem
from web.feeds import stream_response
from web.formats import ARROW, CSV, JSON, result_response, wanted_format
from web.openapi import Anything, answers
from web.representation import etag, job_json, json_response, place_json
from web.requests import (
    json_body,
    next_link,
    trace_context,
    wait_s,
    whole_number,
)
from web.routes.job_forecasts import points_response
from web.schemas.jobs import (
    BatchOut,
    JobList,
    JobOut,
    JobQuery,
    Page,
    SubmitBatch,
    SubmitJob,
)
from web.stream import TooManyStreams, stream_job

bp = APIBlueprint("jobs", __name__, url_prefix="/v1/jobs", tag="Jobs")

_RETRY_AFTER_S = "1"
_IS_HEAD = b'"points_url":'
"""In a result whose points are elsewhere; no text in JSON has such quotes in it."""


@bp.post("")
@bp.input(SubmitJob, arg_name="body")
@bp.doc(
    responses={
        **answers(202, "The job", JobOut),
        **answers(200, "The job, which ended while it was waited for", JobOut),
    }
)
def submit_job(body: SubmitJob) -> Response:
    """Submit a job; with ``Prefer: wait=20`` the answer waits for its end."""
    tenant_id = identity().tenant_id
    patience, call = wait_s(), Once.of(json_body())
    with door().database.tenant(tenant_id) as connection:
        job, replayed = submit.submit(
            connection,
            tenant_id=tenant_id,
            submission=_submission(body),
            once=call.pair,
        )
    if patience is not None:
        job = awaited(job, patience, until_end=True)
    return marked(job_response(job, accepted=True), replayed=replayed)


@bp.post("/batch")
@bp.input(SubmitBatch, arg_name="body")
@bp.doc(responses=answers(200, "Item by item", BatchOut))
def submit_batch(body: SubmitBatch) -> Response:
    """Submit up to 1,000 jobs in one transaction; each item is judged by itself."""
    tenant_id = identity().tenant_id
    call = Once.of(body.jobs)
    with door().database.tenant(tenant_id) as connection:
        if (known := call.recall(connection)) is not None:
            return marked(json_response(orjson.loads(known)), replayed=True)
        items = _submit_items(connection, tenant_id, body.jobs)
        rejected = sum("problem" in item for item in items)
        result = {
            "accepted": len(items) - rejected,
            "rejected": rejected,
            "items": items,
        }
        call.remember(connection, orjson.dumps(result).decode())
    return json_response(result)


@bp.get("")
@bp.input(JobQuery, location="query", arg_name="query")
@bp.doc(responses=answers(200, "A page, newest first", JobList))
def list_jobs(query: JobQuery) -> Response:
    """List the tenant's jobs; parts of jobs are listed under their job."""
    wanted = JobFilter(
        states=[query.state] if query.state else [],
        type=query.type,
        labels=_label(query.label),
        reason=query.reason,
        since=query.since,
        until=query.until,
    )
    return _page(wanted, query)


@bp.get("/<job_id>")
@bp.doc(responses={**answers(200, "The job", JobOut), 304: "As it was"})
def get_job(job_id: str) -> Response:
    """Show a job; with ``Prefer: wait=20`` the answer waits for a change of state."""
    job = _find(job_id)
    patience = wait_s()
    if patience is not None:
        job = awaited(job, patience, until_end=False)
    answer = job_response(job)
    answer.set_etag(etag(job), weak=True)
    answer.make_conditional(request)
    return answer


@bp.get("/<job_id>/result")
@bp.doc(responses=answers(200, "The result", Anything, CSV, ARROW))
def get_result(job_id: str) -> Response:
    """Give the result as JSON, CSV or Arrow, as Accept asks."""
    job = _find(job_id)
    if job.state != "succeeded":
        raise StateConflict(_no_result(job))
    text, form = _result(job), wanted_format(JSON, CSV, ARROW)
    if form != JSON and _IS_HEAD in text:
        return points_response(job, form=form)
    return result_response(job, text)


@bp.get("/<job_id>/events")
@bp.doc(
    responses={
        **answers(200, "Server-sent events", None, "text/event-stream"),
        204: "The job has ended, and all was told",
    }
)
def get_events(job_id: str) -> Response:
    """Stream the job's events; ``Last-Event-ID`` resumes without a gap."""
    job = _find(job_id)
    told = request.headers.get("Last-Event-ID") or request.args.get("after") or "0"
    after = whole_number(told, name="Last-Event-ID")
    here = door()
    stream = stream_job(here.hub, here.database, job=job, after=after)
    return stream_response(stream)


@bp.post("/<job_id>/cancel")
@bp.doc(responses=answers(200, "The job", JobOut))
def cancel_job(job_id: str) -> Response:
    """Cancel: a queued job never runs, a running one stops within 10 s."""
    tenant_id = identity().tenant_id
    with door().database.tenant(tenant_id) as connection:
        job = submit.cancel(connection, tenant_id=tenant_id, job_id=job_id)
    return job_response(job)


@bp.get("/<job_id>/parts")
@bp.input(Page, location="query", arg_name="query")
@bp.doc(responses=answers(200, "A page of its parts, newest first", JobList))
def list_parts(job_id: str, query: Page) -> Response:
    """List the parts of a job that was split, and the finish that joins them."""
    parent = _find(job_id)
    return _page(JobFilter(parent_id=parent.id), query)


def _submission(body: SubmitJob) -> Submission:
    return Submission(
        type=body.type,
        params=body.params,
        labels=body.labels,
        priority=body.priority,
        timeout_s=body.timeout_s,
        deadline=body.deadline,
        traceparent=trace_context(),
        lane=body.lane,
        max_attempts=body.max_attempts,
        retry=body.retry.model_dump(exclude_none=True),
        concurrency_key=body.concurrency_key,
        concurrency_limit=body.concurrency_limit,
        starts_per_minute=body.starts_per_minute,
        after=body.after,
        on_failure=body.on_failure,
        ref=body.ref,
    )


def _page(wanted: JobFilter, query: Page) -> Response:
    tenant_id = identity().tenant_id
    with door().database.tenant(tenant_id) as connection:
        found = jobs.page(
            connection,
            tenant_id=tenant_id,
            wanted=wanted,
            before=query.cursor,
            limit=query.limit + 1,
        )
    shown = found[: query.limit]
    cursor = shown[-1].id if len(found) > query.limit else None
    body = {"items": [job_json(job) for job in shown], "next_cursor": cursor}
    return next_link(json_response(body), cursor)


def _submit_items(
    connection: Any, tenant_id: int, raw: list[Any]
) -> list[dict[str, Any]]:
    parsed = [_parse_item(item) for item in raw]
    good = [item for item in parsed if isinstance(item, Submission)]
    outcomes = iter(
        submit.submit_many(connection, tenant_id=tenant_id, submissions=good)
    )
    return [
        _item_json(next(outcomes) if isinstance(item, Submission) else item)
        for item in parsed
    ]


def _parse_item(item: Any) -> Submission | InvalidParams:
    try:
        return _submission(SubmitJob.model_validate(item))
    except ValidationError as error:
        return InvalidParams(
            "the item is not valid", submit.field_errors(error, given=item)
        )


def _item_json(outcome: NewJob | InvalidParams) -> dict[str, Any]:
    if isinstance(outcome, InvalidParams):
        return {"problem": as_problem(outcome)}
    return {"id": outcome.id, "link": f"/v1/jobs/{outcome.id}"}


def _find(job_id: str) -> Job:
    tenant_id = identity().tenant_id
    with door().database.tenant(tenant_id) as connection:
        return submit.find(connection, tenant_id=tenant_id, job_id=job_id)


def _result(job: Job) -> bytes:
    with door().database.tenant(job.tenant_id) as connection:
        found = jobs.result(connection, tenant_id=job.tenant_id, job_id=job.id)
    if found is None:
        raise NotFound(f"the result of {job.id} is gone")
    return found.encode()


def awaited(job: Job, patience_s: float, *, until_end: bool) -> Job:
    """Hold the request until the job changes state, or ends, or patience does."""
    ends_at = time.monotonic() + patience_s
    first = job.state
    if first in FINAL_STATES:
        return job
    try:
        with door().hub.watch(
            tenant_id=job.tenant_id, job_id=job.id, until_end=until_end
        ) as signal:
            while (left := ends_at - time.monotonic()) > 0:
                signal.clear()
                job = _find(job.id)
                if job.state in FINAL_STATES or (not until_end and job.state != first):
                    return job
                signal.wait(left)
    except TooManyStreams:
        return job  # the client polls instead
    return _find(job.id)


def job_response(job: Job, *, accepted: bool = False) -> Response:
    """Return a job as an answer; one just accepted is 202 with its place to look."""
    body = job_json(job)
    ended = job.state in FINAL_STATES
    patience = wait_s()
    waited = patience is not None
    # Counting the line takes longer than joining it: a mere submission is not told.
    if job.state == "queued" and (waited or not accepted):
        with door().database.system() as connection:
            body["queue"] = place_json(place.of_job(connection, job=job))
    if job.state == "succeeded" and waited:
        body["result"] = orjson.Fragment(_result(job))
    answer = json_response(body, 202 if accepted and not (ended and waited) else 200)
    if accepted:
        answer.headers["Location"] = body["links"]["self"]
    if not ended:
        answer.headers["Retry-After"] = _RETRY_AFTER_S
    if waited:
        answer.headers["Preference-Applied"] = f"wait={patience}"
    return answer


def _no_result(job: Job) -> str:
    if job.state in ("queued", "running"):
        return f"{job.id} is {job.state}; its result comes when it has succeeded"
    return f"{job.id} has {job.state}: there is no result, see its error"


def _label(text: str | None) -> dict[str, str] | None:
    if text is None:
        return None
    name, colon, value = text.partition(":")
    if not colon:
        detail = "a label filter is written name:value"
        raise InvalidParams(detail, (FieldError("/label", detail),))
    return {name: value}
