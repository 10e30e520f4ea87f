"""What the tables say, as Prometheus gauges, read at most once a second.

Each name is described in docs/reference/metrics.md; a test compares both.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from db import counts, processes
from db.counts import Counts, Live
from db.processes import Process
from db.session import Database
from tasks.catalog import QUEUES, job_types
from tasks.grouping import SEVERITIES

_KEPT_S = 1.0
T = TypeVar("T")
_QUEUES = [(queue,) for queue in QUEUES]
_ROLES = ("worker", "dispatcher", "beat")
Values = Iterable[tuple[tuple[str, ...], float]]


class TableCollector(Collector):
    """Reads the tables at a scrape; one that comes within a second adds no load."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._kept: list[Metric] = []
        self._kept_until = 0.0

    def collect(self) -> Iterable[Metric]:
        """Return the gauges, all of one moment."""
        # Those who come while the tables are read wait for that answer.
        with self._lock:
            if time.monotonic() >= self._kept_until:
                self._kept = list(self._read())
                self._kept_until = time.monotonic() + _KEPT_S
            return self._kept

    def _read(self) -> Iterator[Metric]:
        with self._database.system() as connection:
            now = counts.counts(connection)
            alive = processes.alive(connection)
        yield from _of_live_jobs(now.live)
        yield from _of_ended_jobs(now)
        yield from _of_delivery(now)
        yield from _of_incidents(now)
        yield from _of_processes(alive, now)


def _of_live_jobs(live: list[Live]) -> Iterator[Metric]:
    yield _gauge(
        "forebay_jobs",
        "Jobs that are queued or running, by type and state.",
        ["type", "state"],
        _summed(
            live,
            lambda one: (one.type, one.state),
            lambda one: one.total,
            zero=[(kind, at) for kind in job_types() for at in ("queued", "running")],
        ),
    )
    queued = [one for one in live if one.state == "queued"]
    numbers: tuple[tuple[str, str, Callable[[Live], int]], ...] = (
        ("forebay_queued_jobs", "Queued jobs by queue.", lambda one: one.total),
        (
            "forebay_blocked_jobs",
            "Queued jobs that wait for another job to end.",
            lambda one: one.blocked,
        ),
        (
            "forebay_retrying_jobs",
            "Queued jobs of which an attempt has ended.",
            lambda one: one.retrying,
        ),
    )
    for name, text, number in numbers:
        values = _summed(queued, lambda one: (one.queue,), number, zero=_QUEUES)
        yield _gauge(name, text, ["queue"], values)
    oldest = dict.fromkeys(QUEUES, 0.0)
    for one in queued:
        oldest[one.queue] = max(oldest.get(one.queue, 0.0), one.age_s)
    yield _gauge(
        "forebay_oldest_queued_seconds",
        "The longest wait in a queue.",
        ["queue"],
        _by_one(oldest),
    )


def _of_ended_jobs(now: Counts) -> Iterator[Metric]:
    lately = f"over the last {counts.LATELY_MIN} minutes."
    yield _gauge(
        "forebay_ended_jobs",
        f"Jobs that ended, by type, state and reason, {lately}",
        ["type", "state", "reason"],
        [((one.type, one.state, one.reason), one.total) for one in now.ended],
    )
    yield _gauge(
        "forebay_extra_attempts",
        f"Attempts beyond the first of the jobs that ended {lately}",
        ["type"],
        _summed(now.ended, lambda one: (one.type,), lambda one: one.extra_attempts),
    )
    lost = Counter({(one.type,): one.lost for one in now.live if one.lost})
    for one in now.ended:
        if one.reason == "worker_lost":
            lost[(one.type,)] += one.total
    yield _gauge(
        "forebay_lost_jobs",
        f"Jobs whose latest worker died: they wait again, or ended {lately}",
        ["type"],
        lost.items(),
    )
    yield _gauge(
        "forebay_job_run_seconds",
        f"Quantiles of the run time of jobs that succeeded {lately}",
        ["type", "quantile"],
        [((one.type, str(one.quantile)), one.run_s) for one in now.durations],
    )
    yield _gauge(
        "forebay_job_wait_seconds",
        f"Quantiles of the wait before their start {lately}",
        ["type", "quantile"],
        [((one.type, str(one.quantile)), one.wait_s) for one in now.durations],
    )


def _of_delivery(now: Counts) -> Iterator[Metric]:
    totals = {one.queue: one.total for one in now.outbox}
    yield _gauge(
        "forebay_outbox_messages",
        "Due outbox rows.",
        ["queue"],
        _by_one(dict.fromkeys(QUEUES, 0) | totals),
    )
    ages = {one.queue: one.age_s for one in now.outbox}
    yield _gauge(
        "forebay_outbox_age_seconds",
        "Age of the oldest due outbox row that no pause, key or limit holds back.",
        ["queue"],
        _by_one(dict.fromkeys(QUEUES, 0.0) | ages),
    )
    none = dict.fromkeys(("pending", "delivered", "failed"), 0)
    yield _gauge(
        "forebay_webhook_deliveries",
        f"Webhook deliveries: pending, or ended in the last {counts.LATELY_MIN} "
        "minutes.",
        ["state"],
        _by_one(none | dict(now.deliveries.totals)),
    )
    yield _gauge(
        "forebay_webhook_due_seconds",
        "How long the oldest due webhook delivery waits for its attempt.",
        [],
        [((), now.deliveries.due_s)],
    )


def _of_incidents(now: Counts) -> Iterator[Metric]:
    yield _gauge(
        "forebay_open_incidents",
        "Incidents that go on, by severity.",
        ["severity"],
        _by_one(dict.fromkeys(SEVERITIES, 0) | dict(now.incidents)),
    )
    none = dict.fromkeys(("pending", "retrying", "failed"), 0)
    yield _gauge(
        "forebay_undelivered_notifications",
        "Messages of alerts that did not arrive: not tried yet, tried in vain, or "
        f"given up in the last {counts.LATELY_MIN} minutes.",
        ["state"],
        _by_one(none | dict(now.undelivered)),
    )


def _of_processes(alive: list[Process], now: Counts) -> Iterator[Metric]:
    roles = Counter(one.role for one in alive)
    yield _gauge(
        "forebay_processes",
        "Processes seen lately, by role.",
        ["role"],
        _by_one({role: roles[role] for role in _ROLES}),
    )
    yield _gauge(
        "forebay_silent_processes",
        "Processes that fell silent in the last minutes without signing off.",
        ["role"],
        _by_one({role: now.silent.get(role, 0) for role in _ROLES}),
    )
    readers = Counter(
        queue for one in alive if one.role == "worker" for queue in one.queues
    )
    yield _gauge(
        "forebay_queue_workers",
        "Workers that read a queue.",
        ["queue"],
        _by_one({queue: readers[queue] for queue in QUEUES}),
    )
    dispatchers = [one for one in alive if one.role == "dispatcher"]
    broker = [one.detail.get("broker", {}).get("state") for one in dispatchers]
    yield _gauge(
        "forebay_broker_up",
        "Whether a dispatcher is connected to the broker.",
        [],
        [((), float("ok" in broker))],
    )
    ready: dict[str, float] = {}
    for one in sorted(dispatchers, key=lambda one: one.seen_at):
        ready |= one.detail.get("ready", {})
    yield _gauge(
        "forebay_queue_ready_messages",
        "Messages the broker holds ready, as the latest dispatcher saw it.",
        ["queue"],
        _by_one(ready),
    )


def _summed(
    rows: Iterable[T],
    key: Callable[[T], tuple[str, ...]],
    number: Callable[[T], int],
    *,
    zero: Iterable[tuple[str, ...]] = (),
) -> Values:
    found = dict.fromkeys(zero, 0)
    for row in rows:
        found[key(row)] = found.get(key(row), 0) + number(row)
    return found.items()


def _by_one(values: dict[str, float] | dict[str, int]) -> Values:
    return [((key,), value) for key, value in values.items()]


def _gauge(name: str, text: str, labels: list[str], values: Values) -> Metric:
    family = GaugeMetricFamily(name, text, labels=labels)
    for key, value in values:
        family.add_metric(list(key), value)
    return family
