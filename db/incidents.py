"""Incidents as they are read, and the history of each; see db/incident_cases.py."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import text

from db.session import Connection


@dataclass(frozen=True)
class Incident:
    """Anomalies that belong together; ``version`` grows with each change.

    ``scope`` is what groups it, ``grouping`` the distances in seconds that do, ``tags``
    those of its series that count. ``start_at`` and ``last_seen_at`` are times of the
    series, the others of the platform.
    """

    id: str
    state: str
    reason: str | None
    severity: str
    headline: str
    dedup_key: str
    scope: str
    tags: list[str]
    kinds: list[str]
    anomalies: int
    reopened: int
    grouping: dict[str, Any]
    start_at: datetime
    last_seen_at: datetime
    opened_at: datetime
    updated_at: datetime
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    closed_at: datetime | None
    merged_into: str | None
    version: int

    @classmethod
    def of(cls, row: Mapping[Any, Any]) -> "Incident":
        """Return the incident of a row, which has columns besides."""
        return cls(**{one.name: row[one.name] for one in fields(cls)})


@dataclass(frozen=True)
class Wanted:
    """Which incidents a list shows; None means any.

    ``open`` holds for those that are not resolved; ``since`` and ``until`` are times
    of the series between which the incident was going on.
    """

    state: str | None = None
    open: bool | None = None
    severities: list[str] | None = None
    kind: str | None = None
    tag: str | None = None
    series: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Joined:
    """An anomaly that has joined an incident, with its evidence."""

    id: int
    unique_id: str
    kind: str
    severity: str
    score: float
    start_at: datetime
    end_at: datetime
    explanation: str
    evidence: dict[str, Any]
    dedup_key: str
    joined_at: datetime


@dataclass(frozen=True)
class Entry:
    """One thing that happened to an incident, or that somebody said of it."""

    id: int
    at: datetime
    kind: str
    key_id: str | None
    body: dict[str, Any]


_BY_IDS = "SELECT * FROM incidents WHERE tenant_id = :tenant_id AND id = ANY(:ids)"
_FIND = text(_BY_IDS)
_HOLD = text(f"{_BY_IDS} FOR UPDATE")
_QUIET = "state <> 'resolved' AND updated_at < :before"
_QUIET_TENANTS = text(f"""
SELECT DISTINCT tenant_id FROM incidents WHERE {_QUIET} ORDER BY tenant_id
""")  # noqa: S608 - only our own condition is spliced in
_QUIET_ONES = text(f"""
SELECT * FROM incidents WHERE tenant_id = :tenant_id AND {_QUIET}
ORDER BY id LIMIT :limit FOR UPDATE
""")  # noqa: S608 - see above
_PAGE = text("""
SELECT one.* FROM incidents AS one
WHERE one.tenant_id = :tenant_id
    AND (CAST(:state AS text) IS NULL OR one.state = :state)
    AND (CAST(:open AS boolean) IS NULL OR (one.state <> 'resolved') = :open)
    AND (CAST(:severities AS text[]) IS NULL OR one.severity = ANY(:severities))
    AND (CAST(:kind AS text) IS NULL OR :kind = ANY(one.kinds))
    AND (CAST(:tag AS text) IS NULL OR :tag = ANY(one.tags))
    AND (CAST(:series AS text) IS NULL OR EXISTS (
        SELECT FROM incident_series AS member
        JOIN series ON series.id = member.series_id
        WHERE member.incident_id = one.id AND series.key = :series))
    AND (CAST(:since AS timestamptz) IS NULL OR one.last_seen_at > :since)
    AND (CAST(:until AS timestamptz) IS NULL OR one.start_at < :until)
    AND (CAST(:before AS text) IS NULL OR one.id < :before)
ORDER BY one.id DESC LIMIT :limit
""")
_ANOMALIES = text("""
SELECT one.id, series.key AS unique_id, one.kind, severity, score, start_at, end_at,
    explanation, evidence, dedup_key, joined_at
FROM incident_anomalies AS one JOIN series ON series.id = series_id
WHERE one.tenant_id = :tenant_id AND incident_id = :id
    AND (CAST(:before AS bigint) IS NULL OR one.id < :before)
ORDER BY one.id DESC LIMIT :limit
""")
_HISTORY = text("""
SELECT id, at, kind, key_id, body FROM incident_events
WHERE tenant_id = :tenant_id AND incident_id = :id
    AND (CAST(:before AS bigint) IS NULL OR id < :before)
ORDER BY id DESC LIMIT :limit
""")


def quiet_tenants(connection: Connection, *, before: datetime) -> list[int]:
    """Return the tenants with incidents that go on without news since an instant."""
    return list(connection.scalars(_QUIET_TENANTS, {"before": before}))


def quiet(
    connection: Connection, *, tenant_id: int, before: datetime, limit: int
) -> list[Incident]:
    """Return, and keep until the commit, what goes on without news since an instant."""
    given = {"tenant_id": tenant_id, "before": before, "limit": limit}
    return [Incident.of(row._mapping) for row in connection.execute(_QUIET_ONES, given)]


def find(
    connection: Connection, *, tenant_id: int, incident_id: str, hold: bool = False
) -> Incident | None:
    """Return an incident, or None; ``hold`` keeps its row until the commit."""
    query = _HOLD if hold else _FIND
    given = {"tenant_id": tenant_id, "ids": [incident_id]}
    row = connection.execute(query, given).first()
    return None if row is None else Incident.of(row._mapping)


def by_ids(
    connection: Connection, *, tenant_id: int, ids: Sequence[str]
) -> list[Incident]:
    """Return those of some incidents that there are."""
    rows = connection.execute(_FIND, {"tenant_id": tenant_id, "ids": list(ids)})
    return [Incident.of(row._mapping) for row in rows]


def page(
    connection: Connection,
    *,
    tenant_id: int,
    wanted: Wanted,
    before: str | None,
    limit: int,
) -> list[Incident]:
    """Return up to ``limit`` incidents older than the id ``before``, newest first."""
    given = {"tenant_id": tenant_id, **vars(wanted), "before": before, "limit": limit}
    return [Incident.of(row._mapping) for row in connection.execute(_PAGE, given)]


def anomalies(
    connection: Connection,
    *,
    tenant_id: int,
    incident_id: str,
    before: int | None,
    limit: int,
) -> list[Joined]:
    """Return anomalies of an incident, the last that joined first."""
    given = {"tenant_id": tenant_id, "id": incident_id}
    rows = connection.execute(_ANOMALIES, {**given, "before": before, "limit": limit})
    return [Joined(**row._mapping) for row in rows]


def history(
    connection: Connection,
    *,
    tenant_id: int,
    incident_id: str,
    before: int | None,
    limit: int,
) -> list[Entry]:
    """Return what happened to an incident, the latest first."""
    given = {"tenant_id": tenant_id, "id": incident_id}
    rows = connection.execute(_HISTORY, {**given, "before": before, "limit": limit})
    return [Entry(**row._mapping) for row in rows]
