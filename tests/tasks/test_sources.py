"""Sources: what is checked, and a schedule that follows each in one transaction."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from db import credentials as credential_rows
from db import schedules
from db import sources as rows
from db.credentials import NewCredential
from db.sources import Setup
from tasks import firing, sources
from tasks.errors import InvalidParams, NotFound, StateConflict
from tasks.ingest_freshness import WATCH
from tests.db.rows import AT
from tests.tasks.shelf import shelf

__all__ = ["shelf"]

pytestmark = [pytest.mark.servers, pytest.mark.usefixtures("shelf")]

NIGHTLY = {"cron": "30 2 * * *", "timezone": "America/New_York"}
CONFIG = {"regions": ["pjm"]}
EXPECTED_IN, EXPECTED_BY = "/expected/timezone", "/expected/calendar"


@pytest.fixture
def create(database, tenant_id):
    """Create a source: ``create(schedule=None, connector="keyed")``."""

    def run(*, schedule=NIGHTLY, **changes):
        given = {
            "name": "grid",
            "connector": "open",
            "config": CONFIG,
            "options": {"schedule": schedule, "mapping": {"prefix": "g."}},
            **changes,
        }
        with database.tenant(tenant_id) as connection:
            return sources.create(
                connection, tenant_id=tenant_id, setup=Setup(**given), now=AT
            )

    return run


@pytest.fixture
def act(database, tenant_id):
    """Call a function of ``tasks.sources`` for the source ``grid``, an hour later."""

    def run(function, **given):
        with database.tenant(tenant_id) as connection:
            return function(
                connection,
                tenant_id=tenant_id,
                name="grid",
                now=AT + timedelta(hours=1),
                **given,
            )

    return run


@pytest.fixture
def scheduled(database, tenant_id):
    """Return the tenant's schedules, without that of the freshness of sources."""

    def run():
        with database.tenant(tenant_id) as connection:
            found = schedules.page(
                connection, tenant_id=tenant_id, before=None, limit=99
            )
        return [one for one in found if one.name != WATCH]

    return run


@pytest.fixture
def put(database, tenant_id):
    def run(name, *fields):
        new = NewCredential(name, list(fields), b"sealed")
        with database.tenant(tenant_id) as connection:
            credential_rows.put(connection, tenant_id=tenant_id, new=new, now=AT)

    return run


def refused(call, **given) -> list[str]:
    with pytest.raises(InvalidParams) as caught:
        call(**given)
    return [one.pointer for one in caught.value.errors]


def test_a_source_comes_with_a_schedule_that_fires_in_its_own_zone(create, scheduled):
    made = create()
    (planned,) = scheduled()
    assert planned.id == made.schedule_id
    assert planned.name == "source:grid"
    assert planned.jobs == [{"type": "ingest.run", "params": {"source": "grid"}}]
    assert planned.enabled
    assert planned.overlap == "skip"
    assert planned.next_fire_at == datetime(2026, 3, 2, 7, 30, tzinfo=UTC)


def test_what_a_read_brings_is_scored_afterwards_where_that_is_wanted(
    create, scheduled, act
):
    create(options={"schedule": NIGHTLY, "watch": {"name": "w", "sensitivity": 75}})
    (planned,) = scheduled()
    read, look = planned.jobs
    assert (read["type"], look["type"]) == ("ingest.run", "analysis.watch")
    assert look["after"] == [read["ref"]]
    assert look["params"] == {
        "name": "w",
        "sensitivity": 75,
        "series": {"source": "grid"},
    }
    act(sources.change, changes={"options": {"watch": None}})
    (planned,) = scheduled()
    assert [job["type"] for job in planned.jobs] == ["ingest.run"]


def test_the_schedule_of_a_source_submits_its_run(database, tenant_id, create):
    made = create()
    with database.tenant(tenant_id) as connection:
        fired = firing.fire(
            connection,
            tenant_id=tenant_id,
            schedule_id=made.schedule_id,
            now=datetime(2026, 3, 2, 7, 31, tzinfo=UTC),
        )
    assert fired.outcome == "fired"
    with database.system() as connection:
        job = connection.execute(text("SELECT type, params, labels FROM jobs")).one()
    assert job.type == "ingest.run"
    assert (job.params["source"], job.params["mode"]) == ("grid", "incremental")
    assert job.labels == {"schedule": "source:grid"}


def test_without_a_rule_there_is_no_schedule(create, scheduled):
    assert create(schedule=None).schedule_id is None
    assert scheduled() == []


def test_a_source_that_is_off_by_default_is_made_paused_and_says_why(create, scheduled):
    made = create(connector="wary")
    assert not made.enabled
    assert not scheduled()[0].enabled
    (warning,) = sources.warnings(made)
    assert "it is paused" in warning
    assert "Personal use only." in warning
    assert sources.warnings(create(name="other")) == []


def test_its_owner_can_enable_it_and_the_schedule_follows(create, act, scheduled):
    create(connector="wary")
    enabled = act(sources.switch, enabled=True)
    assert enabled.enabled
    assert scheduled()[0].enabled
    assert "as you enabled it" in sources.warnings(enabled)[0]
    assert not act(sources.switch, enabled=False).enabled
    assert not scheduled()[0].enabled


def test_enabling_closes_the_breaker(database, tenant_id, create, act):
    made = create()
    with database.tenant(tenant_id) as connection:
        for _ in range(rows.MOST_FAILURES):
            rows.note_failure(
                connection, tenant_id=tenant_id, source_id=made.id, now=AT
            )
    enabled = act(sources.switch, enabled=True)
    assert (enabled.failures, enabled.open_until) == (0, None)
    with database.tenant(tenant_id) as connection:
        found = sources.find(connection, tenant_id=tenant_id, name="grid")
    assert found == enabled


@pytest.mark.parametrize(
    ("changes", "pointers"),
    [
        ({"config": {}}, ["/config/regions"]),
        ({"config": {"regions": ["a"], "x": 1}}, ["/config/x"]),
        ({"connector": "none"}, ["/connector"]),
        ({"connector": "keyed"}, ["/credential"]),
        ({"connector": "keyed", "credential": "gone"}, ["/credential"]),
        ({"credential": "gone"}, ["/credential"]),
        ({"connector": "keyed", "credential": "partly"}, ["/credential"]),
        ({"schedule": {"cron": "x", "timezone": "UTC"}}, ["/schedule/cron"]),
        ({"schedule": {**NIGHTLY, "timezone": "Mars"}}, ["/schedule/timezone"]),
        ({"options": {"expected": {"cron": "9 99 * * *"}}}, ["/expected/cron"]),
        ({"options": {"expected": {**NIGHTLY, "timezone": "Mars"}}}, [EXPECTED_IN]),
        ({"options": {"expected": {**NIGHTLY, "calendar": "XNYZ"}}}, [EXPECTED_BY]),
        ({"options": {"expected": {**NIGHTLY, "calendar": "DE-ZZ"}}}, [EXPECTED_BY]),
        ({"name": "upload"}, ["/name"]),
    ],
)
def test_what_is_not_valid_leaves_nothing(create, scheduled, put, changes, pointers):
    put("partly", "user")
    assert refused(create, **changes) == pointers
    assert scheduled() == []


def test_a_name_is_given_once_and_the_second_leaves_no_schedule(create, scheduled):
    create()
    with pytest.raises(StateConflict, match="'grid'"):
        create()
    assert len(scheduled()) == 1


def test_a_schedule_of_that_name_stands_in_the_way(database, tenant_id, create):
    plan = schedules.Plan(name="source:grid", jobs=[], every_s=60)
    with database.tenant(tenant_id) as connection:
        schedules.create(
            connection, tenant_id=tenant_id, plan=plan, next_fire_at=AT, now=AT
        )
    with pytest.raises(StateConflict, match="source:grid"):
        create()
    with database.tenant(tenant_id) as connection:
        assert not rows.page(connection, tenant_id=tenant_id, after=None, limit=9)


def test_changes_are_checked_and_options_change_one_by_one(create, act, put):
    put("mine", "api_key")
    made = create(connector="keyed", credential="mine")
    assert refused(act, function=sources.change, changes={"config": {}}) == [
        "/config/regions"
    ]
    assert refused(act, function=sources.change, changes={"credential": None}) == [
        "/credential"
    ]
    changes = {"config": {"regions": ["miso"]}, "options": {"lookback_h": 48.0}}
    changed = act(sources.change, changes=changes)
    assert changed.config == {"regions": ["miso"]}
    assert changed.options == {**made.options, "lookback_h": 48.0}
    assert changed.updated_at == AT + timedelta(hours=1)
    assert act(sources.change, changes={}) == changed


def test_a_calendar_that_nobody_keeps_is_refused_with_those_there_are(create, act):
    create(options={"expected": {**NIGHTLY, "calendar": "XNYS"}})
    changes = {"options": {"expected": {**NIGHTLY, "calendar": "XNYZ"}}}
    with pytest.raises(InvalidParams) as caught:
        act(sources.change, changes=changes)
    (fault,) = caught.value.errors
    assert fault.pointer == EXPECTED_BY
    assert {"'XNYZ'", "XNYS", "XECB"} <= set(re.findall(r"'?\w+'?", fault.detail))


def test_the_schedule_follows_each_change(create, act, scheduled):
    made = create()
    changes = {"options": {"schedule": {**NIGHTLY, "cron": "0 6 * * *"}}}
    assert act(sources.change, changes=changes).schedule_id == made.schedule_id
    assert scheduled()[0].cron == "0 6 * * *"
    assert (
        act(sources.change, changes={"options": {"schedule": None}}).schedule_id is None
    )
    assert scheduled() == []
    again = act(sources.change, changes={"options": {"schedule": NIGHTLY}})
    assert [one.id for one in scheduled()] == [again.schedule_id]


def test_a_schedule_that_its_owner_deleted_comes_back_with_the_next_change(
    database, tenant_id, create, act, scheduled
):
    made = create()
    with database.tenant(tenant_id) as connection:
        schedules.delete(connection, tenant_id=tenant_id, schedule_id=made.schedule_id)
    again = act(sources.switch, enabled=False)
    (planned,) = scheduled()
    assert (planned.id, planned.enabled) == (again.schedule_id, False)


def test_deleting_takes_the_schedule_along(database, tenant_id, create, scheduled):
    create()
    with database.tenant(tenant_id) as connection:
        named = {"tenant_id": tenant_id, "name": "grid"}
        sources.remove(connection, **named)
        with pytest.raises(NotFound):
            sources.remove(connection, **named)
    assert scheduled() == []


def test_the_jobs_of_a_source_name_it_and_carry_no_config(create):
    made = create()
    end = AT + timedelta(days=1)
    for job in (
        sources.probe(made, rows=5),
        sources.run(made, mode="incremental"),
        sources.run(made, mode="backfill", start=AT, end=end),
        sources.replay(made, partition="p", quarantined=True),
    ):
        assert job.params["source"] == "grid"
        assert job.labels == {"source": "grid"}
        assert "pjm" not in str(job.params)
    backfill = sources.run(made, mode="backfill", start=AT, end=end)
    assert (backfill.lane, backfill.priority) == ("backfill", 2)
    assert backfill.params["start"] == "2026-03-01T12:00:00+00:00"
    assert sources.run(made, mode="incremental").lane == "normal"


def test_a_paused_source_does_not_run_but_can_be_probed(create):
    made = create(enabled=False)
    with pytest.raises(StateConflict, match="paused"):
        sources.run(made, mode="incremental")
    assert sources.probe(made, rows=0).type == "ingest.probe"
