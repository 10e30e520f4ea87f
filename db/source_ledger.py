"""The ledger of a source: what became of each stretch of time, and the runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text

from db.session import Connection


@dataclass(frozen=True, kw_only=True)
class Window:
    """What became of a partition when it was last read.

    Attributes:
        partition_id: of the connector's plan.
        start_at: aware; None where the partition is open to this side.
        end_at: aware; None where the partition is open to this side.
        part: which of the series, as in the connector's partition; JSON.
        state: ``done``, ``empty`` (the source truly had nothing), ``not_available``
            (not yet), ``failed``, or ``held`` (read, but not published).
        reason: a class of verdict or a code; None where all went well.
        detail: for people.
        run_id: the run that read it.
        job_id: the job whose raw answers it was parsed from.
        counts: rows by what became of them.
        finished_at: aware.
    """

    partition_id: str
    start_at: datetime | None
    end_at: datetime | None
    part: dict[str, Any]
    state: str
    reason: str | None = None
    detail: str | None = None
    run_id: str
    job_id: str | None = None
    counts: dict[str, Any]
    finished_at: datetime


@dataclass(frozen=True)
class SourceRun:
    """A load of a source: ``succeeded``, ``partial`` or ``failed``."""

    id: str
    job_id: str | None
    partition_id: str | None
    state: str
    counts: dict[str, Any]
    detail: dict[str, Any] | None
    sha256: str | None
    created_at: datetime


_SHOWN = """partition_id, start_at, end_at, part, state, reason, detail, run_id, job_id,
    counts, finished_at"""
_RECORD = text(f"""
INSERT INTO source_windows (tenant_id, source_id, {_SHOWN})
VALUES (:tenant_id, :source_id, :partition_id, :start_at, :end_at,
    CAST(:part AS jsonb), :state, :reason, :detail, :run_id, :job_id,
    CAST(:counts AS jsonb), :finished_at)
ON CONFLICT (source_id, partition_id) DO UPDATE SET start_at = excluded.start_at,
    end_at = excluded.end_at, part = excluded.part, state = excluded.state,
    reason = excluded.reason, detail = excluded.detail, run_id = excluded.run_id,
    job_id = excluded.job_id, counts = excluded.counts,
    finished_at = excluded.finished_at
""")  # noqa: S608 - only our own list of columns is spliced in
_FOUND = text(f"""
SELECT {_SHOWN} FROM source_windows WHERE tenant_id = :tenant_id
    AND source_id = :source_id AND partition_id = ANY (:partition_ids)
""")  # noqa: S608 - see above
_PAGE = text(f"""
SELECT {_SHOWN} FROM source_windows
WHERE tenant_id = :tenant_id AND source_id = :source_id
    AND (CAST(:state AS text) IS NULL OR state = :state)
    AND (CAST(:before AS text) IS NULL OR
        (coalesce(start_at, '-infinity'), partition_id) < (
            SELECT coalesce(start_at, '-infinity'), partition_id
            FROM source_windows WHERE source_id = :source_id
                AND tenant_id = :tenant_id AND partition_id = :before))
ORDER BY coalesce(start_at, '-infinity') DESC, partition_id DESC LIMIT :limit
""")  # noqa: S608 - see above
# A retry is a job of its own that names the first one of its line.
_ENDED_BY = text("""
SELECT w.partition_id FROM jobs AS j
JOIN jobs AS line ON line.tenant_id = j.tenant_id
    AND (line.id = coalesce(j.retry_of, j.id) OR line.retry_of = j.retry_of)
JOIN source_windows AS w ON w.tenant_id = j.tenant_id AND w.job_id = line.id
WHERE j.tenant_id = :tenant_id AND j.id = :job_id AND w.source_id = :source_id
    AND w.state IN ('done', 'empty')
""")
_COUNTS = text("""
SELECT state, count(*) FROM source_windows
WHERE tenant_id = :tenant_id AND source_id = :source_id GROUP BY state
""")
_RUNS = text("""
SELECT id, job_id, partition_id, state, counts, detail, sha256, created_at
FROM ingest_runs WHERE tenant_id = :tenant_id AND source_id = :source_id
    AND (CAST(:before AS text) IS NULL OR id < :before)
ORDER BY id DESC LIMIT :limit
""")


def record(
    connection: Connection, *, tenant_id: int, source_id: str, window: Window
) -> None:
    """Write what became of a partition, in place of what became of it before."""
    connection.execute(
        _RECORD,
        {
            **vars(window),
            "tenant_id": tenant_id,
            "source_id": source_id,
            "part": orjson.dumps(window.part).decode(),
            "counts": orjson.dumps(window.counts).decode(),
        },
    )


def found(
    connection: Connection,
    *,
    tenant_id: int,
    source_id: str,
    partition_ids: Sequence[str],
) -> dict[str, Window]:
    """Return what became of the given partitions; one never read is not in it."""
    rows = connection.execute(
        _FOUND,
        {
            "tenant_id": tenant_id,
            "source_id": source_id,
            "partition_ids": list(partition_ids),
        },
    )
    return {row.partition_id: Window(**row._mapping) for row in rows}


def page(
    connection: Connection,
    *,
    tenant_id: int,
    source_id: str,
    state: str | None = None,
    before: str | None = None,
    limit: int = 200,
) -> list[Window]:
    """Return up to ``limit`` windows, the latest stretch first, after ``before``.

    Args:
        connection: a transaction of the tenant.
        tenant_id: whose source it is.
        source_id: which source.
        state: which ones, or None for all.
        before: the partition id of the last one of the page before.
        limit: how many.
    """
    rows = connection.execute(
        _PAGE,
        {
            "tenant_id": tenant_id,
            "source_id": source_id,
            "state": state,
            "before": before,
            "limit": limit,
        },
    )
    return [Window(**row._mapping) for row in rows]


def ended_by(
    connection: Connection, *, tenant_id: int, source_id: str, job_id: str
) -> set[str]:
    """Return the partitions that a job, or one it is a retry of, has read whole."""
    given = {"tenant_id": tenant_id, "source_id": source_id, "job_id": job_id}
    return set(connection.scalars(_ENDED_BY, given))


def counts(connection: Connection, *, tenant_id: int, source_id: str) -> dict[str, int]:
    """Return how many windows of a source are in each state."""
    rows = connection.execute(_COUNTS, {"tenant_id": tenant_id, "source_id": source_id})
    return {row[0]: row[1] for row in rows}


def runs(
    connection: Connection,
    *,
    tenant_id: int,
    source_id: str,
    before: str | None = None,
    limit: int = 50,
) -> list[SourceRun]:
    """Return up to ``limit`` runs older than the id ``before``, newest first."""
    rows = connection.execute(
        _RUNS,
        {
            "tenant_id": tenant_id,
            "source_id": source_id,
            "before": before,
            "limit": limit,
        },
    )
    return [SourceRun(**row._mapping) for row in rows]
