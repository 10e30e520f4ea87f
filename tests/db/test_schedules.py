"""A fire time of a schedule becomes one job."""

from datetime import timedelta

import pytest
from sqlalchemy.exc import IntegrityError

from db import schedules
from tests.db import rows

pytestmark = pytest.mark.servers


def _put(database, tenant_id, name="nightly", next_fire_at=rows.AT, **changes) -> None:
    with database.tenant(tenant_id) as connection:
        schedules.put(
            connection,
            tenant_id=tenant_id,
            name=name,
            **{
                "rule": ("0 6 * * *", "Europe/Berlin"),
                "job": ("system.echo", {"payload": {}}),
                **changes,
            },
            next_fire_at=next_fire_at,
        )


def _due(database, now=rows.AT) -> list[schedules.Schedule]:
    with database.system() as connection:
        return schedules.due(connection, now=now)


def test_a_schedule_is_due_from_its_time_on(database, tenant_id):
    _put(database, tenant_id)
    assert _due(database, rows.AT - timedelta(microseconds=1)) == []
    (found,) = _due(database)
    assert (found.tenant_id, found.name, found.cron, found.timezone) == (
        tenant_id,
        "nightly",
        "0 6 * * *",
        "Europe/Berlin",
    )
    assert (found.job_type, found.params) == ("system.echo", {"payload": {}})
    assert found.next_fire_at == rows.AT


def test_the_schedules_of_all_tenants_are_due_the_longest_waiting_first(
    database, tenant_id, other_tenant_id
):
    _put(database, tenant_id)
    _put(database, other_tenant_id, next_fire_at=rows.AT - timedelta(hours=1))
    assert [one.tenant_id for one in _due(database)] == [other_tenant_id, tenant_id]


def test_a_disabled_schedule_is_never_due(database, tenant_id):
    _put(database, tenant_id)
    rows.change(database, "UPDATE schedules SET enabled = false")
    assert _due(database) == []


def test_putting_a_schedule_again_keeps_the_first(database, tenant_id):
    _put(database, tenant_id)
    _put(database, tenant_id, rule=("* * * * *", "UTC"), next_fire_at=rows.AT)
    (found,) = _due(database)
    assert found.cron == "0 6 * * *"


def test_a_firing_binds_the_time_to_its_job_and_moves_on(database, tenant_id):
    _put(database, tenant_id)
    (schedule,) = _due(database)
    job_id = rows.queued(database, tenant_id)
    tomorrow = rows.AT + timedelta(days=1)
    with database.tenant(tenant_id) as connection:
        assert schedules.begin_firing(connection, schedule=schedule)
        schedules.record_firing(
            connection, schedule=schedule, job_id=job_id, next_fire_at=tomorrow
        )
    with database.tenant(tenant_id) as connection:
        assert not schedules.begin_firing(connection, schedule=schedule)
    assert _due(database) == []
    (found,) = _due(database, tomorrow)
    assert found.next_fire_at == tomorrow
    assert rows.value(database, "SELECT job_id FROM schedule_firings") == job_id


def test_one_fire_time_cannot_be_recorded_twice(database, tenant_id):
    _put(database, tenant_id)
    (schedule,) = _due(database)
    job_id = rows.queued(database, tenant_id)

    def record() -> None:
        with database.tenant(tenant_id) as connection:
            schedules.record_firing(
                connection, schedule=schedule, job_id=job_id, next_fire_at=rows.AT
            )

    record()
    with pytest.raises(IntegrityError, match="pk_schedule_firings"):
        record()


def test_a_beat_that_is_behind_does_not_move_a_schedule_back(database, tenant_id):
    later = rows.AT + timedelta(days=7)
    _put(database, tenant_id)
    (schedule,) = _due(database)
    rows.change(database, "UPDATE schedules SET next_fire_at = :t", t=later)
    with database.tenant(tenant_id) as connection:
        schedules.record_firing(
            connection,
            schedule=schedule,
            job_id=rows.queued(database, tenant_id),
            next_fire_at=rows.AT + timedelta(days=1),
        )
    assert rows.value(database, "SELECT next_fire_at FROM schedules") == later
