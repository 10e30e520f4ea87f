"""What is kept of answers, for how long, and what is left of a source that is gone."""

import os
from datetime import timedelta

import pytest

from db import sources as rows
from tasks import ingest_freshness, ingest_replay, pull_store, raw
from tasks.errors import SourceUnavailable
from tests.sources.server import serve
from tests.sources.table import Table
from tests.sources.truth import DAY, START, Truth, grid
from tests.tasks.source_runs import at_once, desk

__all__ = ["at_once", "desk"]

pytestmark = [pytest.mark.servers, pytest.mark.usefixtures("at_once")]

NIGHT = START + 3 * DAY
KEEP = timedelta(days=90)


class Changing(Table):
    """Never says that nothing has changed, and answers otherwise each time."""

    calls = 0

    def answer(self, call):
        self.calls += 1
        self.tag = f'"v{self.calls}"'
        self.truth.revise("A", START, float(self.calls), NIGHT)
        return super().answer(call)


@pytest.fixture
def truth() -> Truth:
    return Truth(5, starts=grid(START, 48), revised=0.0, missing=0.0)


def source(desk, url, name="load"):
    layout = {"series_columns": ["zone"], "ts_column": "t", "value_columns": ["v"]}
    config = {
        "base_url": f"{url}/whole.csv",
        "format": "csv",
        "layout": layout,
        "start_param": "from",
        "window_format": "%Y-%m-%dT%H:%M:%SZ",
        "span_days": 400,
    }
    desk.source(name, "http_table", config, since=START.isoformat(), lookback_h=1_000)


def read_on(desk, *nights, mode="full"):
    """Read the whole window anew in some nights."""
    for night in nights:
        desk.run("load", now=night, mode=mode, start=START, end=NIGHT)


def bodies(desk):
    folder = raw.folder(desk.artifacts, desk.tenant_id)
    return {path.name for path in folder.glob("*/*")}


def kept(desk):
    return {sha256 for (sha256,) in desk.rows("SELECT sha256 FROM raw_fetches")}


def grow_old(desk, days=2):
    for path in raw.folder(desk.artifacts, desk.tenant_id).glob("*/*"):
        at = (NIGHT - timedelta(days=days)).timestamp()
        os.utime(path, (at, at))


def tidy(desk, now):
    """Run the job of retention, as housekeeping does each time."""
    outcome = ingest_freshness.look(
        ingest_freshness.FreshnessParams(), desk.attempt(now=now)
    )
    with desk.database.tenant(desk.tenant_id) as connection:
        return outcome.store(connection)["forgotten"]


def test_what_the_rows_come_from_is_kept_however_old(desk, truth):
    with serve(Changing(truth)) as served:
        source(desk, served.url)
        read_on(desk, NIGHT)
    with desk.database.system() as connection:
        connection.exec_driver_sql(
            "UPDATE raw_fetches SET fetched_at = fetched_at - interval '400 days'"
        )
    grow_old(desk)
    assert (tidy(desk, NIGHT), tidy(desk, NIGHT)) == (0, 0)
    assert kept(desk) == bodies(desk) != set()


def test_older_answers_go_after_their_time_first_rows_then_bodies(desk, truth):
    with serve(Changing(truth)) as served:
        source(desk, served.url)
        read_on(desk, NIGHT, NIGHT, NIGHT)
    with desk.database.system() as connection:
        connection.exec_driver_sql(
            "UPDATE raw_fetches SET fetched_at = timestamptz '2026-01-04' - "
            "interval '1 day' * (3 - id + (SELECT min(id) FROM raw_fetches)) * 60"
        )
    grow_old(desk)
    latest = desk.rows("SELECT sha256 FROM raw_fetches ORDER BY id")
    assert tidy(desk, NIGHT) == 2  # 180 and 120 days old; that of 60 is stored
    assert kept(desk) == {latest[2][0]}
    assert len(bodies(desk)) == 3
    tidy(desk, NIGHT)
    assert bodies(desk) == kept(desk)


def test_a_failed_night_keeps_what_was_loaded_before(desk, truth):
    behaviour = Changing(truth)
    with serve(behaviour) as served:
        source(desk, served.url)
        read_on(desk, NIGHT)
        stored = desk.stored()
        behaviour.answer = Table(truth, key="a key").answer
        with pytest.raises(Exception, match="auth"):
            read_on(desk, NIGHT)
    with desk.database.system() as connection:
        connection.exec_driver_sql(
            "UPDATE raw_fetches SET fetched_at = fetched_at - interval '400 days'"
        )
    tidy(desk, NIGHT)
    with desk.database.system() as connection:
        connection.exec_driver_sql("DELETE FROM obs_current; DELETE FROM obs_version")
    replayed = ingest_replay.replay(
        ingest_replay.ReplayParams(source="load"), desk.attempt(now=NIGHT + DAY)
    )
    with desk.database.tenant(desk.tenant_id) as connection:
        replayed.store(connection)
    assert desk.stored() == stored


def test_bodies_of_a_deleted_source_are_swept(desk, truth):
    with serve(Changing(truth)) as served:
        source(desk, served.url)
        source(desk, served.url, "other")
        read_on(desk, NIGHT)
        desk.run("other", now=NIGHT)
    gone = desk.rows(
        "SELECT sha256 FROM raw_fetches JOIN sources ON sources.id = source_id "
        "WHERE name = 'load'"
    )
    with desk.database.tenant(desk.tenant_id) as connection:
        owner = rows.hold(connection, tenant_id=desk.tenant_id, name="load")
        rows.delete(connection, source=owner)
    tidy(desk, NIGHT)
    assert {sha256 for (sha256,) in gone} <= bodies(desk)  # too young to be judged
    grow_old(desk)
    tidy(desk, NIGHT)
    assert bodies(desk) == kept(desk) != set()


def test_a_sweep_leaves_other_files_alone(desk):
    folder = raw.folder(desk.artifacts, desk.tenant_id) / "ab"
    folder.mkdir(parents=True)
    for name in ("notes.txt", f".{'ab' * 16}.part", "ab" * 32):
        (folder / name).write_bytes(b"x")
    grow_old(desk)
    assert raw.sweep(desk.attempt(now=NIGHT)) == 1
    assert bodies(desk) == {"notes.txt", f".{'ab' * 16}.part"}


def test_an_answer_whose_body_is_gone_is_asked_for_and_kept_again(
    desk, truth, monkeypatch
):
    stored, broken = pull_store.store, [True]

    def crashing(*args, **more):
        if broken.pop() if broken else False:
            for path in raw.folder(desk.artifacts, desk.tenant_id).glob("*/*"):
                path.unlink()
            raise SourceUnavailable("the worker died, and its disk with it")
        return stored(*args, **more)

    monkeypatch.setattr(pull_store, "store", crashing)
    with serve(Changing(truth)) as served:
        source(desk, served.url)
        result = desk.run("load", now=NIGHT)
        assert len(served.calls) == 2
    assert result["state"] == "succeeded"
    assert bodies(desk) <= kept(desk)
