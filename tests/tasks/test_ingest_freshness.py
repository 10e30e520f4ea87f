"""Freshness by itself: a schedule that comes with a source, and an event a change."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from db import schedules, source_series, sources
from db.source_series import Bound
from tasks import sources as owned
from tasks.ingest_freshness import WATCH, FreshnessParams, look, watch
from tests.tasks.book import Book
from tests.tasks.series import HOUR, START, store
from tests.tasks.shelf import shelf
from tests.tasks.source_runs import Desk

__all__ = ["shelf"]

pytestmark = [pytest.mark.servers, pytest.mark.usefixtures("shelf")]

CONFIG = {"regions": ["pjm"]}
DAILY = {"cron": "0 9 * * *", "timezone": "UTC", "reach_h": 33}


@pytest.fixture
def desk(database, tenant_id, tmp_path) -> Desk:
    return Desk(database, tenant_id, tmp_path)


@pytest.fixture
def book(database, tenant_id) -> Book:
    return Book(database, tenant_id)


@pytest.fixture
def bind(database, tenant_id):
    """Say that a series is a source's: ``bind("grid", "a")``."""

    def run(source: str, key: str) -> None:
        with database.tenant(tenant_id) as connection:
            made = sources.find_by_name(connection, tenant_id=tenant_id, name=source)
            series_id = connection.scalar(
                text("SELECT id FROM series WHERE key = :key"), {"key": key}
            )
            source_series.upsert(
                connection,
                tenant_id=tenant_id,
                source_id=made.id,
                found={key: Bound(series_id)},
            )

    return run


@pytest.fixture
def judged(desk):
    """Run the job: ``judged(now)`` gives its result."""

    def run(now: datetime, **params) -> dict:
        context = desk.attempt(now=now)
        outcome = look(FreshnessParams(**params), context)
        with context.read() as connection:
            return dict(outcome.store(connection))

    return run


@pytest.fixture
def create(database, tenant_id):
    def run(name: str, *, enabled: bool = True, **options):
        with database.tenant(tenant_id) as connection:
            return owned.create(
                connection,
                tenant_id=tenant_id,
                setup=sources.Setup(
                    name=name,
                    connector="open",
                    config=CONFIG,
                    options=options,
                    enabled=enabled,
                ),
                now=START,
            )

    return run


@pytest.fixture
def planned(database, tenant_id):
    def run() -> list:
        with database.tenant(tenant_id) as connection:
            return schedules.page(
                connection, tenant_id=tenant_id, before=None, limit=99
            )

    return run


def states(told: list[dict]) -> list[tuple]:
    return [(one["unique_id"], one["before"], one["freshness"]) for one in told]


def test_the_first_source_brings_the_schedule_and_the_next_ones_share_it(
    create, planned
):
    create("grid")
    create("other")
    (found,) = planned()
    assert (found.name, found.every_s, found.enabled) == (WATCH, 900, True)
    assert found.jobs == [{"type": "ingest.freshness"}]
    assert found.next_fire_at == START + timedelta(minutes=15)


def test_a_paused_source_brings_it_when_it_is_enabled(
    database, tenant_id, create, planned
):
    create("grid", enabled=False)
    assert planned() == []
    with database.tenant(tenant_id) as connection:
        owned.switch(
            connection, tenant_id=tenant_id, name="grid", enabled=True, now=START
        )
    assert [one.name for one in planned()] == [WATCH]


def test_what_the_owner_decides_about_it_stays(book, create, planned):
    create("grid")
    (found,) = planned()
    book.switch(found, enabled=False, now=START)
    book.change(found, now=START, name="mine", every_s=60)
    create("other")
    (after,) = planned()
    assert (after.enabled, after.name, after.every_s) == (False, "mine", 60)


def test_a_schedule_of_the_owners_own_is_enough_even_in_a_chain(book, create, planned):
    jobs = [
        {"ref": "a", "type": "system.echo", "params": {"payload": {}}},
        {"after": ["a"], "type": "ingest.freshness", "params": {"source": "grid"}},
    ]
    made = book.make(name="night", jobs=jobs)
    create("grid")
    assert [one.id for one in planned()] == [made.id]


def test_a_name_that_is_taken_does_not_keep_a_source_from_being_made(
    book, create, planned
):
    book.make(name=WATCH)
    create("grid")
    assert len(planned()) == 1


def test_the_schedule_goes_with_the_last_source(database, tenant_id, create, planned):
    create("grid")
    create("other")
    for name, left in (("grid", 1), ("other", 0)):
        with database.tenant(tenant_id) as connection:
            owned.remove(connection, tenant_id=tenant_id, name=name)
        assert len(planned()) == left


def test_the_schedule_submits_a_job_that_can_run(book, create, planned, desk):
    create("grid")
    (found,) = planned()
    fired = book.fire(found, found.next_fire_at)
    assert fired.outcome == "fired"
    ((kind, params),) = desk.rows("SELECT type, params FROM jobs")
    assert (kind, FreshnessParams(**params).source) == ("ingest.freshness", None)


def test_each_change_is_told_once(database, tenant_id, create, bind, judged, desk):
    create("grid", expected=DAILY)
    store(database, tenant_id, "a", [1.0] * 25)
    bind("grid", "a")
    day = START + timedelta(days=2)  # the latest value is that of midnight before
    times = [day + one * HOUR for one in (8, 10, 10.5, 12)]
    found = [judged(now) for now in times]
    assert [states(one["changed"]) for one in found] == [[]] * 4
    later = [times[-1] + timedelta(days=n) for n in (1, 2, 9)]
    store(database, tenant_id, "a", [1.0] * 25)
    found = [judged(now) for now in later]
    assert [states(one["changed"]) for one in found] == [
        [("a", "fresh", "stale")],
        [],
        [("a", "stale", "dead")],
    ]
    store(database, tenant_id, "a", [1.0] * (24 * 11))
    back = judged(later[-1] + HOUR)
    assert states(back["changed"]) == [("a", "dead", "fresh")]
    events = desk.rows(
        "SELECT kind, body->'finding'->>'freshness' FROM job_events ORDER BY id"
    )
    assert events == [
        ("freshness.changed", state) for state in ("stale", "dead", "fresh")
    ]


def test_a_run_that_found_nothing_makes_nothing_fresh(
    database, tenant_id, create, bind, judged
):
    made = create("grid", expected=DAILY)
    store(database, tenant_id, "a", [1.0] * 25)
    bind("grid", "a")
    now = START + timedelta(days=3, hours=12)
    with database.tenant(tenant_id) as connection:
        source_series.advance(
            connection,
            tenant_id=tenant_id,
            source_id=made.id,
            marks={"a": START},
            now=now,
        )
    assert states(judged(now)["changed"]) == [("a", None, "stale")]


def test_a_value_that_was_withdrawn_makes_nothing_fresh(
    database, tenant_id, create, bind, judged
):
    create("grid", expected=DAILY)
    store(database, tenant_id, "a", [1.0] * 49)
    bind("grid", "a")
    now = START + timedelta(days=3, hours=12)
    assert judged(now)["states"] == {"fresh": 1}
    with database.tenant(tenant_id) as connection:
        gone = text("UPDATE obs_current SET value = NULL WHERE ts > :at")
        connection.execute(gone, {"at": START + timedelta(days=1)})
    assert states(judged(now)["changed"]) == [("a", "fresh", "stale")]


def test_a_forecast_from_outside_is_as_fresh_as_its_latest_issue(
    database, tenant_id, create, bind, judged
):
    """It reaches ten days ahead, and would be fresh as long after its last issue."""
    create("grid", expected=DAILY)
    store(database, tenant_id, "a", [1.0] * 240)
    bind("grid", "a")
    with database.tenant(tenant_id) as connection:
        connection.execute(text("UPDATE series SET kind = 'forecast'"))
        issued = text("UPDATE obs_version SET issued_at = :at")
        connection.execute(issued, {"at": START})
    assert judged(START + timedelta(days=1, hours=8))["states"] == {"fresh": 1}
    assert judged(START + timedelta(days=3, hours=12))["states"] == {"stale": 1}


def test_a_grace_of_nothing_is_no_grace(database, tenant_id, create, bind, judged):
    create("grid", expected={**DAILY, "reach_h": 0, "grace_s": 3_600})
    create("strict", expected={**DAILY, "reach_h": 0, "grace_s": 0})
    store(database, tenant_id, "a", [1.0] * 9)
    bind("grid", "a")
    bind("strict", "a")
    found = judged(START + timedelta(hours=9.5))
    assert states(found["changed"]) == [("a", None, "late"), ("a", None, "stale")]


def test_nothing_is_due_on_a_holiday_of_the_calendar(
    database, tenant_id, create, bind, judged
):
    """New York is closed on 1 January and at the weekend of the 3rd."""
    create("all", expected=DAILY)
    create("open", expected={**DAILY, "calendar": "XNYS"})
    store(database, tenant_id, "a", [1.0], now=START)
    rows = [("2025-12-31", "2026-01-01T09:30"), ("2026-01-02", "2026-01-05T09:30")]
    bind("all", "a")
    bind("open", "a")
    for latest, now in rows:
        with database.tenant(tenant_id) as connection:
            moved = text("UPDATE obs_current SET ts = CAST(:at AS timestamptz)")
            connection.execute(moved, {"at": f"{latest}T00:00Z"})
        found = judged(datetime.fromisoformat(now).replace(tzinfo=UTC))
    assert states(found["changed"]) == [("a", "fresh", "stale")]
    assert found["states"] == {"stale": 1, "fresh": 1}
    lost = judged(datetime(2026, 1, 6, 12, tzinfo=UTC))
    assert states(lost["changed"]) == [("a", "fresh", "stale")]


def test_a_calendar_that_nobody_keeps_any_more_is_a_fault_and_stops_no_other(
    database, tenant_id, create, bind, judged
):
    create("bad", expected={**DAILY, "calendar": "XNYS"})
    with database.tenant(tenant_id) as connection:
        connection.execute(
            text("""
            UPDATE sources SET options = jsonb_set(options, '{expected,calendar}',
                '"XNYZ"') WHERE name = 'bad'
            """)
        )
    create("grid", expected=DAILY)
    store(database, tenant_id, "a", [1.0] * 24)
    bind("bad", "a")
    bind("grid", "a")
    found = judged(START + timedelta(days=2))
    assert [one["source"] for one in found["faults"]] == ["bad"]
    assert "XNYZ" in found["faults"][0]["detail"]
    assert found["states"] == {"fresh": 1}


def test_without_a_rule_a_series_is_judged_by_its_own_rhythm(
    database, tenant_id, create, bind, judged, desk
):
    """A month's figure comes six weeks after the month begins, day by day no news."""
    create("grid")
    store(database, tenant_id, "hourly", [1.0] * 48, now=START + timedelta(days=2))
    store(database, tenant_id, "monthly", [1.0] * 6, now=START)
    with database.tenant(tenant_id) as connection:
        connection.execute(
            text("""
            UPDATE obs_current SET ts = date_trunc('month', now, 'UTC'),
                known_from = date_trunc('month', now, 'UTC') + interval '45 days'
            FROM (SELECT ts AS was, TIMESTAMPTZ '2026-01-01Z' - row_number() OVER
                (ORDER BY ts DESC) * interval '1 month' AS now FROM obs_current
                WHERE series_id = (SELECT id FROM series WHERE key = 'monthly')) AS m
            WHERE series_id = (SELECT id FROM series WHERE key = 'monthly') AND ts = was
            """)
        )
    bind("grid", "hourly")
    bind("grid", "monthly")
    found = judged(START + timedelta(days=3))
    assert found["states"] == {"fresh": 2}
    found = judged(START + timedelta(days=7))
    assert states(found["changed"]) == [("hourly", "fresh", "dead")]
    found = judged(START + timedelta(days=90))
    assert states(found["changed"]) == [("monthly", "fresh", "dead")]


def test_a_paused_source_is_not_judged(database, tenant_id, create, bind, judged):
    create("grid", enabled=False)
    store(database, tenant_id, "a", [1.0])
    bind("grid", "a")
    assert judged(START + timedelta(days=400))["series"] == 0


def test_a_schedule_of_another_tenant_is_not_enough(
    database, other_tenant_id, create, planned
):
    with database.tenant(other_tenant_id) as connection:
        for _ in range(2):
            watch(connection, tenant_id=other_tenant_id, now=START)
    assert planned() == []
    create("grid")
    assert len(planned()) == 1
