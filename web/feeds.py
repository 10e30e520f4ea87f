"""The events of all jobs of a tenant as one stream of server-sent events."""

import time
from collections.abc import Iterator
from typing import Any

from flask import Response, stream_with_context

from db import feed
from db.feed import Mark
from db.session import Database
from web.stream import (
    COMMENT_EVERY_S,
    LONGEST_STREAM_S,
    RECONNECT_AFTER_MS,
    Hub,
    encode,
)

_PATIENCE_S = 5.0
_GATHER_S = 0.05
"""Rest between two looks: a burst of events is read at once, not one by one."""


def stream_tenant(
    hub: Hub, database: Database, *, tenant_id: int, mark: Mark | None
) -> Iterator[bytes]:
    """Yield the tenant's events from a mark on, by default from now.

    Ends after five minutes, when the client comes back with Last-Event-ID.

    Raises:
        TooManyStreams: before anything is yielded.
    """
    ends_at = time.monotonic() + LONGEST_STREAM_S
    with hub.watch(tenant_id=tenant_id) as signal:
        if mark is None:
            with database.tenant(tenant_id) as connection:
                mark = feed.now(connection)
        # A mark of its own, so that a client that saw no event yet misses none either.
        first = f"retry: {RECONNECT_AFTER_MS}\nid: {mark}\nevent: mark\ndata: {{}}\n\n"
        yield first.encode()
        said_at = time.monotonic()
        while time.monotonic() < ends_at:
            with database.tenant(tenant_id) as connection:
                found, mark = feed.after(connection, tenant_id=tenant_id, mark=mark)
            for event, own in found:
                yield encode(event, event_id=str(own))
                said_at = time.monotonic()
            if time.monotonic() - said_at >= COMMENT_EVERY_S:
                yield b": still here\n\n"
                said_at = time.monotonic()
            if mark.upto is None:
                time.sleep(_GATHER_S)
                signal.wait(_PATIENCE_S)
                signal.clear()


def stream_response(stream: Iterator[bytes]) -> Response:
    """Return a stream of events as the answer; 204 where there is nothing to come.

    The first piece is made here, so that a refusal can still be answered.
    """
    first = next(stream, None)
    if first is None:
        return Response(status=204)  # tells an EventSource not to come back

    def body() -> Any:
        yield first
        yield from stream

    answer = Response(stream_with_context(body()), mimetype="text/event-stream")
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["X-Accel-Buffering"] = "no"
    answer.call_on_close(stream.close)  # type: ignore[attr-defined] # a generator
    return answer
