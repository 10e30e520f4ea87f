"""Beat submits one job for each fire time, in the schedule's own zone."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfoNotFoundError

import pytest
from croniter import CroniterBadCronError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from db import schedules
from tests.db import rows
from tests.servers.ports import free_port
from tests.workers import naive
from tests.workers.beat import beat_module

pytestmark = pytest.mark.servers

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
# The day before each change of a clock, by an hour, by half of one, and by none.
CHANGES = [
    ("America/New_York", "2026-03-07"),
    ("America/New_York", "2026-10-31"),
    ("Australia/Lord_Howe", "2026-04-03"),
    ("Australia/Lord_Howe", "2026-10-02"),
    ("Europe/Berlin", "2026-03-28"),
    ("Europe/Berlin", "2026-10-24"),
    ("Asia/Kolkata", "2026-03-07"),
]


@pytest.fixture
def beat(settings, monkeypatch):
    """workers.schedule, imported with this test's settings."""
    return beat_module(settings, monkeypatch)


def _put(database, tenant_id, name="nightly", cron="0 * * * *", **job) -> None:
    with database.tenant(tenant_id) as connection:
        schedules.put(
            connection,
            tenant_id=tenant_id,
            name=name,
            rule=(cron, "UTC"),
            job=(job.get("type", "system.echo"), job.get("params", {})),
            next_fire_at=job.get("at", NOON),
        )


@pytest.mark.parametrize(
    ("zone", "after", "expected"),
    [
        # New York springs forward on 8 March 2026 and falls back on 1 November.
        ("America/New_York", "2026-03-07T12:00", "2026-03-08T10:00"),
        ("America/New_York", "2026-03-06T12:00", "2026-03-07T11:00"),
        ("America/New_York", "2026-10-31T11:00", "2026-11-01T11:00"),
        ("America/New_York", "2026-10-31T09:00", "2026-10-31T10:00"),
        ("Asia/Kolkata", "2026-03-01T00:00", "2026-03-01T00:30"),
        # Lord Howe moves by half an hour: UTC+11 in summer, +10:30 in winter.
        ("Australia/Lord_Howe", "2026-04-03T12:00", "2026-04-03T19:00"),
        ("Australia/Lord_Howe", "2026-04-05T12:00", "2026-04-05T19:30"),
        ("Australia/Lord_Howe", "2026-10-04T12:00", "2026-10-04T19:00"),
    ],
)
def test_six_in_the_morning_is_six_on_the_wall(beat, zone, after, expected):
    begin = datetime.fromisoformat(after).replace(tzinfo=UTC)
    found = beat.next_fire("0 6 * * *", zone, begin)
    assert found == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@settings(
    deadline=None,
    max_examples=200,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    day=st.sampled_from(CHANGES),
    minutes=st.integers(0, 3 * 24 * 60),
    hour=st.integers(0, 23),
    minute=st.sampled_from([0, 15, 30, 59]),
)
def test_a_daily_rule_follows_the_clock_on_the_wall(beat, day, minutes, hour, minute):
    zone, begin = day
    after = datetime.fromisoformat(begin).replace(tzinfo=UTC)
    after += timedelta(minutes=minutes)
    found = beat.next_fire(f"{minute} {hour} * * *", zone, after)
    assert found == naive.next_fire(hour, minute, zone, after)
    assert found.utcoffset() == timedelta(0)


def test_a_rule_or_a_zone_that_does_not_exist_is_refused(beat):
    with pytest.raises(CroniterBadCronError):
        beat.next_fire("every night", "UTC", NOON)
    with pytest.raises(ZoneInfoNotFoundError):
        beat.next_fire("0 6 * * *", "Mars/Olympus", NOON)


def test_a_due_schedule_becomes_a_job_with_its_name(beat, database, tenant_id):
    _put(database, tenant_id)
    [job_id] = beat.fire_due(database, now=NOON)
    label = "SELECT labels->>'schedule' FROM jobs WHERE id = "
    assert rows.value(database, f"{label}'{job_id}'") == "nightly"
    assert beat.fire_due(database, now=NOON) == []


def test_two_beats_at_once_make_one_job(beat, database, tenant_id):
    _put(database, tenant_id)
    fired: list[list[str]] = []
    both = threading.Barrier(2)

    def tick() -> None:
        both.wait()
        fired.append(beat.fire_due(database, now=NOON))

    threads = [threading.Thread(target=tick) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(len(ids) for ids in fired) == [0, 1]
    assert rows.value(database, "SELECT count(*) FROM jobs") == 1
    assert rows.value(database, "SELECT count(*) FROM schedule_firings") == 1


def test_a_beat_that_comes_too_late_finds_the_time_fired(
    beat, database, tenant_id, monkeypatch, caplog
):
    _put(database, tenant_id)
    with database.system() as connection:
        seen_before = schedules.due(connection, now=NOON)
    assert len(beat.fire_due(database, now=NOON)) == 1
    monkeypatch.setattr(schedules, "due", lambda *_given, **_named: seen_before)
    assert beat.fire_due(database, now=NOON) == []
    assert rows.value(database, "SELECT count(*) FROM jobs") == 1
    assert caplog.records == []


def test_a_beat_that_was_away_fires_once_and_goes_on(beat, database, tenant_id):
    _put(database, tenant_id)
    now = NOON + timedelta(hours=9, minutes=30)
    assert len(beat.fire_due(database, now=now)) == 1
    coming = rows.value(database, "SELECT next_fire_at FROM schedules")
    assert coming == NOON + timedelta(hours=10)
    assert beat.fire_due(database, now=now) == []


def test_nothing_fires_before_its_time(beat, database, tenant_id):
    _put(database, tenant_id)
    assert beat.fire_due(database, now=NOON - timedelta(seconds=1)) == []


@pytest.mark.parametrize(
    "bad",
    [
        {"type": "no.such"},
        {"params": {"payload": 1}},
        {"cron": "every night"},
    ],
)
def test_one_bad_schedule_does_not_stop_the_others(
    beat, database, tenant_id, caplog, bad
):
    _put(database, tenant_id, name="bad", at=NOON - timedelta(hours=1), **bad)
    _put(database, tenant_id, name="good")
    assert len(beat.fire_due(database, now=NOON)) == 1
    (record,) = [one for one in caplog.records if one.levelname == "ERROR"]
    assert record.message == "schedule cannot fire"
    assert record.schedule.startswith("sch_")


def test_a_beat_without_a_database_ticks_on(beat, settings, monkeypatch, caplog):
    from workers.settings import make_app

    url = f"postgresql://nobody@127.0.0.1:{free_port()}/nothing"
    monkeypatch.setattr(beat, "settings", replace(settings, database_url=url))
    scheduler = beat.RowScheduler(app=make_app(settings), lazy=False)
    assert scheduler.tick() == 5
    assert "tick failed" in caplog.messages[-1]


def test_the_scheduler_of_celery_beat_ticks_over_the_rows(
    beat, database, tenant_id, settings
):
    from workers.settings import make_app

    _put(database, tenant_id, at=datetime.now(UTC) - timedelta(minutes=1))
    scheduler = beat.RowScheduler(app=make_app(settings), lazy=False)
    assert scheduler.tick() > 0
    assert rows.value(database, "SELECT count(*) FROM jobs") == 1
    assert rows.value(database, "SELECT role FROM processes") == "beat"
    scheduler.close()
    assert rows.value(database, "SELECT count(*) FROM processes") == 0
