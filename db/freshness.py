"""Which series of sources are judged for freshness, and what they were found to be."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text

from db.session import Connection


@dataclass(frozen=True)
class Judged:
    """A series of an enabled source, with what it was when it was last judged."""

    source_id: str
    source: str
    connector: str
    expected: dict[str, Any] | None
    local_key: str
    key: str
    watermark: datetime | None
    freshness: str | None
    freshness_since: datetime | None


_ALL = text("""
SELECT sources.id AS source_id, sources.name AS source, connector,
    options -> 'expected' AS expected, local_key, series.key, watermark, freshness,
    freshness_since
FROM source_series
JOIN sources ON sources.id = source_id
JOIN series ON series.id = series_id
WHERE source_series.tenant_id = :tenant_id AND enabled
    AND (CAST(:source AS text) IS NULL OR sources.name = :source)
ORDER BY sources.name, local_key
""")
_ALONE = text("SELECT pg_advisory_xact_lock(hashtext('freshness'), :tenant_id)")
_SET = text("""
UPDATE source_series SET freshness = given.freshness, freshness_since = :now
FROM unnest(CAST(:sources AS text[]), CAST(:keys AS text[]), CAST(:states AS text[]))
    AS given (source_id, local_key, freshness)
WHERE source_series.tenant_id = :tenant_id
    AND source_series.source_id = given.source_id
    AND source_series.local_key = given.local_key
""")


def hold(connection: Connection, *, tenant_id: int) -> None:
    """Let nobody else judge the tenant's series until the commit."""
    connection.execute(_ALONE, {"tenant_id": tenant_id})


def of_tenant(
    connection: Connection, *, tenant_id: int, source: str | None = None
) -> list[Judged]:
    """Return the series of enabled sources, or of one of them, by name and key."""
    rows = connection.execute(_ALL, {"tenant_id": tenant_id, "source": source})
    return [Judged(**row._mapping) for row in rows]


def change(
    connection: Connection,
    *,
    tenant_id: int,
    changed: Sequence[tuple[Judged, str]],
    now: datetime,
) -> None:
    """Write what series have become, since ``now``."""
    if not changed:
        return
    connection.execute(
        _SET,
        {
            "tenant_id": tenant_id,
            "sources": [one.source_id for one, _ in changed],
            "keys": [one.local_key for one, _ in changed],
            "states": [state for _, state in changed],
            "now": now,
        },
    )
