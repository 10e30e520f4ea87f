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
_RELEASE = """
WITH candidate AS (
    {candidates}
), judged AS (
    SELECT candidate.id, EXISTS (
            SELECT FROM job_dependencies AS edge JOIN jobs AS first
                ON first.id = edge.after_id
            WHERE edge.job_id = candidate.id AND first.state IN ('queued', 'running')
        ) AS waits, fault.culprit, coalesce(fault.fail, false) AS fail
    FROM candidate LEFT JOIN LATERAL (
        SELECT first.id || ' ' || first.state AS culprit,
            edge.on_failure = 'fail' AS fail
        FROM job_dependencies AS edge JOIN jobs AS first ON first.id = edge.after_id
        WHERE edge.job_id = candidate.id AND edge.on_failure <> 'run'
            AND first.state IN ('failed', 'cancelled') AND {faults}
        ORDER BY edge.on_failure DESC, first.id LIMIT 1) AS fault ON true
), ripe AS (
    SELECT jobs.id, culprit, fail FROM jobs JOIN judged ON judged.id = jobs.id
    WHERE jobs.blocked AND jobs.state = 'queued' AND (NOT waits OR culprit IS NOT NULL)
    FOR NO KEY UPDATE OF jobs SKIP LOCKED
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
), {message}, {event}
SELECT (SELECT count(*) FROM moved), (SELECT count(*) FROM message),
    (SELECT count(*) FROM told)
"""
_SHARED = {"message": message(delay="0", which="state = 'queued'"), "event": EVENT}
_RELEASE_ALL = text(
    _RELEASE.format(
        candidates="SELECT id FROM jobs WHERE blocked AND state = 'queued' ORDER BY id",
        faults="true",
        **_SHARED,
    )
)
_RELEASE_AFTER = text(
    _RELEASE.format(
        candidates="SELECT DISTINCT job_id AS id FROM job_dependencies "
        "WHERE after_id = ANY(:after_ids) ORDER BY job_id",
        faults="first.id = ANY(:after_ids)",
        **_SHARED,
    )
)


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


def release(connection: Connection, *, after_ids: Sequence[str] | None = None) -> int:
    """Release or end the blocked jobs whose wait is over; return how many.

    Args:
        connection: a transaction that sees the jobs.
        after_ids: look only at those that wait for these jobs; by default at all.
    """
    if after_ids is None:
        moved: int = connection.execute(_RELEASE_ALL).scalar_one()
        return moved
    ended = {"after_ids": list(after_ids)}
    followed: int = connection.execute(_RELEASE_AFTER, ended).scalar_one()
    return followed
