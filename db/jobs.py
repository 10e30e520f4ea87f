"""Jobs as their tenant sees them: submit, read, cancel.

The states and who moves a job between them are in ``docs/dataflows.md``; what a
worker does to a job is in ``db/attempts.py``. The database's clock is the only
clock of a job: its times can be compared whatever machine wrote them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Text, bindparam, cast, select, text

from db.session import Connection
from db.tables import job_results, jobs
from db.transitions import EVENT

JOBS_CHANNEL = "forebay_jobs"
OUTBOX_CHANNEL = "forebay_outbox"

FINAL_STATES = ("succeeded", "failed", "cancelled")
STATES = ("queued", "running", *FINAL_STATES)


@dataclass(frozen=True)
class NewJob:
    """What a submission decides about a job."""

    id: str
    type: str
    queue: str
    params: dict[str, Any]
    labels: dict[str, str]
    priority: int
    timeout_s: int
    max_attempts: int
    deadline: datetime | None = None
    retry_of: str | None = None
    traceparent: str | None = None
    lane: str = "normal"
    retry: dict[str, float] = field(default_factory=dict)
    concurrency_key: str | None = None
    concurrency_limit: int | None = None
    starts_per_minute: int | None = None
    blocked: bool = False
    parent_id: str | None = None
    step: str | None = None
    part: int | None = None
    delay_s: float = 0.0


@dataclass(frozen=True)
class Job:
    """A job row. Times are aware and in UTC; ``version`` grows with each change."""

    id: str
    tenant_id: int
    type: str
    queue: str
    state: str
    reason: str | None
    params: dict[str, Any]
    labels: dict[str, str]
    priority: int
    timeout_s: int
    deadline: datetime | None
    attempt: int
    max_attempts: int
    retry_of: str | None
    traceparent: str | None
    worker: str | None
    progress: dict[str, Any] | None
    error: dict[str, Any] | None
    version: int
    created_at: datetime
    dispatched_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    lease_until: datetime | None
    cancel_requested_at: datetime | None
    lane: str
    retry: dict[str, float]
    forgiven: int
    concurrency_key: str | None
    concurrency_limit: int | None
    starts_per_minute: int | None
    blocked: bool
    parent_id: str | None
    step: str | None
    part: int | None
    replayed_at: datetime | None


_UNSET = (
    *("reason", "worker", "progress", "error", "dispatched_at", "started_at"),
    *("finished_at", "lease_until", "cancel_requested_at", "replayed_at"),
)
_AT_FIRST: dict[str, Any] = {
    **dict.fromkeys(_UNSET),
    "state": "queued",
    "attempt": 1,
    "version": 1,
    "forgiven": 0,
}

_SUBMIT = text("""
WITH item AS (
    SELECT * FROM json_to_recordset(CAST(:items AS json)) AS item (
        id text, type text, queue text, params json, labels jsonb,
        priority smallint, timeout_s integer, max_attempts integer,
        deadline timestamptz, retry_of text, traceparent text, lane text, retry jsonb,
        concurrency_key text, concurrency_limit smallint, starts_per_minute integer,
        blocked boolean, parent_id text, step text, part integer, delay_s float)
), job AS (
    INSERT INTO jobs (id, tenant_id, type, queue, state, params, labels, priority,
        timeout_s, deadline, attempt, max_attempts, retry_of, traceparent, version,
        created_at, lane, retry, concurrency_key, concurrency_limit,
        starts_per_minute, blocked, parent_id, step, part)
    SELECT id, :tenant_id, type, queue, 'queued', params, labels, priority,
        timeout_s, deadline, 1, max_attempts, retry_of, traceparent, 1, now(), lane,
        retry, concurrency_key, concurrency_limit, starts_per_minute, blocked,
        parent_id, step, part
    FROM item
), message AS (
    INSERT INTO outbox (tenant_id, job_id, attempt, type, queue, priority,
        traceparent, available_at, lane, concurrency_key, admitted)
    SELECT :tenant_id, id, 1, type, queue, priority, traceparent,
        now() + delay_s * interval '1 second', lane, concurrency_key,
        concurrency_key IS NULL
    FROM item WHERE NOT blocked ORDER BY id
), event AS (
    INSERT INTO job_events (tenant_id, job_id, at, kind, body)
    SELECT :tenant_id, id, now(), 'queued', '{"state": "queued", "attempt": 1}'
    FROM item ORDER BY id
)
SELECT now(), pg_notify('forebay_outbox', CASE WHEN keyed THEN 'keyed' ELSE queue END),
    pg_notify('forebay_jobs', concat_ws(':', :tenant_id, id, 0, 'queued'))
FROM (SELECT queue, concurrency_key IS NOT NULL AS keyed, min(id) AS id
    FROM item GROUP BY 1, 2) AS queues
""")

# A message that the dispatcher holds stays: it locks the message first and the job
# second, so waiting for it here would be a deadlock. The claim refuses the message.
_CANCEL = text(f"""
WITH moved AS (
    UPDATE jobs SET
        state = CASE WHEN state = 'queued' THEN 'cancelled' ELSE state END,
        reason = CASE WHEN state = 'queued' THEN 'cancelled_by_user' ELSE reason END,
        finished_at = CASE WHEN state = 'queued' THEN now() END,
        cancel_requested_at = now(), blocked = false, version = version + 1
    WHERE id = :id AND tenant_id = :tenant_id AND state IN ('queued', 'running')
        AND cancel_requested_at IS NULL
    RETURNING *, CASE WHEN state = 'cancelled' THEN state ELSE 'cancel_requested' END
        AS kind
), message AS (
    DELETE FROM outbox WHERE id IN (
        SELECT outbox.id FROM outbox JOIN moved ON outbox.job_id = moved.id
        WHERE moved.state = 'cancelled' FOR UPDATE OF outbox SKIP LOCKED)
), {EVENT}
SELECT count(*) FROM told
""")  # noqa: S608 - no value is spliced in, only our own fragment

_FIND = select(jobs).where(
    jobs.c.id == bindparam("job"), jobs.c.tenant_id == bindparam("tenant")
)


def submit(
    connection: Connection, *, tenant_id: int, new_jobs: Sequence[NewJob]
) -> datetime:
    """Insert jobs with their outbox messages and first events; return created_at.

    Raises:
        ValueError: there are no new jobs.
    """
    items = orjson.dumps([vars(job) for job in new_jobs]).decode()
    row = connection.execute(_SUBMIT, {"items": items, "tenant_id": tenant_id}).first()
    if row is None:
        message = "nothing to submit"
        raise ValueError(message)
    created_at: datetime = row[0]
    return created_at


def as_submitted(new: NewJob, *, tenant_id: int, created_at: datetime) -> Job:
    """Return the row that ``submit`` has just stored, without asking for it."""
    stored = {**_AT_FIRST, **vars(new)}
    del stored["delay_s"]
    if new.deadline is not None:
        stored["deadline"] = new.deadline.astimezone(UTC)
    return Job(**stored, tenant_id=tenant_id, created_at=created_at)


def find(connection: Connection, *, tenant_id: int, job_id: str) -> Job | None:
    """Return the tenant's job, or None."""
    row = connection.execute(_FIND, {"job": job_id, "tenant": tenant_id}).first()
    return None if row is None else Job(**row._mapping)


def result(connection: Connection, *, tenant_id: int, job_id: str) -> str | None:
    """Return the result of a succeeded job as JSON text, or None."""
    found: str | None = connection.scalar(
        select(cast(job_results.c.body, Text)).where(
            job_results.c.job_id == job_id, job_results.c.tenant_id == tenant_id
        )
    )
    return found


@dataclass(frozen=True)
class JobFilter:
    """Which jobs a list shows; None means any."""

    states: Iterable[str] = ()
    type: str | None = None
    labels: dict[str, str] | None = None
    reason: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    parent_id: str | None = None
    replayed: bool | None = None


def page(
    connection: Connection,
    *,
    tenant_id: int,
    wanted: JobFilter,
    before: str | None,
    limit: int,
) -> list[Job]:
    """Return up to ``limit`` jobs older than the id ``before``, newest first.

    Parts of a job are shown only where the filter names their parent.
    """
    query = select(jobs).where(jobs.c.tenant_id == tenant_id, *_conditions(wanted))
    if before:
        query = query.where(jobs.c.id < before)
    rows = connection.execute(query.order_by(jobs.c.id.desc()).limit(limit))
    return [Job(**row._mapping) for row in rows]


def _conditions(wanted: JobFilter) -> list[ColumnElement[bool]]:
    columns = jobs.c
    states = list(wanted.states)
    asked = [
        (states, columns.state == states[0] if len(states) == 1 else None),
        (len(states) > 1, columns.state.in_(states)),
        (wanted.type, columns.type == wanted.type),
        (wanted.labels, columns.labels.contains(wanted.labels)),
        (wanted.reason, columns.reason == wanted.reason),
        (wanted.replayed is False, columns.replayed_at.is_(None)),
    ]
    found = [one for is_asked, one in asked if is_asked and one is not None]
    if wanted.since is not None:
        found.append(columns.created_at >= wanted.since)
    if wanted.until is not None:
        found.append(columns.created_at < wanted.until)
    # Not IS NOT DISTINCT FROM, which no index serves.
    return [*found, columns.parent_id == wanted.parent_id]


def cancel(connection: Connection, *, tenant_id: int, job_id: str) -> None:
    """Cancel a queued job now, or ask a running one to stop; ended jobs stay."""
    connection.execute(_CANCEL, {"id": job_id, "tenant_id": tenant_id})


_REPLAYED = text("""
UPDATE jobs SET replayed_at = now(), version = version + 1
WHERE tenant_id = :tenant_id AND id = ANY(:ids) AND (:again OR replayed_at IS NULL)
RETURNING id
""")


def mark_replayed(
    connection: Connection,
    *,
    tenant_id: int,
    job_ids: Sequence[str],
    again: bool = False,
) -> set[str]:
    """Note that ended jobs are submitted again; return those that were not before.

    Two who mark the same jobs at a time wait for each other, and one of them gets
    each job. With ``again`` a job may be marked a second time.
    """
    rows = connection.execute(
        _REPLAYED,
        {"tenant_id": tenant_id, "ids": sorted(job_ids), "again": again},
    )
    return {row.id for row in rows}
