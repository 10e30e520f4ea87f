"""Traces: one from the HTTP request through outbox and broker into the worker.

What holds a trace together is the W3C ``traceparent`` that travels anyway: in the
request, in the job's row, in the message. Where no collector is set, spans are silent
and OpenTelemetry is not even imported.
"""

import atexit
import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["server", "producer", "consumer"]
Attributes = Mapping[str, str | int]

_SEND_EVERY_MS = 1_000
_EXPORT_TIMEOUT_S = 3.0
_PATIENCE_S = 3.0
"""How long the end of a process may wait for the collector."""


class Span:
    """A stretch of work that nobody records; only its place in the trace is kept."""

    def __init__(self, traceparent: str | None) -> None:
        self.traceparent = traceparent
        self.failed = False

    @property
    def trace_id(self) -> str | None:
        """The id of the trace, which the logs carry too."""
        return self.traceparent.split("-")[1] if self.traceparent else None

    def tell(self, attributes: Attributes) -> None:
        """Say more about the work."""

    def end(self, *, name: str | None = None) -> None:
        """Say that the work is over, perhaps under a name that is known only now."""


class _Recorded(Span):
    """A span that goes to the collector."""

    def __init__(self, span: Any) -> None:
        context = span.get_span_context()
        super().__init__(
            f"00-{context.trace_id:032x}-{context.span_id:016x}"
            f"-{context.trace_flags:02x}"
        )
        self._span = span

    def tell(self, attributes: Attributes) -> None:
        self._span.set_attributes(attributes)

    def end(self, *, name: str | None = None) -> None:
        from opentelemetry.trace import Status, StatusCode

        if name is not None:
            self._span.update_name(name)
        if self.failed:
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()


@dataclass
class _Tracing:
    """The process's connection to the collector, if there is one."""

    provider: Any = None


_tracing = _Tracing()


def configure(url: str, *, service: str) -> None:
    """Send this process's spans to an OTLP/HTTP endpoint; an empty one is none.

    To be called in the process that works, not before it forks. Certificates and
    headers are taken from the ``OTEL_EXPORTER_OTLP_*`` variables.
    """
    if not url or _tracing.provider is not None:
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    name = f"{socket.gethostname()}-{os.getpid()}"
    resource = {"service.name": service, "service.instance.id": name}
    provider = TracerProvider(
        resource=Resource.create(resource), shutdown_on_exit=False
    )
    exporter = OTLPSpanExporter(endpoint=url, timeout=_EXPORT_TIMEOUT_S)
    provider.add_span_processor(
        BatchSpanProcessor(exporter, schedule_delay_millis=_SEND_EVERY_MS)
    )
    _tracing.provider = provider
    atexit.register(finish)


def finish() -> None:
    """Send what is left and record no more; a collector that is away is not awaited."""
    provider, _tracing.provider = _tracing.provider, None
    if provider is None:
        return
    atexit.unregister(finish)
    # The SDK's own flush knows no time limit.
    sending = threading.Thread(target=provider.shutdown, name="spans", daemon=True)
    sending.start()
    sending.join(_PATIENCE_S)


def of_job(*, job_id: str, attempt: int, tenant_id: int, queue: str) -> Attributes:
    """Return what spans tell of a job's attempt; never its params."""
    return {
        "forebay.job_id": job_id,
        "forebay.attempt": attempt,
        "forebay.tenant_id": tenant_id,
        "messaging.destination.name": queue,
    }


def begin(
    name: str, kind: Kind, *, parent: str | None, attributes: Attributes | None = None
) -> Span:
    """Begin a span below the one that a ``traceparent`` names, or a trace of its own.

    Whoever begins it ends it. Without a collector it stands for its parent.
    """
    return _begin(name, kind, parent=parent, link=None, attributes=attributes)


@contextmanager
def span(
    name: str,
    kind: Kind,
    *,
    parent: str | None,
    link: str | None = None,
    attributes: Attributes | None = None,
) -> Iterator[Span]:
    """Record a block; an exception that leaves it marks the span as failed.

    Args:
        name: what is done, for example ``run system.echo``.
        kind: which side of a call or a message this is.
        parent: the ``traceparent`` of the span above.
        link: the ``traceparent`` of another span that belongs to it.
        attributes: what it is done to, as from ``of_job``.
    """
    begun = _begin(name, kind, parent=parent, link=link, attributes=attributes)
    try:
        yield begun
    except BaseException:
        begun.failed = True
        raise
    finally:
        begun.end()


def _begin(
    name: str,
    kind: Kind,
    *,
    parent: str | None,
    link: str | None,
    attributes: Attributes | None,
) -> Span:
    if _tracing.provider is None:
        return Span(parent)
    from opentelemetry.trace import Link, SpanKind, get_current_span

    links = (get_current_span(_context(link)).get_span_context(),) if link else ()
    return _Recorded(
        _tracing.provider.get_tracer("forebay").start_span(
            name,
            context=_context(parent),
            kind=SpanKind[kind.upper()],
            links=[Link(one) for one in links],
            attributes=attributes,
        )
    )


def _context(traceparent: str | None) -> Any:
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import (
        TraceContextTextMapPropagator,
    )

    carrier = {"traceparent": traceparent} if traceparent else {}
    return TraceContextTextMapPropagator().extract(carrier, Context())
