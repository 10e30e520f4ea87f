"""Prometheus metrics: requests are counted here, jobs in the tables (web/gauges.py).

Each name is described in docs/reference/metrics.md; a test compares both.
"""

import time
from typing import cast

from flask import Flask, Response, current_app, g, request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from db.session import Database
from web.gauges import TableCollector
from web.stream import Hub

_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


def registry() -> CollectorRegistry:
    """Return the running application's metrics."""
    return cast(CollectorRegistry, current_app.extensions["metrics"])


def register_metrics(app: Flask, database: Database, hub: Hub, *, streams: int) -> None:
    """Count and time every request, and publish what the tables say.

    Args:
        app: the application.
        database: where the tables are.
        hub: knows the held requests.
        streams: how many requests it may hold.
    """
    found = CollectorRegistry()
    requests = Counter(
        "forebay_http_requests",
        "Requests answered.",
        ["route", "method", "status"],
        registry=found,
    )
    seconds = Histogram(
        "forebay_http_request_seconds",
        "Time to answer, held requests included.",
        ["route"],
        registry=found,
    )
    open_streams = _of_held_requests(found, hub, streams)
    found.register(TableCollector(database))
    app.extensions["metrics"] = found

    @app.before_request
    def begin() -> None:
        g.began = time.perf_counter()

    @app.after_request
    def count(answer: Response) -> Response:
        route = str(request.url_rule) if request.url_rule else "unknown"
        # Anybody may invent a method; a label for each would fill the memory.
        method = request.method if request.method in _METHODS else "other"
        requests.labels(route, method, str(answer.status_code)).inc()
        if "began" in g:
            seconds.labels(route).observe(time.perf_counter() - g.began)
        if answer.mimetype == "text/event-stream":
            open_streams.inc()
            answer.call_on_close(open_streams.dec)
        return answer

    # Before the guard, so that refused requests are timed too.
    app.before_request_funcs[None].insert(0, app.before_request_funcs[None].pop())


def _of_held_requests(found: CollectorRegistry, hub: Hub, limit: int) -> Gauge:
    """Publish the held requests; return the gauge of those that are streams."""
    held = Gauge("forebay_held_requests", "Requests being held.", registry=found)
    held.set_function(lambda: hub.held)
    most = Gauge(
        "forebay_held_requests_limit",
        "How many requests may be held.",
        registry=found,
    )
    most.set(limit)
    return Gauge("forebay_event_streams", "Open event streams.", registry=found)
