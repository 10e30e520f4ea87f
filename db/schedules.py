"""Schedules are rows; what became of each fire time is a row too.

Whoever fires a schedule holds its row (``hold``) until the commit, and a fire time is
the primary key of its firing, so no two beats can fire one time.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from db.ids import new_id
from db.session import Connection


class NameTaken(Exception):
    """The tenant has another schedule of this name."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a tenant decides about a schedule: ``cron`` or ``every_s``, and the jobs.

    ``cron`` is read in ``timezone``; ``jobs`` holds submissions as the API takes them.
    """

    name: str
    jobs: list[dict[str, Any]]
    cron: str | None = None
    every_s: int | None = None
    timezone: str = "UTC"
    catch_up_s: int = 3_600
    overlap: str = "queue"
    enabled: bool = True


@dataclass(frozen=True, kw_only=True)
class Schedule(Plan):
    """A row; ``fault`` says why the last fire time could not be fired."""

    id: str
    tenant_id: int
    fault: str | None
    next_fire_at: datetime
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class Due:
    """A schedule whose time has come."""

    id: str
    tenant_id: int
    name: str
    next_fire_at: datetime


@dataclass(frozen=True)
class Firing:
    """What became of a fire time: ``fired``, ``skipped`` or ``missed``."""

    fire_at: datetime
    fired_at: datetime
    outcome: str
    job_ids: list[str]


_UNIQUE_NAME = "uq_schedules_tenant_id_name"
_SHOWN = """id, tenant_id, name, jobs, cron, every_s, timezone, catch_up_s, overlap,
    enabled, fault, next_fire_at, created_at, updated_at"""
_DUE = text("""
SELECT id, tenant_id, name, next_fire_at FROM schedules
WHERE enabled AND next_fire_at <= :now AND (CAST(:id AS text) IS NULL
    OR (next_fire_at, id) > (CAST(:next_fire_at AS timestamptz), :id))
ORDER BY next_fire_at, id LIMIT 100
""")
_CREATE = text(f"""
INSERT INTO schedules ({_SHOWN})
VALUES (:id, :tenant_id, :name, CAST(:jobs AS json), :cron, :every_s, :timezone,
    :catch_up_s, :overlap, :enabled, NULL, :next_fire_at, :now, :now)
ON CONFLICT (tenant_id, name) DO NOTHING
RETURNING {_SHOWN}
""")  # noqa: S608 - only our own list of columns is spliced in
_FIND = f"SELECT {_SHOWN} FROM schedules WHERE tenant_id = :tenant_id AND id = :id"  # noqa: S608 - see above
_PAGE = text(f"""
SELECT {_SHOWN} FROM schedules
WHERE tenant_id = :tenant_id AND (CAST(:before AS text) IS NULL OR id < :before)
ORDER BY id DESC LIMIT :limit
""")  # noqa: S608 - see above
_SUBMITTING = text("""
SELECT id FROM schedules
WHERE tenant_id = :tenant_id AND CAST(jobs AS jsonb) @> CAST(:job AS jsonb)
ORDER BY id
""")
_STORE = text("""
UPDATE schedules SET name = :name, jobs = CAST(:jobs AS json), cron = :cron,
    every_s = :every_s, timezone = :timezone, catch_up_s = :catch_up_s,
    overlap = :overlap, enabled = :enabled, fault = :fault,
    next_fire_at = :next_fire_at, updated_at = :updated_at
WHERE tenant_id = :tenant_id AND id = :id
""")
_ADVANCE = text("""
UPDATE schedules SET next_fire_at = :next_fire_at, fault = :fault, enabled = :enabled
WHERE tenant_id = :tenant_id AND id = :id
""")
_FORGET_FIRINGS = text(
    "DELETE FROM schedule_firings WHERE tenant_id = :tenant_id AND schedule_id = :id"
)
_DELETE = text("DELETE FROM schedules WHERE tenant_id = :tenant_id AND id = :id")
_RECORD = text("""
INSERT INTO schedule_firings (tenant_id, schedule_id, fire_at, job_id, fired_at,
    outcome, job_ids)
VALUES (:tenant_id, :schedule_id, :fire_at, :job_id, :fired_at, :outcome, :job_ids)
ON CONFLICT (schedule_id, fire_at) DO NOTHING
""")
_FIRINGS = text("""
SELECT fire_at, fired_at, outcome, job_ids FROM schedule_firings
WHERE tenant_id = :tenant_id AND schedule_id = :id
    AND (CAST(:before AS timestamptz) IS NULL OR fire_at < :before)
ORDER BY fire_at DESC LIMIT :limit
""")
_FIRING = text("""
SELECT fire_at, fired_at, outcome, job_ids FROM schedule_firings
WHERE tenant_id = :tenant_id AND schedule_id = :id AND fire_at = :fire_at
""")
_LAST = text("""
SELECT wanted.id, last.*
FROM unnest(CAST(:ids AS text[])) AS wanted (id), LATERAL (
    SELECT fire_at, fired_at, outcome, job_ids FROM schedule_firings
    WHERE tenant_id = :tenant_id AND schedule_id = wanted.id
    ORDER BY fire_at DESC LIMIT 1) AS last
""")
_UNFINISHED = text("""
SELECT jobs.id FROM jobs
WHERE tenant_id = :tenant_id AND state IN ('queued', 'running') AND id = ANY (ARRAY(
    SELECT unnest(job_ids) FROM (
        SELECT job_ids FROM schedule_firings
        WHERE tenant_id = :tenant_id AND schedule_id = :id AND outcome = 'fired'
        ORDER BY fire_at DESC LIMIT 100) AS recent))
ORDER BY jobs.id
""")


def clock(connection: Connection) -> datetime:
    """Return the database's time, the same for every door and every beat."""
    now: datetime = connection.execute(text("SELECT now()")).scalar_one()
    return now


def due(
    connection: Connection, *, now: datetime, after: Due | None = None
) -> list[Due]:
    """Return up to 100 enabled schedules whose time has come, the longest due first.

    Args:
        connection: a system transaction: the schedules of all tenants are looked at.
        now: the time that has come.
        after: the last one of the stretch before.
    """
    begin = {"id": after and after.id, "next_fire_at": after and after.next_fire_at}
    rows = connection.execute(_DUE, {"now": now, **begin})
    return [Due(**row._mapping) for row in rows]


def create(
    connection: Connection,
    *,
    tenant_id: int,
    plan: Plan,
    next_fire_at: datetime,
    now: datetime,
) -> Schedule | None:
    """Create a schedule, or return None where its name is taken."""
    row = connection.execute(
        _CREATE,
        {
            **_written(plan),
            "id": new_id("sch"),
            "tenant_id": tenant_id,
            "next_fire_at": next_fire_at,
            "now": now,
        },
    ).first()
    return None if row is None else Schedule(**row._mapping)


def find(
    connection: Connection, *, tenant_id: int, schedule_id: str, lock: str = ""
) -> Schedule | None:
    """Return the tenant's schedule, or None; ``lock`` is for ``hold``."""
    row = connection.execute(
        text(f"{_FIND} {lock}"), {"tenant_id": tenant_id, "id": schedule_id}
    ).first()
    return None if row is None else Schedule(**row._mapping)


def hold(
    connection: Connection, *, tenant_id: int, schedule_id: str, wait: bool = True
) -> Schedule | None:
    """Return the schedule as it is now and keep it from changing until the commit.

    Args:
        connection: a transaction of the tenant.
        tenant_id: whose it is.
        schedule_id: which.
        wait: whether to wait for another who holds it, or to return None.
    """
    return find(
        connection,
        tenant_id=tenant_id,
        schedule_id=schedule_id,
        lock="FOR UPDATE" if wait else "FOR UPDATE SKIP LOCKED",
    )


def page(
    connection: Connection, *, tenant_id: int, before: str | None, limit: int
) -> list[Schedule]:
    """Return up to ``limit`` schedules older than the id ``before``, newest first."""
    rows = connection.execute(
        _PAGE, {"tenant_id": tenant_id, "before": before, "limit": limit}
    )
    return [Schedule(**row._mapping) for row in rows]


def submitting(connection: Connection, *, tenant_id: int, job_type: str) -> list[str]:
    """Return the ids of the schedules, paused or not, that submit jobs of a type."""
    job = orjson.dumps([{"type": job_type}]).decode()
    return list(connection.scalars(_SUBMITTING, {"tenant_id": tenant_id, "job": job}))


def store(connection: Connection, *, schedule: Schedule) -> None:
    """Write all that can change; the caller holds the schedule.

    Raises:
        NameTaken: another schedule has the name.
    """
    try:
        connection.execute(_STORE, _written(schedule))
    except IntegrityError as error:
        if _UNIQUE_NAME not in str(error):
            raise
        raise NameTaken(schedule.name) from error


def advance(connection: Connection, *, schedule: Schedule) -> None:
    """Write what firing changes: the next time, the fault, and whether it goes on."""
    connection.execute(
        _ADVANCE,
        {
            "tenant_id": schedule.tenant_id,
            "id": schedule.id,
            "next_fire_at": schedule.next_fire_at,
            "fault": schedule.fault,
            "enabled": schedule.enabled,
        },
    )


def delete(connection: Connection, *, tenant_id: int, schedule_id: str) -> bool:
    """Delete a schedule with its firings; return whether there was one."""
    named = {"tenant_id": tenant_id, "id": schedule_id}
    connection.execute(_FORGET_FIRINGS, named)
    return connection.execute(_DELETE, named).rowcount == 1


def record(
    connection: Connection, *, schedule: Schedule, firings: Sequence[Firing]
) -> None:
    """Keep what became of fire times; one that is kept already stays as it is."""
    if not firings:
        return
    connection.execute(
        _RECORD,
        [
            {
                **vars(firing),
                "tenant_id": schedule.tenant_id,
                "schedule_id": schedule.id,
                "job_id": next(iter(firing.job_ids), None),
            }
            for firing in firings
        ],
    )


def firings(
    connection: Connection,
    *,
    tenant_id: int,
    schedule_id: str,
    before: datetime | None,
    limit: int,
) -> list[Firing]:
    """Return up to ``limit`` firings before an instant, the latest first."""
    rows = connection.execute(
        _FIRINGS,
        {"tenant_id": tenant_id, "id": schedule_id, "before": before, "limit": limit},
    )
    return [Firing(**row._mapping) for row in rows]


def firing(
    connection: Connection, *, tenant_id: int, schedule_id: str, fire_at: datetime
) -> Firing | None:
    """Return what became of a fire time, or None."""
    row = connection.execute(
        _FIRING, {"tenant_id": tenant_id, "id": schedule_id, "fire_at": fire_at}
    ).first()
    return None if row is None else Firing(**row._mapping)


def last_firings(
    connection: Connection, *, tenant_id: int, schedule_ids: Iterable[str]
) -> dict[str, Firing]:
    """Return the latest firing of each schedule that has one."""
    rows = connection.execute(
        _LAST, {"tenant_id": tenant_id, "ids": list(schedule_ids)}
    )
    return {
        row.id: Firing(row.fire_at, row.fired_at, row.outcome, row.job_ids)
        for row in rows
    }


def unfinished(
    connection: Connection, *, tenant_id: int, schedule_id: str
) -> list[str]:
    """Return the unended jobs of the latest hundred firings that fired."""
    return list(
        connection.scalars(_UNFINISHED, {"tenant_id": tenant_id, "id": schedule_id})
    )


def _written(plan: Plan) -> dict[str, Any]:
    return {**vars(plan), "jobs": orjson.dumps(plan.jobs).decode()}
