"""Drift and scores as a client sees them, and as its webhook is told."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from standardwebhooks.webhooks import Webhook

from tests.db.patience import until
from tests.db.watched import nights
from tests.tasks.series import store
from tests.web.caller import Caller
from tests.workers.receiver import receiving
from workers.deliverer import Deliverer, Outside

pytestmark = pytest.mark.servers

NEWEST = {"last": 1, "minimum_forecasts": 1}
LOAD = [100.0 + at % 24 + at % 7 for at in range(240)]


@pytest.fixture
def watch(api, work, database, tenant_id):
    """Let a night pass: forecasts that miss by an error, then a job that looks."""

    def night(*errors: float, key: str = "load", **params) -> dict:
        store(database, tenant_id, key, LOAD, frequency="1h")
        nights(database, tenant_id, actual=LOAD, errors=errors, key=key)
        job = api.submit(type="forecast.monitor", params={**NEWEST, **params})
        assert work.run(job["id"]) == "succeeded"
        return api.get(f"/v1/jobs/{job['id']}/result").json

    return night


def ids(answer) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json["items"]]


def test_findings_are_listed_shown_and_closed(api, watch):
    assert ids(api.get("/v1/drift")) == []
    (opened,) = watch(1.5)["opened"]
    (found,) = api.get("/v1/drift?state=open").json["items"]
    assert (found["id"], found["unique_id"]) == (opened["id"], "load")
    assert (found["kind"], found["state"]) == ("performance", "open")
    assert found["detail"]["ratio"] == pytest.approx(1.5)
    assert found["forecaster"] == "auto"
    for link in found["links"].values():
        assert api.get(link).status_code == 200
    assert api.get(found["links"]["self"]).json == found
    (closed,) = watch(0.9)["closed"]
    assert closed["id"] == opened["id"]
    assert ids(api.get("/v1/drift?state=open")) == []
    shown = api.get(found["links"]["self"]).json
    assert shown["state"] == "closed"
    assert shown["closed_at"] > shown["opened_at"]


def test_findings_are_filtered_and_paged(api, watch):
    for key in ("a", "b", "c"):
        watch(1.5, key=key)
    newest = ids(api.get("/v1/drift"))
    assert len(newest) == 3
    assert ids(api.get("/v1/drift?series=b")) == newest[1:2]
    assert ids(api.get("/v1/drift?series=nowhere")) == []
    assert ids(api.get("/v1/drift?kind=input")) == []
    assert ids(api.get("/v1/drift?kind=performance&state=closed")) == []
    first = api.get("/v1/drift?limit=2")
    assert 'rel="next"' in first.headers["Link"]
    rest = api.get(f"/v1/drift?limit=2&cursor={first.json['next_cursor']}")
    assert ids(first) + ids(rest) == newest


@pytest.mark.parametrize("query", ["state=ajar", "kind=luck", "colour=red", "limit=0"])
def test_a_query_that_means_nothing_is_refused(api, query):
    assert api.get(f"/v1/drift?{query}").status_code == 422


def test_what_is_not_there_is_not_found(api):
    assert api.get("/v1/drift/drf_nothing").status_code == 404
    assert api.get("/v1/series/nowhere/scores").status_code == 404


def test_scores_tell_what_came_of_each_forecast(api, watch):
    told = watch(1.5, -2.0, 0.5)
    assert told["matched"]["points"] == 72
    newest = api.get("/v1/series/load/scores?limit=2").json
    assert [one["mae"] for one in newest["items"]] == pytest.approx([0.5, 2.0])
    older = api.get(f"/v1/series/load/scores?cursor={newest['next_cursor']}").json
    (oldest,) = older["items"]
    assert (oldest["points"], oldest["steps"], oldest["coverage"]) == (24, 24, 0.0)
    assert oldest["baseline_mae"] == 1.0
    stored = api.get("/v1/series/load/forecasts?limit=3").json["items"]
    assert oldest["forecast_id"] == stored[-1]["id"]


def test_another_tenant_sees_nothing_and_a_viewer_reads(
    api, app, other_api, issue_key, tenant_id, watch
):
    (found,) = watch(1.5)["opened"]
    assert ids(other_api.get("/v1/drift")) == []
    assert other_api.get(f"/v1/drift/{found['id']}").status_code == 404
    assert other_api.get("/v1/series/load/scores").status_code == 404
    viewer = Caller(app, issue_key(tenant_id, role="viewer"))
    assert ids(viewer.get("/v1/drift")) == [found["id"]]


def test_the_result_reads_as_a_table(api, watch):
    watch(1.5)
    (job,) = api.get("/v1/jobs?type=forecast.monitor").json["items"]
    answer = api.get(f"{job['links']['self']}/result", headers={"Accept": "text/csv"})
    header, row = answer.text.splitlines()
    assert header == "change,id,unique_id,kind,forecaster"
    assert row.startswith("opened,drf_")


@pytest.fixture
def send(database, settings, tenant_id):
    """Send what is due now, of this tenant only."""

    def run() -> None:
        with database.system() as connection:
            connection.execute(
                text("DELETE FROM webhook_deliveries WHERE tenant_id <> :mine"),
                {"mine": tenant_id},
            )
        now = datetime.now(UTC) + timedelta(seconds=1)
        local = replace(settings, webhook_hosts="127.0.0.1")
        deliverer = Deliverer(database, local, outside=Outside(now=lambda: now))
        deliverer.look()
        until(lambda: not deliverer.sending)
        deliverer.stop()

    return run


def test_a_webhook_is_told_of_drift_and_of_its_end(
    make_app, settings, issue_key, tenant_id, watch, send
):
    listed = Caller(
        make_app(replace(settings, webhook_hosts="127.0.0.1")), issue_key(tenant_id)
    )
    with receiving() as receiver:
        wanted = {"url": receiver.url, "events": ["drift.opened", "drift.closed"]}
        made = listed.post("/v1/webhooks", json=wanted)
        assert made.status_code == 201, made.text
        assert made.json["events"] == wanted["events"]
        (opened,) = watch(1.5)["opened"]
        watch(1.5)
        send()
        watch(0.9)
        send()
    told = [
        Webhook(made.json["secret"]).verify(call.body, call.headers)
        for call in receiver.calls
    ]
    assert [one["type"] for one in told] == ["drift.opened", "drift.closed"]
    assert [one["data"]["state"] for one in told] == ["open", "closed"]
    assert {one["data"]["id"] for one in told} == {opened["id"]}
    assert told[0]["data"]["links"]["self"] == f"/v1/drift/{opened['id']}"
    assert told[0]["data"]["detail"]["ratio"] == pytest.approx(1.5)
    deliveries = listed.get(made.json["links"]["deliveries"]).json["items"]
    assert [one["type"] for one in deliveries] == ["drift.closed", "drift.opened"]
