"""A run of a source: whatever goes wrong, the tables end as if nothing had."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks import ingest_replay, outside, pull_store
from tasks.errors import SourceRefused, SourceUnavailable
from tests.sources.eia import KEY, ROUTE, Eia
from tests.sources.faults import FAULTS, FaultPlan
from tests.sources.server import serve
from tests.sources.truth import HOUR, START, Truth, grid
from tests.tasks.source_runs import Desk

pytestmark = pytest.mark.servers

SERIES = ("PJM:D", "PJM:NG")
NIGHT = datetime(2026, 1, 4, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch):
    monkeypatch.setattr(outside, "pausing", lambda _context, _seconds: None)
    monkeypatch.setattr(outside, "_secrets", lambda *_args: {"api_key": KEY})
    monkeypatch.setattr(outside.rate_limits, "take", lambda *_args, **_more: 0.0)


@pytest.fixture
def desk(database, tenant_id, tmp_path) -> Desk:
    return Desk(database, tenant_id, tmp_path)


@pytest.fixture
def truth() -> Truth:
    return Truth(5, series=SERIES, starts=grid(START, 60), revised=0.0)


def eia(desk, served, name="load", **options):
    """Make a source that reads the served EIA."""
    config = {
        "route": ROUTE,
        "frequency": "hourly",
        "facets": {"respondent": ["PJM"]},
        "base_url": f"{served.url}/v2",
    }
    desk.source(name, "eia", config, since=START.isoformat(), **options)


def expected(truth, name="load"):
    """Return what the tables must hold."""
    return {
        (f"{name}.{series.replace(':', '.').lower()}", ts): value
        for (series, ts), value in truth.values().items()
    }


def versions(desk):
    return desk.rows("SELECT count(*) FROM obs_version")[0][0]


def test_the_tables_hold_what_the_source_tells(desk, truth):
    with serve(Eia(truth)) as served:
        eia(desk, served)
        result = desk.run("load", now=NIGHT)
    assert desk.stored() == expected(truth)
    assert result["state"] == "succeeded"
    assert result["written"] == len(expected(truth))
    assert result["failed"] == []


def test_a_second_night_writes_nothing(desk, truth):
    with serve(Eia(truth)) as served:
        eia(desk, served)
        desk.run("load", now=NIGHT)
        before = versions(desk)
        again = desk.run("load", now=NIGHT)
    assert versions(desk) == before
    assert (again["written"], again["revised"]) == (0, 0)
    assert again["message"].startswith("nothing was new")


@settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(places=st.sets(st.integers(0, 59), min_size=1, max_size=9))
def test_so_many_revised_values_write_so_many_versions(places, desk):
    truth = Truth(9, series=SERIES, starts=grid(START, 60), revised=0.0, missing=0.0)
    name = f"s{abs(hash(frozenset(places))) % 10**9}-{versions(desk)}"
    with serve(Eia(truth)) as served:
        eia(desk, served, name)
        desk.run(name, now=NIGHT)
        before = versions(desk)
        for place in places:
            at = truth.starts[place]
            truth.revise("PJM:D", at, -1.0 - place, at + timedelta(days=30))
        again = desk.run(name, now=NIGHT)
    assert versions(desk) - before == len(places) == again["revised"]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_leaves_no_trace_in_the_tables(fault, desk, truth):
    with serve(Eia(truth), FaultPlan({1: fault, 2: fault, 4: fault})) as served:
        eia(desk, served)
        result = desk.run("load", now=NIGHT)
    assert desk.stored() == expected(truth)
    assert result["state"] == "succeeded"


def test_watermarks_follow_the_data_and_a_backfill_moves_none(desk, truth):
    def marks():
        return desk.rows("SELECT max(watermark) FROM source_series")[0][0]

    with serve(Eia(truth)) as served:
        eia(desk, served)
        desk.run("load", now=START + 20 * HOUR)
        first = marks()
        desk.run(
            "load",
            mode="backfill",
            start=START + 30 * HOUR,
            end=START + 60 * HOUR,
        )
        assert marks() == first < START + 20 * HOUR
        desk.run("load", now=NIGHT)
    assert marks() == max(ts for _, ts in expected(truth))
    assert desk.stored() == expected(truth)


def test_a_wrong_key_fails_the_run_and_is_asked_once(desk, truth):
    with serve(Eia(truth, key="another")) as served:
        eia(desk, served)
        with pytest.raises(SourceRefused, match="auth"):
            desk.run("load", now=NIGHT)
        assert len(served.calls) == 1
    assert desk.stored() == {}
    assert desk.rows("SELECT state, reason FROM source_windows") == [("failed", "auth")]


def test_a_dead_source_fails_with_its_last_attempt(desk, truth):
    plan = FaultPlan(dict.fromkeys(range(1, 99), "500"))
    with serve(Eia(truth), plan) as served:
        eia(desk, served)
        with pytest.raises(SourceRefused, match="transient"):
            desk.run("load", now=NIGHT, tries=2)
    assert desk.rows("SELECT failures > 0 FROM sources") == [(True,)]


def test_one_bad_window_of_several_makes_the_run_partial(desk):
    long = Truth(5, series=("PJM:D",), starts=grid(START, 24 * 60), revised=0.0)

    class HalfBroken(Eia):
        def answer(self, call):
            told = str(call.query) + call.headers.get("x-params", "")
            if "2026-02" in told and "2026-01" not in told:
                return super().answer(call).__class__(500, b"<html>down</html>")
            return super().answer(call)

    with serve(HalfBroken(long)) as served:
        eia(desk, served)
        result = desk.run("load", now=START + timedelta(days=60), tries=2)
    assert result["state"] == "partial"
    assert 0 < len(result["failed"]) < result["windows_total"]
    assert all(one["reason"] == "transient" for one in result["failed"])
    assert 0 < len(desk.stored()) < len(expected(long))


def test_a_replay_of_the_archive_changes_nothing_and_asks_nobody(desk, truth):
    with serve(Eia(truth)) as served:
        eia(desk, served)
        desk.run("load", now=NIGHT)
        asked = len(served.calls)
        before = (desk.stored(), versions(desk))
        context = desk.attempt(now=NIGHT)
        params = ingest_replay.ReplayParams(source="load")
        outcome = ingest_replay.replay(params, context)
        with desk.database.tenant(desk.tenant_id) as connection:
            windows = outcome.store(connection)["windows"]
        assert len(served.calls) == asked
    assert {one["state"] for one in windows} == {"done"}
    assert (desk.stored(), versions(desk)) == before


def test_a_replay_restores_tables_that_were_lost(desk, truth):
    with serve(Eia(truth)) as served:
        eia(desk, served)
        desk.run("load", now=NIGHT)
    with desk.database.system() as connection:
        connection.exec_driver_sql("DELETE FROM obs_current; DELETE FROM obs_version")
    context = desk.attempt(now=NIGHT)
    outcome = ingest_replay.replay(ingest_replay.ReplayParams(source="load"), context)
    with desk.database.tenant(desk.tenant_id) as connection:
        outcome.store(connection)
    assert desk.stored() == expected(truth)


def test_pages_read_before_a_crash_are_not_asked_for_again(desk, monkeypatch):
    long = Truth(3, series=tuple(f"B{n}:D" for n in range(12)), revised=0.0,
                 starts=grid(START, 600))  # fmt: skip
    stored, broken = pull_store.store, [True]

    def crashing(*args, **more):
        if broken.pop() if broken else False:
            raise SourceUnavailable("the worker died")
        return stored(*args, **more)

    monkeypatch.setattr(pull_store, "store", crashing)
    with serve(Eia(long)) as served:
        desk.source(
            "load",
            "eia",
            {"route": ROUTE, "frequency": "hourly", "base_url": f"{served.url}/v2"},
            since=START.isoformat(),
        )
        desk.run("load", now=START + timedelta(days=26))
        pages = [call for call in served.calls if "/data" in call.path]
    assert len(pages) == len({call.query for call in pages}) > 1
    assert len(desk.stored()) == len(expected(long))


def test_too_many_bad_rows_publish_nothing_and_are_kept_with_reasons(desk, truth):
    class Broken(Eia):
        def answer(self, call):
            reply = super().answer(call)
            body = reply.body.replace(b'"value": "', b'"value": "x')
            return reply.__class__(reply.status, body, reply.headers)

    with serve(Broken(truth)) as served:
        eia(desk, served)
        with pytest.raises(SourceRefused, match="partitions could be read"):
            desk.run("load", now=NIGHT)
    assert desk.stored() == {}
    states = desk.rows("SELECT state, count(*) FROM quarantine GROUP BY state")
    assert states
    assert states[0][0] == "held"
    assert desk.rows("SELECT state FROM source_windows") == [("held",)]


def test_no_secret_is_in_any_row_or_kept_answer(desk, truth, tmp_path):
    with serve(Eia(truth)) as served:
        eia(desk, served)
        desk.run("load", now=NIGHT)
    tables = desk.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    with desk.database.system() as connection:
        for (name,) in tables:
            if name == "alembic_version":
                continue
            rows = connection.exec_driver_sql(f"SELECT {name}::text FROM {name}")
            assert not [row for row in rows if KEY in row[0]], name
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert kept
    assert not [path for path in kept if KEY.encode() in path.read_bytes()]
