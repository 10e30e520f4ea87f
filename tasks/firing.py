"""What the beat does at a fire time: fire, skip, or note that it was missed.

The caller opens the tenant's transaction and says what time it is.
"""

from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import datetime, timedelta

from db import jobs, schedules
from db.jobs import NewJob
from db.schedules import Firing, Plan, Schedule
from db.session import Connection
from tasks import submit
from tasks.cron import BadRule, next_beat, next_fire, zone_of
from tasks.errors import (
    FieldError,
    InvalidParams,
    NotFound,
    QuotaExceeded,
    StateConflict,
)
from tasks.submission import Submission

REFUSALS = (BadRule, InvalidParams, NotFound, QuotaExceeded, StateConflict)
"""Why a fire time cannot be fired; noted as the schedule's fault."""

MOST_MISSED = 100
_LONGEST_FAULT = 500
_FIRST_LOOK = timedelta(hours=2)
_MICROSECOND = timedelta(microseconds=1)
_KNOWN = {field.name for field in fields(Submission)}


def run_now(
    connection: Connection, *, tenant_id: int, schedule_id: str, now: datetime
) -> Firing:
    """Submit the jobs at once, whatever the rule and the overlap policy say.

    Raises:
        NotFound: no such schedule in this tenant.
        InvalidParams: a job is no longer valid.
    """
    held = schedules.hold(connection, tenant_id=tenant_id, schedule_id=schedule_id)
    if held is None:
        raise NotFound(f"no schedule {schedule_id}")
    fire_at = now
    while _known(connection, held, fire_at):
        fire_at += _MICROSECOND
    firing = Firing(fire_at, now, "fired", _submit_all(connection, held))
    schedules.record(connection, schedule=held, firings=[firing])
    schedules.advance(connection, schedule=replace(held, fault=None))
    return firing


def fire(
    connection: Connection, *, tenant_id: int, schedule_id: str, now: datetime
) -> Firing | None:
    """Fire the latest fire time that has come; older ones are recorded as missed.

    Returns:
        What became of that fire time, or None where nothing is fired: it lies further
        back than the schedule catches up, another beat was first, or the schedule was
        paused or deleted meanwhile.

    Raises:
        BadRule: the rule can no longer be followed.
        InvalidParams: a job is no longer valid.
    """
    held = schedules.hold(
        connection, tenant_id=tenant_id, schedule_id=schedule_id, wait=False
    )
    if held is None or not _is_due(held, now):
        return None
    *missed, latest = _come(held, now)
    firing = None
    if now - latest > timedelta(seconds=held.catch_up_s):
        missed.append(latest)
    elif _known(connection, held, latest) is None:
        firing = _fire(connection, held, latest, now)
        schedules.record(connection, schedule=held, firings=[firing])
    _record_missed(connection, held, missed, now)
    fired = firing is not None and firing.outcome == "fired"
    changed = replace(
        held,
        next_fire_at=following(held, anchor=held.created_at, after=now),
        fault=None if fired else held.fault,
    )
    schedules.advance(connection, schedule=changed)
    return firing


def give_up(
    connection: Connection,
    *,
    tenant_id: int,
    schedule_id: str,
    refusal: Exception,
    now: datetime,
) -> None:
    """Note why a schedule could not fire, and go on to its next fire time.

    A schedule whose rule cannot be followed has no next time: it is paused.
    """
    held = schedules.hold(connection, tenant_id=tenant_id, schedule_id=schedule_id)
    if held is None or not _is_due(held, now):
        return
    faulty = replace(held, fault=_told(refusal))
    try:
        missed = _come(held, now)
        coming = following(held, anchor=held.created_at, after=now)
        faulty = replace(faulty, next_fire_at=coming)
    except BadRule:
        missed = [held.next_fire_at]
        faulty = replace(faulty, enabled=False)
    _record_missed(connection, held, missed, now)
    schedules.advance(connection, schedule=faulty)


def next_fires(schedule: Schedule, *, now: datetime, count: int = 5) -> list[datetime]:
    """Return the next fire times after ``now``; a paused schedule has none."""
    found: list[datetime] = []
    try:
        while schedule.enabled and len(found) < count:
            after = found[-1] if found else now
            found.append(following(schedule, anchor=schedule.created_at, after=after))
    except BadRule:
        return []
    return found


def local(schedule: Schedule, instant: datetime) -> str:
    """Return what the clock of the schedule's zone shows at an instant."""
    return instant.astimezone(zone_of(schedule.timezone)).isoformat()


def following(plan: Plan, *, anchor: datetime, after: datetime) -> datetime:
    """Return the first fire time after an instant.

    Args:
        plan: the rule.
        anchor: the instant from which an interval is counted.
        after: what comes back is later.

    Raises:
        BadRule: the rule cannot be followed.
    """
    if plan.every_s is not None:
        return next_beat(anchor, every_s=plan.every_s, after=after)
    return next_fire(plan.cron or "", timezone=plan.timezone, after=after)


def submissions(plan: Plan) -> list[Submission]:
    """Return what a schedule submits; each job carries the schedule's name as a label.

    Raises:
        InvalidParams: a job has a field that no submission has.
    """
    unknown = [
        FieldError(f"/jobs/{number}/{name}", "a schedule cannot set this field")
        for number, job in enumerate(plan.jobs)
        for name in job
        if name not in _KNOWN
    ]
    if unknown:
        raise InvalidParams(unknown[0].detail, tuple(unknown))
    return [
        Submission(
            **{**job, "labels": {**job.get("labels", {}), "schedule": plan.name}}
        )
        for job in plan.jobs
    ]


def job_errors(
    outcomes: Sequence[Submission | NewJob | InvalidParams],
) -> list[FieldError]:
    """Return what is wrong with a schedule's jobs, as pointers into the schedule."""
    return [
        FieldError(f"/jobs/{number}{one.pointer}", one.detail)
        for number, outcome in enumerate(outcomes)
        if isinstance(outcome, InvalidParams)
        for one in outcome.errors
    ]


def _is_due(schedule: Schedule, now: datetime) -> bool:
    return schedule.enabled and schedule.next_fire_at <= now


def _come(schedule: Schedule, now: datetime) -> list[datetime]:
    """Return the fire times that have come, in order; of many the latest ones only.

    Looking back in growing steps keeps the return after a long absence cheap.
    """
    look = _FIRST_LOOK
    while True:
        begin = max(schedule.next_fire_at, now - look)
        all_of_them = begin == schedule.next_fire_at
        found = [begin] if all_of_them else []
        at = following(schedule, anchor=schedule.created_at, after=begin)
        while at <= now:
            found.append(at)
            at = following(schedule, anchor=schedule.created_at, after=at)
        if all_of_them or len(found) > MOST_MISSED:
            return found
        look *= 4


def _fire(
    connection: Connection, schedule: Schedule, fire_at: datetime, now: datetime
) -> Firing:
    if schedule.overlap != "queue":
        unfinished = schedules.unfinished(
            connection, tenant_id=schedule.tenant_id, schedule_id=schedule.id
        )
        if unfinished and schedule.overlap == "skip":
            return Firing(fire_at, now, "skipped", [])
        for job_id in unfinished:
            jobs.cancel(connection, tenant_id=schedule.tenant_id, job_id=job_id)
    return Firing(fire_at, now, "fired", _submit_all(connection, schedule))


def _known(
    connection: Connection, schedule: Schedule, fire_at: datetime
) -> Firing | None:
    return schedules.firing(
        connection,
        tenant_id=schedule.tenant_id,
        schedule_id=schedule.id,
        fire_at=fire_at,
    )


def _record_missed(
    connection: Connection,
    schedule: Schedule,
    missed: Sequence[datetime],
    now: datetime,
) -> None:
    firings = [Firing(at, now, "missed", []) for at in missed[-MOST_MISSED:]]
    schedules.record(connection, schedule=schedule, firings=firings)


def _submit_all(connection: Connection, schedule: Schedule) -> list[str]:
    """Submit the schedule's jobs; return their ids in order.

    Some are stored already when another is refused: then nothing may be committed.
    """
    outcomes = submit.submit_many(
        connection, tenant_id=schedule.tenant_id, submissions=submissions(schedule)
    )
    if errors := job_errors(outcomes):
        raise InvalidParams(errors[0].detail, tuple(errors))
    return [one.id for one in outcomes if isinstance(one, NewJob)]


def _told(refusal: Exception) -> str:
    places = [f"{one.pointer}: {one.detail}" for one in getattr(refusal, "errors", ())]
    return "; ".join([str(refusal), *places])[:_LONGEST_FAULT]
