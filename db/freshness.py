"""Which series of sources are judged for freshness, and what they were found to be."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text

from db.session import Connection


@dataclass(frozen=True)
class Judged:
    """A series of an enabled source, with what it was when it was last judged.

    Attributes:
        source_id: whose it is.
        source: the name of that.
        connector: of the source.
        expected: the owner's rule, if there is one.
        local_key: the source's own.
        key: the tenant's.
        latest: the start of the latest interval with a value, whoever stored it; of
            forecasts from outside, when the latest was issued.
        gap: the longest between its latest values: a weekend, where nothing comes.
        delay: the shortest from the start of an interval to its value.
        freshness: what it was.
        freshness_since: since when.
    """

    source_id: str
    source: str
    connector: str
    expected: dict[str, Any] | None
    local_key: str
    key: str
    latest: datetime | None
    gap: timedelta | None
    delay: timedelta | None
    freshness: str | None
    freshness_since: datetime | None


# A forecast reaches ahead, so its times tell nothing of when it last came.
_ALL = text("""
SELECT sources.id AS source_id, sources.name AS source, connector,
    options -> 'expected' AS expected, local_key, series.key,
    coalesce(issue.at, reach.latest) AS latest,
    CASE WHEN issue.at IS NULL THEN reach.gap END AS gap,
    CASE WHEN issue.at IS NULL THEN reach.delay END AS delay,
    freshness, freshness_since
FROM source_series
JOIN sources ON sources.id = source_id
JOIN series ON series.id = series_id
CROSS JOIN LATERAL (
    SELECT max(ts) AS latest, max(ts - before) AS gap, min(known_from - ts) AS delay
    FROM (
        SELECT ts, known_from, lag(ts) OVER (ORDER BY ts) AS before FROM (
            SELECT ts, known_from FROM obs_current AS newest
            WHERE newest.tenant_id = source_series.tenant_id
                AND newest.series_id = series.id AND value IS NOT NULL
            ORDER BY ts DESC LIMIT 30) AS recent) AS steps
) AS reach
LEFT JOIN LATERAL (
    SELECT issued_at AS at FROM obs_version AS issued
    WHERE issued.tenant_id = source_series.tenant_id AND series.kind = 'forecast'
        AND issued.series_id = series.id AND issued_at IS NOT NULL
    ORDER BY issued_at DESC LIMIT 1
) AS issue ON true
WHERE source_series.tenant_id = :tenant_id AND enabled
    AND (CAST(:source AS text) IS NULL OR sources.name = :source)
ORDER BY sources.name, local_key
""")
_ALONE = text("SELECT pg_advisory_xact_lock(hashtext('freshness'), :tenant_id)")
# In the order of the keys, as loads take them, so that neither waits in a circle.
_SET = text("""
WITH given AS (
    SELECT * FROM unnest(CAST(:sources AS text[]), CAST(:keys AS text[]),
        CAST(:states AS text[])) AS given (source_id, local_key, freshness)
), held AS MATERIALIZED (
    SELECT source_id, local_key, given.freshness
    FROM source_series JOIN given USING (source_id, local_key)
    WHERE tenant_id = :tenant_id
    ORDER BY source_id, local_key FOR NO KEY UPDATE OF source_series
)
UPDATE source_series SET freshness = held.freshness, freshness_since = :now
FROM held WHERE source_series.source_id = held.source_id
    AND source_series.local_key = held.local_key
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
