"""What happens to kept answers later: found not to be whole, or old enough to go."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text

from db.session import Connection

_SPOIL = text("""
UPDATE raw_fetches SET verdict = 'incomplete'
WHERE tenant_id = :tenant_id AND job_id = :job_id AND partition_id = :partition_id
""")
# What the stored rows of a partition were parsed from stays: without it nothing could
# be replayed. Answers without rows replace none that have some.
_FORGET = text("""
DELETE FROM raw_fetches AS old
WHERE tenant_id = :tenant_id AND fetched_at < :before AND EXISTS (
    SELECT FROM raw_fetches AS newer WHERE newer.source_id = old.source_id
        AND newer.partition_id = old.partition_id AND newer.job_id <> old.job_id
        AND newer.id > old.id AND (newer.verdict = 'ok' OR NOT EXISTS (
            SELECT FROM raw_fetches AS mate WHERE mate.job_id = old.job_id
                AND mate.partition_id = old.partition_id AND mate.verdict = 'ok')))
    AND NOT EXISTS (SELECT FROM source_windows AS loaded
        WHERE loaded.source_id = old.source_id AND loaded.job_id = old.job_id
            AND loaded.partition_id = old.partition_id AND state = 'done')
""")
_NAMED = text("""
SELECT DISTINCT sha256 FROM raw_fetches
WHERE tenant_id = :tenant_id AND sha256 = ANY (:hashes)
""")


def spoil(
    connection: Connection, *, tenant_id: int, job_id: str, partition_id: str
) -> None:
    """Note that the answers of a partition are not whole together: ask all again."""
    connection.execute(
        _SPOIL,
        {"tenant_id": tenant_id, "job_id": job_id, "partition_id": partition_id},
    )


def forget(connection: Connection, *, tenant_id: int, before: datetime) -> int:
    """Delete answers older than an instant, but for those whose rows are stored.

    Their bodies go later, when nothing names them any more; see ``unnamed``.
    """
    given = {"tenant_id": tenant_id, "before": before}
    return connection.execute(_FORGET, given).rowcount


def unnamed(
    connection: Connection, *, tenant_id: int, hashes: Sequence[str]
) -> list[str]:
    """Return those bodies that no answer names, as after a source was deleted."""
    given = {"tenant_id": tenant_id, "hashes": list(hashes)}
    named = set(connection.scalars(_NAMED, given))
    return [one for one in hashes if one not in named]
