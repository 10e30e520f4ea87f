"""The two sides of the comparison, each started, loaded and asked in its own way."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import psycopg
import redis

from bench.load import Order, Refused, run
from embedded.supervisor import Supervisor
from tests.servers.ports import free_port
from tests.stack import BASE_ENVIRON, running_stack

WEB_THREADS = 64
CONCURRENCY = 2
PAYLOAD = {"text": "The quick brown fox jumps over the lazy dog.", "number": 42}
_RESULT = {"payload": PAYLOAD}
_QUEUES = "forecast,ingest,analysis,system"
_START_WITHIN_S = 60.0
_WAIT_S = 20

# Cheap while jobs are under way, so that asking does not slow them down.
_SUCCEEDED = """
SELECT CASE WHEN EXISTS (SELECT FROM jobs WHERE state = 'queued')
    OR EXISTS (SELECT FROM jobs WHERE state = 'running') THEN 0
    ELSE (SELECT count(*) FROM jobs WHERE state = 'succeeded') END
"""


class Side(Protocol):
    """What a round needs of a platform."""

    name: str
    submit: Order
    batch: Order | None
    wait: Order

    def finished(self, total: int) -> bool:
        """Tell whether all ``total`` jobs since the start have their results."""


@dataclass
class Peer:
    """The platform written by hand; its jobs are its keys in Redis."""

    submit: Order
    wait: Order
    store: "redis.Redis"
    name: str = "peer"
    batch: Order | None = None

    def finished(self, total: int) -> bool:
        """See Side.finished."""
        return int(self.store.dbsize()) >= total


@dataclass
class Forebay:
    """Forebay; its jobs are its rows, and all of them must have succeeded."""

    submit: Order
    wait: Order
    batch: Order | None
    rows: psycopg.Connection
    name: str = "forebay"

    def finished(self, total: int) -> bool:
        """See Side.finished."""
        found = self.rows.execute(_SUCCEEDED).fetchone()
        return found is not None and found[0] >= total


@contextmanager
def running_peer(*, broker_url: str, result_url: str, folder: Path) -> Iterator[Peer]:
    """Run the peer until the block ends."""
    logs = folder / "peer-logs"
    logs.mkdir(parents=True)
    port = free_port()
    supervisor = Supervisor(
        environ=BASE_ENVIRON
        | {"PEER_BROKER_URL": broker_url, "PEER_RESULT_URL": result_url},
        logs=logs,
    )
    order = Order(port, "/jobs", json.dumps({"payload": PAYLOAD}), 1, 1)
    wait = replace(order, follow=f"/jobs/{{id}}?wait={_WAIT_S}", result=_RESULT)
    store = redis.Redis.from_url(result_url)
    try:
        supervisor.start("web", "gunicorn", *_gunicorn(port), "bench.peer.app:app")
        supervisor.start("worker", "celery", *_CELERY.split())
        _await_first_result(wait, logs)
        store.flushdb()
        yield Peer(order, wait, store)
    finally:
        supervisor.stop()
        store.close()


@contextmanager
def running_forebay(
    *, database_url: str, broker_url: str, queue_type: str, batch: int, folder: Path
) -> Iterator[Forebay]:
    """Run Forebay until the block ends."""
    with running_stack(
        database_url=database_url,
        broker={"FOREBAY_BROKER_URL": broker_url, "FOREBAY_QUEUE_TYPE": queue_type},
        folder=folder,
        workers=((_QUEUES, CONCURRENCY),),
        tuned={"FOREBAY_THREADS": str(WEB_THREADS)},
    ) as stack:
        job = {"type": "system.echo", "params": _RESULT}
        headers = {"Authorization": f"Bearer {stack.key}"}
        port = int(stack.environ["FOREBAY_PORT"])
        order = Order(port, "/v1/jobs", json.dumps(job), 1, 1, headers)
        many = replace(
            order, path="/v1/jobs/batch", body=json.dumps({"jobs": [job] * batch})
        )
        held = replace(
            order, headers={**headers, "Prefer": f"wait={_WAIT_S}"}, result=_RESULT
        )
        with psycopg.connect(database_url, autocommit=True) as rows:
            yield Forebay(order, held, many, rows)


# As Forebay's own web door runs (web/__main__.py).
def _gunicorn(port: int) -> list[str]:
    return (
        f"--bind=127.0.0.1:{port} --workers=1 --worker-class=gthread "
        f"--threads={WEB_THREADS} --keep-alive=30 --timeout=120 --log-level=warning "
        "--no-control-socket"
    ).split()


_CELERY = (
    f"--app bench.peer.app:celery worker --pool=prefork --concurrency={CONCURRENCY} "
    "--without-gossip --without-mingle --loglevel=WARNING"
)


def _await_first_result(wait: Order, logs: Path) -> None:
    ends_at = time.monotonic() + _START_WITHIN_S
    while True:
        try:
            run(wait)
        except (OSError, Refused) as error:
            if time.monotonic() > ends_at:
                tails = "\n".join(log.read_text()[-2000:] for log in logs.iterdir())
                raise Refused(f"the peer does not start: {error}\n{tails}") from error
            time.sleep(0.2)
        else:
            return
