"""Asking only for what is newer: an answer without content changes nothing at all."""

from datetime import timedelta

import pytest

from tasks import ingest_replay
from tests.sources.server import serve
from tests.sources.table import Table
from tests.sources.truth import DAY, START, Truth, grid
from tests.sources.web_page import WebPage
from tests.tasks.source_runs import at_once, desk

__all__ = ["at_once", "desk"]

pytestmark = [pytest.mark.servers, pytest.mark.usefixtures("at_once")]

NIGHT = START + 3 * DAY


@pytest.fixture
def truth() -> Truth:
    return Truth(5, starts=grid(START, 48), revised=0.0, missing=0.0)


def table(desk, url, **config):
    layout = {"series_columns": ["zone"], "ts_column": "t", "value_columns": ["v"]}
    config = {
        "base_url": f"{url}/whole.csv",
        "format": "csv",
        "layout": layout,
        **config,
    }
    desk.source("load", "http_table", config, since=START.isoformat())


def asked(served):
    return [call.headers.get("if-none-match") for call in served.calls]


def tables(desk):
    return (
        desk.stored(),
        desk.rows("SELECT count(*) FROM obs_version"),
        desk.rows("SELECT local_key, watermark, loaded_at FROM source_series"),
    )


def test_the_second_night_asks_for_news_and_gets_none(desk, truth):
    with serve(Table(truth)) as served:
        table(desk, served.url)
        desk.run("load", now=NIGHT)
        before = tables(desk)
        result = desk.run("load", now=NIGHT + DAY)
        assert asked(served) == [None, '"v1"']
    assert tables(desk) == before
    assert (result["state"], result["windows"][0]["reason"]) == (
        "succeeded",
        "unchanged",
    )
    assert (
        result["message"] == "nothing was new: the source says that nothing has changed"
    )


def test_what_is_newer_is_loaded_and_asked_for_from_then_on(desk, truth):
    behaviour = Table(truth)
    with serve(behaviour) as served:
        table(desk, served.url)
        for night in range(4):
            if night == 2:
                behaviour.tag = '"v2"'
                truth.revise("A", START, 77.0, NIGHT)
            result = desk.run("load", now=NIGHT + night * DAY)
            assert result["revised"] == (night == 2)
        assert asked(served) == [None, '"v1"', '"v1"', '"v2"']
    assert desk.stored()["load.a", START] == 77.0


@pytest.mark.parametrize("mode", ["full", "backfill"])
def test_who_wants_all_of_it_gets_all_of_it(desk, truth, mode):
    with serve(Table(truth)) as served:
        table(desk, served.url)
        desk.run("load", now=NIGHT)
        desk.run("load", now=NIGHT, mode=mode, start=START)
        assert asked(served) == [None, None]


def test_rows_that_were_held_back_are_asked_for_again(desk, truth):
    behaviour = Table(truth, short=0)
    with serve(behaviour) as served:
        table(desk, served.url)
        with desk.database.tenant(desk.tenant_id) as connection:
            strict = """options || '{"quality": {"min_score": 1}}'"""
            connection.exec_driver_sql(f"UPDATE sources SET options = {strict}")
        bad = behaviour._rows
        behaviour._rows = lambda call: [*bad(call), {"zone": "A", "t": "?", "v": 1.0}]
        with pytest.raises(Exception, match="score_too_low"):
            desk.run("load", now=NIGHT)
        behaviour._rows = bad
        result = desk.run("load", now=NIGHT + DAY)
        assert asked(served) == [None, None]
    assert result["written"] == len(desk.stored()) > 0


def test_a_source_that_was_changed_is_read_anew(desk, truth):
    with serve(Table(truth)) as served:
        table(desk, served.url)
        desk.run("load", now=NIGHT)
        with desk.database.tenant(desk.tenant_id) as connection:
            connection.exec_driver_sql(
                "UPDATE sources SET updated_at = now() + interval '1 hour'"
            )
        desk.run("load", now=NIGHT + DAY)
        assert asked(served) == [None, None]


def test_a_replay_after_quiet_nights_restores_what_was_lost(desk, truth):
    with serve(Table(truth)) as served:
        table(desk, served.url)
        for night in range(3):
            desk.run("load", now=NIGHT + night * DAY)
    before = desk.stored()
    with desk.database.system() as connection:
        connection.exec_driver_sql("DELETE FROM obs_current; DELETE FROM obs_version")
    outcome = ingest_replay.replay(
        ingest_replay.ReplayParams(source="load"), desk.attempt(now=NIGHT + 4 * DAY)
    )
    with desk.database.tenant(desk.tenant_id) as connection:
        windows = outcome.store(connection)["windows"]
    assert {one["state"] for one in windows} == {"done"}
    assert desk.stored() == before


def test_a_page_of_a_site_is_asked_for_when_it_is_newer(desk):
    truth = Truth(5, starts=grid(START, 20, DAY), revised=0.0, missing=0.0)
    page = WebPage(truth, START + 40 * DAY, robots=None)
    with serve(page) as served:
        config = {"base_url": f"{served.url}/prices.html", "contact": "a@b.test"}
        layout = {
            "ts_column": "Date",
            "value_columns": [f"USD {name}" for name in truth.series],
            "time_format": "%d %b %Y",
            "timezone": "UTC",
            "thousands": ",",
        }
        desk.source(
            "load", "web_table", {**config, "layout": layout}, since=START.isoformat()
        )
        first = desk.run("load", now=START + 40 * DAY)
        desk.run("load", now=START + 41 * DAY)
        pages = [one for one in served.calls if one.path == "/prices.html"]
        known = [one.headers.get("if-none-match") for one in pages]
    assert first["written"] > 0
    assert known[0] is None
    assert known[1] is not None


def test_a_table_that_comes_in_pages_is_always_asked_for_whole(desk, truth):
    with serve(Table(truth)) as served:
        paging = {"style": "offset", "size": 40}
        layout = {"series_columns": ["zone"], "ts_column": "t", "value_columns": ["v"]}
        config = {
            "base_url": f"{served.url}/offset",
            "format": "json",
            "rows_path": "data",
            "layout": layout,
            "paging": paging,
        }
        desk.source("load", "http_table", config, since=START.isoformat())
        desk.run("load", now=NIGHT)
        again = desk.run("load", now=NIGHT + timedelta(days=1))
        assert set(asked(served)) == {None}
    assert again["unchanged"] == len(desk.stored())
