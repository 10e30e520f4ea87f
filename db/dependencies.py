"""Jobs that wait for others: released, or ended, when the others have ended."""

from collections.abc import Sequence
from dataclasses import dataclass

import orjson
from sqlalchemy import text

from db.session import Connection
from db.transitions import EVENT, message


@dataclass(frozen=True)
class Edge:
    """``job_id`` waits for ``after_id``; ``on_failure`` is cancel, fail or run."""

    job_id: str
    after_id: str
    on_failure: str


_INSERT = text("""
INSERT INTO job_dependencies (job_id, after_id, tenant_id, on_failure)
SELECT job_id, after_id, :tenant_id, on_failure
FROM json_to_recordset(CAST(:edges AS json)) AS edge (
    job_id text, after_id text, on_failure text)
ON CONFLICT DO NOTHING
""")
_KNOWN = text("""
SELECT id FROM jobs WHERE tenant_id = :tenant_id AND id = ANY(:ids)
""")
_UNENDED = text("""
SELECT after_id FROM job_dependencies JOIN jobs ON jobs.id = after_id
WHERE job_id = :job_id AND state IN ('queued', 'running') ORDER BY after_id
""")
_AFTER = text("""
SELECT after_id FROM job_dependencies WHERE job_id = :job_id ORDER BY after_id
""")

# A failure that matters ends the job at once; else all that it waits for must end.
_RELEASE = text(f"""
WITH candidate AS (
    SELECT id FROM jobs WHERE blocked AND state = 'queued'
        AND (CAST(:after_id AS text) IS NULL OR id IN (
            SELECT job_id FROM job_dependencies WHERE after_id = :after_id))
    ORDER BY id
), judged AS (
    SELECT candidate.id, bool_or(first.state IN ('queued', 'running')) AS waits,
        min(first.id || ' ' || first.state) FILTER (WHERE on_failure <> 'run'
            AND first.state IN ('failed', 'cancelled')) AS culprit,
        bool_or(on_failure = 'fail' AND first.state IN ('failed', 'cancelled')) AS fail
    FROM candidate
    JOIN job_dependencies AS edge ON edge.job_id = candidate.id
    JOIN jobs AS first ON first.id = edge.after_id
    GROUP BY candidate.id
), ripe AS (
    SELECT jobs.id, culprit, fail FROM jobs JOIN judged ON judged.id = jobs.id
    WHERE jobs.blocked AND jobs.state = 'queued' AND (NOT waits OR culprit IS NOT NULL)
    FOR UPDATE OF jobs SKIP LOCKED
), moved AS (
    UPDATE jobs SET blocked = false, version = version + 1,
        state = CASE WHEN culprit IS NULL THEN 'queued'
            WHEN fail THEN 'failed' ELSE 'cancelled' END,
        reason = CASE WHEN culprit IS NOT NULL THEN 'dependency_failed' END,
        finished_at = CASE WHEN culprit IS NOT NULL THEN now() END,
        error = CASE WHEN culprit IS NOT NULL THEN json_build_object(
            'type', '/problems/dependency-failed', 'title', 'Dependency failed',
            'status', 409, 'detail', 'the job it waited for did not succeed: '
                || split_part(culprit, ' ', 1) || ' ' || split_part(culprit, ' ', 2))
            END
    FROM ripe WHERE jobs.id = ripe.id
    RETURNING jobs.*, CASE WHEN state = 'queued' THEN 'released' ELSE state END AS kind
), {message(delay="0", which="state = 'queued'")}, {EVENT}
SELECT (SELECT count(*) FROM moved), (SELECT count(*) FROM message),
    (SELECT count(*) FROM told)
""")  # noqa: S608 - no value is spliced in, only our own fragments


def known(connection: Connection, *, tenant_id: int, ids: Sequence[str]) -> set[str]:
    """Return which of the ids are jobs of the tenant."""
    rows = connection.execute(_KNOWN, {"tenant_id": tenant_id, "ids": list(ids)})
    return {row.id for row in rows}


def insert(connection: Connection, *, tenant_id: int, edges: Sequence[Edge]) -> None:
    """Store who waits for whom; the waiting jobs were submitted as blocked."""
    if edges:
        packed = orjson.dumps([vars(edge) for edge in edges]).decode()
        connection.execute(_INSERT, {"tenant_id": tenant_id, "edges": packed})


def after(connection: Connection, *, job_id: str, unended: bool = False) -> list[str]:
    """Return what a job waits for: all of it, or what has not ended."""
    rows = connection.execute(_UNENDED if unended else _AFTER, {"job_id": job_id})
    return [row.after_id for row in rows]


def release(connection: Connection, *, after_id: str | None = None) -> int:
    """Release or end the blocked jobs whose wait is over; return how many.

    Args:
        connection: a transaction that sees the jobs.
        after_id: look only at those that wait for this job; by default at all.
    """
    moved: int = connection.execute(_RELEASE, {"after_id": after_id}).scalar_one()
    return moved
