"""Which processes are alive."""

import pytest
from sqlalchemy import text

from db import processes
from tests.db import rows

pytestmark = pytest.mark.servers


def _age(connection, name, age) -> None:
    connection.execute(
        text(
            f"UPDATE processes SET seen_at = now() - interval '{age}' WHERE name = :n"
        ),
        {"n": name},
    )


def test_a_process_says_what_it_is(database):
    with database.system() as connection:
        processes.seen(
            connection, name="w", role="worker", queues=["a", "b"], detail={"x": 1}
        )
        processes.seen(connection, name="b", role="beat")
        beat, worker = processes.alive(connection)
    assert (worker.name, worker.role, worker.queues) == ("w", "worker", ["a", "b"])
    assert (worker.detail, beat.detail, beat.queues) == ({"x": 1}, {}, [])


def test_being_seen_again_renews_all_but_the_start(database):
    with database.system() as connection:
        processes.seen(connection, name="w", role="worker", queues=["a"])
        _age(connection, "w", "10 seconds")
        (before,) = processes.alive(connection)
    with database.system() as connection:
        processes.seen(
            connection, name="w", role="worker", queues=["b"], detail={"x": 2}
        )
        (after,) = processes.alive(connection)
    assert after.seen_at > before.seen_at
    assert after.started_at == before.started_at
    assert (after.queues, after.detail) == (["b"], {"x": 2})


def test_a_silent_process_is_not_alive_and_then_forgotten(database):
    with database.system() as connection:
        for name in ("alive", "silent", "long dead"):
            processes.seen(connection, name=name, role="worker")
        _age(connection, "silent", "21 seconds")
        _age(connection, "long dead", "61 minutes")
        assert [one.name for one in processes.alive(connection)] == ["alive"]
        patient = processes.alive(connection, stale_after_s=60)
        assert [one.name for one in patient] == ["alive", "silent"]
        processes.forget_old(connection)
    assert rows.value(database, "SELECT count(*) FROM processes") == 2


def test_a_process_that_signs_off_is_gone_at_once(database):
    with database.system() as connection:
        processes.seen(connection, name="w", role="worker")
        processes.gone(connection, name="w")
        processes.gone(connection, name="never seen")
        assert processes.alive(connection) == []
