"""Spans: who is whose parent, what they tell, and that they cost nothing when off."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks import traces
from tests.tasks.collector import Collector

ROOT = Path(__file__).parents[2]
TRACE = "0af7651916cd43dd8448eb211c80319c"
ABOVE = f"00-{TRACE}-b7ad6b7169203331-01"
BESIDE = "00-11111111111111111111111111111111-2222222222222222-01"


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A collector to which this process sends."""
    with Collector() as found:
        traces.configure(found.url, service="a-test")
        yield found
        traces.finish()


def test_a_span_is_below_the_one_that_its_parent_names(collector):
    with traces.span("outer", "server", parent=ABOVE) as outer:
        assert outer.trace_id == TRACE
        with traces.span("inner", "producer", parent=outer.traceparent):
            pass
    traces.finish()
    inner, outer = collector.spans
    assert (outer.name, outer.kind, outer.service) == ("outer", "server", "a-test")
    assert (outer.trace_id, outer.parent_id) == (TRACE, "b7ad6b7169203331")
    assert (inner.name, inner.kind) == ("inner", "producer")
    assert (inner.trace_id, inner.parent_id) == (TRACE, outer.span_id)
    assert not inner.failed


def test_a_span_without_a_parent_begins_a_trace(collector):
    first, second = (traces.begin("x", "server", parent=None) for _ in range(2))
    assert first.traceparent is not None
    assert first.trace_id != second.trace_id
    first.end()
    second.end()
    traces.finish()
    assert {one.trace_id for one in collector.spans} == {
        first.trace_id,
        second.trace_id,
    }
    assert {one.parent_id for one in collector.spans} == {""}


def test_a_span_tells_what_it_was_told(collector):
    job = traces.of_job(job_id="job_1", attempt=2, tenant_id=7, queue="system")
    with traces.span(
        "x", "consumer", parent=ABOVE, link=BESIDE, attributes=job
    ) as span:
        span.tell({"forebay.outcome": "succeeded"})
    traces.finish()
    (found,) = collector.spans
    assert found.links == ("2222222222222222",)
    assert found.attributes == {
        "forebay.job_id": "job_1",
        "forebay.attempt": 2,
        "forebay.tenant_id": 7,
        "messaging.destination.name": "system",
        "forebay.outcome": "succeeded",
    }


def test_a_name_that_is_known_only_at_the_end_is_the_name(collector):
    traces.begin("POST", "server", parent=None).end(name="POST /v1/jobs")
    assert collector.await_span("POST /v1/jobs").kind == "server"


def test_a_span_fails_with_its_block_and_keeps_the_message_to_itself(collector):
    with (
        pytest.raises(ValueError, match="secret"),
        traces.span("x", "server", parent=ABOVE),
    ):
        raise ValueError("secret")
    with traces.span("y", "server", parent=ABOVE) as span:
        span.failed = True
    traces.finish()
    first, second = collector.spans
    assert (first.failed, second.failed) == (True, True)
    assert "secret" not in repr(collector.spans)


def test_a_client_that_does_not_want_to_be_recorded_is_not(collector):
    with traces.span("x", "server", parent=ABOVE[:-2] + "00") as span:
        assert span.trace_id == TRACE
        assert span.traceparent.endswith("-00")
    traces.finish()
    assert collector.spans == []


def test_without_a_collector_a_span_stands_for_its_parent():
    traces.configure("", service="a-test")
    with traces.span("x", "server", parent=ABOVE) as span:
        span.tell({"a": 1})
        assert (span.traceparent, span.trace_id) == (ABOVE, TRACE)
    alone = traces.begin("x", "server", parent=None)
    alone.end(name="y")
    assert (alone.traceparent, alone.trace_id) == (None, None)


def test_after_the_end_nothing_is_recorded_and_a_new_beginning_is_possible(collector):
    traces.finish()
    with traces.span("late", "server", parent=ABOVE):
        pass
    traces.configure(collector.url, service="again")
    with traces.span("new", "server", parent=ABOVE):
        pass
    traces.finish()
    traces.finish()
    assert [(one.service, one.name) for one in collector.spans] == [("again", "new")]


def test_the_end_of_a_process_does_not_wait_for_a_collector_that_hangs(monkeypatch):
    monkeypatch.setattr(traces, "_PATIENCE_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        traces.configure(f"http://127.0.0.1:{port}/v1/traces", service="a-test")
        for _ in range(100):
            with traces.span("x", "server", parent=ABOVE):
                pass
        traces.finish()
        (sending,) = [one for one in threading.enumerate() if one.name == "spans"]
        assert sending.is_alive()
        assert sending.daemon
    sending.join()


OFF = """
import sys
from tasks import traces
from tasks.settings import Settings
from web.app import create_app
app = create_app(Settings(database_url="postgresql://x/y"))
assert app.test_client().get("/health").status_code == 200
import workers.runner, workers.dispatcher
with traces.span("x", "server", parent=None):
    pass
print([name for name in sys.modules if name.startswith("opentelemetry")])
traces.configure("http://127.0.0.1:1/v1/traces", service="x")
print("opentelemetry.sdk.trace" in sys.modules)
import os
os._exit(0)
"""


def test_where_nobody_collects_opentelemetry_is_not_even_imported():
    ended = subprocess.run(
        [sys.executable, "-uc", OFF],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    assert ended.stdout.splitlines() == ["[]", "True"]
