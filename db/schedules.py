"""Schedules are rows; a fire time of a schedule becomes one job, whoever fires it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text

from db.ids import new_id
from db.session import Connection


@dataclass(frozen=True)
class Schedule:
    """When to submit which job; ``cron`` is read in the schedule's time zone."""

    id: str
    tenant_id: int
    name: str
    cron: str
    timezone: str
    job_type: str
    params: dict[str, Any]
    next_fire_at: datetime


_DUE = text("""
SELECT id, tenant_id, name, cron, timezone, job_type, params, next_fire_at
FROM schedules WHERE enabled AND next_fire_at <= :now
ORDER BY next_fire_at LIMIT 100
""")
_FIRED = text("""
INSERT INTO schedule_firings (tenant_id, schedule_id, fire_at, job_id, fired_at)
VALUES (:tenant_id, :schedule_id, :fire_at, :job_id, now())
""")
_IS_FIRED = text("""
SELECT 1 FROM schedule_firings WHERE schedule_id = :schedule_id AND fire_at = :fire_at
""")
_LOCK = text("SELECT 1 FROM schedules WHERE id = :id FOR UPDATE")
_ADVANCE = text("""
UPDATE schedules SET next_fire_at = greatest(next_fire_at, :next_fire_at)
WHERE id = :id
""")
_PUT = text("""
INSERT INTO schedules (id, tenant_id, name, cron, timezone, job_type, params, enabled,
    next_fire_at, created_at)
VALUES (:id, :tenant_id, :name, :cron, :timezone, :job_type, CAST(:params AS json),
    true, :next_fire_at, now())
ON CONFLICT (tenant_id, name) DO NOTHING
""")


def due(connection: Connection, *, now: datetime) -> list[Schedule]:
    """Return the enabled schedules whose time has come, the longest waiting first."""
    rows = connection.execute(_DUE, {"now": now})
    return [Schedule(**row._mapping) for row in rows]


def begin_firing(connection: Connection, *, schedule: Schedule) -> bool:
    """Hold the schedule; return whether its fire time has not been fired yet."""
    connection.execute(_LOCK, {"id": schedule.id})
    fired = connection.scalar(
        _IS_FIRED,
        {"schedule_id": schedule.id, "fire_at": schedule.next_fire_at},
    )
    return fired is None


def record_firing(
    connection: Connection,
    *,
    schedule: Schedule,
    job_id: str,
    next_fire_at: datetime,
) -> None:
    """Bind the fire time to its job and move on to the next one."""
    connection.execute(
        _FIRED,
        {
            "tenant_id": schedule.tenant_id,
            "schedule_id": schedule.id,
            "fire_at": schedule.next_fire_at,
            "job_id": job_id,
        },
    )
    connection.execute(_ADVANCE, {"id": schedule.id, "next_fire_at": next_fire_at})


def put(
    connection: Connection,
    *,
    tenant_id: int,
    name: str,
    rule: tuple[str, str],
    job: tuple[str, dict[str, Any]],
    next_fire_at: datetime,
) -> None:
    """Create a schedule of this name unless there is one; ``rule`` is (cron, zone)."""
    connection.execute(
        _PUT,
        {
            "id": new_id("sch"),
            "tenant_id": tenant_id,
            "name": name,
            "cron": rule[0],
            "timezone": rule[1],
            "job_type": job[0],
            "params": orjson.dumps(job[1]).decode(),
            "next_fire_at": next_fire_at,
        },
    )
