"""The series of a source: its own keys for them, and how far each has come."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from db.session import Connection


@dataclass(frozen=True)
class Bound:
    """Which series of the tenant a key of the source stands for, and in which unit."""

    series_id: int
    unit: str | None = None


@dataclass(frozen=True)
class SourceSeries:
    """A series of a source.

    Attributes:
        local_key: the source's own.
        key: the tenant's.
        unit: what the source said of it last.
        watermark: the start of the latest interval with a value, as far as runs
            have moved it; None before the first.
        loaded_at: when a run last advanced it, whether or not there was news.
        freshness: ``fresh``, ``late``, ``stale``, ``dead``; None where not judged yet.
        freshness_since: when it became so.
    """

    local_key: str
    series_id: int
    key: str
    unit: str | None
    watermark: datetime | None
    loaded_at: datetime | None
    freshness: str | None
    freshness_since: datetime | None


_WATERMARKS = text("""
SELECT local_key, watermark FROM source_series
WHERE tenant_id = :tenant_id AND source_id = :source_id
""")
# In the order of the keys, so that two loads never wait for each other in a circle.
_UPSERT = text("""
INSERT INTO source_series (source_id, local_key, tenant_id, series_id, unit)
SELECT :source_id, local_key, :tenant_id, series_id, unit
FROM unnest(CAST(:keys AS text[]), CAST(:ids AS integer[]), CAST(:units AS text[]))
    AS given (local_key, series_id, unit)
ORDER BY local_key
ON CONFLICT (source_id, local_key) DO UPDATE SET series_id = excluded.series_id,
    unit = coalesce(excluded.unit, source_series.unit)
WHERE source_series.series_id <> excluded.series_id
    OR source_series.unit IS DISTINCT FROM coalesce(excluded.unit, source_series.unit)
""")
_ADVANCE = text("""
WITH given AS (
    SELECT * FROM unnest(CAST(:keys AS text[]), CAST(:marks AS timestamptz[]))
        AS given (local_key, mark)
), held AS MATERIALIZED (
    SELECT local_key, mark FROM source_series JOIN given USING (local_key)
    WHERE tenant_id = :tenant_id AND source_id = :source_id
    ORDER BY local_key FOR NO KEY UPDATE OF source_series
)
UPDATE source_series SET watermark = greatest(watermark, held.mark), loaded_at = :now
FROM held WHERE source_id = :source_id AND source_series.local_key = held.local_key
""")
_PAGE = text("""
SELECT local_key, series_id, series.key, source_series.unit, watermark, loaded_at,
    freshness, freshness_since
FROM source_series JOIN series ON series.id = series_id
WHERE source_series.tenant_id = :tenant_id AND source_id = :source_id
    AND (CAST(:after AS text) IS NULL OR local_key > :after)
    AND (CAST(:freshness AS text) IS NULL OR freshness = :freshness)
ORDER BY local_key LIMIT :limit
""")
_COUNTS = text("""
SELECT coalesce(freshness, 'unknown'), count(*) FROM source_series
WHERE tenant_id = :tenant_id AND source_id = :source_id GROUP BY 1
""")


def watermarks(
    connection: Connection, *, tenant_id: int, source_id: str
) -> dict[str, datetime | None]:
    """Return how far each series of a source has come, by the source's own key."""
    rows = connection.execute(
        _WATERMARKS, {"tenant_id": tenant_id, "source_id": source_id}
    )
    return {row.local_key: row.watermark for row in rows}


def upsert(
    connection: Connection,
    *,
    tenant_id: int,
    source_id: str,
    found: Mapping[str, Bound],
) -> None:
    """Bind keys of the source to series; watermarks stay, and a unit of None too.

    Args:
        connection: a transaction of the tenant.
        tenant_id: whose source and series they are.
        source_id: which source.
        found: by the source's own key.
    """
    if not found:
        return
    connection.execute(
        _UPSERT,
        {
            "tenant_id": tenant_id,
            "source_id": source_id,
            "keys": list(found),
            "ids": [one.series_id for one in found.values()],
            "units": [one.unit for one in found.values()],
        },
    )


def advance(
    connection: Connection,
    *,
    tenant_id: int,
    source_id: str,
    marks: Mapping[str, datetime],
    now: datetime,
) -> None:
    """Move watermarks forward, never back; a mark that lies behind only says ``now``.

    Args:
        connection: the transaction that stored the observations.
        tenant_id: whose source it is.
        source_id: which source.
        marks: by the source's own key, the start of the latest interval with a value;
            keys that were not bound are passed over.
        now: becomes ``loaded_at``.
    """
    if not marks:
        return
    connection.execute(
        _ADVANCE,
        {
            "tenant_id": tenant_id,
            "source_id": source_id,
            "keys": list(marks),
            "marks": list(marks.values()),
            "now": now,
        },
    )


def page(
    connection: Connection,
    *,
    tenant_id: int,
    source_id: str,
    freshness: str | None = None,
    after: str | None = None,
    limit: int = 200,
) -> list[SourceSeries]:
    """Return up to ``limit`` series by the source's key, after the key ``after``."""
    rows = connection.execute(
        _PAGE,
        {
            "tenant_id": tenant_id,
            "source_id": source_id,
            "freshness": freshness,
            "after": after,
            "limit": limit,
        },
    )
    return [SourceSeries(**row._mapping) for row in rows]


def freshness_counts(
    connection: Connection, *, tenant_id: int, source_id: str
) -> dict[str, int]:
    """Return how many series of a source are in each state; ``unknown`` if in none."""
    rows = connection.execute(_COUNTS, {"tenant_id": tenant_id, "source_id": source_id})
    return {row[0]: row[1] for row in rows}
