"""``python -m bench.scale``: what a million finished jobs cost the calls of every day.

Two databases on one server, one with the history and one almost without, each with
a web process of its own; they are asked in turn, so that whatever else the machine
does meanwhile meets both alike.
"""

import contextlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench import rows
from bench.calls import Caller
from bench.drawn import draw, told, verdict
from bench.load import Refused
from bench.plans import asked
from bench.servers import running_servers
from db import attempts, keys, limits, line, migrate
from db.limits import Limits
from db.session import Database
from embedded.supervisor import Supervisor
from tasks.catalog import QUEUES
from tests.servers.ports import free_port
from tests.stack import BASE_ENVIRON

AIM = 2.0
CALLS = (
    "POST /v1/jobs",
    "GET /v1/jobs",
    "GET /v1/jobs, failed",
    "GET /v1/jobs, deep",
    "GET /metrics",
    "claim",
    "dispatcher's take",
)
_ECHO = {"type": "system.echo", "params": {"payload": {"number": 42}}}
_TENANTS = 10
_PAGE = 10
_TAKE = 64  # the dispatcher's batch
_SHARE = 0.1
_METRICS_KEPT_S = 1.05
_ANSWERS_WITHIN_S = 60


@dataclass(frozen=True)
class Plan:
    """How many jobs the tables hold, and how often each call is made."""

    jobs: int = 1_000_000
    few: int = 2_000
    days: int = 30
    rounds: int = 200
    warm_up: int = 20


@dataclass
class Side:
    """A database with a history, its web process and its calls."""

    name: str
    caller: Caller
    database: Database
    tenant_id: int
    deep: str = ""


@dataclass(frozen=True)
class Line:
    """A call: medians in seconds on both sides, their ratio, the verdict."""

    name: str
    few_s: float
    many_s: float
    ratio: float
    met: bool


def compare(
    few: Mapping[str, Sequence[float]], many: Mapping[str, Sequence[float]]
) -> list[Line]:
    """Return the medians of every call and their ratios."""
    found = []
    for name in CALLS:
        small, large = statistics.median(few[name]), statistics.median(many[name])
        found.append(Line(name, small, large, large / small, large / small < AIM))
    return found


def table(lines: Sequence[Line], plan: Plan) -> str:
    """Return the lines as a table."""
    head = ("ms", f"{plan.few:,} jobs", f"{plan.jobs:,} jobs", "ratio", "aim", "")
    drawn = [
        (
            one.name,
            f"{one.few_s * 1_000:.2f}",
            f"{one.many_s * 1_000:.2f}",
            f"{one.ratio:.2f}",
            f"< {AIM:g}",
            verdict(one.met),
        )
        for one in lines
    ]
    return draw(head, drawn)


@contextmanager
def running_side(
    name: str, database_url: str, *, jobs: int, days: int, folder: Path
) -> Iterator[Side]:
    """Fill a database and run a web process on it until the block ends."""
    migrate.upgrade(database_url)
    database = Database(database_url, pool_size=2, name="bench")
    tenants = _tenants(database)
    rows.fill(database_url, jobs=jobs, tenant_ids=tenants, days=days)
    with database.system() as connection:
        key = keys.issue(connection, tenant_id=tenants[0], name="bench", role="member")
    port = free_port()
    folder.mkdir()
    supervisor = Supervisor(environ=_environ(database_url, port, folder), logs=folder)
    try:
        supervisor.start("web", "web")
        with Caller(port, key) as caller:
            side = Side(name, caller, database, tenants[0])
            _await_answer(side)
            side.deep = _deep(side)
            yield side
    finally:
        supervisor.stop()
        database.close()


def _tenants(database: Database) -> list[int]:
    with database.system() as connection:
        found = [
            keys.ensure_tenant(connection, name=f"tenant {number}")
            for number in range(_TENANTS)
        ]
        # With a limit the dispatcher counts a tenant's live jobs at every turn.
        for tenant_id in found:
            limits.put(
                connection, tenant_id=tenant_id, limits=Limits(max_running=10_000)
            )
    return found


def _environ(database_url: str, port: int, folder: Path) -> dict[str, str]:
    return BASE_ENVIRON | {
        "FOREBAY_DATABASE_URL": database_url,
        "FOREBAY_ARTIFACTS": str(folder / "artifacts"),
        "FOREBAY_SECRET_KEY": "a bench's secret",
        "FOREBAY_PORT": str(port),
    }


def _await_answer(side: Side) -> None:
    ends_at = time.monotonic() + _ANSWERS_WITHIN_S
    while time.monotonic() < ends_at:
        with contextlib.suppress(OSError):
            side.caller.get("/health")
            return
        time.sleep(0.1)
    raise Refused(f"the web process beside {side.name} does not answer")


def _deep(side: Side) -> str:
    """Return the id that a tenth of the tenant's jobs are older than."""
    with side.database.tenant(side.tenant_id) as connection:
        found = connection.exec_driver_sql(
            "SELECT id FROM jobs ORDER BY id OFFSET (SELECT count(*) / 10 FROM jobs)"
            " LIMIT 1"
        )
        return str(found.scalar())


def ask(side: Side) -> None:
    """Make every call once."""
    caller = side.caller
    caller.get("/metrics", name="GET /metrics")
    job = caller.post("/v1/jobs", _ECHO, name="POST /v1/jobs")
    page = f"/v1/jobs?limit={_PAGE}"
    for name, path in (
        ("GET /v1/jobs", page),
        ("GET /v1/jobs, failed", f"{page}&state=failed"),
        ("GET /v1/jobs, deep", f"{page}&cursor={side.deep}"),
    ):
        items = json.loads(caller.get(path, name=name))["items"]
        if len(items) != _PAGE:
            raise Refused(f"{side.name}: {name} shows {len(items)} jobs")
    _timed(side, "dispatcher's take", _take)
    _timed(side, "claim", lambda connection: _claim(connection, job["id"]))


def _timed(side: Side, name: str, act: Callable[[Any], None]) -> None:
    began = time.perf_counter()
    with side.database.system() as connection:
        act(connection)
    side.caller.note(name, time.perf_counter() - began)


def _take(connection: Any) -> None:
    # Nothing is marked as sent, so the line grows alike on both sides.
    line.unclaimed(connection, queue="system")
    taken = line.take(
        connection, queue="system", queues=QUEUES, limit=_TAKE, share=_SHARE
    )
    if not taken:
        raise Refused("the line is empty")


def _claim(connection: Any, job_id: str) -> None:
    claimed = attempts.claim(
        connection, job_id=job_id, attempt=1, worker="bench", lease_s=600
    )
    if claimed is None:
        raise Refused(f"{job_id} cannot be claimed")


def measure(sides: list[Side], plan: Plan) -> None:
    """Ask the sides in turn; the rounds before the warm-up's end do not count."""
    for number in range(plan.warm_up + plan.rounds):
        if number == plan.warm_up:
            for side in sides:
                side.caller.each_s.clear()
        sides.reverse()
        for side in sides:
            ask(side)
        # For a second the web process answers /metrics from memory.
        time.sleep(_METRICS_KEPT_S)


def run(postgres: Any, plan: Plan, *, folder: Path) -> list[Line]:
    """Fill two databases, ask both, and return the lines of the table."""
    with ExitStack() as stack:
        few, many = (
            stack.enter_context(
                running_side(
                    name,
                    postgres.create_database(f"bench_{name}"),
                    jobs=jobs,
                    days=plan.days,
                    folder=folder / name,
                )
            )
            for name, jobs in (("few", plan.few), ("many", plan.jobs))
        )
        measure([few, many], plan)
        return compare(few.caller.each_s, many.caller.each_s)


def main(words: list[str]) -> None:
    """Measure and print."""
    given = asked(Plan, words, name="scale", about=__doc__)
    plan = given.plan
    with running_servers(broker=False) as servers:
        with tempfile.TemporaryDirectory() as folder:
            lines = run(servers.postgres, plan, folder=Path(folder))
        about = servers.about
    if given.json:
        found = {
            "plan": asdict(plan),
            "machine": about,
            "lines": [asdict(one) for one in lines],
        }
        print(json.dumps(found, indent=2))
        return
    done = (
        f"Medians of {plan.rounds} calls; {_TENANTS} tenants, ages spread over "
        f"{plan.days} days.\nThe few jobs are there so that each page of {_PAGE} is "
        "full on both sides."
    )
    print(told(table(lines, plan), done, about))


if __name__ == "__main__":
    main(sys.argv[1:])
