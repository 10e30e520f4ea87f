"""What a replay has to know of ended jobs."""

import concurrent.futures

import pytest

from db import dependencies, jobs, replays
from db.dependencies import Edge
from db.replays import Wait
from tests.db import rows

pytestmark = pytest.mark.servers


def _failed(database, tenant_id, **changes) -> str:
    job_id = rows.running(database, tenant_id, **changes)
    rows.finish(database, job_id, state="failed")
    return job_id


def _wait(database, tenant_id, job_id, *after, on_failure="cancel") -> None:
    with database.tenant(tenant_id) as connection:
        dependencies.insert(
            connection,
            tenant_id=tenant_id,
            edges=[Edge(job_id, after_id, on_failure) for after_id in after],
        )


def _mark(connection, tenant_id, job_id) -> None:
    jobs.mark_replayed(connection, tenant_id=tenant_id, job_ids=[job_id], again=True)


def _waits(database, tenant_id, *job_ids) -> list[Wait]:
    with database.tenant(tenant_id) as connection:
        return replays.waits(connection, tenant_id=tenant_id, job_ids=job_ids)


def test_what_another_replay_holds_is_waited_for_and_not_given_again(
    database, tenant_id
):
    both = [_failed(database, tenant_id) for _ in range(2)]

    def hold() -> set[str]:
        with database.tenant(tenant_id) as connection:
            return replays.hold(connection, tenant_id=tenant_id, job_ids=both)

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        with database.tenant(tenant_id) as connection:
            mine = replays.hold(connection, tenant_id=tenant_id, job_ids=both[:1])
            theirs = pool.submit(hold)
            _mark(connection, tenant_id, both[0])
        assert mine == {both[0]}
        assert theirs.result() == {both[1]}


def test_a_wait_is_for_the_latest_copy_of_what_was_replayed(database, tenant_id):
    first = _failed(database, tenant_id)
    other = _failed(database, tenant_id)
    waiting = rows.queued(database, tenant_id, blocked=True)
    _wait(database, tenant_id, waiting, first, other, on_failure="fail")
    assert _waits(database, tenant_id, waiting) == [
        Wait(waiting, first, "failed", "fail"),
        Wait(waiting, other, "failed", "fail"),
    ]
    for _ in range(2):
        copy = rows.queued(database, tenant_id, retry_of=first)
        with database.tenant(tenant_id) as connection:
            _mark(connection, tenant_id, first)
    assert _waits(database, tenant_id, waiting) == [
        Wait(waiting, copy, "queued", "fail"),
        Wait(waiting, other, "failed", "fail"),
    ]


def test_a_wait_for_a_copy_is_for_the_latest_copy_of_its_first(database, tenant_id):
    first = _failed(database, tenant_id)
    copy = _failed(database, tenant_id, retry_of=first)
    waiting = rows.queued(database, tenant_id, blocked=True)
    _wait(database, tenant_id, waiting, copy)
    latest = rows.queued(database, tenant_id, retry_of=first)
    with database.tenant(tenant_id) as connection:
        _mark(connection, tenant_id, copy)
    assert [one.after_id for one in _waits(database, tenant_id, waiting)] == [latest]


@pytest.mark.parametrize(
    ("state", "on_failure", "unended", "lost"),
    [
        ("queued", "cancel", True, False),
        ("running", "run", True, False),
        ("succeeded", "fail", False, False),
        ("failed", "fail", False, True),
        ("cancelled", "cancel", False, True),
        ("failed", "run", False, False),
    ],
)
def test_a_wait_is_over_or_goes_on_or_is_lost(state, on_failure, unended, lost):
    wait = Wait("job_b", "job_a", state, on_failure)
    assert (wait.unended, wait.lost) == (unended, lost)


def test_jobs_of_another_tenant_are_neither_held_nor_told(
    database, tenant_id, other_tenant_id
):
    first, second = (_failed(database, tenant_id) for _ in range(2))
    _wait(database, tenant_id, second, first)
    assert _waits(database, other_tenant_id, second) == []
    with database.tenant(other_tenant_id) as connection:
        named = {"tenant_id": other_tenant_id, "job_ids": [first]}
        assert replays.hold(connection, **named) == set()
