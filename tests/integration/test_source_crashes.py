"""Real workers read a source and are killed: no half window, no row twice, no secret.

The source holds an answer back, or a lock holds the load open, while every process of
the worker gets SIGKILL; the broker is RabbitMQ, the door a real web process.
"""

import base64
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg
import pytest
import requests
from cryptography.fernet import Fernet

from tests.sources.eia import ROUTE, Eia
from tests.sources.server import Call, Reply, serve
from tests.sources.truth import Truth, grid
from tests.stack import Stack, running_stack

pytestmark = [pytest.mark.servers, pytest.mark.slow]

SECRET = "sEcret/0f+the=source&worker"
START = datetime(2026, 1, 8, tzinfo=UTC)  # all hours lie in one partition of 31 days
HOURS = 300
SERIES = tuple(f"B{number}:D" for number in range(20))
PAGES = 2  # of 5,000 rows at most
TUNED = {
    "FOREBAY_LEASE_S": "6",
    "FOREBAY_HEARTBEAT_S": "1",
    "FOREBAY_LOST_AFTER_S": "3",
    "FOREBAY_RETRY_DELAY_S": "0.5",
    "FOREBAY_SHUTDOWN_S": "1",
    "FOREBAY_SOURCE_HOSTS": "127.0.0.1",
    "FOREBAY_CREDENTIALS_KEY": Fernet.generate_key().decode(),
}
WORKER = "worker-0"
LOCK = 20_260_101
_numbers = itertools.count(1)


class Holding(Eia):
    """EIA that keeps still at its n-th page of rows until it is let go."""

    def __init__(self, truth: Truth, *, at: int) -> None:
        super().__init__(truth, key=SECRET)
        self.pages: list[Call] = []
        self.reached, self.let_go = threading.Event(), threading.Event()
        self._at = at

    def answer(self, call: Call) -> Reply:
        if call.path.strip("/").endswith("/data"):
            self.pages.append(call)
            if len(self.pages) == self._at:
                self.reached.set()
                assert self.let_go.wait(60)
        return super().answer(call)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("source_crashes")


@pytest.fixture(scope="module")
def stack(postgres_server, rabbitmq_server, folder) -> Iterator[Stack]:
    name = "forebay_source_crashes"
    postgres_server.create_database(name)
    with running_stack(
        database_url=postgres_server.url(name),
        broker={"FOREBAY_BROKER_URL": rabbitmq_server.add_vhost("source_crashes")},
        folder=folder,
        workers=(("forecast,ingest,analysis,system", 1),),
        tuned=TUNED,
    ) as found:
        found.key = found.new_key(found.tenant_id, role="admin")
        secrets = {"secrets": {"api_key": SECRET}}
        put = found.call("PUT", "/v1/credentials/mine", json=secrets)
        assert put.ok, put.text
        yield found
    postgres_server.drop_database(name)


@pytest.fixture
def truth() -> Truth:
    return Truth(3, series=SERIES, starts=grid(START, HOURS), revised=0.0)


def source(stack: Stack, url: str) -> str:
    """Make a source that reads the served EIA; return its name."""
    name = f"s{next(_numbers)}"
    config = {
        "route": ROUTE,
        "frequency": "hourly",
        "base_url": f"{url}/v2",
    }
    made = stack.call(
        "POST",
        "/v1/sources",
        json={"name": name, "connector": "eia", "config": config, "credential": "mine"},
    )
    assert made.status_code == 201, made.text
    return name


def run(stack: Stack, name: str) -> str:
    """Ask for the window of the truth over HTTP; return the id of the job."""
    body = {
        "start": START.isoformat(),
        "end": (START + timedelta(hours=HOURS)).isoformat(),
    }
    asked = stack.call("POST", f"/v1/sources/{name}/backfill", json=body)
    assert asked.status_code == 202, asked.text
    return asked.json()["id"]


def rows(stack: Stack, query: str, **given: object) -> list[tuple]:
    with stack.database.system() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(query, given or None)]


def tables(stack: Stack, name: str) -> list[list[tuple]]:
    """Return all that a run leaves in the tables, but for names, ids and clocks."""
    of = {"prefix": f"{name}.", "name": name, "from": len(name) + 2}
    of_series = "FROM {} v JOIN series s ON s.id = v.series_id WHERE "
    mine = of_series + "starts_with(s.key, %(prefix)s) ORDER BY 1, 2, 3"
    local = "SELECT substr(s.key, %(from)s), ts, value"
    return [
        rows(stack, f"{local} {mine.format('obs_current')}", **of),
        rows(stack, f"{local} {mine.format('obs_version')}", **of),
        rows(
            stack,
            "SELECT partition_id, start_at, end_at, w.state, reason, "
            "counts->>'written' FROM source_windows w JOIN sources s "
            "ON s.id = w.source_id WHERE s.name = %(name)s ORDER BY 1",
            **of,
        ),
        rows(
            stack,
            "SELECT local_key, watermark FROM source_series t JOIN sources s "
            "ON s.id = t.source_id WHERE s.name = %(name)s ORDER BY 1",
            **of,
        ),
    ]


def until(stack: Stack, holds: Callable[[], object], *, within_s: float = 90) -> None:
    ends_at = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < ends_at, stack.tails()
        time.sleep(0.05)


def kill_worker(stack: Stack) -> None:
    """Kill the worker and its pool at once; nothing starts it again yet."""
    parent = psutil.Process(stack.supervisor.pids()[WORKER])
    for one in [parent, *parent.children(recursive=True)]:
        one.kill()
    parent.wait(timeout=10)


@contextmanager
def held_load(stack: Stack) -> Iterator[None]:
    """Keep each load from ending, when all its rows are written and none committed."""
    owner = stack.environ["FOREBAY_DATABASE_URL"].replace("+psycopg", "")
    with psycopg.connect(owner, autocommit=True) as connection:
        connection.execute(
            "CREATE FUNCTION hold_load() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN PERFORM pg_advisory_xact_lock({LOCK}); RETURN NEW; END $$"
        )
        connection.execute(
            "CREATE TRIGGER hold_load BEFORE INSERT ON source_windows "
            "FOR EACH ROW EXECUTE FUNCTION hold_load()"
        )
        connection.execute(f"SELECT pg_advisory_lock({LOCK})")
        try:
            yield
        finally:
            connection.execute(f"SELECT pg_advisory_unlock({LOCK})")
            connection.execute("DROP TRIGGER hold_load ON source_windows")
            connection.execute("DROP FUNCTION hold_load()")


def undisturbed(stack: Stack, truth: Truth) -> list[list[tuple]]:
    """Return the tables of a run that nothing disturbs."""
    with serve(Eia(truth, key=SECRET)) as served:
        name = source(stack, served.url)
        ended = stack.ended(run(stack, name))
    assert (ended["state"], ended["attempt"]) == ("succeeded", 1), ended
    found = tables(stack, name)
    assert len(found[0]) == len(found[1]) == len(truth.values())
    assert {row[3] for row in found[2]} == {"done"}
    return found


def test_a_worker_killed_between_two_pages_leaves_nothing_and_asks_for_the_rest(
    stack, truth
):
    holding = Holding(truth, at=PAGES)
    with serve(holding) as served:
        name = source(stack, served.url)
        job = run(stack, name)
        until(stack, holding.reached.is_set)
        kill_worker(stack)
        assert tables(stack, name)[:3] == [[], [], []]
        holding.let_go.set()
        ended = stack.ended(job, within_s=90)
    assert (ended["state"], ended["attempt"]) == ("succeeded", 2), ended
    asked = [call.query for call in holding.pages]
    assert asked.count(asked[0]) == 1  # the first page lay in the archive
    assert len(asked) == PAGES + 1
    assert tables(stack, name) == undisturbed(stack, truth)


def test_a_worker_killed_before_the_load_commits_leaves_no_half_window(stack, truth):
    with serve(Eia(truth, key=SECRET)) as served:
        name = source(stack, served.url)
        with held_load(stack):
            job = run(stack, name)
            until(
                stack,
                lambda: rows(
                    stack, "SELECT 1 FROM pg_locks WHERE NOT granted AND "
                    f"locktype = 'advisory' AND objid = {LOCK}"
                ),
            )  # fmt: skip
            kill_worker(stack)
            assert tables(stack, name) == [[], [], [], []]
        ended = stack.ended(job, within_s=90)
        pages = [call for call in served.calls if "/data" in call.path]
    assert (ended["state"], ended["attempt"]) == ("succeeded", 2), ended
    assert ended["result"]["written"] == len(truth.values())
    assert len(pages) == PAGES
    assert tables(stack, name) == undisturbed(stack, truth)


def test_a_worker_that_dies_at_every_page_gets_there_in_the_end(stack, truth):
    class Deadly(Eia):
        """Kills who asks, once a page."""

        killed: set = set()  # noqa: RUF012 - of this one behaviour

        def answer(self, call: Call) -> Reply:
            if call.query not in self.killed and "/data" in call.path:
                self.killed.add(call.query)
                for child in stack.children(WORKER):
                    if "spawn_main" in " ".join(child.cmdline()):
                        child.kill()
            return super().answer(call)

    with serve(Deadly(truth, key=SECRET)) as served:
        name = source(stack, served.url)
        ended = stack.ended(run(stack, name), within_s=120)
    assert (ended["state"], ended["attempt"]) == ("succeeded", PAGES + 1), ended
    assert tables(stack, name) == undisturbed(stack, truth)


def spellings(secret: str) -> list[str]:
    """Return a secret as it is, and as addresses, headers and JSON would carry it."""
    coded = [base64.b64encode(f"{end}{secret}".encode()).decode() for end in ("", ":")]
    return [secret, quote(secret, safe=""), secret.replace("/", "\\/"), *coded]


def test_no_secret_is_in_a_table_a_log_the_archive_a_message_or_a_command(
    stack, truth, folder, rabbitmq_server
):
    with serve(Eia(truth, key=SECRET)) as served:
        job = run(stack, source(stack, served.url))
        assert stack.ended(job)["state"] == "succeeded"
        # A source whose credential is refused tells of it in its own words.
        wrong = Eia(truth, key="another")
        with serve(wrong) as refusing:
            failed = stack.ended(run(stack, source(stack, refusing.url)))
        assert failed["state"] == "failed"
        assert any(SECRET in call.headers.get("x-api-key", "") for call in served.calls)
    told = dict(_places(stack, folder, rabbitmq_server.directory))
    assert any(job in text for place, text in told.items() if "logs/" in place)
    assert any(job in text for place, text in told.items() if "table jobs" in place)
    assert any(job in text for place, text in told.items() if place == "rabbitmq")
    assert any("PERIOD" in text.upper() for p, text in told.items() if "raw" in p)
    found = [
        (place, spelt)
        for place, text in told.items()
        for spelt in spellings(SECRET)
        if spelt in text
    ]
    assert found == []


def _places(stack: Stack, folder: Path, broker: Path) -> Iterator[tuple[str, str]]:
    """Yield all that a thief could read, place by place."""
    names = rows(stack, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    for (name,) in names:
        held = rows(stack, f'SELECT "{name}"::text FROM "{name}"')
        yield f"table {name}", "\n".join(row[0] for row in held)
    for path in (one for one in folder.rglob("*") if one.is_file()):
        yield str(path.relative_to(folder)), path.read_bytes().decode("latin-1")
    messages = [one for one in broker.rglob("*") if one.is_file()]
    yield "rabbitmq", "".join(one.read_bytes().decode("latin-1") for one in messages)
    for pid in stack.supervisor.pids().values():
        yield f"process {pid}", " ".join(psutil.Process(pid).cmdline())
    for path in ("/v1/jobs?limit=100", "/v1/sources", "/v1/credentials", "/v1/audit"):
        answer: requests.Response = stack.call("GET", path)
        yield path, answer.text
