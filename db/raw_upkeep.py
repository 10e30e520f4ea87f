"""What happens to kept answers later: found not to be whole, or old enough to go."""

from datetime import datetime

from sqlalchemy import text

from db.session import Connection

_SPOIL = text("""
UPDATE raw_fetches SET verdict = 'incomplete'
WHERE tenant_id = :tenant_id AND job_id = :job_id AND partition_id = :partition_id
""")
# The latest answers of a partition stay: without them nothing could be replayed.
_FORGET = text("""
WITH gone AS (
    DELETE FROM raw_fetches AS old
    WHERE tenant_id = :tenant_id AND fetched_at < :before AND EXISTS (
        SELECT FROM raw_fetches AS newer WHERE newer.source_id = old.source_id
            AND newer.partition_id = old.partition_id AND newer.job_id <> old.job_id
            AND newer.id > old.id)
    RETURNING id, sha256
)
SELECT sha256, count(*) AS answers, bool_and(NOT EXISTS (
    SELECT FROM raw_fetches AS kept WHERE kept.tenant_id = :tenant_id
        AND kept.sha256 = gone.sha256 AND kept.id NOT IN (SELECT id FROM gone)
)) AS unnamed
FROM gone GROUP BY sha256
""")


def spoil(
    connection: Connection, *, tenant_id: int, job_id: str, partition_id: str
) -> None:
    """Note that the answers of a partition are not whole together: ask all again."""
    connection.execute(
        _SPOIL,
        {"tenant_id": tenant_id, "job_id": job_id, "partition_id": partition_id},
    )


def forget(
    connection: Connection, *, tenant_id: int, before: datetime
) -> tuple[int, list[str]]:
    """Delete answers older than an instant, but for the latest of each partition.

    Returns:
        How many, and the hashes of bodies that no answer names any more.
    """
    rows = connection.execute(_FORGET, {"tenant_id": tenant_id, "before": before})
    found = rows.all()
    return (
        sum(row.answers for row in found),
        [row.sha256 for row in found if row.unnamed],
    )
