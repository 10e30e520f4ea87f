"""Rows of schedules and of what became of their fire times."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy.exc import IntegrityError

from db import schedules
from db.schedules import Due, Firing, NameTaken, Plan, Schedule
from tests.db import rows

pytestmark = pytest.mark.servers

ECHO = [{"type": "system.echo", "params": {"payload": {}}}]
HOUR = timedelta(hours=1)


def _create(
    database, tenant_id, name="nightly", next_fire_at=rows.AT, **plan
) -> Schedule | None:
    wanted = {"cron": "0 6 * * *", "timezone": "Europe/Berlin", "jobs": ECHO, **plan}
    with database.tenant(tenant_id) as connection:
        return schedules.create(
            connection,
            tenant_id=tenant_id,
            plan=Plan(name=name, **wanted),
            next_fire_at=next_fire_at,
            now=rows.AT,
        )


def _due(database, now=rows.AT, after=None) -> list[Due]:
    with database.system() as connection:
        return schedules.due(connection, now=now, after=after)


def _find(database, schedule) -> Schedule | None:
    with database.tenant(schedule.tenant_id) as connection:
        return schedules.find(
            connection, tenant_id=schedule.tenant_id, schedule_id=schedule.id
        )


def _record(database, schedule, *firings) -> None:
    with database.tenant(schedule.tenant_id) as connection:
        schedules.record(connection, schedule=schedule, firings=firings)


def _firings(database, schedule, before=None, limit=10) -> list[Firing]:
    with database.tenant(schedule.tenant_id) as connection:
        return schedules.firings(
            connection,
            tenant_id=schedule.tenant_id,
            schedule_id=schedule.id,
            before=before,
            limit=limit,
        )


def test_a_schedule_keeps_its_plan(database, tenant_id):
    made = _create(database, tenant_id, overlap="skip", catch_up_s=60)
    assert made.id.startswith("sch_")
    assert (made.cron, made.every_s, made.timezone) == (
        "0 6 * * *",
        None,
        "Europe/Berlin",
    )
    assert (made.jobs, made.overlap, made.catch_up_s) == (ECHO, "skip", 60)
    assert (made.enabled, made.fault, made.created_at) == (True, None, rows.AT)
    assert _find(database, made) == made


def test_a_schedule_is_due_from_its_time_on(database, tenant_id):
    made = _create(database, tenant_id)
    assert _due(database, rows.AT - timedelta(microseconds=1)) == []
    assert _due(database) == [Due(made.id, tenant_id, "nightly", rows.AT)]


def test_the_schedules_of_all_tenants_are_due_the_longest_waiting_first(
    database, tenant_id, other_tenant_id
):
    _create(database, tenant_id)
    _create(database, other_tenant_id, next_fire_at=rows.AT - HOUR)
    first, second = _due(database)
    assert [first.tenant_id, second.tenant_id] == [other_tenant_id, tenant_id]
    assert _due(database, after=first) == [second]
    assert _due(database, after=second) == []


def test_a_disabled_schedule_is_never_due(database, tenant_id):
    _create(database, tenant_id, enabled=False)
    assert _due(database) == []


def test_a_name_that_is_taken_makes_no_second_schedule(
    database, tenant_id, other_tenant_id
):
    first = _create(database, tenant_id)
    assert _create(database, tenant_id, cron="* * * * *") is None
    assert _find(database, first).cron == "0 6 * * *"
    assert _create(database, other_tenant_id) is not None


def test_a_rule_is_either_cron_or_an_interval(database, tenant_id):
    with pytest.raises(IntegrityError, match="ck_schedules_rule"):
        _create(database, tenant_id, every_s=60)
    made = _create(database, tenant_id, cron=None, every_s=60)
    assert (made.cron, made.every_s) == (None, 60)


def test_what_changes_is_stored_and_nothing_else(database, tenant_id):
    made = _create(database, tenant_id)
    later = rows.AT + HOUR
    changed = replace(
        made,
        name="hourly",
        cron=None,
        every_s=3_600,
        timezone="UTC",
        jobs=[{"type": "x"}],
        catch_up_s=10,
        overlap="cancel",
        enabled=False,
        fault="a fault",
        next_fire_at=later,
        updated_at=later,
    )
    with database.tenant(tenant_id) as connection:
        schedules.store(connection, schedule=changed)
    assert _find(database, made) == changed


def test_a_schedule_cannot_take_the_name_of_another(database, tenant_id):
    _create(database, tenant_id)
    other = _create(database, tenant_id, name="other")
    with pytest.raises(NameTaken), database.tenant(tenant_id) as connection:
        schedules.store(connection, schedule=replace(other, name="nightly"))
    with pytest.raises(IntegrityError), database.tenant(tenant_id) as connection:
        schedules.store(connection, schedule=replace(other, overlap="no such"))


def test_advancing_leaves_the_plan_alone(database, tenant_id):
    made = _create(database, tenant_id)
    moved = replace(made, next_fire_at=rows.AT + HOUR, fault="why", enabled=False)
    with database.tenant(tenant_id) as connection:
        schedules.advance(connection, schedule=replace(moved, name="ignored"))
    assert _find(database, made) == moved


def test_a_schedule_that_another_holds_is_left_to_it(database, tenant_id):
    made = _create(database, tenant_id)
    named = {"tenant_id": tenant_id, "schedule_id": made.id, "wait": False}
    with database.tenant(tenant_id) as one:
        assert schedules.hold(one, **named) == made
        with database.tenant(tenant_id) as other:
            assert schedules.hold(other, **named) is None
    with database.tenant(tenant_id) as other:
        assert schedules.hold(other, **named) == made


def test_one_fire_time_is_kept_once(database, tenant_id):
    made = _create(database, tenant_id)
    job_ids = [rows.queued(database, tenant_id) for _ in range(2)]
    first = Firing(rows.AT, rows.AT, "fired", job_ids)
    _record(database, made, first)
    _record(database, made, Firing(rows.AT, rows.AT, "missed", []))
    assert _firings(database, made) == [first]
    assert rows.value(database, "SELECT job_id FROM schedule_firings") == job_ids[0]
    _record(database, made)


def test_firings_come_in_pages_the_latest_first(database, tenant_id):
    made = _create(database, tenant_id)
    times = [rows.AT + number * HOUR for number in range(5)]
    _record(database, made, *[Firing(at, rows.AT, "missed", []) for at in times])
    newest = _firings(database, made, limit=2)
    assert [one.fire_at for one in newest] == [times[4], times[3]]
    rest = _firings(database, made, before=times[3])
    assert [one.fire_at for one in rest] == times[2::-1]
    with database.tenant(tenant_id) as connection:
        found = schedules.last_firings(
            connection, tenant_id=tenant_id, schedule_ids=[made.id, "sch_no"]
        )
    assert found == {made.id: newest[0]}


def _unfinished(database, made) -> list[str]:
    with database.tenant(made.tenant_id) as connection:
        return schedules.unfinished(
            connection, tenant_id=made.tenant_id, schedule_id=made.id
        )


def test_the_jobs_that_have_not_ended_are_those_of_any_firing(database, tenant_id):
    made = _create(database, tenant_id)
    old, queued, running, ended = (rows.queued(database, tenant_id) for _ in range(4))
    for job_id in (running, ended):
        rows.claim(database, job_id)
    rows.finish(database, ended)
    at = [rows.AT + number * HOUR for number in range(4)]
    _record(
        database,
        made,
        Firing(at[0], at[0], "fired", [old]),
        Firing(at[1], at[1], "fired", [running, queued]),
        Firing(at[2], at[2], "fired", [ended]),
        Firing(at[3], at[3], "skipped", []),
    )
    assert _unfinished(database, made) == sorted([old, queued, running])


def test_only_the_latest_hundred_firings_are_looked_at(database, tenant_id):
    made = _create(database, tenant_id)
    oldest, older = (rows.queued(database, tenant_id) for _ in range(2))
    at = [rows.AT + number * HOUR for number in range(101)]
    _record(
        database,
        made,
        Firing(at[0], at[0], "fired", [oldest]),
        Firing(at[1], at[1], "fired", [older]),
        *(Firing(one, one, "fired", []) for one in at[2:]),
    )
    assert _unfinished(database, made) == [older]


def test_a_deleted_schedule_takes_its_firings_along_and_leaves_its_jobs(
    database, tenant_id
):
    made, other = (_create(database, tenant_id, name=name) for name in "ab")
    job_id = rows.queued(database, tenant_id)
    for one in (made, other):
        _record(database, one, Firing(rows.AT, rows.AT, "fired", [job_id]))
    with database.tenant(tenant_id) as connection:
        named = {"tenant_id": tenant_id, "schedule_id": made.id}
        assert schedules.delete(connection, **named)
        assert not schedules.delete(connection, **named)
    assert _find(database, made) is None
    assert len(_firings(database, other)) == 1
    assert rows.value(database, "SELECT count(*) FROM jobs") == 1


def test_a_tenant_sees_its_own_schedules_only(database, tenant_id, other_tenant_id):
    mine = [_create(database, tenant_id, name=name) for name in "abc"]
    _record(database, mine[0], Firing(rows.AT, rows.AT, "missed", []))
    theirs = replace(mine[0], tenant_id=other_tenant_id)
    assert _find(database, theirs) is None
    assert _firings(database, theirs) == []
    with database.tenant(tenant_id) as connection:
        page = schedules.page(connection, tenant_id=tenant_id, before=None, limit=2)
        rest = schedules.page(
            connection, tenant_id=tenant_id, before=page[-1].id, limit=2
        )
    assert [*page, *rest] == mine[::-1]
    with database.tenant(other_tenant_id) as connection:
        named = {"tenant_id": other_tenant_id, "schedule_id": mine[0].id}
        assert not schedules.delete(connection, **named)
        assert (
            schedules.page(connection, tenant_id=other_tenant_id, before=None, limit=9)
            == []
        )
    assert len(_firings(database, mine[0])) == 1


def test_the_database_tells_the_time(database):
    with database.system() as connection:
        now = schedules.clock(connection)
    assert now.utcoffset() == timedelta(0)
    assert now > rows.AT
