"""What waits beside the line is found whatever was not heard."""

import pytest

from db import dependencies, jobs
from db.dependencies import Edge
from tests.db import rows
from workers.tending import KEYED, Tending

pytestmark = pytest.mark.servers


@pytest.fixture
def grown() -> list[str]:
    return []


@pytest.fixture
def tending(database, grown) -> Tending:
    return Tending(database, grown=grown.extend)


def _wait_for(database, tenant_id, after_id: str) -> str:
    new = rows.new_job(blocked=True)
    with database.tenant(tenant_id) as connection:
        jobs.submit(connection, tenant_id=tenant_id, new_jobs=[new])
        edges = [Edge(new.id, after_id, "cancel")]
        dependencies.insert(connection, tenant_id=tenant_id, edges=edges)
    return new.id


def _blocked(database, tenant_id, job_id: str) -> bool:
    return rows.job(database, tenant_id, job_id).blocked


def test_a_keyed_job_nobody_heard_of_is_let_in_at_the_next_sweep(
    database, tenant_id, tending, grown
):
    tending.look()
    rows.queued(database, tenant_id, concurrency_key="k", concurrency_limit=1)
    tending._sweep_at = tending._admit_at = 0.0
    tending.look()
    assert grown == ["system"]


def test_a_keyed_job_heard_of_while_another_look_runs_is_looked_for_again(
    database, tenant_id, tending, grown, monkeypatch
):
    from db import line

    admit = line.admit

    def slow(connection):
        found = admit(connection)
        rows.queued(database, tenant_id, concurrency_key="k", concurrency_limit=1)
        tending.hear(KEYED)
        monkeypatch.setattr(line, "admit", admit)
        return found

    monkeypatch.setattr(line, "admit", slow)
    tending.look()
    tending._admit_at = 0.0
    tending.look()
    assert grown == ["system"]


def test_a_job_is_released_when_the_end_it_waits_for_is_heard(
    database, tenant_id, tending
):
    first = rows.running(database, tenant_id)
    waiting = _wait_for(database, tenant_id, first)
    tending.look()
    rows.finish(database, first, result={})
    tending.hear(f"{tenant_id}:{first}:7:succeeded")
    tending.look()
    assert not _blocked(database, tenant_id, waiting)


def test_a_job_is_released_though_the_end_it_waits_for_was_not_heard(
    database, tenant_id, tending
):
    first = rows.running(database, tenant_id)
    waiting = _wait_for(database, tenant_id, first)
    rows.finish(database, first, result={})
    tending.hear(None)
    tending.look()
    assert not _blocked(database, tenant_id, waiting)


def test_progress_and_starts_are_not_followed(tending, tenant_id):
    for kind in ("running", "progress", "queued"):
        tending.hear(f"{tenant_id}:job_1:7:{kind}")
    assert tending._ended == set()


def test_tending_runs_until_it_is_stopped(tending):
    tending.start()
    tending.stop()
    assert not tending._thread.is_alive()
