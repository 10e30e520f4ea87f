"""Prometheus metrics: requests counted here, jobs counted in the tables.

Each name is described in docs/reference/metrics.md; a test compares both.
"""

import time
from collections.abc import Iterable, Iterator
from typing import cast

from flask import Flask, Response, current_app, g, request
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from db import counts, processes
from db.counts import Counts
from db.processes import Process
from db.session import Database
from web.stream import Hub

_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


def registry() -> CollectorRegistry:
    """Return the running application's metrics."""
    return cast(CollectorRegistry, current_app.extensions["metrics"])


def register_metrics(app: Flask, database: Database, hub: Hub) -> None:
    """Count and time every request, and publish what the tables say."""
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
    found.register(_TableCollector(database, hub))
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
        return answer

    # Before the guard, so that refused requests are timed too.
    app.before_request_funcs[None].insert(0, app.before_request_funcs[None].pop())


class _TableCollector(Collector):
    """Reads the tables at each scrape."""

    def __init__(self, database: Database, hub: Hub) -> None:
        self._database = database
        self._hub = hub

    def collect(self) -> Iterable[Metric]:
        with self._database.system() as connection:
            now = counts.counts(connection)
            alive = processes.alive(connection)
        yield from _of_jobs(now)
        yield from _of_processes(alive)
        yield _gauge(
            "forebay_held_requests",
            "Requests being held.",
            [],
            [((), self._hub.held)],
        )


def _of_jobs(now: Counts) -> Iterator[GaugeMetricFamily]:
    yield _gauge(
        "forebay_jobs",
        "Jobs by type and state.",
        ["type", "state"],
        [((kind, state), total) for kind, state, total in now.jobs],
    )
    yield _gauge(
        "forebay_oldest_queued_seconds",
        "Age of the oldest queued job of a queue.",
        ["queue"],
        [((queue,), age) for queue, age in now.oldest_queued_s],
    )
    yield _gauge(
        "forebay_job_run_seconds",
        "Quantiles of the run time over the last 15 minutes.",
        ["type", "quantile"],
        [((kind, str(level)), run) for kind, level, run, _ in now.durations],
    )
    yield _gauge(
        "forebay_job_wait_seconds",
        "Quantiles of the wait before a start over the last 15 minutes.",
        ["type", "quantile"],
        [((kind, str(level)), wait) for kind, level, _, wait in now.durations],
    )
    yield _gauge(
        "forebay_outbox_messages", "Due outbox rows.", [], [((), now.outbox[0])]
    )
    yield _gauge(
        "forebay_outbox_age_seconds",
        "Age of the oldest due outbox row.",
        [],
        [((), now.outbox[1])],
    )


def _of_processes(alive: list[Process]) -> Iterator[GaugeMetricFamily]:
    yield _gauge(
        "forebay_processes",
        "Processes seen lately, by role.",
        ["role"],
        [
            ((role,), sum(one.role == role for one in alive))
            for role in ("worker", "dispatcher", "beat")
        ],
    )
    yield _gauge(
        "forebay_queue_ready_messages",
        "Messages the broker holds ready, as the dispatcher saw it.",
        ["queue"],
        [
            ((queue,), ready)
            for one in alive
            for queue, ready in one.detail.get("ready", {}).items()
        ],
    )


def _gauge(
    name: str,
    text: str,
    labels: list[str],
    values: list[tuple[tuple[str, ...], float]],
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=labels)
    for key, value in values:
        family.add_metric(list(key), value)
    return family
