"""Submitting jobs: validate against the catalogue, then one transaction for all."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from pydantic import ValidationError

from db import idempotency, jobs, limits
from db.ids import new_id
from db.jobs import Job, NewJob
from db.session import Connection
from tasks import chains
from tasks.catalog import JobType, Params, Retry, filled_in, job_types
from tasks.errors import FieldError, InvalidParams, NotFound, QuotaExceeded
from tasks.submission import Submission

_PLATFORM = Retry()


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
        max_attempts=submission.max_attempts or kind.max_attempts,
        deadline=submission.deadline,
        retry_of=submission.retry_of,
        traceparent=submission.traceparent,
        lane=submission.lane,
        retry=_policy(kind.retry, submission.retry),
        concurrency_key=submission.concurrency_key,
        concurrency_limit=submission.concurrency_limit
        if submission.concurrency_key
        else None,
        starts_per_minute=submission.starts_per_minute,
        blocked=bool(submission.after),
        delay_s=submission.delay_s,
    )


def _policy(own: Retry, asked: Mapping[str, float]) -> dict[str, float]:
    """Return what differs from the platform's policy; the request has the last word."""
    differing = {
        name: value
        for name, value in vars(own).items()
        if value != getattr(_PLATFORM, name)
    }
    return {**differing, **asked}


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
    _refuse_filled_in(kind, checked)
    filled: dict[str, Any] = checked.model_dump(mode="json", by_alias=True)
    return filled


def _refuse_filled_in(kind: JobType, params: Params) -> None:
    """Keep clients from what is written where a job is split.

    A job's params hold the defaults of these fields, so that they can be sent again.
    """
    errors = tuple(
        FieldError(f"/params/{name}", f"{name} is filled in by Forebay: leave it out")
        for name in filled_in(kind.params)
        if getattr(params, name) != kind.params.model_fields[name].default
    )
    if errors:
        raise InvalidParams(f"the params of {kind.name} are not valid", errors)


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
    created_at = store(connection, tenant_id=tenant_id, prepared=[(new, submission)])
    if once is not None:
        idempotency.remember(
            connection,
            tenant_id=tenant_id,
            key=once[0],
            fingerprint=once[1],
            resource_id=new.id,
        )
    if new.blocked:
        # What it waits for may have ended already, and so its own wait.
        return find(connection, tenant_id=tenant_id, job_id=new.id), False
    job = jobs.as_submitted(new, tenant_id=tenant_id, created_at=created_at)
    return job, False


def submit_many(
    connection: Connection, *, tenant_id: int, submissions: Sequence[Submission]
) -> list[NewJob | InvalidParams]:
    """Store all valid submissions in one statement; return each one's job or error.

    Raises:
        QuotaExceeded: the tenant may not queue so many jobs.
    """
    prepared = [_prepare_or_error(submission) for submission in submissions]
    resolved = chains.resolve(connection, tenant_id, submissions, prepared)
    good = [
        (item, chained)
        for item, chained in zip(prepared, resolved, strict=True)
        if isinstance(item, NewJob) and isinstance(chained, Submission)
    ]
    if good:
        store(connection, tenant_id=tenant_id, prepared=good)
    return [
        item if isinstance(chained, Submission) else chained
        for item, chained in zip(prepared, resolved, strict=True)
    ]


def store(
    connection: Connection,
    *,
    tenant_id: int,
    prepared: Sequence[tuple[NewJob, Submission]],
) -> datetime:
    """Store prepared jobs with what they wait for; return their created_at.

    Raises:
        InvalidParams: a job waits for one that the tenant does not have.
        QuotaExceeded: the tenant may not queue so many jobs.
    """
    room = limits.queue_room(connection, tenant_id=tenant_id)
    if room is not None and len(prepared) > room:
        raise QuotaExceeded(
            f"the queue quota has room for {max(0, room)} more jobs, "
            f"and these are {len(prepared)}; try again when some have ended"
        )
    new_jobs = [new for new, _ in prepared]
    created_at = jobs.submit(connection, tenant_id=tenant_id, new_jobs=new_jobs)
    chains.bind(connection, tenant_id, prepared)
    return created_at


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


def _prepare_or_error(submission: Submission) -> NewJob | InvalidParams:
    try:
        return prepare(submission)
    except InvalidParams as error:
        return error
