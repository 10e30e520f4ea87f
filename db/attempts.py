"""What a worker does to a job: claim it, keep its lease, end it.

Every statement names the attempt, so a worker that was thought dead, and an old
message delivered again, change nothing. Each transition writes its event and its
notification in the same statement.
"""

from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import text

from db.errors import Fenced
from db.jobs import Job
from db.session import Connection
from db.transitions import EVENT, message

_CLAIM = text(f"""
WITH job AS (
    UPDATE jobs SET state = 'running', started_at = now(), worker = :worker,
        lease_until = now() + :lease * interval '1 second', progress = NULL,
        reason = NULL, version = version + 1
    WHERE id = :id AND attempt = :attempt AND state = 'queued' AND NOT blocked
        AND (deadline IS NULL OR attempt > 1 OR deadline > now())
    RETURNING *
), moved AS (SELECT *, 'running' AS kind FROM job),
{EVENT}
SELECT job.* FROM job, told
""")  # noqa: S608 - no value is spliced in, only our own fragment

_IF_PROGRESS = "FROM moved WHERE CAST(:progress AS jsonb) IS NOT NULL"

_OF_WORKER = text("""
SELECT id, attempt FROM jobs
WHERE state = 'running' AND split_part(worker, '/', 1) = :worker
""")

_HEARTBEAT = text(f"""
WITH moved AS (
    UPDATE jobs SET lease_until = now() + :lease * interval '1 second',
        progress = coalesce(CAST(:progress AS jsonb), progress),
        version = version + CASE WHEN CAST(:progress AS jsonb) IS NULL THEN 0 ELSE 1 END
    WHERE id = :id AND attempt = :attempt AND state = 'running'
        AND step IS DISTINCT FROM 'parts'
    RETURNING *, 'progress' AS kind
), {EVENT.replace("FROM moved", _IF_PROGRESS)}
SELECT cancel_requested_at IS NOT NULL, (SELECT count(*) FROM told) FROM moved
""")  # noqa: S608 - no value is spliced in, only our own fragment

# clock_timestamp(): a long load runs in this transaction, which now() would date back.
_FINISH = text(f"""
WITH moved AS (
    UPDATE jobs SET state = :state, reason = :reason, error = CAST(:error AS json),
        finished_at = clock_timestamp(), lease_until = NULL, version = version + 1,
        progress = coalesce(CAST(:progress AS jsonb), progress)
    WHERE id = :id AND attempt = :attempt AND state = 'running'
        AND step IS DISTINCT FROM 'parts'
    RETURNING *, state AS kind
), result AS (
    INSERT INTO job_results (job_id, tenant_id, attempt, body, created_at)
    SELECT id, tenant_id, attempt, CAST(:result AS json), now() FROM moved
    WHERE :state = 'succeeded'
), {EVENT}
SELECT count(*) FROM moved, told
""")  # noqa: S608 - no value is spliced in, only our own fragment

# A lost or failed try becomes the next attempt, or the end where the cap is reached
# or the user wanted it gone; the three cases share one statement so that no reader
# ever sees a job between them. A try that Forebay itself broke off is forgiven: it
# does not count towards the cap.
_CAPPED = "attempt - forgiven >= max_attempts AND NOT :forgiven"


def _policy(name: str, default: str) -> str:
    # Rounded: PostgreSQL refuses products too small for a double, and a policy that it
    # refuses would keep a job from ever being given back.
    return f"coalesce(round((retry ->> '{name}')::numeric, 9)::float, {default})"


_POLICY = f"""greatest(:retry_after, coalesce(:delay, least(
    {_policy("max_delay_s", "300")},
    {_policy("delay_s", ":first")} * power({_policy("factor", "2")},
            greatest(0, moved.attempt - 2 - forgiven)))
    * (1 - {_policy("jitter", "0.5")} * random())))"""
_GIVE_BACK = text(f"""
WITH moved AS (
    UPDATE jobs SET
        state = CASE WHEN cancel_requested_at IS NOT NULL THEN 'cancelled'
            WHEN {_CAPPED} THEN 'failed' ELSE 'queued' END,
        attempt = attempt + CASE WHEN cancel_requested_at IS NOT NULL
            OR {_CAPPED} THEN 0 ELSE 1 END,
        forgiven = forgiven + CASE WHEN :forgiven THEN 1 ELSE 0 END,
        reason = CASE WHEN cancel_requested_at IS NOT NULL THEN 'cancelled_by_user'
            ELSE :reason END,
        error = CASE WHEN cancel_requested_at IS NULL AND {_CAPPED}
            THEN CAST(:error AS json) END,
        finished_at = CASE WHEN cancel_requested_at IS NOT NULL OR {_CAPPED}
            THEN now() END,
        dispatched_at = CASE WHEN cancel_requested_at IS NOT NULL OR {_CAPPED}
            THEN dispatched_at END, lease_until = NULL, version = version + 1
    WHERE id = :id AND attempt = :attempt AND state = 'running'
        AND step IS DISTINCT FROM 'parts'
    RETURNING *, CASE WHEN state = 'queued' THEN 'retrying' ELSE state END AS kind
), {message(delay=_POLICY, which="state = 'queued'")}, {EVENT}
SELECT moved.state FROM moved, told, (SELECT count(*) FROM message) AS sent
""")  # noqa: S608 - no value is spliced in, only our own fragments


@dataclass(frozen=True)
class End:
    """How an attempt ended for good: a final state, why, and the result if any."""

    state: str
    reason: str | None = None
    error: dict[str, Any] | None = None
    result: Any = None
    progress: dict[str, Any] | None = None


def claim(
    connection: Connection, *, job_id: str, attempt: int, worker: str, lease_s: float
) -> Job | None:
    """Take a queued job for one worker; None when it is not to be had (any more)."""
    row = connection.execute(
        _CLAIM, {"id": job_id, "attempt": attempt, "worker": worker, "lease": lease_s}
    ).first()
    return None if row is None else Job(**row._mapping)


def of_worker(connection: Connection, *, worker: str) -> list[tuple[str, int]]:
    """Return (job id, attempt) of what a worker's children are running."""
    rows = connection.execute(_OF_WORKER, {"worker": worker})
    return [(row.id, row.attempt) for row in rows]


def heartbeat(
    connection: Connection,
    *,
    job_id: str,
    attempt: int,
    lease_s: float,
    progress: dict[str, Any] | None = None,
) -> bool:
    """Renew the lease, store new progress, and return whether to cancel.

    Raises:
        Fenced: the attempt no longer runs the job.
    """
    row = connection.execute(
        _HEARTBEAT,
        {
            "id": job_id,
            "attempt": attempt,
            "lease": lease_s,
            "progress": None if progress is None else orjson.dumps(progress).decode(),
        },
    ).first()
    if row is None:
        raise Fenced(job_id, attempt)
    return bool(row[0])


def finish(connection: Connection, *, job_id: str, attempt: int, end: End) -> None:
    """End a running attempt; with state 'succeeded' the result is stored too.

    Raises:
        Fenced: the attempt no longer runs the job; the caller must roll back.
    """
    moved = connection.execute(
        _FINISH,
        {
            "id": job_id,
            "attempt": attempt,
            "state": end.state,
            "reason": end.reason,
            "error": _json(end.error),
            "result": orjson.dumps(end.result).decode(),
            "progress": _json(end.progress),
        },
    ).scalar_one()
    if not moved:
        raise Fenced(job_id, attempt)


@dataclass(frozen=True)
class Pause:
    """How long to wait before the next attempt; by default as the job's policy says.

    ``first_s`` is the first pause of a job whose policy names none.
    """

    first_s: float = 2.0
    delay_s: float | None = None
    retry_after_s: float = 0.0


def give_back(
    connection: Connection,
    *,
    job_id: str,
    attempt: int,
    end: End,
    pause: Pause = Pause(),
    forgiven: bool = False,
) -> str | None:
    """Queue the next attempt after a pause, or end the job as ``end`` says.

    Args:
        connection: a system transaction.
        job_id: the job.
        attempt: the attempt that ended without a result.
        end: why, and how the job ends where this was its last attempt.
        pause: how long to wait; the job's retry policy where it says nothing.
        forgiven: whether Forebay itself broke the attempt off, so that it does not
            count.

    Returns:
        The state the job moved to, or None where the attempt was not running.
    """
    return connection.execute(
        _GIVE_BACK,
        {
            "id": job_id,
            "attempt": attempt,
            "reason": end.reason,
            "error": _json(end.error),
            "first": pause.first_s,
            "delay": pause.delay_s,
            "retry_after": pause.retry_after_s,
            "forgiven": forgiven,
        },
    ).scalar()


def _json(value: dict[str, Any] | None) -> str | None:
    return None if value is None else orjson.dumps(value).decode()
