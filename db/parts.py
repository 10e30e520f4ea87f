"""Jobs in parts: a parent that waits while its parts run, and a finish that runs once.

Parts and the finish are jobs of their own with leases and retries of their own; the
parent stays ``running`` without a lease, and ends with the finish.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import orjson
from sqlalchemy import text

from db import dependencies, jobs
from db.dependencies import Edge
from db.errors import Fenced
from db.jobs import Job, NewJob
from db.session import Connection
from db.transitions import EVENT

_OPEN = text(f"""
WITH moved AS (
    UPDATE jobs SET step = 'parts', lease_until = NULL, worker = NULL,
        progress = CAST(:progress AS jsonb), version = version + 1
    WHERE id = :id AND attempt = :attempt AND state = 'running' AND step IS NULL
    RETURNING *, 'progress' AS kind
), {EVENT}
SELECT count(*) FROM moved, told
""")  # noqa: S608 - no value is spliced in, only our own fragment

_RESULTS = text("""
SELECT job_results.body FROM jobs JOIN job_results ON job_results.job_id = jobs.id
WHERE parent_id = :parent_id AND step = 'part' ORDER BY part
""")

_COUNTS = text("""
SELECT count(*) FILTER (WHERE state = 'succeeded'), count(*)
FROM jobs WHERE parent_id = :parent_id AND step = 'part'
""")

_CLOSE = text(f"""
WITH moved AS (
    UPDATE jobs SET state = 'succeeded', finished_at = clock_timestamp(),
        progress = progress || '{{"message": "done"}}' || jsonb_build_object(
            'done', progress -> 'total'), version = version + 1
    WHERE id = :id AND state = 'running' AND step = 'parts'
    RETURNING *, state AS kind
), result AS (
    INSERT INTO job_results (job_id, tenant_id, attempt, body, created_at)
    SELECT id, tenant_id, attempt, CAST(:result AS json), now() FROM moved
), {EVENT}
SELECT count(*) FROM moved, told
""")  # noqa: S608 - no value is spliced in, only our own fragment

# Not FOR UPDATE: a part that stores rows with a foreign key to its parent holds a key
# lock on it, and must not keep the parent from being cancelled.
_OPEN_PARENTS = text("""
SELECT id FROM jobs WHERE step = 'parts' AND state = 'running'
ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
""")
_PARENTS_OF = text("""
SELECT id FROM jobs WHERE step = 'parts' AND state = 'running'
    AND (id = ANY(:children) OR id IN (
        SELECT parent_id FROM jobs AS child WHERE child.id = ANY(:children)))
ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
""")

_WAITING = text("""
SELECT EXISTS (SELECT FROM jobs WHERE blocked)
    OR EXISTS (SELECT FROM jobs WHERE step = 'parts' AND state = 'running')
""")

_PROGRESS = text(f"""
WITH so_far AS (
    SELECT count(*) FILTER (WHERE state = 'succeeded') AS done, count(*) AS total
    FROM jobs WHERE parent_id = :id AND step = 'part'
), moved AS (
    UPDATE jobs SET version = version + 1, progress = jsonb_build_object(
        'done', done, 'total', total, 'unit', 'parts', 'message',
        CASE WHEN done < total THEN 'parts are running' ELSE 'finishing' END)
    FROM so_far WHERE id = :id AND (progress ->> 'done')::int < done
    RETURNING jobs.*, 'progress' AS kind
), {EVENT}
SELECT count(*) FROM moved, told
""")  # noqa: S608 - no value is spliced in, only our own fragment

_LOST = text("""
SELECT EXISTS (SELECT FROM jobs AS child WHERE child.parent_id = :id
    AND child.state IN ('failed', 'cancelled')) OR cancel_requested_at IS NOT NULL
FROM jobs WHERE id = :id
""")
_CHILDREN = text("""
SELECT id, tenant_id FROM jobs WHERE parent_id = :id AND state IN ('queued', 'running')
    AND cancel_requested_at IS NULL
ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
""")
_ABANDON = text(f"""
WITH culprit AS (
    SELECT error, reason FROM jobs
    WHERE parent_id = :id AND state = 'failed' AND reason <> 'dependency_failed'
    ORDER BY finished_at LIMIT 1
), moved AS (
    UPDATE jobs SET finished_at = clock_timestamp(), version = version + 1,
        state = CASE WHEN cancel_requested_at IS NULL THEN 'failed'
            ELSE 'cancelled' END,
        reason = CASE WHEN cancel_requested_at IS NULL
            THEN coalesce((SELECT reason FROM culprit), 'part_failed')
            ELSE 'cancelled_by_user' END,
        error = CASE WHEN cancel_requested_at IS NULL
            THEN coalesce((SELECT error FROM culprit), CAST(:error AS json)) END
    WHERE id = :id AND state = 'running' AND NOT EXISTS (
        SELECT FROM jobs AS child
        WHERE child.parent_id = :id AND child.state IN ('queued', 'running'))
    RETURNING *, state AS kind
), {EVENT}
SELECT count(*) FROM moved, told
""")  # noqa: S608 - no value is spliced in, only our own fragment

_CANCELLED_PART = orjson.dumps(
    {
        "type": "/problems/part-failed",
        "title": "Part failed",
        "status": 409,
        "detail": "a part of the job was cancelled",
    }
).decode()


def split(
    connection: Connection, *, job: Job, parts: list[NewJob], finish: NewJob
) -> None:
    """Turn a running attempt into parts and a finish that waits for all of them.

    Raises:
        Fenced: the attempt no longer runs the job; the caller must roll back.
    """
    progress = {
        "done": 0,
        "total": len(parts),
        "unit": "parts",
        "message": "parts are waiting",
    }
    opened = connection.execute(
        _OPEN,
        {
            "id": job.id,
            "attempt": job.attempt,
            "progress": orjson.dumps(progress).decode(),
        },
    ).scalar_one()
    if not opened:
        raise Fenced(job.id, job.attempt)
    jobs.submit(connection, tenant_id=job.tenant_id, new_jobs=[*parts, finish])
    dependencies.insert(
        connection,
        tenant_id=job.tenant_id,
        edges=[Edge(finish.id, part.id, "fail") for part in parts],
    )


def results(connection: Connection, *, parent_id: str) -> Iterator[dict[str, Any]]:
    """Yield the parts' results in their order, one in memory at a time."""
    for row in connection.execute(
        _RESULTS, {"parent_id": parent_id}, execution_options={"yield_per": 1}
    ):
        yield row.body


def counts(connection: Connection, *, parent_id: str) -> tuple[int, int]:
    """Return how many parts of a job succeeded, and how many there are."""
    done, total = connection.execute(_COUNTS, {"parent_id": parent_id}).one()
    return done, total


def close(connection: Connection, *, parent_id: str, result: str) -> None:
    """End the parent with its result, in the transaction that ends the finish.

    Raises:
        Fenced: the parent has ended meanwhile; the caller must roll back.
    """
    closed = connection.execute(_CLOSE, {"id": parent_id, "result": result})
    if not closed.scalar_one():
        raise Fenced(parent_id, 0)


def waiting(connection: Connection) -> bool:
    """Return whether any job waits for another job, or for its parts."""
    return bool(connection.scalar(_WAITING))


def settle(connection: Connection, *, children: Sequence[str] | None = None) -> None:
    """Bring parents up to date with their parts: progress, cancelling, giving up.

    What another transaction holds is left for the next look.

    Args:
        connection: a system transaction.
        children: look only at these jobs' parents, or at themselves; by default at all.
    """
    if children is None:
        found = connection.execute(_OPEN_PARENTS)
    else:
        found = connection.execute(_PARENTS_OF, {"children": list(children)})
    for parent_id in found.scalars().all():
        connection.execute(_PROGRESS, {"id": parent_id})
        if not connection.scalar(_LOST, {"id": parent_id}):
            continue
        for row in connection.execute(_CHILDREN, {"id": parent_id}).all():
            jobs.cancel(connection, tenant_id=row.tenant_id, job_id=row.id)
        connection.execute(_ABANDON, {"id": parent_id, "error": _CANCELLED_PART})
