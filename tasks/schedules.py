"""Schedules as a tenant sees them: check, create, change, pause, delete.

What happens at a fire time is in ``tasks/firing.py``. The caller opens the tenant's
transaction and says what time it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from db import schedules
from db.jobs import NewJob
from db.schedules import NameTaken, Plan, Schedule
from db.session import Connection
from tasks import chains, submit
from tasks.cron import BadRule, zone_of
from tasks.errors import FieldError, InvalidParams, NotFound, StateConflict
from tasks.firing import following, job_errors, submissions
from tasks.submission import Submission

_RULE = ("cron", "every_s", "timezone")


def create(
    connection: Connection, *, tenant_id: int, plan: Plan, now: datetime
) -> Schedule:
    """Create a schedule; its first fire time comes after ``now``.

    Raises:
        InvalidParams: the rule or a job is not valid.
        StateConflict: the name is taken.
    """
    _refuse([*_rule_errors(plan, now), *_job_errors(connection, tenant_id, plan)])
    made = schedules.create(
        connection,
        tenant_id=tenant_id,
        plan=plan,
        next_fire_at=following(plan, anchor=now, after=now),
        now=now,
    )
    if made is None:
        raise _name_taken(plan.name)
    return made


def find(connection: Connection, *, tenant_id: int, schedule_id: str) -> Schedule:
    """Return the tenant's schedule.

    Raises:
        NotFound: no such schedule in this tenant.
    """
    found = schedules.find(connection, tenant_id=tenant_id, schedule_id=schedule_id)
    if found is None:
        raise NotFound(f"no schedule {schedule_id}")
    return found


def change(
    connection: Connection,
    *,
    tenant_id: int,
    schedule_id: str,
    changes: Mapping[str, Any],
    now: datetime,
) -> Schedule:
    """Change fields of a schedule; a new rule takes the place of the old one.

    Raises:
        NotFound: no such schedule in this tenant.
        InvalidParams: the rule or a job would not be valid.
        StateConflict: the name is taken.
    """
    held = _held(connection, tenant_id, schedule_id)
    if not changes:
        return held
    other = {"cron": {"every_s": None}, "every_s": {"cron": None}}
    implied = [other[name] for name in other if name in changes]
    wanted = replace(held, **{**(implied[0] if implied else {}), **changes})
    rule_changes = any(name in changes for name in _RULE)
    _refuse(_rule_errors(wanted, now) if rule_changes else [])
    _refuse(_job_errors(connection, tenant_id, wanted) if "jobs" in changes else [])
    if rule_changes:
        coming = following(wanted, anchor=held.created_at, after=now)
        wanted = replace(wanted, next_fire_at=coming)
    if rule_changes or "jobs" in changes:
        wanted = replace(wanted, fault=None)
    wanted = replace(wanted, updated_at=now)
    try:
        schedules.store(connection, schedule=wanted)
    except NameTaken as error:
        raise _name_taken(wanted.name) from error
    return wanted


def switch(
    connection: Connection,
    *,
    tenant_id: int,
    schedule_id: str,
    enabled: bool,
    now: datetime,
) -> Schedule:
    """Pause a schedule or let it go on; fire times of the pause are not missed.

    Raises:
        NotFound: no such schedule in this tenant.
        InvalidParams: its rule cannot be followed, so it cannot go on.
    """
    held = _held(connection, tenant_id, schedule_id)
    if held.enabled == enabled:
        return held
    changed = replace(held, enabled=enabled, updated_at=now)
    if enabled:
        _refuse(_rule_errors(held, now))
        coming = following(held, anchor=held.created_at, after=now)
        changed = replace(changed, next_fire_at=coming)
    schedules.store(connection, schedule=changed)
    return changed


def remove(connection: Connection, *, tenant_id: int, schedule_id: str) -> None:
    """Delete a schedule with its firings; its jobs stay.

    Raises:
        NotFound: no such schedule in this tenant.
    """
    _held(connection, tenant_id, schedule_id)
    schedules.delete(connection, tenant_id=tenant_id, schedule_id=schedule_id)


def _held(connection: Connection, tenant_id: int, schedule_id: str) -> Schedule:
    held = schedules.hold(connection, tenant_id=tenant_id, schedule_id=schedule_id)
    if held is None:
        raise NotFound(f"no schedule {schedule_id}")
    return held


def _name_taken(name: str) -> StateConflict:
    return StateConflict(
        f"there is a schedule named {name!r}; change that one, or take another name"
    )


def _job_errors(connection: Connection, tenant_id: int, plan: Plan) -> list[FieldError]:
    wanted = submissions(plan)
    prepared = [_prepared(one) for one in wanted]
    return job_errors(chains.resolve(connection, tenant_id, wanted, prepared))


def _rule_errors(plan: Plan, now: datetime) -> list[FieldError]:
    if (plan.cron is None) == (plan.every_s is None):
        detail = "give either cron, such as 0 6 * * 1-5, or every_s, such as 900"
        return [FieldError("/cron", detail), FieldError("/every_s", detail)]
    found = []
    for check in (
        lambda: zone_of(plan.timezone),
        lambda: following(replace(plan, timezone="UTC"), anchor=now, after=now),
    ):
        try:
            check()
        except BadRule as error:
            found.append(FieldError(f"/{error.field}", error.detail))
    return found


def _refuse(errors: Sequence[FieldError]) -> None:
    if errors:
        raise InvalidParams(errors[0].detail, tuple(errors))


def _prepared(submission: Submission) -> NewJob | InvalidParams:
    try:
        return submit.prepare(submission)
    except InvalidParams as error:
        return error
