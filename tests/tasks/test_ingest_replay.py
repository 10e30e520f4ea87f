"""Kept answers parsed again: older than what is stored, again and again, and held."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from db import quarantine
from tasks import ingest_replay, outside
from tests.sources.server import Reply, serve
from tests.sources.truth import DAY, HOUR, START
from tests.tasks.source_runs import at_once, desk

__all__ = ["at_once", "desk"]

pytestmark = [pytest.mark.servers, pytest.mark.usefixtures("at_once")]

NIGHT = START + 2 * DAY


class Csv:
    """Answers with the lines that it is given."""

    def __init__(self, *lines):
        self.lines = lines

    def answer(self, call):
        assert call.method == "GET"
        return Reply(200, "\n".join(["zone,t,v", *self.lines, ""]).encode())


def row(hour, value):
    return f"a,{START + timedelta(hours=hour):%Y-%m-%dT%H:%M:%SZ},{value}"


GOOD = tuple(row(hour, hour + 0.5) for hour in range(30))


def source(desk, url, **config):
    layout = {"series_columns": ["zone"], "ts_column": "t", "value_columns": ["v"]}
    config = {"base_url": f"{url}/x.csv", "format": "csv", "layout": layout, **config}
    desk.source("load", "http_table", config, since=START.isoformat())


def replayed(desk, **more):
    """Replay what is kept."""
    outcome = ingest_replay.replay(
        ingest_replay.ReplayParams(source="load", **more),
        desk.attempt(now=NIGHT + 5 * DAY),
    )
    with desk.database.tenant(desk.tenant_id) as connection:
        return outcome.store(connection)


def versions(desk):
    return desk.rows("SELECT count(*) FROM obs_version")[0][0]


@pytest.fixture
def two_nights(desk, monkeypatch):
    """Read a table whole, and again a day later: one value more, and one revised."""
    clock = [datetime.now(UTC)]
    monkeypatch.setattr(outside, "_now", lambda: clock[0])
    behaviour = Csv(*GOOD)
    with serve(behaviour) as served:
        source(desk, served.url, whole=True)
        desk.run("load", now=NIGHT)
        clock[0] += DAY
        behaviour.lines = (GOOD[0], row(1, 99.0), *GOOD[2:], row(40, 7.0))
        desk.run("load", now=NIGHT + HOUR)
    windows = desk.rows("SELECT partition_id FROM source_windows ORDER BY 1")
    return [partition_id for (partition_id,) in windows]


def test_an_older_answer_neither_replaces_nor_withdraws_what_came_later(
    desk, two_nights
):
    before = desk.stored(), versions(desk)
    result = replayed(desk, partition=two_nights[0])
    (window,) = result["windows"]
    assert (window["state"], window["withdrawn"]) == ("done", 0)
    assert (desk.stored(), versions(desk)) == before


def test_a_replay_of_all_that_is_kept_writes_nothing_however_often(desk, two_nights):
    before = desk.stored(), versions(desk)
    for _ in range(2):
        result = replayed(desk)
        assert [one["state"] for one in result["windows"]] == ["done", "done"]
        assert result["left"] == 0
    assert (desk.stored(), versions(desk)) == before
    assert len(two_nights) == 2


def test_the_ledger_still_names_whose_answers_the_rows_come_from(desk, two_nights):
    named = "SELECT partition_id, job_id FROM source_windows ORDER BY 1"
    before = desk.rows(named)
    replayed(desk)
    assert desk.rows(named) == before
    assert [partition_id for partition_id, _ in before] == two_nights


def test_more_partitions_than_fit_are_counted(desk, two_nights, monkeypatch):
    monkeypatch.setattr(ingest_replay, "_MOST", 1)
    result = replayed(desk)
    assert [one["partition"] for one in result["windows"]] == two_nights[:1]
    assert result["left"] == 1


def held(desk):
    with desk.database.tenant(desk.tenant_id) as connection:
        ((owner,),) = desk.rows("SELECT id FROM sources")
        found = quarantine.page(
            connection,
            tenant_id=desk.tenant_id,
            source_id=owner,
            wanted=quarantine.Wanted(),
        )
    return [(one.state, one.seen) for one in found]


def test_a_partition_that_is_held_back_again_holds_its_rows_again(desk):
    with serve(Csv(*GOOD, row(40, "broken"))) as served:
        source(desk, served.url)
        desk.run("load", now=NIGHT)
    strict = json.dumps({"quality": {"min_score": 1}})
    with desk.database.system() as connection:
        connection.exec_driver_sql(f"UPDATE sources SET options = '{strict}'")
    result = replayed(desk, quarantined=True)
    assert [one["reason"] for one in result["windows"]] == ["score_too_low"]
    assert held(desk) == [("held", 2)]


def test_what_is_no_longer_bad_is_marked_as_replayed(desk):
    with serve(Csv(*GOOD, row(40, "-999x"))) as served:
        source(desk, served.url)
        desk.run("load", now=NIGHT)
    with desk.database.system() as connection:
        connection.exec_driver_sql(
            "UPDATE sources SET config = jsonb_set(config::jsonb, "
            "'{layout,missing}', '[\"-999x\"]')"
        )
    assert held(desk) == [("held", 1)]
    replayed(desk, quarantined=True)
    assert held(desk) == [("replayed", 1)]
    assert len(desk.stored()) == len(GOOD)
