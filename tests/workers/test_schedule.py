"""Beat fires each time once, whoever beats; one bad schedule stops no other."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from db import schedules
from db.schedules import Plan
from db.session import Database
from tests.db import rows
from tests.servers.ports import free_port
from tests.workers.beat import beat_module

pytestmark = pytest.mark.servers

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
BEATS, SCHEDULES = 4, 12


@pytest.fixture
def beat(settings, monkeypatch):
    """workers.schedule, imported with this test's settings."""
    return beat_module(settings, monkeypatch)


def _put(database, tenant_id, name="nightly", at=NOON, **plan) -> None:
    job = {"type": plan.pop("type", "system.echo"), "params": plan.pop("params", {})}
    with database.tenant(tenant_id) as connection:
        made = schedules.create(
            connection,
            tenant_id=tenant_id,
            plan=Plan(**{"name": name, "cron": "0 * * * *", "jobs": [job], **plan}),
            next_fire_at=at,
            now=at,
        )
    assert made is not None


def _count(database, table: str) -> int:
    return rows.value(database, f"SELECT count(*) FROM {table}")


def test_a_due_schedule_becomes_a_job_with_its_name(beat, database, tenant_id):
    _put(database, tenant_id)
    [job_id] = beat.fire_due(database, now=NOON)
    label = "SELECT labels->>'schedule' FROM jobs WHERE id = "
    assert rows.value(database, f"{label}'{job_id}'") == "nightly"
    assert beat.fire_due(database, now=NOON) == []


def test_beats_side_by_side_fire_each_time_once(beat, database, tenant_id):
    """Each beat has connections of its own, and all look at the same moment."""
    for number in range(SCHEDULES):
        _put(database, tenant_id, name=f"schedule {number}")
    submitted: list[str] = []
    ready = threading.Barrier(BEATS)

    def tick() -> None:
        own = Database(database.url, pool_size=1, name="a beat")
        ready.wait()
        for hour in range(3):
            submitted.extend(beat.fire_due(own, now=NOON + timedelta(hours=hour)))
            ready.wait()
        own.close()

    threads = [threading.Thread(target=tick) for _ in range(BEATS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(submitted) == len(set(submitted)) == 3 * SCHEDULES
    assert _count(database, "jobs") == 3 * SCHEDULES
    assert _count(database, "schedule_firings WHERE outcome = 'fired'") == 3 * SCHEDULES


def test_a_beat_that_comes_too_late_finds_the_time_fired(
    beat, database, tenant_id, monkeypatch, caplog
):
    _put(database, tenant_id)
    with database.system() as connection:
        stale = schedules.due(connection, now=NOON)
    assert len(beat.fire_due(database, now=NOON)) == 1
    pages = iter([stale, []])
    monkeypatch.setattr(schedules, "due", lambda *_given, **_named: next(pages))
    assert beat.fire_due(database, now=NOON) == []
    assert _count(database, "jobs") == 1
    assert [one for one in caplog.records if one.name.startswith("workers")] == []


def test_a_beat_that_was_away_fires_once_and_shows_what_it_missed(
    beat, database, tenant_id
):
    _put(database, tenant_id)
    now = NOON + timedelta(hours=9, minutes=30)
    assert len(beat.fire_due(database, now=now)) == 1
    coming = rows.value(database, "SELECT next_fire_at FROM schedules")
    assert coming == NOON + timedelta(hours=10)
    assert beat.fire_due(database, now=now) == []
    assert _count(database, "schedule_firings WHERE outcome = 'missed'") == 9


def test_nothing_fires_before_its_time(beat, database, tenant_id):
    _put(database, tenant_id)
    assert beat.fire_due(database, now=NOON - timedelta(seconds=1)) == []


@pytest.mark.parametrize(
    ("bad", "goes_on"),
    [
        ({"type": "no.such"}, True),
        ({"params": {"payload": 1}}, True),
        ({"cron": "every night"}, False),
        ({"timezone": "Mars/Olympus"}, False),
    ],
)
def test_one_bad_schedule_does_not_stop_the_others(
    beat, database, tenant_id, caplog, bad, goes_on
):
    _put(database, tenant_id, name="bad", at=NOON - timedelta(hours=1), **bad)
    _put(database, tenant_id, name="good")
    assert len(beat.fire_due(database, now=NOON)) == 1
    (record,) = [one for one in caplog.records if one.levelname == "WARNING"]
    assert record.message.startswith("schedule cannot fire: ")
    assert record.schedule.startswith("sch_")
    found = "SELECT fault IS NOT NULL AND {} FROM schedules WHERE name = 'bad'"
    moved = "enabled AND next_fire_at > :now" if goes_on else "NOT enabled"
    assert rows.value(
        database, found.format(moved), **({"now": NOON} if goes_on else {})
    )
    assert beat.fire_due(database, now=NOON) == []


def test_a_schedule_that_fails_unforeseen_is_tried_again_and_stops_no_other(
    beat, database, tenant_id, caplog, monkeypatch
):
    for number in range(105):
        _put(database, tenant_id, name=f"bad {number}", at=NOON - timedelta(hours=1))
    _put(database, tenant_id, name="good")
    fire = beat.firing.fire

    def fails(connection, *, schedule_id, **named):
        if schedule_id in bad:
            raise ZeroDivisionError
        return fire(connection, schedule_id=schedule_id, **named)

    with database.system() as connection:
        first = schedules.due(connection, now=NOON)
        rest = schedules.due(connection, now=NOON, after=first[-1])
    bad = {one.id for one in [*first, *rest] if one.name != "good"}
    with monkeypatch.context() as patched:
        patched.setattr(beat.firing, "fire", fails)
        assert len(beat.fire_due(database, now=NOON)) == 1
    assert caplog.messages.count("schedule not fired") == 105
    assert len(beat.fire_due(database, now=NOON)) == 105


def test_a_beat_without_a_database_ticks_on_and_ends(
    beat, settings, monkeypatch, caplog
):
    from workers.settings import make_app

    url = f"postgresql://nobody@127.0.0.1:{free_port()}/nothing"
    monkeypatch.setattr(beat, "settings", replace(settings, database_url=url))
    scheduler = beat.RowScheduler(app=make_app(settings), lazy=False)
    assert scheduler.tick() == 1
    assert "tick failed" in caplog.messages[-1]
    scheduler.close()
    assert "cannot sign off" in caplog.messages[-1]


def test_the_scheduler_of_celery_beat_ticks_over_the_rows(
    beat, database, tenant_id, settings
):
    from workers.settings import make_app

    _put(database, tenant_id, at=datetime.now(UTC) - timedelta(minutes=1))
    scheduler = beat.RowScheduler(app=make_app(settings), lazy=False)
    assert scheduler.tick() == 1
    assert _count(database, "jobs") == 1
    assert rows.value(database, "SELECT role FROM processes") == "beat"
    scheduler.close()
    assert _count(database, "processes") == 0
