"""Each enabled source is read once a night, on the clock of its own place."""

import threading
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from db.session import Database
from db.sources import Setup
from tasks import sources
from tasks.ingest_freshness import WATCH
from tests.tasks.shelf import shelf
from tests.workers.beat import beat_module

__all__ = ["shelf"]

pytestmark = [pytest.mark.servers, pytest.mark.usefixtures("shelf")]

BEATS = 2
ZONES = {
    "new-york": "America/New_York",
    "berlin": "Europe/Berlin",
    "kolkata": "Asia/Kolkata",
    "lord-howe": "Australia/Lord_Howe",
}
# The clocks are put in New York on 8 March and 1 November, in Berlin on 29 March.
SPRING, AUTUMN, BERLIN = date(2026, 3, 7), date(2026, 10, 31), date(2026, 3, 28)
DAYS = 3


@pytest.fixture
def beat(settings, monkeypatch):
    """workers.schedule, imported with this test's settings."""
    return beat_module(settings, monkeypatch)


@pytest.fixture
def create(database, tenant_id):
    def run(name: str, *, begin: datetime, cron: str = "0 6 * * *", **more) -> None:
        schedule = {"cron": cron, "timezone": ZONES.get(name, "America/New_York")}
        with database.tenant(tenant_id) as connection:
            sources.create(
                connection,
                tenant_id=tenant_id,
                setup=Setup(
                    name=name,
                    connector="open",
                    config={"regions": ["a"]},
                    options={"schedule": schedule},
                    **more,
                ),
                now=begin,
            )

    return run


def fired(database, tenant_id) -> list[tuple[str, datetime]]:
    """Return which source was read and for which fire time, by that."""
    query = """
        SELECT params->>'source' AS source, fire_at FROM schedule_firings
        JOIN jobs ON jobs.id = ANY (job_ids)
        WHERE type = 'ingest.run' AND outcome = 'fired' ORDER BY fire_at, source
    """
    with database.tenant(tenant_id) as connection:
        return [(row.source, row.fire_at) for row in connection.execute(text(query))]


def pass_by(beat, database, ticks: list[datetime]) -> None:
    """Let two beats look side by side at each of these times."""
    ready = threading.Barrier(BEATS)

    def tick() -> None:
        own = Database(database.url, pool_size=1, name="a beat")
        for now in ticks:
            ready.wait()
            beat.fire_due(own, now=now)
        own.close()

    threads = [threading.Thread(target=tick) for _ in range(BEATS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def unwatched(database) -> None:
    """Take the schedule of freshness away, which would fire at every look."""
    with database.system() as connection:
        connection.execute(
            text("UPDATE schedules SET enabled = false WHERE name = :name"),
            {"name": WATCH},
        )


def end_all(database) -> None:
    with database.system() as connection:
        connection.execute(text("UPDATE jobs SET state = 'cancelled'"))


@pytest.mark.parametrize("first", [SPRING, AUTUMN, BERLIN])
def test_two_beats_read_each_source_once_a_day_at_six_of_its_place(
    beat, database, tenant_id, create, first
):
    begin = datetime.combine(first, time(), UTC)
    for name in ZONES:
        create(name, begin=begin)
    create("paused", begin=begin, enabled=False)
    unwatched(database)
    for day in range(DAYS):
        start = begin + timedelta(days=day)
        pass_by(beat, database, [start + timedelta(hours=n) for n in range(24)])
        end_all(database)
    end = begin + timedelta(days=DAYS - 1, hours=23)
    mornings = [
        (name, datetime.combine(first + timedelta(days=n), time(6), ZoneInfo(zone)))
        for name, zone in ZONES.items()
        for n in range(-1, DAYS + 1)
    ]
    wanted = [(name, at.astimezone(UTC)) for name, at in mornings]
    wanted = sorted(
        ((name, at) for name, at in wanted if begin < at <= end), key=lambda x: x[::-1]
    )
    assert fired(database, tenant_id) == wanted
    assert len({at.utcoffset() for name, at in mornings}) > len(ZONES)


def test_a_time_that_no_clock_showed_or_two_did_is_one_read(
    beat, database, tenant_id, create
):
    for first, cron, wanted in (
        (date(2026, 3, 8), "30 2 * * *", "2026-03-08T07:00"),
        (date(2026, 11, 1), "30 1 * * *", "2026-11-01T05:30"),
    ):
        begin = datetime.combine(first, time(), UTC)
        name = f"night-{first}"
        create(name, begin=begin, cron=cron)
        unwatched(database)
        pass_by(beat, database, [begin + timedelta(minutes=30 * n) for n in range(30)])
        end_all(database)
        instant = datetime.fromisoformat(wanted).replace(tzinfo=UTC)
        assert [at for source, at in fired(database, tenant_id) if source == name] == [
            instant
        ]
        with database.tenant(tenant_id) as connection:
            sources.switch(
                connection, tenant_id=tenant_id, name=name, enabled=False, now=begin
            )


def test_a_source_that_still_runs_is_not_read_a_second_time(
    beat, database, tenant_id, create
):
    begin = datetime(2026, 3, 1, tzinfo=UTC)
    create("kolkata", begin=begin)
    unwatched(database)
    pass_by(beat, database, [begin + timedelta(hours=n) for n in range(1, 48, 6)])
    assert len(fired(database, tenant_id)) == 1


def test_freshness_is_looked_at_beside_the_reads(beat, database, tenant_id, create):
    begin = datetime(2026, 3, 1, tzinfo=UTC)
    create("kolkata", begin=begin)
    for quarter in range(1, 5):
        pass_by(beat, database, [begin + timedelta(minutes=15 * quarter)])
        end_all(database)
    with database.tenant(tenant_id) as connection:
        query = text("SELECT count(*) FROM jobs WHERE type = 'ingest.freshness'")
        assert connection.scalar(query) == 4
