"""A collector of spans: receives OTLP over HTTP and keeps what came."""

import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Received
from opentelemetry.proto.trace.v1.trace_pb2 import Status

WITHIN_S = 30


@dataclass(frozen=True)
class Span:
    """A span as the collector sees it."""

    service: str
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    links: tuple[str, ...]
    attributes: dict[str, Any]
    failed: bool


class Collector:
    """Listens on a port of its own while the block lasts."""

    def __init__(self) -> None:
        self._came = threading.Condition()
        self._spans: list[Span] = []
        keep = self._keep

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                keep(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_words: object) -> None:
                """Say nothing on standard error."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/v1/traces"

    @property
    def spans(self) -> list[Span]:
        with self._came:
            return list(self._spans)

    def await_span(self, name: str, *, trace_id: str = "") -> Span:
        """Return the first span of a name, in any or one trace, as soon as it came."""

        def came() -> list[Span]:
            return [
                one
                for one in self._spans
                if one.name == name and trace_id in ("", one.trace_id)
            ]

        with self._came:
            self._came.wait_for(came, WITHIN_S)
            found = came()
            assert found, f"no {name}, only {[one.name for one in self._spans]}"
            return found[0]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _keep(self, body: bytes) -> None:
        sent = ExportTraceServiceRequest.FromString(body)
        with self._came:
            for part in sent.resource_spans:
                service = _values(part.resource.attributes)["service.name"]
                for scope in part.scope_spans:
                    self._spans += [_span(service, one) for one in scope.spans]
            self._came.notify_all()


def _span(service: str, one: Received) -> Span:
    return Span(
        service,
        one.name,
        Received.SpanKind.Name(one.kind).removeprefix("SPAN_KIND_").lower(),
        one.trace_id.hex(),
        one.span_id.hex(),
        one.parent_span_id.hex(),
        tuple(link.span_id.hex() for link in one.links),
        _values(one.attributes),
        one.status.code == Status.STATUS_CODE_ERROR,
    )


def _values(attributes: Any) -> dict[str, Any]:
    return {
        one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes
    }
