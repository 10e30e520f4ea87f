"""One run: a platform under load meets a plan of faults, comes to rest, is audited."""

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import requests

from tests.chaos import facts
from tests.chaos.audit import Finding, audit
from tests.chaos.facts import Facts
from tests.chaos.faults import Faults, Site
from tests.chaos.load import Load, Pace, Told
from tests.chaos.plan import KINDS, LEASE_S, Fault, make_plan
from tests.chaos.streams import Streams
from tests.chaos.submissions import STORED, stored_observations
from tests.stack import Stack, running_stack

TUNED = {
    "FOREBAY_LEASE_S": str(LEASE_S),
    "FOREBAY_HEARTBEAT_S": "1",
    "FOREBAY_LOST_AFTER_S": "3",
    "FOREBAY_HOUSEKEEPING_S": "0.5",
    "FOREBAY_RETRY_DELAY_S": "0.3",
    "FOREBAY_SHUTDOWN_S": "1",
    "FOREBAY_GRACE_S": "3",
}
WORKERS = (("forecast,analysis", 1), ("ingest,analysis,system", 2), ("system", 3))
_SMALL_BYTES = "24m"
_REST_WITHIN_S = 240.0
_STREAMS_WITHIN_S = 60.0
_LOOK_EVERY_S = 0.05
_AHEAD = 2  # of the faults that the load may outrun
_SCHEDULES = {"every five minutes": "*/5 * * * *", "hourly": "17 * * * *"}
_ZONE = "America/New_York"
# The platform splits a job into parts of half a minute: it is made to believe that a
# series takes 6 s, so that jobs over a few series have parts too.
_SLOW_SERIES = """
CREATE FUNCTION believe() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN NEW.unit_s := 6; RETURN NEW; END';
CREATE TRIGGER believe BEFORE INSERT OR UPDATE ON pace
    FOR EACH ROW EXECUTE FUNCTION believe();
INSERT INTO pace VALUES ('forecast.run', 1, 1, 1, 6, now());
"""
_UNFINISHED = """
SELECT (SELECT count(*) FROM jobs WHERE state = 'queued'),
    (SELECT count(*) FROM jobs WHERE state = 'running'),
    (SELECT count(*) FROM outbox)
"""


@dataclass(frozen=True)
class Order:
    """How large a run is."""

    jobs: int
    faults: int
    seed: int
    kinds: Sequence[str] = KINDS
    rate: float = 14.0
    clients: int = 8
    held_within_s: float = 60.0
    """How long the web process may take to notice who has left; 0: not asked,
    because it notices by its comments, which come every 15 s."""


@dataclass
class Run:
    """What happened, and what the audit found."""

    order: Order
    faults: Faults
    facts: Facts
    streams: Streams
    findings: list[Finding]
    took_s: float = 0.0
    rest_s: float = 0.0


def run(
    order: Order, *, postgres: Any, rabbitmq: Any, folder: Path, say: Callable[..., Any]
) -> Run:
    """Do a whole run on two servers that may be restarted and killed."""
    vhost = f"chaos_{order.seed}"
    broker = {"FOREBAY_BROKER_URL": rabbitmq.add_vhost(vhost)}
    postgres.create_database(vhost)
    folder.mkdir(parents=True, exist_ok=True)
    with (
        small_file_system(folder / "artifacts") as small,
        running_stack(
            database_url=postgres.url(vhost),
            broker=broker,
            folder=folder,
            workers=WORKERS,
            tuned=TUNED,
        ) as stack,
    ):
        site = Site(stack, postgres, rabbitmq, vhost, folder / "artifacts", small)
        prepare(stack)
        return _under_load(order, site, say)


@contextlib.contextmanager
def small_file_system(place: Path) -> Iterator[bool]:
    """Mount a small file system of its own, if this machine allows it."""
    place.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_SMALL_BYTES}", "tmpfs", str(place)]
    try:
        done = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except OSError:
        done = False
    try:
        yield done
    finally:
        if done:
            subprocess.run(["umount", "--lazy", str(place)], check=True)


def prepare(stack: Stack) -> None:
    """Store the series that jobs read, and the schedules of the jumping clock."""
    for key in STORED:
        answer = stack.call(
            "POST",
            f"/v1/series/{key}/observations",
            json={"observations": stored_observations(key)},
        )
        assert answer.ok, answer.text
    for name, cron in _SCHEDULES.items():
        job = {"type": "system.echo", "params": {"payload": {"schedule": name}}}
        body = {"name": name, "cron": cron, "jobs": [job], "timezone": _ZONE}
        answer = stack.call("POST", "/v1/schedules", json=body)
        assert answer.status_code == 201, answer.text
    with psycopg.connect(stack.environ["FOREBAY_DATABASE_URL"]) as connection:
        connection.execute(_SLOW_SERIES)


def _under_load(order: Order, site: Site, say: Callable[..., Any]) -> Run:
    plan = make_plan(
        order.seed, jobs=order.jobs, faults=order.faults, kinds=order.kinds
    )
    stack, told, faults = site.stack, Told(order.seed), Faults(site)
    streams = Streams(stack.base, stack.key, clients=order.clients, seed=order.seed)

    def held_back(number: int) -> bool:
        due = faults.passed + _AHEAD
        return due < len(plan) and number > plan[due].after

    load = Load(
        stack.base,
        stack.key,
        told,
        Pace(order.jobs, order.rate),
        held_back=held_back,
        accepted=streams.offer,
    )
    began = time.monotonic()
    streams.start()
    load.start()
    try:
        _strike_all(plan, faults, load, say)
    finally:
        faults.undo()
        load.stop()
        submitted_at = time.monotonic()
        say("all submitted; coming to rest")
        queues = _rest(faults, say)
        rest_s = time.monotonic() - submitted_at
        streams.finish(within_s=_STREAMS_WITHIN_S, events=_count_events(stack))
    told.broken_promises += streams.unexpected
    found = _facts(site, told, order.held_within_s)
    found.queues, found.streams, found.feed = queues, streams.seen, streams.feed
    took_s = time.monotonic() - began
    return Run(order, faults, found, streams, audit(found), took_s, rest_s)


def _strike_all(
    plan: list[Fault], faults: Faults, load: Load, say: Callable[..., Any]
) -> None:
    """Strike each fault when its time has come, until all jobs are accepted."""
    for number, fault in enumerate(plan, start=1):
        while len(load.told.jobs) < fault.after and load.submitting:
            faults.tend()
            time.sleep(_LOOK_EVERY_S)
        say(f"{number}/{len(plan)} {fault.kind} at {len(load.told.jobs)} jobs")
        faults.strike(fault)
    while load.submitting:
        faults.tend()
        time.sleep(_LOOK_EVERY_S)


def _count_events(stack: Stack) -> int:
    with psycopg.connect(stack.environ["FOREBAY_DATABASE_URL"]) as connection:
        row = connection.execute("SELECT count(*) FROM job_events").fetchone()
    return int(row[0]) if row else 0


def _facts(site: Site, told: Told, within_s: float) -> Facts:
    found = facts.read(site.stack.environ["FOREBAY_DATABASE_URL"], told)
    found.files = facts.files_below(site.uploads)
    found.held_requests = _held_requests(site.stack, within_s)
    return found


def _rest(faults: Faults, say: Callable[..., Any]) -> dict[str, tuple[int, int]]:
    """Wait until nothing is queued, running or waiting; return the queues' depths."""
    ends_at = time.monotonic() + _REST_WITHIN_S
    url = faults.site.stack.environ["FOREBAY_DATABASE_URL"]
    queues: dict[str, tuple[int, int]] = {}
    told = None
    while time.monotonic() < ends_at:
        faults.tend()
        with psycopg.connect(url) as connection:
            left = connection.execute(_UNFINISHED).fetchone()
        if left == (0, 0, 0):
            queues = _depths(faults.site)
            if not any(map(any, queues.values())):
                return queues
        if left != told:
            say(f"left (queued, running, to be published): {left}, queues {queues}")
            told = left
        time.sleep(0.5)
    return queues or _depths(faults.site)


def _depths(site: Site) -> dict[str, tuple[int, int]]:
    said = site.rabbitmq.ctl(
        *("list_queues", "-p", site.vhost, "--no-table-headers"),
        *("name", "messages_ready", "messages_unacknowledged"),
    )
    rows = [line.split("\t") for line in said.splitlines() if "\t" in line]
    return {name: (int(ready), int(unacked)) for name, ready, unacked in rows}


def _held_requests(stack: Stack, within_s: float) -> int:
    """Return how many requests the web process holds once it noticed who has gone."""
    if not within_s:
        return 0
    ends_at = time.monotonic() + within_s
    held = -1
    while time.monotonic() < ends_at and held:
        text = requests.get(f"{stack.base}/metrics", timeout=10).text
        (line,) = [
            line
            for line in text.splitlines()
            if line.startswith("forebay_held_requests ")
        ]
        held = int(float(line.split()[1]))
        time.sleep(0.5)
    return held
