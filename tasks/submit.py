"""Submitting jobs: validate against the catalogue, then one transaction for all."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import orjson
from pydantic import ValidationError

from db import idempotency, jobs
from db.ids import new_id
from db.jobs import Job, NewJob
from db.session import Connection
from tasks.catalog import JobType, job_types
from tasks.errors import FieldError, InvalidParams, NotFound, StateConflict


@dataclass(frozen=True)
class Submission:
    """A request for a job; None leaves a choice to the job type."""

    type: str
    params: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    priority: int = 5
    timeout_s: int | None = None
    deadline: datetime | None = None
    traceparent: str | None = None
    retry_of: str | None = None


def prepare(submission: Submission) -> NewJob:
    """Check a submission and fill in what the job type decides.

    Raises:
        InvalidParams: unknown job type, or params that its schema refuses.
    """
    kind = job_types().get(submission.type)
    if kind is None:
        known = ", ".join(job_types())
        detail = f"unknown job type {submission.type!r}; known are {known}"
        raise InvalidParams(detail, (FieldError("/type", detail),))
    params = validated(kind, submission.params)
    return NewJob(
        id=new_id("job"),
        type=kind.name,
        queue=kind.queue,
        params=params,
        labels=dict(submission.labels),
        priority=submission.priority,
        timeout_s=submission.timeout_s or kind.timeout_s,
        max_attempts=kind.max_attempts,
        deadline=submission.deadline,
        retry_of=submission.retry_of,
        traceparent=submission.traceparent,
    )


_MOST_ERRORS = 200


def validated(kind: JobType, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the params as JSON values with all defaults filled in.

    Raises:
        InvalidParams: with one entry for each bad field.
    """
    try:
        checked = kind.params.model_validate(params)
    except ValidationError as error:
        raise InvalidParams(
            f"the params of {kind.name} are not valid",
            field_errors(error, given=params, prefix="/params"),
        ) from error
    filled: dict[str, Any] = checked.model_dump(mode="json", by_alias=True)
    return filled


def field_errors(
    error: ValidationError, *, given: Any, prefix: str = ""
) -> tuple[FieldError, ...]:
    """Turn pydantic's list into JSON pointers; values never appear in it.

    Args:
        error: what pydantic says of ``given``.
        given: the value that was refused; pointers lead into it.
        prefix: the pointer to ``given`` itself.
    """
    if error.error_count() > _MOST_ERRORS:
        # Listing a million faults would cost more than the request itself.
        detail = f"{error.error_count()} values are not valid; compare one row first"
        return (FieldError(prefix, detail),)
    found = (
        FieldError(
            prefix + _pointer(item["loc"], given, absent=item["type"] == "missing"),
            item["msg"].removeprefix("Value error, "),
        )
        for item in error.errors(
            include_url=False, include_context=False, include_input=False
        )
    )
    return tuple(dict.fromkeys(found))


def _pointer(place: Sequence[int | str], given: Any, *, absent: bool) -> str:
    """Leave out what is no place in the value: pydantic names union branches too."""
    pointer = ""
    for depth, part in enumerate(place, start=1):
        places = range(len(given)) if isinstance(given, list) else given
        if isinstance(places, Mapping | range) and part in places:
            given = given[part]
        elif not absent or depth < len(place):
            continue
        pointer += "/" + str(part).replace("~", "~0").replace("/", "~1")
    return pointer


def fingerprint(path: str, body: Any) -> bytes:
    """Return what two requests with one idempotency key must share."""
    canonical = orjson.dumps([path, body], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(canonical).digest()


def submit(
    connection: Connection,
    *,
    tenant_id: int,
    submission: Submission,
    once: tuple[str, bytes] | None = None,
) -> tuple[Job, bool]:
    """Store one job; return it, and whether its idempotency key was seen before.

    Args:
        connection: a transaction of the tenant.
        tenant_id: whose job it is.
        submission: what is wanted.
        once: the idempotency key and the request's fingerprint, if the caller has
            them.

    Raises:
        InvalidParams: the submission is not valid.
        KeyReused: the key came with another body before.
        KeyInFlight: the first request with the key has not ended yet.
    """
    if once is not None:
        known = idempotency.recall(
            connection, tenant_id=tenant_id, key=once[0], fingerprint=once[1]
        )
        if known is not None:
            return find(connection, tenant_id=tenant_id, job_id=known), True
    new = prepare(submission)
    created_at = jobs.submit(connection, tenant_id=tenant_id, new_jobs=[new])
    if once is not None:
        idempotency.remember(
            connection,
            tenant_id=tenant_id,
            key=once[0],
            fingerprint=once[1],
            resource_id=new.id,
        )
    job = jobs.as_submitted(new, tenant_id=tenant_id, created_at=created_at)
    return job, False


def submit_many(
    connection: Connection, *, tenant_id: int, submissions: Sequence[Submission]
) -> list[NewJob | InvalidParams]:
    """Store all valid submissions in one statement; return each one's job or error."""
    prepared = [_prepare_or_error(submission) for submission in submissions]
    good = [item for item in prepared if isinstance(item, NewJob)]
    if good:
        jobs.submit(connection, tenant_id=tenant_id, new_jobs=good)
    return prepared


def find(connection: Connection, *, tenant_id: int, job_id: str) -> Job:
    """Return the tenant's job.

    Raises:
        NotFound: no such job in this tenant.
    """
    job = jobs.find(connection, tenant_id=tenant_id, job_id=job_id)
    if job is None:
        raise NotFound(f"no job {job_id}")
    return job


def cancel(connection: Connection, *, tenant_id: int, job_id: str) -> Job:
    """Cancel a job; one that has ended stays as it is.

    Raises:
        NotFound: no such job in this tenant.
    """
    jobs.cancel(connection, tenant_id=tenant_id, job_id=job_id)
    return find(connection, tenant_id=tenant_id, job_id=job_id)


def retry(connection: Connection, *, tenant_id: int, job_id: str) -> Job:
    """Submit a failed or cancelled job again, linked to the first of its chain.

    Raises:
        NotFound: no such job in this tenant.
        StateConflict: the job has not failed and was not cancelled.
    """
    job = find(connection, tenant_id=tenant_id, job_id=job_id)
    if job.state not in ("failed", "cancelled"):
        raise StateConflict(
            f"only failed or cancelled jobs can be retried; {job_id} is {job.state}"
        )
    again = Submission(
        type=job.type,
        params=job.params,
        labels=job.labels,
        priority=job.priority,
        timeout_s=job.timeout_s,
        traceparent=job.traceparent,
        retry_of=job.retry_of or job.id,
    )
    new = replace(prepare(again), max_attempts=job.max_attempts)
    jobs.submit(connection, tenant_id=tenant_id, new_jobs=[new])
    return find(connection, tenant_id=tenant_id, job_id=new.id)


def _prepare_or_error(submission: Submission) -> NewJob | InvalidParams:
    try:
        return prepare(submission)
    except InvalidParams as error:
        return error
