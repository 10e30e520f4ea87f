"""What is published, and the repair of what was lost on the way.

Which message goes next is decided in ``db/line.py``.
"""

from collections.abc import Sequence

from sqlalchemy import text

from db.session import Connection
from db.transitions import EVENT

_OVERTAKEN = text("""
SELECT count(*) FROM jobs
WHERE queue = :queue AND state = 'queued'
    AND dispatched_at < now() - :older * interval '1 second'
""")

_SENT = text("""
WITH gone AS (DELETE FROM outbox WHERE id = ANY(:ids) RETURNING job_id, attempt)
UPDATE jobs SET dispatched_at = now() FROM gone
WHERE jobs.id = gone.job_id AND jobs.attempt = gone.attempt AND jobs.state = 'queued'
""")

_EXPIRED = text("""
SELECT id, attempt FROM jobs
WHERE state = 'running' AND lease_until < now()
ORDER BY lease_until LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
""")

# Materialised: in a nested loop a limited choice would be made anew for each row.
_AGAIN = text("""
WITH chosen AS MATERIALIZED (
    SELECT id FROM jobs
    WHERE queue = :queue AND state = 'queued'
        AND dispatched_at < now() - :older * interval '1 second'
    ORDER BY dispatched_at LIMIT :limit FOR UPDATE SKIP LOCKED
), lost AS (
    UPDATE jobs SET dispatched_at = NULL WHERE id IN (SELECT id FROM chosen)
    RETURNING *
)
INSERT INTO outbox (tenant_id, job_id, attempt, type, queue, priority, traceparent,
    available_at, lane, concurrency_key)
SELECT tenant_id, id, attempt, type, queue, priority, traceparent, now(), lane,
    concurrency_key
FROM lost
ON CONFLICT (job_id, attempt) DO NOTHING
""")

# Skips what others hold, for the reason given at the cancel statement in db/jobs.py.
_OVERDUE = text(f"""
WITH moved AS (
    UPDATE jobs SET state = 'failed', reason = 'never_started', finished_at = now(),
        blocked = false, version = version + 1, error = CAST(:error AS json)
    WHERE id IN (
        SELECT id FROM jobs WHERE state = 'queued' AND attempt = 1 AND deadline <= now()
        FOR NO KEY UPDATE SKIP LOCKED)
    RETURNING *, 'failed' AS kind
), gone AS (
    DELETE FROM outbox WHERE id IN (
        SELECT outbox.id FROM outbox JOIN moved ON outbox.job_id = moved.id
        FOR UPDATE OF outbox SKIP LOCKED)
), {EVENT}
SELECT count(*) FROM told
""")  # noqa: S608 - no value is spliced in, only our own fragment

_LEFT = text("""
DELETE FROM outbox WHERE id IN (
    SELECT outbox.id FROM outbox JOIN jobs ON jobs.id = outbox.job_id
    WHERE jobs.state NOT IN ('queued', 'running')
        AND outbox.available_at < now() - interval '10 seconds'
    LIMIT 500 FOR UPDATE OF outbox SKIP LOCKED)
""")

_WAITING = text("""
SELECT queue, count(*), extract(epoch FROM now() - min(available_at)) FROM outbox
WHERE available_at <= now() GROUP BY queue
""")


def unclaimed(connection: Connection, *, queue: str, older_than_s: float) -> int:
    """Return how many jobs were published a while ago and are not yet claimed."""
    counted: int = connection.execute(
        _OVERTAKEN, {"queue": queue, "older": older_than_s}
    ).scalar_one()
    return counted


def mark_sent(connection: Connection, *, ids: Sequence[int]) -> None:
    """Forget messages that the broker confirmed."""
    connection.execute(_SENT, {"ids": list(ids)})


def expired(connection: Connection, *, limit: int) -> list[tuple[str, int]]:
    """Lock and return (job id, attempt) of running jobs whose lease has run out."""
    rows = connection.execute(_EXPIRED, {"limit": limit})
    return [(row.id, row.attempt) for row in rows]


def publish_again(
    connection: Connection, *, queue: str, older_than_s: float, limit: int
) -> int:
    """Put back the oldest published, never claimed jobs; return how many."""
    parameters = {"queue": queue, "older": older_than_s, "limit": limit}
    return connection.execute(_AGAIN, parameters).rowcount


def fail_overdue(connection: Connection, *, error: str) -> int:
    """Fail queued jobs whose deadline to start by has passed; return how many."""
    failed: int = connection.execute(_OVERDUE, {"error": error}).scalar_one()
    return failed


def waiting(connection: Connection) -> dict[str, tuple[int, float]]:
    """Return by queue how many messages are due, and the oldest one's age in s."""
    return {row[0]: (row[1], float(row[2])) for row in connection.execute(_WAITING)}


def forget_ended(connection: Connection) -> int:
    """Delete rows of jobs that ended while a dispatcher held the row; return how many.

    They do no harm, the claim refuses them; but each would be published for nothing.
    """
    return connection.execute(_LEFT).rowcount
