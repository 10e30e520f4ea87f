"""One tenant cannot see, change or guess what is another's, whatever the call."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from tests.web import samples
from tests.web.caller import Caller

pytestmark = pytest.mark.servers

CREATES_ITS_OWN = {
    ("PUT", "/v1/series/<key>"),
    ("POST", "/v1/series/<key>/observations"),
}
"""A key names one's own series, so these make another one of the same name."""

ASKED = {"/v1/series/<key>/history": "?ts=2026-03-01T00:00:00Z"}
"""What a call cannot do without."""


@pytest.fixture
def owned(api, work) -> dict[str, str]:
    """What one tenant has: ids by the name they have in a route."""
    body = samples.observations(60, spike_at=50)
    api.post("/v1/series/load/observations", json=body)
    for job in (samples.forecast(series=["load"]), samples.analysis(series=["load"])):
        done = api.submit(**job)
        assert work.run(done["id"]) == "succeeded"
    failed = api.submit()
    work.end(failed["id"], "failed", reason="timeout")
    api.submit()
    upload = api.post("/v1/uploads", data=b"series,ts,value\n").json["id"]
    return {"job_id": done["id"], "key": "load", "upload": upload}


@pytest.fixture
def rows(database, tenant_id) -> Callable[[], dict[str, list[str]]]:
    """Read all rows of the first tenant, table by table."""

    def read() -> dict[str, list[str]]:
        with database.system() as connection:
            tables = connection.scalars(
                text(
                    "SELECT table_name FROM information_schema.columns "
                    "WHERE column_name = 'tenant_id' AND table_schema = 'public' "
                    "AND table_name <> 'api_keys'"
                )
            ).all()
            return {
                table: sorted(
                    connection.scalars(
                        text(
                            f"SELECT CAST(to_jsonb(t) AS text) FROM {table} AS t "
                            "WHERE tenant_id = :tenant"
                        ),
                        {"tenant": tenant_id},
                    )
                )
                for table in tables
            }

    return read


def routes_with_an_id(app) -> list[tuple[str, str]]:
    return sorted(
        (method, rule.rule)
        for rule in app.url_map.iter_rules()
        if rule.arguments & {"job_id", "key"}
        for method in rule.methods - {"OPTIONS"}
    )


def bodies() -> dict[str, Any]:
    return {"json": samples.observations(3)}


def test_no_route_shows_or_changes_what_is_another_tenant_s(
    app, api, other_api, owned, rows
):
    before = rows()
    assert sum(map(len, before.values())) > 100
    table = routes_with_an_id(app)
    assert len(table) >= 20
    for method, route in table:
        path = route.replace("<job_id>", owned["job_id"]).replace("<key>", "load")
        path += ASKED.get(route, "")
        body = bodies() if method in ("POST", "PUT") else {}
        answer = other_api.call(method, path, **body)
        if (method, route) in CREATES_ITS_OWN:
            assert answer.status_code in (200, 422), (method, route)
        else:
            assert answer.status_code == 404, (method, route)
        assert rows() == before, (method, route)
    assert api.get("/v1/series/load").json["count"] == 60


def test_what_is_another_s_looks_like_what_is_not_there(other_api, owned):
    for route in ("", "/result", "/events", "/chart", "/parts"):
        theirs = other_api.get(f"/v1/jobs/{owned['job_id']}{route}").json
        nobody = other_api.get(f"/v1/jobs/job_{'0' * 32}{route}").json
        for answer in (theirs, nobody):
            answer.pop("trace_id")
            answer["detail"] = answer["detail"].replace(owned["job_id"], "job_x")
            answer["detail"] = answer["detail"].replace(f"job_{'0' * 32}", "job_x")
            answer.pop("instance")
        assert theirs == nobody


def test_lists_show_one_s_own_only(api, other_api, owned):
    for path in ("/v1/jobs", "/v1/series"):
        assert api.get(path).json["items"]
        assert other_api.get(path).json["items"] == []
    newest = api.get("/v1/jobs?limit=1").json["next_cursor"]
    assert other_api.get(f"/v1/jobs?cursor={newest}").json["items"] == []
    assert other_api.get("/v1/series?q=load").json["items"] == []


def test_pausing_and_replaying_touch_one_s_own_only(api, other_api, owned, rows):
    api.post("/v1/queues/ingest/pause")
    before = rows()
    other_api.post("/v1/queues/system/pause")
    other_api.post("/v1/queues/ingest/resume")
    assert other_api.post("/v1/jobs/replay", json={}).json["replayed"] == []
    assert rows() == before
    assert other_api.get("/v1/audit").json["items"]
    assert [one["action"] for one in api.get("/v1/audit").json["items"]] == [
        "queue.pause"
    ]


def test_a_series_of_the_same_key_is_one_s_own(api, other_api, owned):
    one = {"observations": [{"ts": "2020-01-01T00:00:00Z", "value": 1}]}
    other_api.post("/v1/series/load/observations", json=one)
    assert other_api.get("/v1/series/load").json["count"] == 1
    assert api.get("/v1/series/load").json["count"] == 60
    assert other_api.get("/v1/series/load/forecasts").json["items"] == []
    assert other_api.get("/v1/series/load/anomalies").json["items"] == []


def test_another_tenant_s_upload_cannot_be_loaded(other_api, owned, work):
    job = other_api.submit(type="ingest.run", params={"upload": owned["upload"]})
    assert work.run(job["id"]) == "failed"
    failed = other_api.job(job["id"])
    assert failed["reason"] == "invalid_data"
    assert failed["error"]["errors"][0]["pointer"] == "/params/upload"


def test_the_console_of_one_tenant_does_not_show_the_other_s(app, other_api, owned):
    with app.test_client() as browser:
        browser.post("/console/sign-in", data={"key": other_api.secret})
        assert browser.get(f"/console/jobs/{owned['job_id']}").status_code == 404
        page = browser.get("/").text
    assert owned["job_id"] not in page
    assert "No jobs yet" in page


def test_a_viewer_of_another_tenant_sees_as_little(
    app, issue_key, other_tenant_id, owned
):
    viewer = Caller(app, issue_key(other_tenant_id, role="viewer"))
    assert viewer.get(f"/v1/jobs/{owned['job_id']}").status_code == 404
    assert viewer.get("/v1/jobs").json["items"] == []
