"""The schedule calls: create, read, change, pause, run now, and what was fired."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from apiflask import APIBlueprint
from flask import Response

from db import schedules as rows
from db.schedules import Firing, Plan, Schedule
from db.session import Connection
from tasks import firing, schedules
from tasks.errors import NotFound
from web.acts import Once, created, marked, note, once
from web.door import door, identity
from web.openapi import answers
from web.representation import json_response
from web.requests import next_link
from web.schemas.jobs import Page
from web.schemas.schedules import (
    ChangeSchedule,
    CreateSchedule,
    FiringList,
    FiringOut,
    FiringQuery,
    ScheduleList,
    ScheduleOut,
)

bp = APIBlueprint("schedules", __name__, url_prefix="/v1/schedules", tag="Schedules")


@bp.post("")
@bp.input(CreateSchedule, arg_name="body")
@bp.doc(responses=answers(201, "The schedule", ScheduleOut))
def create_schedule(body: CreateSchedule) -> Response:
    """Create a schedule; its first fire time is yet to come."""
    with door().database.tenant(identity().tenant_id) as connection:
        made, replayed = once(connection, lambda: _create(connection, body))
        (shown,) = _shown(connection, [_find(connection, made)])
    return created(shown, replayed=replayed)


@bp.get("")
@bp.input(Page, location="query", arg_name="query")
@bp.doc(responses=answers(200, "A page, newest first", ScheduleList))
def list_schedules(query: Page) -> Response:
    """List the tenant's schedules."""
    tenant_id = identity().tenant_id
    with door().database.tenant(tenant_id) as connection:
        found = rows.page(
            connection, tenant_id=tenant_id, before=query.cursor, limit=query.limit + 1
        )
        items = _shown(connection, found[: query.limit])
    cursor = items[-1]["id"] if len(found) > query.limit else None
    return next_link(json_response({"items": items, "next_cursor": cursor}), cursor)


@bp.get("/<schedule_id>")
@bp.doc(responses=answers(200, "The schedule", ScheduleOut))
def get_schedule(schedule_id: str) -> Response:
    """Show a schedule with its next fire times and its last firing."""
    with door().database.tenant(identity().tenant_id) as connection:
        (shown,) = _shown(connection, [_find(connection, schedule_id)])
    return json_response(shown)


@bp.patch("/<schedule_id>")
@bp.input(ChangeSchedule, arg_name="body")
@bp.doc(responses=answers(200, "The schedule", ScheduleOut))
def change_schedule(schedule_id: str, body: ChangeSchedule) -> Response:
    """Change the given fields; a new rule counts from now on."""
    tenant_id = identity().tenant_id
    changes = {
        name: value for name, value in _fields(body).items() if value is not None
    }
    with door().database.tenant(tenant_id) as connection:
        changed = schedules.change(
            connection,
            tenant_id=tenant_id,
            schedule_id=schedule_id,
            changes=changes,
            now=rows.clock(connection),
        )
        if changes:
            told = {"fields": sorted(changes)}
            note(connection, "schedule.change", schedule_id, told)
        (shown,) = _shown(connection, [changed])
    return json_response(shown)


@bp.delete("/<schedule_id>")
@bp.doc(responses={204: "It is gone, with its firings; its jobs stay"})
def delete_schedule(schedule_id: str) -> Response:
    """Delete a schedule; the jobs that it submitted stay."""
    tenant_id = identity().tenant_id
    with door().database.tenant(tenant_id) as connection:
        schedules.remove(connection, tenant_id=tenant_id, schedule_id=schedule_id)
        note(connection, "schedule.delete", schedule_id)
    return Response(status=204)


@bp.post("/<schedule_id>/pause")
@bp.doc(responses=answers(200, "The schedule", ScheduleOut))
def pause_schedule(schedule_id: str) -> Response:
    """Pause: nothing fires until it is resumed, and nothing counts as missed."""
    return _switch(schedule_id, "schedule.pause", enabled=False)


@bp.post("/<schedule_id>/resume")
@bp.doc(responses=answers(200, "The schedule", ScheduleOut))
def resume_schedule(schedule_id: str) -> Response:
    """Let a paused schedule go on with the next fire time from now."""
    return _switch(schedule_id, "schedule.resume", enabled=True)


@bp.post("/<schedule_id>/run")
@bp.doc(responses=answers(202, "The firing", FiringOut))
def run_schedule(schedule_id: str) -> Response:
    """Submit the jobs at once; the next fire time stays as it is."""
    tenant_id, call = identity().tenant_id, Once.of(None)
    with door().database.tenant(tenant_id) as connection:
        known = call.recall(connection)
        if known is None:
            made = firing.run_now(
                connection,
                tenant_id=tenant_id,
                schedule_id=schedule_id,
                now=rows.clock(connection),
            )
            call.remember(connection, made.fire_at.isoformat())
            note(connection, "schedule.run", schedule_id, {"job_ids": made.job_ids})
        else:
            made = _find_firing(connection, schedule_id, datetime.fromisoformat(known))
    return marked(json_response(vars(made), 202), replayed=known is not None)


@bp.get("/<schedule_id>/firings")
@bp.input(FiringQuery, location="query", arg_name="query")
@bp.doc(responses=answers(200, "A page, the latest first", FiringList))
def list_firings(schedule_id: str, query: FiringQuery) -> Response:
    """List what became of the fire times: fired, skipped or missed."""
    tenant_id = identity().tenant_id
    with door().database.tenant(tenant_id) as connection:
        _find(connection, schedule_id)
        found = rows.firings(
            connection,
            tenant_id=tenant_id,
            schedule_id=schedule_id,
            before=query.cursor,
            limit=query.limit + 1,
        )
    items = [vars(one) for one in found[: query.limit]]
    more = len(found) > query.limit
    cursor = _utc(found[query.limit - 1].fire_at) if more else None
    return next_link(json_response({"items": items, "next_cursor": cursor}), cursor)


def _switch(schedule_id: str, action: str, *, enabled: bool) -> Response:
    tenant_id = identity().tenant_id
    with door().database.tenant(tenant_id) as connection:
        changed = schedules.switch(
            connection,
            tenant_id=tenant_id,
            schedule_id=schedule_id,
            enabled=enabled,
            now=rows.clock(connection),
        )
        note(connection, action, schedule_id)
        (shown,) = _shown(connection, [changed])
    return json_response(shown)


def _fields(body: CreateSchedule | ChangeSchedule) -> dict[str, Any]:
    """Return the body as it goes into the table: of a job only what was said."""
    given = {name: getattr(body, name) for name in type(body).model_fields}
    if body.jobs is not None:
        given["jobs"] = [
            job.model_dump(mode="json", exclude_unset=True, exclude_none=True)
            for job in body.jobs
        ]
    return given


def _find(connection: Connection, schedule_id: str) -> Schedule:
    return schedules.find(
        connection, tenant_id=identity().tenant_id, schedule_id=schedule_id
    )


def _find_firing(connection: Connection, schedule_id: str, fire_at: datetime) -> Firing:
    found = rows.firing(
        connection,
        tenant_id=identity().tenant_id,
        schedule_id=schedule_id,
        fire_at=fire_at,
    )
    if found is None:
        raise NotFound(f"no schedule {schedule_id}")
    return found


def _create(connection: Connection, body: CreateSchedule) -> str:
    made = schedules.create(
        connection,
        tenant_id=identity().tenant_id,
        plan=Plan(**_fields(body)),
        now=rows.clock(connection),
    )
    note(connection, "schedule.create", made.id, {"name": made.name})
    return made.id


def _utc(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _shown(connection: Connection, found: Sequence[Schedule]) -> list[dict[str, Any]]:
    now = rows.clock(connection)
    last = rows.last_firings(
        connection,
        tenant_id=identity().tenant_id,
        schedule_ids=[one.id for one in found],
    )
    return [_schedule_json(one, last.get(one.id), now) for one in found]


def _schedule_json(
    schedule: Schedule, last: Firing | None, now: datetime
) -> dict[str, Any]:
    base = f"/v1/schedules/{schedule.id}"
    coming = firing.next_fires(schedule, now=now)
    return {
        "id": schedule.id,
        "name": schedule.name,
        "cron": schedule.cron,
        "every_s": schedule.every_s,
        "timezone": schedule.timezone,
        "jobs": schedule.jobs,
        "enabled": schedule.enabled,
        "catch_up_s": schedule.catch_up_s,
        "overlap": schedule.overlap,
        "fault": schedule.fault,
        "next_fire_at": schedule.next_fire_at,
        "next_fires": [
            {"at": at, "local": firing.local(schedule, at)} for at in coming
        ],
        "last_firing": None if last is None else vars(last),
        "created_at": schedule.created_at,
        "updated_at": schedule.updated_at,
        "links": {
            "self": base,
            **{
                name: f"{base}/{name}" for name in ("firings", "pause", "resume", "run")
            },
        },
    }
