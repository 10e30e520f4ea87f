"""``python -m bench.workers``: what more worker processes bring, and what memory does.

Each count of workers has a platform of its own; a worker has one child, so the jobs
under way are as many as the workers.
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg

from bench import stack as platform
from bench.calls import Caller
from bench.drawn import draw, told, verdict
from bench.load import Refused
from bench.plans import asked
from bench.servers import Servers, running_servers
from tests.stack import Stack

COUNTS = (1, 2, 4)
FLAT = 0.05
_ALL = "forecast,ingest,analysis,system"
_ECHO = {"type": "system.echo", "params": {"payload": {"number": 42}}}
_SLEEP_S = 0.1
_SLEEPY = {
    "type": "system.echo",
    "params": {"payload": {"number": 42}, "duration_s": _SLEEP_S},
}
_LOOK_EVERY_S = 0.05
_PATIENCE_S = 120.0
_LIVE = """
SELECT CASE WHEN EXISTS (SELECT FROM jobs WHERE state = 'queued')
    OR EXISTS (SELECT FROM jobs WHERE state = 'running') THEN 1 ELSE 0 END
"""
_SUCCEEDED = "SELECT count(*) FROM jobs WHERE state = 'succeeded'"


@dataclass(frozen=True)
class Plan:
    """How many jobs are run: with each count of workers, and watching the memory.

    Without ``quick`` or without ``jobs`` that half is left out.
    """

    quick: int = 1_000
    slow: int = 100
    jobs: int = 50_000
    every: int = 2_500
    warm_up: int = 200


@dataclass(frozen=True)
class Rate:
    """Jobs to completion a second with a count of workers."""

    workers: int
    quick: float
    slow: float


@dataclass(frozen=True)
class Sample:
    """The resident memory of the platform's processes after ``jobs`` jobs, in MiB."""

    jobs: int
    mib: dict[str, float]

    @property
    def total(self) -> float:
        """All processes together."""
        return sum(self.mib.values())


@dataclass(frozen=True)
class Memory:
    """The medians of the first and the last third, and whether they are alike."""

    first_mib: float
    last_mib: float
    growth: float
    met: bool


def growth(samples: Sequence[Sample]) -> Memory:
    """Compare the last third of the samples with the first.

    Raises:
        ValueError: there are fewer than three samples.
    """
    third = len(samples) // 3
    if not third:
        raise ValueError(f"{len(samples)} samples have no thirds")
    first = statistics.median(one.total for one in samples[:third])
    last = statistics.median(one.total for one in samples[-third:])
    return Memory(first, last, last / first - 1, last / first - 1 <= FLAT)


def rates_table(rates: Sequence[Rate]) -> str:
    """Return the rates as a table, each beside that of one worker."""
    one = rates[0]
    rows = [
        (
            str(rate.workers),
            f"{rate.quick:,.0f}",
            f"{rate.quick / one.quick:.2f}",
            f"{rate.slow:,.1f}",
            f"{rate.slow / one.slow:.2f}",
        )
        for rate in rates
    ]
    sleepy = f"jobs of {_SLEEP_S:g} s, 1/s"
    return draw(("workers", "jobs, 1/s", "x", sleepy, "x"), rows)


def memory_table(samples: Sequence[Sample], found: Memory) -> str:
    """Return the samples as a table, with the verdict below."""
    names = list(samples[0].mib)
    rows = [
        (
            f"{sample.jobs:,}",
            *(f"{sample.mib[name]:.1f}" for name in names),
            f"{sample.total:.1f}",
        )
        for sample in samples
    ]
    return (
        draw(("jobs", *(f"{name}, MiB" for name in names), "all"), rows)
        + f"\n\nFirst third {found.first_mib:.1f} MiB, last third "
        f"{found.last_mib:.1f} MiB: {found.growth:+.1%}, aim <= {FLAT:+.0%}: "
        + verdict(found.met)
    )


class Course:
    """A running platform with the count of all jobs that were sent to it."""

    def __init__(self, stack: Stack, caller: Caller, rows: psycopg.Connection) -> None:
        self.stack = stack
        self._caller = caller
        self._rows = rows
        self._sent = 0

    def rate(self, job: dict[str, Any], count: int) -> float:
        """Return jobs a second from the first submission to the last end.

        Raises:
            Refused: a job did not succeed, or they take too long.
        """
        began = time.monotonic()
        platform.submit_many(self._caller, job, count)
        self._sent += count
        while self._live():
            if time.monotonic() - began > _PATIENCE_S + count:
                raise Refused(f"jobs are lost or too slow\n{self.stack.tails()}")
            time.sleep(_LOOK_EVERY_S)
        took_s = time.monotonic() - began
        if (done := self._count(_SUCCEEDED)) != self._sent:
            raise Refused(f"{done} of {self._sent} jobs succeeded")
        return count / took_s

    def _live(self) -> bool:
        return bool(self._count(_LIVE))

    def _count(self, query: str) -> int:
        row = self._rows.execute(query).fetchone()
        return int(row[0]) if row else 0


@contextmanager
def running_course(
    servers: Servers, *, name: str, count: int, folder: Path
) -> Iterator[Course]:
    """Run a platform with a count of workers, warmed up, until the block ends."""
    with (
        platform.running(
            servers, name=name, folder=folder, workers=((_ALL, 1),) * count
        ) as stack,
        Caller(platform.port(stack), stack.key) as caller,
        psycopg.connect(stack.environ["FOREBAY_DATABASE_URL"], autocommit=True) as rows,
    ):
        yield Course(stack, caller, rows)


def scale(servers: Servers, plan: Plan, *, folder: Path) -> list[Rate]:
    """Return the rates with each count of workers."""
    found = []
    for count in COUNTS:
        name = f"bench_workers_{count}"
        with running_course(servers, name=name, count=count, folder=folder) as course:
            course.rate(_ECHO, plan.warm_up)
            quick = course.rate(_ECHO, plan.quick)
            found.append(Rate(count, quick, course.rate(_SLEEPY, plan.slow * count)))
            _say(f"{count} workers measured: {found[-1]}")
    return found


def watch(servers: Servers, plan: Plan, *, folder: Path) -> list[Sample]:
    """Run many jobs; return the memory after every ``plan.every`` of them.

    The first ``plan.every`` jobs only warm the platform up.
    """
    samples = []
    with running_course(servers, name="bench_memory", count=1, folder=folder) as course:
        course.rate(_ECHO, plan.every)
        for done in range(plan.every, plan.jobs + 1, plan.every):
            rate = course.rate(_ECHO, plan.every)
            samples.append(Sample(done, resident_mib(course.stack)))
            _say(f"{done} jobs: {samples[-1].total:.1f} MiB, {rate:.0f} jobs/s")
    return samples


def resident_mib(stack: Stack) -> dict[str, float]:
    """Return the resident memory of web, dispatcher and worker, children included."""
    found = {}
    for name, pid in stack.supervisor.pids().items():
        if name != "beat":
            parent = psutil.Process(pid)
            family = [parent, *parent.children(recursive=True)]
            found[name] = sum(one.memory_info().rss for one in family) / 2**20
    return found


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(words: list[str]) -> None:
    """Measure and print."""
    given = asked(Plan, words, name="workers", about=__doc__)
    plan = given.plan
    with running_servers() as servers, tempfile.TemporaryDirectory() as folder:
        rates = scale(servers, plan, folder=Path(folder)) if plan.quick else []
        samples = watch(servers, plan, folder=Path(folder)) if plan.jobs else []
    if given.json:
        found = {
            "plan": asdict(plan),
            "machine": servers.about,
            "rates": [asdict(one) for one in rates],
            "samples": [asdict(one) for one in samples],
        }
        print(json.dumps(found, indent=2))
        return
    tables = [rates_table(rates)] if rates else []
    if samples:
        tables.append(memory_table(samples, growth(samples)))
    done = (
        f"{plan.quick:,} jobs of system.echo, and {plan.slow:,} of {_SLEEP_S:g} s for "
        "each worker, from the first submission to the last end.\nMemory: resident, "
        f"children included, one worker, after each {plan.every:,} jobs."
    )
    print(told("\n\n".join(tables), done, servers.about))


if __name__ == "__main__":
    main(sys.argv[1:])
