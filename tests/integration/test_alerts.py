"""Each alert fires in its bad state and none in a healthy one, in a real Prometheus."""

import itertools
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
import requests

from db import keys
from db.session import Database
from tasks.catalog import QUEUES
from tests.servers.ports import free_port
from tests.servers.process import ServerProcess
from tests.servers.prometheus import PrometheusServer

pytestmark = [pytest.mark.servers, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
RULES = ROOT / "compose" / "alerts.yaml"
HOW_TO = ROOT / "docs" / "how-to" / "watch-the-platform.md"
ALERTS = re.findall(r"- alert: (\w+)", RULES.read_text())
STREAMS = 2
# What a scrape tells may be this old; see web/gauges.py.
KEPT_S = 1.0

_ids = itertools.count(1)
_ALL_QUEUES = "ARRAY[" + ", ".join(f"'{queue}'" for queue in QUEUES) + "]"
_READY = "{" + ", ".join(f'"{queue}": 0' for queue in QUEUES) + "}"
# Seen in an hour: nobody has to say it again while the tests run.
_HEALTHY = f"""
DELETE FROM outbox; DELETE FROM webhook_deliveries; DELETE FROM webhooks;
DELETE FROM jobs; DELETE FROM processes;
INSERT INTO processes (name, role, queues, detail, started_at, seen_at) VALUES
    ('w', 'worker', {_ALL_QUEUES}, '{{}}', now(), now() + interval '1 hour'),
    ('b', 'beat', '{{}}', '{{}}', now(), now() + interval '1 hour'),
    ('d', 'dispatcher', '{{}}', '{{"broker": {{"state": "ok"}}, "ready": {_READY}}}',
        now(), now() + interval '1 hour');
INSERT INTO webhooks (id, tenant_id, url, events, description, enabled, generation,
    created_at, updated_at)
SELECT 'whk', id, 'https://example.org', '{{}}', '', true, 1, now(), now()
FROM tenants LIMIT 1;
"""


def jobs(n: int, state: str = "queued", **more: str) -> str:
    """Return a statement that makes jobs; ``more`` are columns in SQL."""
    columns = {
        "id": "'job_' || gen_random_uuid()",
        "tenant_id": "(SELECT min(id) FROM tenants)",
        "type": "'system.echo'",
        "queue": "'system'",
        "state": f"'{state}'",
        "params": "'{}'",
        "labels": "'{}'",
        "priority": "5",
        "timeout_s": "60",
        "attempt": "1",
        "max_attempts": "3",
        "version": "1",
        "created_at": "now()",
        **more,
    }
    names, values = ", ".join(columns), ", ".join(columns.values())
    return f"INSERT INTO jobs ({names}) SELECT {values} FROM generate_series(1, {n}); "


def ended(n: int, state: str, **more: str) -> str:
    now = {"started_at": "now()", "finished_at": "now()"}
    return jobs(n, state, **now, **more)


def messages(age: str) -> str:
    """Return a statement that puts all jobs into the outbox, due since a while."""
    return (
        "INSERT INTO outbox (tenant_id, job_id, attempt, type, queue, priority, "
        "available_at) SELECT tenant_id, id, attempt, type, queue, priority, "
        f"now() - interval '{age}' FROM jobs; "
    )


def deliveries(n: int, state: str, *, due: str = "NULL", ended: str = "NULL") -> str:
    return (
        "INSERT INTO webhook_deliveries (id, tenant_id, webhook_id, kind, body, state, "
        "attempts, next_attempt_at, created_at, ended_at) "
        "SELECT gen_random_uuid()::text, tenant_id, id, 'succeeded', '{}', "
        f"'{state}', 0, {due}, now(), {ended} FROM webhooks, generate_series(1, {n}); "
    )


def lose(name: str) -> str:
    return f"DELETE FROM processes WHERE name = '{name}'; "


BAD = {
    "ForebayNoWorker": "UPDATE processes SET queues = '{forecast,ingest,system}' "
    "WHERE name = 'w'",
    "ForebayNoDispatcher": lose("d"),
    "ForebayNoBeat": lose("b"),
    "ForebayBrokerAway": "UPDATE processes SET detail = "
    """'{"broker": {"state": "unreachable"}, "ready": {}}' WHERE name = 'd'""",
    "ForebayOutboxStuck": jobs(1) + messages("2 minutes"),
    "ForebayQueueOld": jobs(1, created_at="now() - interval '16 minutes'"),
    "ForebayJobsFail": ended(6, "failed", reason="'internal_error'")
    + ended(10, "succeeded"),
    "ForebayJobsLost": ended(1, "failed", reason="'worker_lost'"),
    "ForebayWorkersLost": "INSERT INTO processes VALUES "
    "('w2', 'worker', '{}', '{}', now(), now() - interval '1 minute')",
    "ForebayRetries": jobs(51, attempt="2", reason="'source_unavailable'"),
    "ForebayAttempts": ended(6, "succeeded", attempt="3"),
    "ForebayWebhooksLate": deliveries(
        1, "pending", due="now() - interval '10 minutes'"
    ),
    "ForebayWebhooksFail": deliveries(6, "failed", ended="now()")
    + deliveries(5, "delivered", ended="now()"),
    "ForebayNotificationsLost": "UPDATE webhooks SET channel = 'slack'; "
    + deliveries(1, "failed", ended="now()"),
}
"""What is done to a healthy platform's rows so that just this alert fires."""

BUSY = (
    jobs(30, created_at="now() - interval '10 minutes'")
    + jobs(5, "running", started_at="now()")
    + messages("50 seconds")
    + ended(40, "succeeded")
    + ended(9, "failed", reason="'invalid_data'")
    + ended(4, "failed", reason="'timeout'")
    + deliveries(20, "delivered", ended="now()")
    + deliveries(4, "failed", ended="now()")
    + deliveries(9, "pending", due="now() - interval '4 minutes'")
)
"""A platform with much to do and the usual faults: no reason to wake anyone."""


@dataclass
class Watched:
    """A web process over a database of its own, and the Prometheus that scrapes it."""

    url: str
    base: str
    key: str
    prometheus: PrometheusServer

    def make(self, statements: str) -> None:
        """Bring the tables from health into a state."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(_HEALTHY + statements)

    def firing(self) -> set[str]:
        """Return what fires in the state the platform is in now."""
        self.prometheus.await_round(after=time.time() + KEPT_S)
        return self.prometheus.firing()

    def get(self, path: str, **more) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.key}"}
        return requests.get(self.base + path, headers=headers, timeout=30, **more)


@pytest.fixture(scope="module")
def database_url(postgres_server, _template) -> Iterator[str]:
    name = "forebay_alerts"
    postgres_server.create_database(name, template=_template)
    yield postgres_server.url(name)
    postgres_server.drop_database(name)


@pytest.fixture(scope="module")
def key(database_url) -> str:
    database = Database(database_url, pool_size=0)
    with database.system() as connection:
        tenant_id = keys.ensure_tenant(connection, name="tenant")
        return keys.issue(connection, tenant_id=tenant_id, name="t", role="member")


@pytest.fixture(scope="module")
def rules(tmp_path_factory) -> Path:
    """The rules without their patience."""
    path = tmp_path_factory.mktemp("rules") / "alerts.yaml"
    text, replaced = re.subn(r"for: \w+", "for: 0s", RULES.read_text())
    assert replaced == len(ALERTS)
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def start(
    database_url, key, rules, tmp_path_factory
) -> Iterator[Callable[[], Watched]]:
    """Start a web process and a Prometheus; all are stopped at the end."""
    folder = tmp_path_factory.mktemp("web")
    with ExitStack() as stack:

        def started() -> Watched:
            port = free_port()
            environ = {
                name: text
                for name, text in os.environ.items()
                if not name.startswith("FOREBAY_")
            } | {
                "FOREBAY_DATABASE_URL": database_url,
                "FOREBAY_SECRET_KEY": "a test's secret",
                "FOREBAY_PORT": str(port),
                "FOREBAY_STREAMS": str(STREAMS),
                "FOREBAY_ARTIFACTS": str(folder / "artifacts"),
            }
            web = ServerProcess(folder / f"web-{port}.log")
            web.start([sys.executable, "-m", "web"], env=environ, cwd=ROOT)
            stack.callback(web.stop, signal.SIGTERM, timeout_s=10)
            base = f"http://127.0.0.1:{port}"
            web.wait_until(lambda: _lives(base), timeout_s=30, what="web")
            server = PrometheusServer(target=f"127.0.0.1:{port}", rules=rules)
            return Watched(database_url, base, key, stack.enter_context(server))

        yield started


@pytest.fixture(scope="module")
def watched(start) -> Watched:
    return start()


def _lives(base: str) -> bool:
    try:
        return requests.get(f"{base}/health", timeout=5).ok
    except requests.ConnectionError:
        return False


def test_the_rules_are_well_formed():
    done = subprocess.run(
        ["promtool", "check", "rules", str(RULES)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(ALERTS)} rules found" in done.stdout


def test_every_alert_has_a_test_here_and_advice_in_the_documents():
    by_hand = {"ForebayUnreachable", "ForebayHeldRequests", "ForebayErrors"}
    assert set(BAD) | by_hand == set(ALERTS)
    told = re.findall(r"^\| `(Forebay\w+)` \|", HOW_TO.read_text(), re.MULTILINE)
    assert told == ALERTS


@pytest.mark.parametrize("rows", ["", BUSY], ids=["idle", "busy"])
def test_no_alert_fires_on_a_healthy_platform(watched, rows):
    watched.make(rows)
    assert watched.firing() == set()


@pytest.mark.parametrize("alert", BAD)
def test_an_alert_fires_alone_in_its_bad_state(watched, alert):
    watched.make(BAD[alert])
    assert watched.firing() == {alert}


def test_an_outbox_that_waits_for_busy_workers_is_not_stuck(watched):
    watched.make(
        BAD["ForebayOutboxStuck"]
        + """UPDATE processes SET detail = jsonb_set(detail, '{ready,system}', '1')
        WHERE name = 'd'"""
    )
    assert watched.firing() == set()


def test_streams_that_are_all_taken_are_told(watched):
    watched.make(jobs(1, id="'job_held'"))
    with ExitStack() as stack:
        for _ in range(STREAMS):
            held = watched.get("/v1/jobs/job_held/events", stream=True)
            stack.callback(held.close)
            assert held.status_code == 200, held.text
        assert watched.firing() == {"ForebayHeldRequests"}


def test_a_web_process_without_its_tables_is_unreachable(watched):
    watched.make("ALTER TABLE outbox RENAME TO elsewhere")
    try:
        assert watched.firing() == {"ForebayUnreachable"}
    finally:
        with psycopg.connect(watched.url, autocommit=True) as connection:
            connection.execute("ALTER TABLE elsewhere RENAME TO outbox")


def test_server_errors_are_told(start):
    # Of its own: errors are seen for five minutes.
    watched = start()
    watched.make("ALTER TABLE series RENAME TO elsewhere")
    try:
        assert watched.get("/v1/series").status_code == 500
        assert watched.firing() == set()
        for _ in range(40):
            watched.get("/v1/series")
        assert watched.firing() == {"ForebayErrors"}
    finally:
        with psycopg.connect(watched.url, autocommit=True) as connection:
            connection.execute("ALTER TABLE elsewhere RENAME TO series")
