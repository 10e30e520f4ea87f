"""What the demo shows, from results as the API gives them."""

from dataclasses import replace

import pytest

from embedded.client import CallFailed, Client
from embedded.demo import latest_month
from embedded.platform import free_port
from embedded.postgres import Postgres
from embedded.summary import summary
from tests.servers.ports import first_port


def _item(**evaluation) -> dict:
    judged = {
        "mae": 448.2,
        "skill_vs_naive": 0.41,
        "baseline": "seasonal_naive",
        "windows": 7,
        **evaluation,
    }
    points = [
        {
            "ds": f"2018-08-03T{hour:02d}:00:00Z",
            "mean": 1000.0 + hour,
            "q": {"0.5": 1.0},
        }
        for hour in range(24)
    ]
    return {
        "unique_id": "pjm.aep.load",
        "model": "lightgbm",
        "points": points,
        "evaluation": judged,
    }


def _shown(item: dict):
    from embedded.demo import Shown

    anomaly = {"kind": "level_shift", "severity": "high", "explanation": "It moved."}
    return Shown(
        {"result": {"written": 5, "revised": 1, "unchanged": 2, "quarantined": 3}},
        {"id": "job_f", "result": {"series": [item]}},
        {
            "params": {"from": "2018-07-01T00:00:00Z"},
            "result": {
                "series": [{"unique_id": "pjm.aep.load", "anomalies": [anomaly]}]
            },
        },
    )


def test_the_summary_says_by_how_much_the_forecast_is_better():
    text = summary(_shown(_item()), base="http://here", key="k")
    assert "Ingested 6 observations (2 unchanged, 3 rejected)." in text
    assert "41% better than seasonal naive, 7 windows" in text
    assert "level shift, high" in text
    assert "It moved." in text
    assert "... 18 more" in text


def test_a_worse_forecast_is_called_worse():
    text = summary(_shown(_item(skill_vs_naive=-0.2)), base="http://here", key="k")
    assert "20% worse than seasonal naive" in text


def test_a_forecast_without_a_judgement_says_so():
    text = summary(_shown(_item(skill_vs_naive=None)), base="http://here", key="k")
    assert "too short to judge" in text


@pytest.mark.parametrize(
    ("last", "start", "end"),
    [
        ("2018-08-03T03:00:00Z", "2018-07-01", "2018-08-01"),
        ("2018-01-31T23:00:00Z", "2017-12-01", "2018-01-01"),
        ("2018-03-01T00:00:00Z", "2018-02-01", "2018-03-01"),
    ],
)
def test_the_latest_whole_month_ends_where_the_current_one_begins(last, start, end):
    found = latest_month({"last": last})
    assert [text[:10] for text in found] == [start, end]


def test_a_platform_that_does_not_answer_is_not_ready():
    client = Client(f"http://127.0.0.1:{free_port(first_port(20_000))}")
    assert client.ready() == (False, "web")


def test_a_refused_call_is_told_with_its_problem(settings, issue_key, tenant_id):
    from threading import Thread
    from wsgiref.simple_server import WSGIRequestHandler, make_server

    from web.app import create_app

    class Quiet(WSGIRequestHandler):
        def log_message(self, *_arguments) -> None: ...

    app = create_app(settings)
    server = make_server("127.0.0.1", 0, app, handler_class=Quiet)
    thread = Thread(target=server.serve_forever)
    thread.start()
    client = Client(f"http://127.0.0.1:{server.server_port}", issue_key(tenant_id))
    try:
        with pytest.raises(CallFailed, match="unknown job type"):
            client.call("POST", "/v1/jobs", {"type": "nothing"})
        ready, missing = client.ready()
        assert not ready
        assert "workers" in missing
        client.fetch("/health")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        app.extensions["forebay"].close()


def test_postgres_starts_keeps_its_data_and_survives_a_kill(tmp_path):
    from db import migrate

    (tmp_path / "logs").mkdir()
    server = Postgres(tmp_path)
    server.start()
    assert migrate.upgrade(server.url) == "plain table"
    assert server.alive()
    server._process.kill()
    server._process.wait()
    assert not server.alive()
    again = Postgres(tmp_path)
    again.start()
    assert migrate.upgrade(again.url) == "plain table"
    again.stop()
    assert not again.alive()


def test_a_path_too_long_for_a_socket_gets_one_elsewhere(tmp_path):
    deep = tmp_path / ("x" * 60) / ("y" * 60)
    (deep / "logs").mkdir(parents=True)
    server = Postgres(deep)
    server.start()
    assert str(deep) not in server.url
    server.stop()


def test_a_demo_that_ran_before_says_that_it_did_not_run_again():
    shown = _shown(_item())
    assert "earlier start" not in summary(shown, base="http://here", key="k")
    again = summary(replace(shown, again=True), base="http://here", key="k")
    assert "It ran at an earlier start" in again
