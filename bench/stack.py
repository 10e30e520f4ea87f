"""The whole platform on a bench's servers, as it runs in production."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.calls import Caller
from bench.servers import Servers
from tests.stack import Stack, running_stack

BATCH = 1_000
PRODUCTION = (("forecast", 1), ("ingest,analysis,system", 1))


@contextmanager
def running(
    servers: Servers,
    *,
    name: str,
    folder: Path,
    workers: tuple[tuple[str, int], ...] = PRODUCTION,
    tuned: dict[str, str] | None = None,
) -> Iterator[Stack]:
    """Run the platform on a database and a virtual host of its own."""
    with running_stack(
        database_url=servers.postgres.create_database(name),
        broker=servers.broker(name),
        folder=folder / name,
        workers=workers,
        tuned=tuned,
    ) as stack:
        yield stack


def port(stack: Stack) -> int:
    """Return where the platform's HTTP door is."""
    return int(stack.environ["FOREBAY_PORT"])


def submit_many(caller: Caller, job: dict[str, object], count: int) -> list[str]:
    """Submit ``count`` jobs alike, a batch at a time; return their ids."""
    found: list[str] = []
    for first in range(0, count, BATCH):
        jobs = [job] * min(BATCH, count - first)
        items = caller.post("/v1/jobs/batch", {"jobs": jobs}, name="batch")["items"]
        found += [item["id"] for item in items]
    return found
