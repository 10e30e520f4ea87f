"""``python -m bench.streams``: submissions while hundreds of clients follow events.

Phases without and with the clients take turns; between them the clients hang up and
come back with Last-Event-ID. At the end what each was told is held against the table.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psycopg

from bench import load
from bench import stack as platform
from bench.calls import Caller
from bench.drawn import draw, told, verdict
from bench.figures import Spread, quantile, spread
from bench.load import Refused
from bench.plans import asked
from bench.servers import Servers, running_servers
from bench.streamers import Order, Stream
from tests.stack import Stack

AIM = 2.0
_TUNED = {
    "FOREBAY_THREADS": "400",
    "FOREBAY_STREAMS": "350",
    "FOREBAY_TENANT_STREAMS": "350",
}
_WORKERS = (("forecast,ingest,analysis,system", 2),)
_ECHO = {"type": "system.echo", "params": {"payload": {"number": 42}}}
_FOLLOWED = {"type": "system.echo", "params": {"payload": {}, "duration_s": 0.2}}
_NOTICED_WITHIN_S = 60.0
_DRAIN_WITHIN_S = 600.0
_LIVE = """
SELECT EXISTS (SELECT FROM jobs WHERE state = 'queued')
    OR EXISTS (SELECT FROM jobs WHERE state = 'running')
"""
_FOLLOWED_LIVE = """
SELECT count(*) FROM jobs
WHERE state IN ('queued', 'running') AND params ->> 'duration_s' <> '0.0'
"""
_EVENTS = "SELECT job_id, id, kind FROM job_events WHERE id > %s ORDER BY id"


@dataclass(frozen=True)
class Plan:
    """How many clients there are, and how much is submitted in every phase.

    At the end the clients stay until nothing came for ``quiet_s``: a stream looks at
    the tables every five seconds whatever it hears.
    """

    followers: int = 290
    feeds: int = 10
    jobs: int = 1_500
    pairs: int = 4
    submissions: int = 500
    threads: int = 4
    quiet_s: int = 7


@dataclass(frozen=True)
class Phase:
    """The quantiles of submitting, in ms."""

    p50: float
    p95: float


@dataclass(frozen=True)
class Audit:
    """How many events the clients were told, and what was wrong."""

    told: int
    lost: int
    repeated: int


@dataclass(frozen=True)
class Found:
    """What was measured: pairs of phases, and the audit."""

    without: list[Phase]
    beside: list[Phase]
    audit: Audit

    @property
    def ratio(self) -> Spread:
        """The p95 with clients over that without, of every pair."""
        pairs = zip(self.beside, self.without, strict=True)
        return spread([one.p95 / other.p95 for one, other in pairs])


def audit(
    streams: Iterable[tuple[Sequence[tuple[int, str]], Sequence[tuple[int, str]]]],
) -> Audit:
    """Hold what each stream was told against the rows it should have been told."""
    told_count = lost = repeated = 0
    for seen, rows in streams:
        counted = Counter(seen)
        told_count += len(seen)
        lost += len(set(rows) - set(counted))
        repeated += len(seen) - len(counted)
        if foreign := set(counted) - set(rows):
            raise Refused(f"events that no table has: {sorted(foreign)[:5]}")
    return Audit(told_count, lost, repeated)


def table(found: Found) -> str:
    """Return the phases as a table, with the audit below."""
    rows = []
    for name in ("p50", "p95"):
        beside = spread([getattr(one, name) for one in found.beside])
        without = spread([getattr(one, name) for one in found.without])
        ratio, aim, met = f"{beside.median / without.median:.2f}", "", ""
        if name == "p95":
            ratio = (
                f"{found.ratio.median:.2f} "
                f"({found.ratio.low:.2f}-{found.ratio.high:.2f})"
            )
            aim, met = f"< {AIM:g}", verdict(found.ratio.median < AIM)
        cells = [
            f"{one.median:.1f} ({one.low:.1f}-{one.high:.1f})"
            for one in (without, beside)
        ]
        rows.append((f"submit {name}", *cells, ratio, aim, met))
    checked = found.audit
    return (
        draw(("ms", "without clients", "with clients", "ratio", "aim", ""), rows)
        + f"\n\n{checked.told:,} events told, {checked.lost} lost, "
        f"{checked.repeated} repeated: {verdict(checked.lost == 0)}"
    )


@contextmanager
def following(order: Order) -> Iterator[None]:
    """Keep clients beside the block; then add to the streams what they were told."""
    with subprocess.Popen(
        [sys.executable, "-m", "bench.streamers"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None  # noqa: S101 - it is a pipe
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        process.stdin.write(json.dumps(asdict(order)) + "\n")
        process.stdin.flush()
        if process.stdout.readline() != "open\n":
            raise Refused("the clients did not get their streams")
        yield
        process.stdin.close()
        answers = json.load(process.stdout)
    for stream, answer in zip((*order.jobs, *order.feeds), answers, strict=True):
        stream.latest, stream.ended = answer["latest"], answer["ended"]
        stream.seen += [(number, kind) for number, kind in answer["seen"]]


class Course:
    """A running platform with the streams of its clients."""

    def __init__(self, stack: Stack, rows: psycopg.Connection, plan: Plan) -> None:
        self._stack = stack
        self._rows = rows
        self._plan = plan
        self._port = platform.port(stack)
        self._feeds = [Stream("/v1/events") for _ in range(plan.feeds)]
        self._followed: dict[str, Stream] = {}

    def run(self) -> Found:
        """Submit in turns without and with clients, then audit what they were told."""
        self._submit()
        self._drained()
        since = self._latest()
        with following(self._order([])):
            pass  # from their marks on, the feeds must miss nothing
        with Caller(self._port, self._stack.key) as caller:
            ids = platform.submit_many(caller, _FOLLOWED, self._plan.jobs)
        self._followed = {one: Stream(f"/v1/jobs/{one}/events") for one in ids}
        without, beside = [], []
        for number in range(self._plan.pairs):
            self._alone()
            without.append(self._submit())
            last = number == self._plan.pairs - 1
            with following(
                self._order(self._open(), quiet_s=self._plan.quiet_s * last)
            ):
                beside.append(self._submit())
                self._enough()
                if last:
                    self._drained()
            _say(f"pair {number + 1} of {self._plan.pairs}: {beside[-1]}")
        return Found(without, beside, audit(self._told(since)))

    def _order(self, jobs: list[Stream], *, quiet_s: float = 0.0) -> Order:
        return Order(
            self._port,
            self._stack.key,
            jobs,
            self._feeds,
            clients=self._plan.followers,
            quiet_s=quiet_s,
        )

    def _open(self) -> list[Stream]:
        return [one for one in self._followed.values() if not one.ended]

    def _submit(self) -> Phase:
        order = load.Order(
            self._port,
            "/v1/jobs",
            json.dumps(_ECHO),
            self._plan.submissions,
            self._plan.threads,
            {"Authorization": f"Bearer {self._stack.key}"},
        )
        each_s = load.run_apart(order).each_s
        return Phase(quantile(each_s, 0.5) * 1_000, quantile(each_s, 0.95) * 1_000)

    def _drained(self) -> None:
        ends_at = time.monotonic() + _DRAIN_WITHIN_S
        while self._value(_LIVE):
            if time.monotonic() > ends_at:
                raise Refused(f"jobs are lost or too slow\n{self._stack.tails()}")
            time.sleep(0.1)

    def _enough(self) -> None:
        """Make sure that every client still had a job to follow."""
        if (live := self._value(_FOLLOWED_LIVE)) < self._plan.followers:
            raise Refused(f"only {live} jobs were left to follow: follow more")

    def _alone(self) -> None:
        """Wait until the HTTP door has noticed that the clients hung up."""
        ends_at = time.monotonic() + _NOTICED_WITHIN_S
        with Caller(self._port, self._stack.key) as caller:
            while "forebay_held_requests 0.0" not in caller.get("/metrics").decode():
                if time.monotonic() > ends_at:
                    raise Refused("streams of clients that hung up are still held")
                time.sleep(0.5)

    def _latest(self) -> int:
        return int(self._value("SELECT coalesce(max(id), 0) FROM job_events"))

    def _value(self, query: str) -> int:
        row = self._rows.execute(query).fetchone()
        return int(row[0]) if row else 0

    def _told(
        self, since: int
    ) -> Iterator[tuple[list[tuple[int, str]], list[tuple[int, str]]]]:
        events = self._rows.execute(_EVENTS, (since,)).fetchall()
        of_job: Mapping[str, list[tuple[int, str]]] = {
            one: [] for one in self._followed
        }
        for job_id, number, kind in events:
            if job_id in of_job:
                of_job[job_id].append((number, kind))
        for job_id, stream in self._followed.items():
            yield stream.seen, of_job[job_id]
        for feed in self._feeds:
            yield feed.seen, [(number, kind) for _, number, kind in events]


def run(servers: Servers, plan: Plan, *, folder: Path) -> Found:
    """Measure on a platform of its own."""
    with (
        platform.running(
            servers, name="bench_streams", folder=folder, workers=_WORKERS, tuned=_TUNED
        ) as stack,
        psycopg.connect(stack.environ["FOREBAY_DATABASE_URL"], autocommit=True) as rows,
    ):
        return Course(stack, rows, plan).run()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(words: list[str]) -> None:
    """Measure and print."""
    given = asked(Plan, words, name="streams", about=__doc__)
    plan = given.plan
    with running_servers() as servers, tempfile.TemporaryDirectory() as folder:
        found = run(servers, plan, folder=Path(folder))
    if given.json:
        told_all = {"plan": asdict(plan), "machine": servers.about, **asdict(found)}
        print(json.dumps(told_all, indent=2))
        return
    done = (
        f"{plan.pairs} pairs of phases of {plan.submissions} submissions from "
        f"{plan.threads} connections.\nClients: {plan.followers} follow a job each of "
        f"{plan.jobs}, {plan.feeds} follow all jobs; they hang up between phases."
    )
    print(told(table(found), done, servers.about))


if __name__ == "__main__":
    main(sys.argv[1:])
