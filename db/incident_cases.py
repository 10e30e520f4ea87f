"""Incidents as a set that is loaded, changed in memory and written back.

Whoever does so holds the tenant's incidents (``hold``) until the commit, so that two
workers that store anomalies at once make one incident of what belongs together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text

from db.deliveries import ENQUEUE_LOOSE
from db.incidents import Incident
from db.session import Connection

OPENED, UPDATED, RESOLVED = "incident.opened", "incident.updated", "incident.resolved"


@dataclass(frozen=True)
class Span:
    """A series of an incident: from its first to its last anomaly, and how far seen."""

    incident_id: str
    series_id: int
    unique_id: str
    start_at: datetime
    last_seen_at: datetime
    seen_until: datetime


@dataclass(frozen=True)
class Member:
    """What an incident has to know of a series."""

    id: int
    unique_id: str
    title: str
    unit: str | None
    tags: list[str]


@dataclass(frozen=True)
class Kept:
    """An anomaly that has joined an incident."""

    id: int
    incident_id: str
    series_id: int
    kind: str
    severity: str
    score: float
    start_at: datetime
    end_at: datetime
    dedup_key: str


@dataclass(frozen=True)
class Reach:
    """Which incidents may matter to what was found between two instants.

    ``earliest`` lies before ``start`` by what the cooldown of an incident reaches.
    """

    series_ids: Sequence[int]
    tags: Sequence[str]
    earliest: datetime
    start: datetime
    end: datetime


_ALONE = text(
    "SELECT pg_advisory_xact_lock(hashtextextended('incidents', "
    "CAST(:tenant_id AS bigint)))"
)
_NEAR = text("""
SELECT one.* FROM incidents AS one
WHERE one.tenant_id = :tenant_id AND one.merged_into IS NULL
    AND (one.state <> 'resolved'
        OR (one.last_seen_at >= :earliest AND one.start_at <= :end
            AND (one.tags && CAST(:tags AS text[]) OR EXISTS (
                SELECT FROM incident_series AS member
                WHERE member.incident_id = one.id
                    AND member.series_id = ANY(:series_ids)))))
ORDER BY one.start_at, one.id
""")
_SPANS = text("""
SELECT incident_id, series_id, series.key AS unique_id, start_at, last_seen_at,
    seen_until
FROM incident_series JOIN series ON series.id = series_id
WHERE incident_series.tenant_id = :tenant_id AND incident_id = ANY(:ids)
ORDER BY incident_id, start_at, series_id
""")
_MEMBERS = text("""
SELECT id, key AS unique_id, title, unit, tags FROM series
WHERE tenant_id = :tenant_id AND id = ANY(:ids)
""")
_KEPT = text("""
SELECT id, incident_id, series_id, kind, severity, score, start_at, end_at, dedup_key
FROM incident_anomalies
WHERE tenant_id = :tenant_id AND series_id = ANY(:series_ids)
    AND start_at <= :end AND end_at >= :start
ORDER BY id
""")
_WRITE = text("""
INSERT INTO incidents (id, tenant_id, state, reason, severity, headline, dedup_key,
    scope, tags, kinds, anomalies, reopened, "grouping", start_at, last_seen_at,
    opened_at, updated_at, acknowledged_at, acknowledged_by, closed_at, merged_into,
    version)
SELECT id, :tenant_id, state, reason, severity, headline, dedup_key, scope, tags,
    kinds, anomalies, reopened, "grouping", start_at, last_seen_at, opened_at,
    updated_at, acknowledged_at, acknowledged_by, closed_at, merged_into, version
FROM jsonb_populate_recordset(CAST(NULL AS incidents), CAST(:items AS jsonb))
ON CONFLICT (id) DO UPDATE SET (state, reason, severity, headline, tags, kinds,
    anomalies, reopened, start_at, last_seen_at, updated_at, acknowledged_at,
    acknowledged_by, closed_at, merged_into, version) = (excluded.state,
    excluded.reason, excluded.severity, excluded.headline, excluded.tags,
    excluded.kinds, excluded.anomalies, excluded.reopened, excluded.start_at,
    excluded.last_seen_at, excluded.updated_at, excluded.acknowledged_at,
    excluded.acknowledged_by, excluded.closed_at, excluded.merged_into,
    excluded.version)
""")
_WRITE_SPANS = text("""
INSERT INTO incident_series (incident_id, series_id, tenant_id, start_at,
    last_seen_at, seen_until)
SELECT incident_id, series_id, :tenant_id, start_at, last_seen_at, seen_until
FROM jsonb_populate_recordset(CAST(NULL AS incident_series), CAST(:items AS jsonb))
ON CONFLICT (incident_id, series_id) DO UPDATE SET (start_at, last_seen_at,
    seen_until) = (excluded.start_at, excluded.last_seen_at, excluded.seen_until)
""")
_JOIN = text("""
INSERT INTO incident_anomalies (tenant_id, incident_id, series_id, kind, severity,
    score, start_at, end_at, explanation, evidence, dedup_key, joined_at)
SELECT :tenant_id, incident_id, series_id, kind, severity, score, start_at, end_at,
    explanation, evidence, dedup_key, :now
FROM jsonb_populate_recordset(CAST(NULL AS incident_anomalies),
    CAST(:items AS jsonb))
ON CONFLICT (tenant_id, dedup_key) DO UPDATE SET (severity, score, start_at, end_at,
    explanation, evidence) = (excluded.severity, excluded.score, excluded.start_at,
    excluded.end_at, excluded.explanation, excluded.evidence)
""")
_MOVE = text("""
WITH gone AS (
    DELETE FROM incident_series
    WHERE tenant_id = :tenant_id AND incident_id = ANY(:ids)
)
UPDATE incident_anomalies SET incident_id = :into
WHERE tenant_id = :tenant_id AND incident_id = ANY(:ids)
""")
_NOTE = text("""
INSERT INTO incident_events (tenant_id, incident_id, at, kind, key_id, body)
SELECT :tenant_id, incident_id, :now, kind, key_id, body
FROM json_populate_recordset(CAST(NULL AS incident_events), CAST(:items AS json))
RETURNING id
""")
# The events of incidents have no job: they outlive it, and people act without any.
_TELL = text(f"""
WITH event AS (
    INSERT INTO job_events (tenant_id, job_id, at, kind, body)
    SELECT :tenant_id, NULL, clock_timestamp(), told.item ->> 'kind',
        json_build_object('incident', told.item -> 'incident')
    FROM json_array_elements(CAST(:items AS json)) WITH ORDINALITY
        AS told (item, place)
    ORDER BY place RETURNING id, tenant_id, job_id, kind
), {ENQUEUE_LOOSE}
SELECT pg_notify('forebay_jobs', concat_ws(':', :tenant_id, '', max(id), 'incident'))
FROM event
""")  # noqa: S608 - only our own fragment is spliced in


def hold(connection: Connection, *, tenant_id: int) -> None:
    """Let nobody else change the tenant's incidents until the commit."""
    connection.execute(_ALONE, {"tenant_id": tenant_id})


def near(connection: Connection, *, tenant_id: int, reach: Reach) -> list[Incident]:
    """Return all open incidents, and those lately resolved that share something.

    One that is open may come near another through what neither shares with the series.
    """
    given = {
        "tenant_id": tenant_id,
        "series_ids": list(reach.series_ids),
        "tags": list(reach.tags),
        "earliest": reach.earliest,
        "end": reach.end,
    }
    return [Incident.of(row._mapping) for row in connection.execute(_NEAR, given)]


def spans(connection: Connection, *, tenant_id: int, ids: Sequence[str]) -> list[Span]:
    """Return the series of incidents, each incident's earliest first."""
    given = {"tenant_id": tenant_id, "ids": list(ids)}
    return [Span(**row._mapping) for row in connection.execute(_SPANS, given)]


def members(
    connection: Connection, *, tenant_id: int, series_ids: Sequence[int]
) -> dict[int, Member]:
    """Return what incidents have to know of series, by their number."""
    given = {"tenant_id": tenant_id, "ids": list(series_ids)}
    return {
        row.id: Member(**row._mapping) for row in connection.execute(_MEMBERS, given)
    }


def kept(connection: Connection, *, tenant_id: int, reach: Reach) -> list[Kept]:
    """Return the anomalies of any incident that touch a stretch of these series."""
    given = {
        "tenant_id": tenant_id,
        "series_ids": list(reach.series_ids),
        "start": reach.start,
        "end": reach.end,
    }
    return [Kept(**row._mapping) for row in connection.execute(_KEPT, given)]


def write(
    connection: Connection,
    *,
    tenant_id: int,
    items: Sequence[Mapping[str, Any]],
    spans: Sequence[Mapping[str, Any]],
) -> None:
    """Insert or overwrite incidents by id, and their series."""
    for query, rows in ((_WRITE, items), (_WRITE_SPANS, spans)):
        if rows:
            given = {"tenant_id": tenant_id, "items": _json(rows)}
            connection.execute(query, given)


def join(
    connection: Connection,
    *,
    tenant_id: int,
    items: Sequence[Mapping[str, Any]],
    now: datetime,
) -> None:
    """Let anomalies join incidents; one that has joined takes its new reading."""
    if items:
        given = {"tenant_id": tenant_id, "items": _json(items), "now": now}
        connection.execute(_JOIN, given)


def move(
    connection: Connection, *, tenant_id: int, ids: Sequence[str], into: str
) -> None:
    """Give the anomalies of merged incidents to the one that goes on."""
    given = {"tenant_id": tenant_id, "ids": list(ids), "into": into}
    connection.execute(_MOVE, given)


def note(
    connection: Connection,
    *,
    tenant_id: int,
    items: Sequence[Mapping[str, Any]],
    now: datetime,
) -> list[int]:
    """Add to the history: ``incident_id``, ``kind``, ``key_id`` and ``body`` each.

    Returns:
        The numbers of what was added.
    """
    if not items:
        return []
    given = {"tenant_id": tenant_id, "items": _json(items), "now": now}
    return list(connection.scalars(_NOTE, given))


def tell(
    connection: Connection,
    *,
    tenant_id: int,
    items: Sequence[Mapping[str, Any]],
) -> None:
    """Write events of the tenant, and their webhook deliveries.

    Args:
        connection: the transaction that changes the incidents.
        tenant_id: whose they are.
        items: ``kind``, and ``incident`` as the API shows it.
    """
    if items:
        connection.execute(_TELL, {"tenant_id": tenant_id, "items": _json(items)})


def _json(rows: Sequence[Mapping[str, Any]]) -> str:
    return orjson.dumps(list(rows), option=orjson.OPT_UTC_Z).decode()
