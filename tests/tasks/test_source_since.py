"""A source begins where its owner says, however far back its connector looks."""

from datetime import timedelta

import pytest

from ingest.connectors.entsoe import Entsoe as EntsoeConnector
from ingest.connectors.entsoe import EntsoeConfig
from tasks import outside, source_plan
from tests.sources.eia import KEY, ROUTE, Eia
from tests.sources.entsoe import TOKEN, Entsoe
from tests.sources.server import serve
from tests.sources.table import Table
from tests.sources.truth import HOUR, START, Truth, grid
from tests.tasks.source_runs import Desk

pytestmark = pytest.mark.servers

SINCE = START + 30 * HOUR


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch):
    monkeypatch.setattr(outside, "pausing", lambda _context, _seconds: None)
    monkeypatch.setattr(
        outside, "_secrets", lambda *_args: {"api_key": KEY, "security_token": TOKEN}
    )
    monkeypatch.setattr(outside.rate_limits, "take", lambda *_args, **_more: 0.0)


@pytest.mark.parametrize("lookback_h", [None, 5_000])
def test_no_run_reads_what_lies_before_the_beginning(
    database, tenant_id, tmp_path, lookback_h
):
    desk = Desk(database, tenant_id, tmp_path)
    truth = Truth(5, series=("PJM:D",), starts=grid(START, 60), missing=0.0)
    with serve(Eia(truth)) as served:
        config = {
            "route": ROUTE,
            "frequency": "hourly",
            "facets": {"respondent": ["PJM"]},
            "base_url": f"{served.url}/v2",
        }
        desk.source(
            "load", "eia", config, since=SINCE.isoformat(), lookback_h=lookback_h
        )
        for night in (3, 4):
            desk.run("load", now=START + timedelta(days=night))
    stored = desk.stored()
    assert min(ts for _, ts in stored) == SINCE
    assert len(stored) == 30


def test_a_value_far_ahead_does_not_end_the_reading(database, tenant_id, tmp_path):
    desk = Desk(database, tenant_id, tmp_path)
    truth = Truth(5, series=("PJM:D",), starts=grid(START, 96), missing=0.0)
    with serve(Eia(truth)) as served:
        config = {
            "route": ROUTE,
            "frequency": "hourly",
            "facets": {"respondent": ["PJM"]},
            "base_url": f"{served.url}/v2",
        }
        desk.source("load", "eia", config, since=START.isoformat())
        desk.run("load", now=START + timedelta(days=3))
        with database.system() as connection:
            connection.exec_driver_sql(
                "UPDATE source_series SET watermark = '2999-01-01Z'"
            )
        desk.run("load", now=START + timedelta(days=5))
    assert len(desk.stored()) == 96


def test_a_series_far_ahead_leaves_the_others_where_they_are():
    now = START + timedelta(days=90)
    marks = {"ahead": now + timedelta(days=365), "here": START + timedelta(days=30)}
    assert source_plan._lowest(marks, now=now) == marks["here"]


def test_forecasts_of_tomorrow_are_read_today(database, tenant_id, tmp_path):
    desk = Desk(database, tenant_id, tmp_path)
    area = "10YBE----------2"
    truth = Truth(5, series=(area,), starts=grid(START, 72), missing=0.0)
    config = {"document": "A65", "process": "A01", "areas": [area]}
    with serve(Entsoe(truth)) as served:
        config["base_url"] = f"{served.url}/api"
        desk.source("load", "entsoe", config, since=START.isoformat())
        desk.run("load", now=START + 30 * HOUR)
    assert max(ts for _, ts in desk.stored()) > START + 47 * HOUR


def test_what_happened_is_read_up_to_now():
    config = EntsoeConfig(document="A75", areas=("10YBE----------2",))
    assert EntsoeConnector(config).ahead == timedelta(0)


@pytest.mark.parametrize("since", [None, SINCE.isoformat()])
def test_a_table_that_takes_no_window_is_read_whole_whatever_since(
    database, tenant_id, tmp_path, since
):
    desk = Desk(database, tenant_id, tmp_path)
    truth = Truth(5, starts=grid(START, 60), missing=0.0, revised=0.0)
    layout = {"series_columns": ["zone"], "ts_column": "t", "value_columns": ["v"]}
    with serve(Table(truth)) as served:
        config = {"base_url": f"{served.url}/whole.csv", "format": "csv"}
        options = {} if since is None else {"since": since}
        desk.source("load", "http_table", {**config, "layout": layout}, **options)
        desk.run("load", now=START + timedelta(days=300))
    assert min(ts for _, ts in desk.stored()) == START
