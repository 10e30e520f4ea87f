"""What a run asks of the ledger: who loads a window, what siblings met, what is due."""

from datetime import datetime

from sqlalchemy import text

from db.session import Connection

_HOLD = text(
    "SELECT pg_advisory_xact_lock(hashtext(:source_id), hashtext(:partition_id))"
)
_MET = text("""
SELECT partition_id, reason, detail FROM source_windows
WHERE tenant_id = :tenant_id AND source_id = :source_id AND job_id = :job_id
    AND state = 'failed' AND reason = ANY (:reasons)
ORDER BY finished_at LIMIT 1
""")
_TIERS = text("""
SELECT detail ->> 'tier' AS tier, max(created_at) AS at FROM ingest_runs
WHERE tenant_id = :tenant_id AND source_id = :source_id AND state <> 'failed'
    AND detail ->> 'tier' <> ''
GROUP BY 1
""")
_UNITS = text("""
SELECT local_key, unit FROM source_series
WHERE tenant_id = :tenant_id AND source_id = :source_id AND unit IS NOT NULL
""")


def hold(connection: Connection, *, source_id: str, partition_id: str) -> None:
    """Let nobody else load the partition until the commit."""
    connection.execute(_HOLD, {"source_id": source_id, "partition_id": partition_id})


def met(
    connection: Connection,
    *,
    tenant_id: int,
    source_id: str,
    job_id: str,
    reasons: frozenset[str],
) -> tuple[str, str, str] | None:
    """Return a partition of the job that failed for one of the reasons.

    Returns:
        Its id, the reason and the detail, or None.
    """
    row = connection.execute(
        _MET,
        {
            "tenant_id": tenant_id,
            "source_id": source_id,
            "job_id": job_id,
            "reasons": sorted(reasons),
        },
    ).first()
    return None if row is None else (row[0], row[1], row[2] or "")


def latest_tiers(
    connection: Connection, *, tenant_id: int, source_id: str
) -> dict[str, datetime]:
    """Return when each tier of the lookback was last read."""
    rows = connection.execute(_TIERS, {"tenant_id": tenant_id, "source_id": source_id})
    return {row.tier: row.at for row in rows}


def units(connection: Connection, *, tenant_id: int, source_id: str) -> dict[str, str]:
    """Return the units that a source has told, by its own key."""
    rows = connection.execute(_UNITS, {"tenant_id": tenant_id, "source_id": source_id})
    return {row.local_key: row.unit for row in rows}
