"""What a run asks of the ledger: who loads a window, what siblings met, what is due."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

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
# What the owner of a series has said stays; a source fills in what nobody said.
_DESCRIBE = text("""
UPDATE series SET unit = coalesce(series.unit, given.unit),
    frequency = coalesce(series.frequency, given.frequency),
    title = CASE WHEN series.title = series.key AND given.title <> ''
        THEN given.title ELSE series.title END,
    timezone = CASE WHEN series.timezone = 'UTC' THEN given.timezone
        ELSE series.timezone END,
    kind = given.kind, updated_at = :now
FROM unnest(CAST(:ids AS integer[]), CAST(:units AS text[]),
    CAST(:frequencies AS text[]), CAST(:titles AS text[]),
    CAST(:timezones AS text[]), CAST(:kinds AS text[]))
    AS given (id, unit, frequency, title, timezone, kind)
WHERE series.tenant_id = :tenant_id AND series.id = given.id
    AND (series.kind <> given.kind
        OR (series.unit IS NULL AND given.unit IS NOT NULL)
        OR (series.frequency IS NULL AND given.frequency IS NOT NULL)
        OR (series.title = series.key AND given.title NOT IN ('', series.key))
        OR (series.timezone = 'UTC' AND given.timezone <> 'UTC'))
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


def describe(
    connection: Connection,
    *,
    tenant_id: int,
    told: Mapping[int, Mapping[str, Any]],
    now: datetime,
) -> None:
    """Fill in what a source tells of series and their owner has not said.

    Args:
        connection: the transaction that stored the observations.
        tenant_id: whose series they are.
        told: unit, frequency, title, timezone and kind by the series' id.
        now: when.
    """
    names = {
        "units": "unit",
        "frequencies": "frequency",
        "titles": "title",
        "timezones": "timezone",
        "kinds": "kind",
    }
    given = {
        column: [one[name] for one in told.values()] for column, name in names.items()
    }
    if told:
        connection.execute(
            _DESCRIBE,
            {"tenant_id": tenant_id, "ids": list(told), "now": now, **given},
        )
