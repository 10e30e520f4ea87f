"""Jobs that wait for others."""

import threading

import pytest

from db import dependencies, jobs
from db.dependencies import Edge
from tests.db import rows

pytestmark = pytest.mark.servers


def _waiting(database, tenant_id, *after, on_failure="cancel") -> str:
    job_id = rows.queued(database, tenant_id, blocked=True)
    edges = [Edge(job_id, one, on_failure) for one in after]
    with database.tenant(tenant_id) as connection:
        dependencies.insert(connection, tenant_id=tenant_id, edges=edges)
    return job_id


def _release(database, after_id=None) -> int:
    with database.system() as connection:
        return dependencies.release(
            connection, after_ids=None if after_id is None else [after_id]
        )


def _end(database, job_id, state="succeeded") -> None:
    rows.claim(database, job_id)
    rows.finish(database, job_id, state=state, result={})


def _messages(database, job_id) -> int:
    return rows.value(
        database, "SELECT count(*) FROM outbox WHERE job_id = :id", id=job_id
    )


def test_a_job_goes_on_when_all_it_waits_for_have_succeeded(database, tenant_id):
    first, second = (rows.queued(database, tenant_id) for _ in range(2))
    last = _waiting(database, tenant_id, first, second)
    _end(database, first)
    assert _release(database, first) == 0
    assert rows.job(database, tenant_id, last).blocked
    _end(database, second)
    assert _release(database, second) == 1
    job = rows.job(database, tenant_id, last)
    assert (job.state, job.blocked, job.version) == ("queued", False, 2)
    assert _messages(database, last) == 1
    assert rows.history(database, tenant_id, last) == ["queued", "released"]
    assert _release(database) == 0


def test_what_a_job_waits_for_is_told_while_it_has_not_ended(database, tenant_id):
    first, second = (rows.queued(database, tenant_id) for _ in range(2))
    last = _waiting(database, tenant_id, second, first)
    _end(database, first)
    with database.tenant(tenant_id) as connection:
        assert dependencies.after(connection, job_id=last) == [first, second]
        assert dependencies.after(connection, job_id=last, unended=True) == [second]


@pytest.mark.parametrize("state", ["failed", "cancelled"])
@pytest.mark.parametrize(
    ("on_failure", "then"), [("cancel", "cancelled"), ("fail", "failed")]
)
def test_a_failure_that_matters_ends_the_job_at_once(
    database, tenant_id, state, on_failure, then
):
    bad, running = (rows.queued(database, tenant_id) for _ in range(2))
    last = _waiting(database, tenant_id, bad, running, on_failure=on_failure)
    _end(database, bad, state)
    assert _release(database, bad) == 1
    job = rows.job(database, tenant_id, last)
    assert (job.state, job.reason, job.blocked) == (then, "dependency_failed", False)
    assert job.finished_at is not None
    assert job.error["type"] == "/problems/dependency-failed"
    assert f"{bad} {state}" in job.error["detail"]
    assert _messages(database, last) == 0
    assert rows.history(database, tenant_id, last) == ["queued", then]


def test_a_job_that_runs_after_any_end_waits_for_all_ends(database, tenant_id):
    bad, other = (rows.queued(database, tenant_id) for _ in range(2))
    last = _waiting(database, tenant_id, bad, other, on_failure="run")
    _end(database, bad, "failed")
    assert _release(database, bad) == 0
    _end(database, other)
    assert _release(database, other) == 1
    assert rows.job(database, tenant_id, last).state == "queued"
    assert _messages(database, last) == 1


def test_a_job_that_ended_before_counts_as_well(database, tenant_id):
    first = rows.queued(database, tenant_id)
    _end(database, first)
    last = _waiting(database, tenant_id, first)
    assert _release(database, first) == 1
    assert not rows.job(database, tenant_id, last).blocked


def test_a_failure_goes_down_a_chain_of_five(database, tenant_id):
    chain = [rows.queued(database, tenant_id)]
    for _ in range(5):
        chain.append(_waiting(database, tenant_id, chain[-1]))
    _end(database, chain[0], "failed")
    for job_id in chain[:-1]:
        assert _release(database, job_id) == 1
    states = [rows.job(database, tenant_id, one).state for one in chain]
    assert states == ["failed", *["cancelled"] * 5]


def test_the_sweep_follows_a_chain_link_by_link(database, tenant_id):
    chain = [rows.queued(database, tenant_id)]
    for _ in range(5):
        chain.append(_waiting(database, tenant_id, chain[-1]))
    _end(database, chain[0], "cancelled")
    assert [_release(database) for _ in range(6)] == [1, 1, 1, 1, 1, 0]


def test_two_last_ends_at_once_release_the_job_once(database, tenant_id):
    parents = [rows.running(database, tenant_id) for _ in range(2)]
    last = _waiting(database, tenant_id, *parents)
    together = threading.Barrier(2)
    released = []

    def end(job_id: str) -> None:
        together.wait(30)
        rows.finish(database, job_id, result={})
        released.append(_release(database, job_id))

    threads = [threading.Thread(target=end, args=(one,)) for one in parents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sum(released) + _release(database) == 1
    assert _messages(database, last) == 1
    assert rows.history(database, tenant_id, last) == ["queued", "released"]


def test_of_two_that_release_at_once_one_does_and_neither_waits(database, tenant_id):
    first = rows.queued(database, tenant_id)
    last = _waiting(database, tenant_id, first)
    _end(database, first)
    with database.system() as one, database.system() as two:
        assert dependencies.release(one) == 1
        assert dependencies.release(two) == 0
    assert _messages(database, last) == 1


def test_a_job_cancelled_while_it_waits_is_not_released(database, tenant_id):
    first = rows.queued(database, tenant_id)
    last = _waiting(database, tenant_id, first)
    with database.tenant(tenant_id) as connection:
        jobs.cancel(connection, tenant_id=tenant_id, job_id=last)
    _end(database, first)
    assert _release(database) == 0
    assert rows.job(database, tenant_id, last).state == "cancelled"


def test_many_that_wait_for_one_are_released_together(database, tenant_id):
    first = rows.queued(database, tenant_id)
    waiting = [_waiting(database, tenant_id, first) for _ in range(12)]
    _end(database, first)
    assert _release(database, first) == 12
    assert [_messages(database, one) for one in waiting] == [1] * 12


def test_a_released_job_with_a_key_waits_for_its_key(database, tenant_id):
    first = rows.queued(database, tenant_id)
    last = _waiting(database, tenant_id, first)
    rows.change(
        database, "UPDATE jobs SET concurrency_key = 'k' WHERE id = :id", id=last
    )
    _end(database, first)
    _release(database)
    admitted = "SELECT admitted FROM outbox WHERE job_id = :id"
    assert rows.value(database, admitted, id=last) is False


def test_only_jobs_of_the_tenant_are_known(database, tenant_id, other_tenant_id):
    mine = rows.queued(database, tenant_id)
    theirs = rows.queued(database, other_tenant_id)
    with database.tenant(tenant_id) as connection:
        found = dependencies.known(
            connection, tenant_id=tenant_id, ids=[mine, theirs, "job_0"]
        )
    assert found == {mine}


def test_no_edges_are_no_statement(database, tenant_id):
    with database.tenant(tenant_id) as connection:
        dependencies.insert(connection, tenant_id=tenant_id, edges=[])
    assert rows.value(database, "SELECT count(*) FROM job_dependencies") == 0
