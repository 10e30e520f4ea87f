"""What a call leaves in the log: its trace, and no key."""

import json
import logging
import re

import pytest
import requests

from tests.servers.ports import free_port
from tests.web.caller import Caller
from web.routes import jobs

pytestmark = pytest.mark.servers

TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"


def test_the_trace_of_a_client_is_the_trace_of_the_answer_and_of_the_job(
    api, work, tenant_id
):
    answer = api.post(
        "/v1/jobs", json={"type": "system.echo"}, headers={"traceparent": TRACEPARENT}
    )
    assert answer.headers["X-Trace-Id"] == TRACE
    assert work.row(answer.json["id"], tenant_id).traceparent == TRACEPARENT


def test_a_call_without_a_trace_gets_one_that_the_job_keeps(api, work, tenant_id):
    first, second = (
        api.post("/v1/jobs", json={"type": "system.echo"}) for _ in range(2)
    )
    for answer in (first, second):
        trace = answer.headers["X-Trace-Id"]
        assert re.fullmatch(r"[0-9a-f]{32}", trace)
        stored = work.row(answer.json["id"], tenant_id).traceparent
        assert re.fullmatch(rf"00-{trace}-[0-9a-f]{{16}}-01", stored)
    assert first.headers["X-Trace-Id"] != second.headers["X-Trace-Id"]


def test_a_batch_and_a_retry_keep_their_trace(api, work, tenant_id):
    told = api.post(
        "/v1/jobs/batch",
        json={"jobs": [{"type": "system.echo"}]},
        headers={"traceparent": TRACEPARENT},
    ).json
    job_id = told["items"][0]["id"]
    api.post(f"/v1/jobs/{job_id}/cancel")
    again = api.post(f"/v1/jobs/{job_id}/retry").json["id"]
    for one in (job_id, again):
        assert work.row(one, tenant_id).traceparent == TRACEPARENT


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "x",
        TRACEPARENT.upper(),
        TRACEPARENT + "-00",
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-b7ad6b7169203331-01",
        "'; DROP TABLE jobs; --",
    ],
)
def test_a_trace_that_is_none_is_replaced(api, work, tenant_id, bad):
    answer = api.post(
        "/v1/jobs", json={"type": "system.echo"}, headers={"traceparent": bad}
    )
    assert answer.status_code == 202
    assert answer.headers["X-Trace-Id"] != TRACE
    assert bad not in work.row(answer.json["id"], tenant_id).traceparent or not bad


def test_problems_and_pages_carry_the_trace_too(app, api):
    headers = {"traceparent": TRACEPARENT}
    stranger = Caller(app, None)
    for caller, path in ((api, "/v1/nothing"), (stranger, "/v1/jobs"), (api, "/")):
        answer = caller.get(path, headers=headers)
        assert answer.headers["X-Trace-Id"] == TRACE


def test_no_call_writes_a_key_into_the_log(app, api, caplog, issue_key, tenant_id):
    caplog.set_level(logging.DEBUG)
    wrong = "fbk_wrongwrongwrong"
    viewer = issue_key(tenant_id, role="viewer")
    api.submit()
    api.get("/v1/jobs/job_x")
    api.post("/v1/jobs", data=b"{", headers={"Content-Type": "application/json"})
    Caller(app, wrong).get("/v1/jobs")
    Caller(app, viewer).post("/v1/jobs", json={})
    with app.test_client() as browser:
        browser.post("/console/sign-in", data={"key": api.secret})
        browser.post("/console/sign-in", data={"key": wrong})
        browser.get("/")
    for secret in (api.secret, viewer, wrong):
        assert secret not in caplog.text
        assert secret.removeprefix("fbk_") not in caplog.text


def test_an_error_nobody_foresaw_is_logged_without_the_key(
    app, api, caplog, monkeypatch
):
    def broken(*_args: object, **_more: object) -> None:
        raise RuntimeError("broken on purpose")

    monkeypatch.setattr(jobs.jobs, "page", broken)
    api.get("/v1/jobs")
    assert "broken on purpose" in caplog.text
    assert api.secret not in caplog.text


def test_the_log_of_a_real_process_has_the_trace_and_no_key(serve, api, tmp_path):
    gone = f"postgresql://nobody@127.0.0.1:{free_port()}/nothing"
    base, _ = serve(log_level="DEBUG", database_url=gone)
    headers = {"Authorization": f"Bearer {api.secret}", "traceparent": TRACEPARENT}
    assert requests.get(f"{base}/v1/jobs", headers=headers, timeout=10).status_code
    requests.post(f"{base}/console/sign-in", data={"key": api.secret}, timeout=10)
    (path,) = tmp_path.glob("web-*.log")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    traced = [line for line in lines if line.get("trace_id") == TRACE]
    assert "unforeseen error" in {line["event"] for line in traced}
    assert api.secret not in path.read_text()
