"""What a replay has to know of ended jobs: who has them, and what they waited for."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import text

from db.session import Connection


@dataclass(frozen=True)
class Wait:
    """``job_id`` waited for a job whose latest copy, or itself, is ``after_id``."""

    job_id: str
    after_id: str
    state: str
    on_failure: str

    @property
    def unended(self) -> bool:
        """Whether the job to wait for has not ended."""
        return self.state in ("queued", "running")

    @property
    def lost(self) -> bool:
        """Whether the job to wait for did not succeed, and that matters."""
        return self.on_failure != "run" and self.state in ("failed", "cancelled")


_HOLD = text("""
SELECT id FROM jobs WHERE tenant_id = :tenant_id AND id = ANY(:ids)
    AND replayed_at IS NULL
ORDER BY id FOR NO KEY UPDATE
""")
_WAITS = text("""
SELECT job_id, first.id AS after_id, first.state, on_failure,
    CASE WHEN replayed_at IS NOT NULL THEN coalesce(retry_of, first.id) END AS root
FROM job_dependencies AS edge JOIN jobs AS first ON first.id = edge.after_id
WHERE edge.tenant_id = :tenant_id AND edge.job_id = ANY(:ids)
ORDER BY job_id, after_id
""")
# A copy is younger than its first job; the bound keeps the look to those that may be.
_LATEST = text("""
SELECT DISTINCT ON (retry_of) retry_of AS root, id, state FROM jobs
WHERE tenant_id = :tenant_id AND id > :oldest AND retry_of = ANY(:roots)
ORDER BY retry_of, id DESC
""")


def hold(
    connection: Connection, *, tenant_id: int, job_ids: Collection[str]
) -> set[str]:
    """Keep ended jobs from other replays until the commit.

    Returns:
        Those of the jobs that nobody replayed before; another replay that holds some
        is waited for.
    """
    named = {"tenant_id": tenant_id, "ids": list(job_ids)}
    return set(connection.scalars(_HOLD, named))


def waits(
    connection: Connection, *, tenant_id: int, job_ids: Collection[str]
) -> list[Wait]:
    """Return what the jobs waited for; the latest copy of what was replayed since."""
    rows = connection.execute(
        _WAITS, {"tenant_id": tenant_id, "ids": list(job_ids)}
    ).all()
    roots = {row.root for row in rows if row.root is not None}
    latest = _latest(connection, tenant_id, sorted(roots)) if roots else {}
    found = []
    for row in rows:
        wait = Wait(row.job_id, row.after_id, row.state, row.on_failure)
        if row.root in latest:
            copy_id, state = latest[row.root]
            wait = replace(wait, after_id=copy_id, state=state)
        found.append(wait)
    return found


def _latest(
    connection: Connection, tenant_id: int, roots: Sequence[str]
) -> dict[str, tuple[str, str]]:
    rows = connection.execute(
        _LATEST, {"tenant_id": tenant_id, "oldest": roots[0], "roots": list(roots)}
    )
    return {row.root: (row.id, row.state) for row in rows}
