"""One trace and one id: HTTP request, outbox, broker, worker, and the logs of all."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack import Stack, running_stack
from tests.tasks.collector import Collector, Span

pytestmark = [pytest.mark.servers, pytest.mark.slow]

TRACE = "0af7651916cd43dd8448eb211c80319c"
CLIENT = "b7ad6b7169203331"
PARAM = "param-that-nobody-else-reads"
VHOST = "traces"


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as found:
        yield found


@pytest.fixture(scope="module")
def stack(
    postgres_server, rabbitmq_server, collector, tmp_path_factory
) -> Iterator[Stack]:
    name = "forebay_traces"
    broker = {"FOREBAY_BROKER_URL": rabbitmq_server.add_vhost(VHOST)}
    postgres_server.create_database(name)
    try:
        with running_stack(
            database_url=postgres_server.url(name),
            broker=broker,
            folder=tmp_path_factory.mktemp("traces"),
            workers=(("forecast,ingest,analysis,system", 1),),
            tuned={
                "FOREBAY_TRACES_URL": collector.url,
                "FOREBAY_LOG_LEVEL": "DEBUG",
                "FOREBAY_RETRY_DELAY_S": "0.1",
            },
        ) as found:
            yield found
    finally:
        postgres_server.drop_database(name)
        rabbitmq_server.delete_vhost(VHOST)


def _lines(stack: Stack, name: str) -> list[dict]:
    (path,) = stack.logs.glob(f"{name}*.log")
    text = Path(path).read_text()
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def _of(collector: Collector, name: str, trace_id: str) -> Span:
    return collector.await_span(name, trace_id=trace_id)


def _stored(stack: Stack, job_id: str) -> str:
    with stack.database.system() as connection:
        return connection.exec_driver_sql(
            "SELECT traceparent FROM jobs WHERE id = %s", (job_id,)
        ).scalar_one()


@pytest.fixture(scope="module")
def job(stack) -> dict:
    """A job that was submitted within a client's trace and has ended."""
    headers = {"traceparent": f"00-{TRACE}-{CLIENT}-01"}
    body = {"type": "system.echo", "params": {"payload": {"x": PARAM}}}
    answer = stack.call("POST", "/v1/jobs", json=body, headers=headers)
    assert answer.headers["X-Trace-Id"] == TRACE
    found = stack.ended(answer.json()["id"])
    assert found["state"] == "succeeded"
    return found


def test_a_job_is_one_trace_from_the_client_to_the_worker(stack, collector, job):
    request = _of(collector, "POST /v1/jobs", TRACE)
    publish = _of(collector, "publish system.echo", TRACE)
    run = _of(collector, "run system.echo", TRACE)
    assert [one.service for one in (request, publish, run)] == [
        "forebay-web",
        "forebay-dispatcher",
        "forebay-worker",
    ]
    assert [one.kind for one in (request, publish, run)] == [
        "server",
        "producer",
        "consumer",
    ]
    assert request.parent_id == CLIENT
    assert publish.parent_id == request.span_id
    assert run.parent_id == publish.span_id
    assert run.links == (request.span_id,)
    assert _stored(stack, job["id"]) == f"00-{TRACE}-{request.span_id}-01"


def test_the_spans_tell_ids_and_outcome_and_no_params(stack, collector, job):
    told = {
        "forebay.job_id": job["id"],
        "forebay.attempt": 1,
        "forebay.tenant_id": stack.tenant_id,
        "messaging.destination.name": "system",
    }
    assert _of(collector, "publish system.echo", TRACE).attributes == told
    assert _of(collector, "run system.echo", TRACE).attributes == {
        **told,
        "forebay.outcome": "succeeded",
    }
    assert _of(collector, "POST /v1/jobs", TRACE).attributes == {
        "http.request.method": "POST",
        "http.route": "/v1/jobs",
        "http.response.status_code": 202,
        "forebay.tenant_id": stack.tenant_id,
    }
    assert PARAM not in repr(collector.spans)


def test_the_logs_of_all_three_processes_carry_the_trace_and_no_key(stack, job):
    for name, event in (
        ("web", "request answered"),
        ("dispatcher", "job published"),
        ("worker", "job succeeded"),
    ):
        traced = [one for one in _lines(stack, name) if one.get("trace_id") == TRACE]
        assert event in {one["event"] for one in traced}, name
    for path in stack.logs.glob("*.log"):
        assert stack.key not in path.read_text(), path
    (line,) = [
        one
        for one in _lines(stack, "worker")
        if one.get("trace_id") == TRACE and one["event"] == "job succeeded"
    ]
    assert line["job_id"] == job["id"]


def test_a_job_without_a_clients_trace_begins_one(stack, collector):
    answer = stack.call("POST", "/v1/jobs", json={"type": "system.echo"})
    trace_id = answer.headers["X-Trace-Id"]
    stack.ended(answer.json()["id"])
    stack.supervisor.tend()
    wanted = {"POST /v1/jobs", "publish system.echo", "run system.echo"}
    for name in wanted:
        _of(collector, name, trace_id)
    found = {one.name for one in collector.spans if one.trace_id == trace_id}
    assert found == wanted
    assert _of(collector, "POST /v1/jobs", trace_id).parent_id == ""


def test_what_fails_is_marked(stack, collector):
    missing = {"series": ["no.such.series"]}
    job = stack.run("analysis.run", missing)
    assert job["state"] == "failed"
    run = collector.await_span("run analysis.run")
    assert run.failed
    assert run.attributes["forebay.outcome"] == "failed"
    assert "no.such.series" not in repr(collector.spans)
