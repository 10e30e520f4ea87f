"""Alive, ready, and if not, which part is missing."""

from collections.abc import Callable
from dataclasses import replace

import psycopg
import pytest
from sqlalchemy import text

from db import processes
from db.session import Database
from tasks.catalog import QUEUES
from tests.servers.ports import free_port
from tests.web.caller import Caller

pytestmark = pytest.mark.servers

BROKER = {"broker": {"state": "ok"}}
ALL = {
    "dispatcher": {"role": "dispatcher", "detail": BROKER},
    "worker": {"role": "worker", "queues": QUEUES},
    "beat": {"role": "beat"},
}


@pytest.fixture
def own(own_settings):
    """A database that no other test writes to."""
    database = Database(own_settings.database_url, pool_size=2)
    yield database
    database.close()


@pytest.fixture
def ready(own_settings, own, make_app) -> Callable[..., tuple[int, dict]]:
    """Ask whether a platform of these processes is ready."""
    caller = Caller(make_app(own_settings), None)

    def ask(**seen) -> tuple[int, dict]:
        with own.system() as connection:
            for name, facts in seen.items():
                processes.seen(connection, name=name, **facts)
        answer = caller.get("/ready")
        return answer.status_code, answer.json

    return ask


def failing(body: dict) -> set[str]:
    return {name for name, check in body["checks"].items() if not check["ok"]}


def test_a_process_that_answers_is_healthy_whatever_else_is_gone(make_app, settings):
    gone = f"postgresql://nobody@127.0.0.1:{free_port()}/nothing"
    caller = Caller(make_app(replace(settings, database_url=gone)), None)
    answer = caller.get("/health")
    assert (answer.status_code, answer.json) == (200, {"status": "ok"})


def test_a_platform_with_all_its_parts_is_ready(ready):
    status, body = ready(**ALL)
    assert (status, body["status"]) == (200, "ready")
    assert failing(body) == set()


@pytest.mark.parametrize(
    ("absent", "named"),
    [
        ("dispatcher", {"dispatcher", "broker"}),
        ("worker", {"workers"}),
        ("beat", {"beat"}),
    ],
)
def test_an_absent_process_is_named(ready, absent, named):
    present = {name: facts for name, facts in ALL.items() if name != absent}
    status, body = ready(**present)
    assert (status, body["status"]) == (503, "not ready")
    assert failing(body) == named
    assert all(body["checks"][name]["detail"] for name in named)


@pytest.mark.parametrize("queue", QUEUES)
def test_a_queue_that_nobody_reads_is_named(ready, queue):
    some = [name for name in QUEUES if name != queue]
    status, body = ready(**ALL | {"worker": {"role": "worker", "queues": some}})
    assert (status, failing(body)) == (503, {"workers"})
    assert queue in body["checks"]["workers"]["detail"]
    status, _ = ready(second={"role": "worker", "queues": [queue]})
    assert status == 200


def test_a_dispatcher_without_its_broker_is_named(ready):
    lost = {"role": "dispatcher", "detail": {"broker": {"state": "down"}}}
    status, body = ready(**ALL | {"dispatcher": lost})
    assert (status, failing(body)) == (503, {"broker"})


def test_a_process_that_was_not_seen_for_long_is_gone(ready, own):
    ready(**ALL)
    with own.system() as connection:
        connection.execute(
            text(
                "UPDATE processes SET seen_at = now() - interval '1 minute' "
                "WHERE name = 'beat'"
            )
        )
    status, body = ready()
    assert (status, failing(body)) == (503, {"beat"})


@pytest.mark.parametrize("revision", ["0000", None])
def test_a_database_at_another_migration_is_named(ready, own_settings, revision):
    with psycopg.connect(own_settings.database_url) as connection:
        connection.execute("DELETE FROM alembic_version")
        if revision:
            connection.execute("INSERT INTO alembic_version VALUES (%s)", [revision])
    status, body = ready(**ALL)
    assert (status, failing(body)) == (503, {"migration"})
    assert str(revision) in body["checks"]["migration"]["detail"]


def test_a_database_that_is_away_is_named_and_a_retry_suggested(make_app, settings):
    gone = f"postgresql://nobody@127.0.0.1:{free_port()}/nothing"
    caller = Caller(make_app(replace(settings, database_url=gone)), None)
    answer = caller.get("/ready")
    assert answer.status_code == 503
    assert failing(answer.json) == {"database"}
    assert int(answer.headers["Retry-After"]) >= 1
    assert "nobody" not in answer.text


def test_a_call_while_the_database_is_away_is_told_to_come_again(make_app, settings):
    gone = f"postgresql://nobody@127.0.0.1:{free_port()}/nothing"
    caller = Caller(make_app(replace(settings, database_url=gone)), "fbk_any")
    answer = caller.get("/v1/jobs")
    assert answer.status_code == 503
    assert answer.json["type"] == "/problems/database-unavailable"
    assert int(answer.headers["Retry-After"]) >= 1
    assert "nobody" not in answer.text
