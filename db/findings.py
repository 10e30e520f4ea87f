"""Findings of drift: at most one open for each series and kind, and who is told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text

from db.deliveries import ENQUEUE
from db.session import Connection

OPENED, CLOSED = "drift.opened", "drift.closed"


@dataclass(frozen=True)
class Finding:
    """Drift of a series; ``detail`` has the numbers of the latest look at it."""

    id: str
    series_id: int
    unique_id: str
    kind: str
    forecaster: str | None
    detail: dict[str, Any]
    opened_by: str
    opened_at: datetime
    updated_at: datetime
    closed_at: datetime | None
    retrain_job_id: str | None


@dataclass(frozen=True)
class Wanted:
    """Which findings a list shows; None means any."""

    open: bool | None = None
    series: str | None = None
    kind: str | None = None


_FINDING = """
SELECT finding.id, finding.series_id, series.key AS unique_id, finding.kind,
    finding.forecaster, finding.detail, finding.opened_by, finding.opened_at,
    finding.updated_at, finding.closed_at, finding.retrain_job_id
FROM drift_findings AS finding JOIN series ON series.id = finding.series_id
WHERE finding.tenant_id = :tenant_id"""
_ALONE = text(
    "SELECT pg_advisory_xact_lock(hashtextextended('drift', "
    "CAST(:tenant_id AS bigint)))"
)
_OPEN = text(f"""{_FINDING} AND finding.closed_at IS NULL
    AND finding.series_id = ANY(:ids)
ORDER BY finding.id
""")
_BY_ID = text(f"{_FINDING} AND finding.id = ANY(:ids) ORDER BY finding.id")
_PAGE = text(f"""{_FINDING}
    AND (CAST(:open AS boolean) IS NULL OR (finding.closed_at IS NULL) = :open)
    AND (CAST(:series AS text) IS NULL OR series.key = :series)
    AND (CAST(:kind AS text) IS NULL OR finding.kind = :kind)
    AND (CAST(:before AS text) IS NULL OR finding.id < :before)
ORDER BY finding.id DESC LIMIT :limit
""")
_INSERT = text("""
INSERT INTO drift_findings (id, tenant_id, series_id, kind, forecaster, detail,
    opened_by, opened_at, updated_at)
SELECT id, :tenant_id, series_id, kind, forecaster, detail, :job_id, :now, :now
FROM jsonb_to_recordset(CAST(:items AS jsonb)) AS item (id text, series_id integer,
    kind text, forecaster text, detail jsonb)
""")
_UPDATE = text("""
UPDATE drift_findings AS finding SET detail = item.detail,
    forecaster = item.forecaster, updated_at = :now
FROM jsonb_to_recordset(CAST(:items AS jsonb)) AS item (id text, forecaster text,
    detail jsonb)
WHERE finding.id = item.id AND finding.tenant_id = :tenant_id
    AND (finding.detail, finding.forecaster)
        IS DISTINCT FROM (item.detail, item.forecaster)
""")
_CLOSE = text("""
UPDATE drift_findings SET closed_at = :now
WHERE tenant_id = :tenant_id AND id = ANY(:ids) AND closed_at IS NULL
""")
_RETRAIN = text("""
UPDATE drift_findings SET retrain_job_id = :job_id
WHERE tenant_id = :tenant_id AND id = ANY(:ids)
""")
# One notification wakes whoever streams the job's events, or the tenant's.
_TELL = text(f"""
WITH event AS (
    INSERT INTO job_events (tenant_id, job_id, at, kind, body)
    SELECT :tenant_id, :job_id, clock_timestamp(), :kind,
        json_build_object('finding', finding)
    FROM json_array_elements(CAST(:findings AS json)) WITH ORDINALITY
        AS told (finding, place)
    ORDER BY place RETURNING id, tenant_id, job_id, kind
), moved AS (SELECT id, parent_id FROM jobs WHERE id = :job_id
), {ENQUEUE}, woken AS (
    SELECT pg_notify('forebay_jobs', concat_ws(':', :tenant_id, :job_id, max(id),
        CAST(:kind AS text))) FROM event
)
SELECT count(*) FROM woken
""")  # noqa: S608 - only our own fragment is spliced in


def hold(connection: Connection, *, tenant_id: int) -> None:
    """Let nobody else decide about the tenant's drift until the commit."""
    connection.execute(_ALONE, {"tenant_id": tenant_id})


def open_ones(
    connection: Connection, *, tenant_id: int, series_ids: Sequence[int]
) -> list[Finding]:
    """Return the open findings of these series, the oldest first."""
    given = {"tenant_id": tenant_id, "ids": list(series_ids)}
    return [Finding(**row._mapping) for row in connection.execute(_OPEN, given)]


def by_id(
    connection: Connection, *, tenant_id: int, ids: Sequence[str]
) -> list[Finding]:
    """Return the findings with these ids, the oldest first."""
    given = {"tenant_id": tenant_id, "ids": list(ids)}
    return [Finding(**row._mapping) for row in connection.execute(_BY_ID, given)]


def page(
    connection: Connection,
    *,
    tenant_id: int,
    wanted: Wanted,
    before: str | None,
    limit: int,
) -> list[Finding]:
    """Return up to ``limit`` findings older than the id ``before``, newest first."""
    given = {"tenant_id": tenant_id, **vars(wanted), "before": before, "limit": limit}
    return [Finding(**row._mapping) for row in connection.execute(_PAGE, given)]


def add(
    connection: Connection,
    *,
    tenant_id: int,
    job_id: str,
    items: Sequence[Mapping[str, Any]],
    now: datetime,
) -> None:
    """Open findings: ``id``, ``series_id``, ``kind``, ``forecaster``, ``detail``."""
    given = {"tenant_id": tenant_id, "job_id": job_id, "now": now}
    connection.execute(_INSERT, {**given, "items": orjson.dumps(list(items)).decode()})


def update(
    connection: Connection,
    *,
    tenant_id: int,
    items: Sequence[Mapping[str, Any]],
    now: datetime,
) -> int:
    """Write ``forecaster`` and ``detail`` by ``id``; return how many are new."""
    given = {"tenant_id": tenant_id, "now": now}
    told = {**given, "items": orjson.dumps(list(items)).decode()}
    return connection.execute(_UPDATE, told).rowcount


def close(
    connection: Connection, *, tenant_id: int, ids: Sequence[str], now: datetime
) -> None:
    """End findings; those that have ended stay as they are."""
    given = {"tenant_id": tenant_id, "ids": list(ids), "now": now}
    connection.execute(_CLOSE, given)


def note_retrain(
    connection: Connection, *, tenant_id: int, ids: Sequence[str], job_id: str
) -> None:
    """Keep which job was submitted for findings."""
    given = {"tenant_id": tenant_id, "ids": list(ids), "job_id": job_id}
    connection.execute(_RETRAIN, given)


def tell(
    connection: Connection,
    *,
    tenant_id: int,
    job_id: str,
    kind: str,
    told: Sequence[Mapping[str, Any]],
) -> None:
    """Write an event of the job for each finding, and its webhook deliveries.

    Args:
        connection: the transaction that opens or closes them.
        tenant_id: whose they are.
        job_id: the job that found out; a whole job, not a part.
        kind: ``OPENED`` or ``CLOSED``.
        told: what an event and a webhook's body say of each.
    """
    given = {"tenant_id": tenant_id, "job_id": job_id, "kind": kind}
    findings = orjson.dumps(list(told), option=orjson.OPT_UTC_Z).decode()
    connection.execute(_TELL, {**given, "findings": findings})
