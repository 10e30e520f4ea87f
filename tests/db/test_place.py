"""Where a queued job stands."""

import itertools
from datetime import timedelta

import pytest

from db import dependencies, limits, place, processes
from db.dependencies import Edge
from tests.db import lines, rows

pytestmark = pytest.mark.servers


@pytest.fixture
def worker(database) -> None:
    """A worker with two slots that reads the queue."""
    with database.system() as connection:
        processes.seen(
            connection,
            name="w",
            role="worker",
            queues=["system"],
            detail={"slots": 2},
        )


def _place(database, tenant_id, job_id) -> place.Place:
    job = rows.job(database, tenant_id, job_id)
    with database.system() as connection:
        return place.of_job(connection, job=job)


def test_the_first_in_the_line_starts_now(database, tenant_id, worker):
    found = _place(database, tenant_id, rows.queued(database, tenant_id))
    assert (found.position, found.blocked_by) == (0, None)
    assert found.estimated_start is not None
    assert found.estimated_start == found.estimated_start_p90


def test_a_job_that_waits_for_others_names_those_that_have_not_ended(
    database, tenant_id, worker
):
    ended = rows.running(database, tenant_id)
    first = rows.queued(database, tenant_id)
    last = rows.queued(database, tenant_id, blocked=True)
    edges = [Edge(last, one, "run") for one in (first, ended)]
    with database.tenant(tenant_id) as connection:
        dependencies.insert(connection, tenant_id=tenant_id, edges=edges)
    rows.finish(database, ended, result={})
    found = _place(database, tenant_id, last)
    assert found == place.Place(blocked_by="dependency", waits_for=[first])


def test_a_paused_queue_holds_its_jobs_up(database, tenant_id, worker):
    job_id = rows.queued(database, tenant_id)
    with database.tenant(tenant_id) as connection:
        limits.pause(connection, tenant_id=tenant_id, queue="system", paused_by="key")
    found = _place(database, tenant_id, job_id)
    assert (found.position, found.blocked_by) == (0, "paused")
    assert found.estimated_start is None


def test_a_queue_that_nobody_reads_has_no_worker(database, tenant_id, worker):
    job_id = rows.queued(database, tenant_id, queue="forecast")
    assert _place(database, tenant_id, job_id).blocked_by == "no_worker"
    here = rows.queued(database, tenant_id)
    rows.change(database, "UPDATE processes SET seen_at = now() - interval '1 minute'")
    assert _place(database, tenant_id, here).blocked_by == "no_worker"


def test_a_retry_says_when_its_pause_ends(database, tenant_id, worker):
    job_id = rows.running(database, tenant_id)
    rows.change(database, "DELETE FROM outbox")
    rows.give_back(database, job_id, delay_s=60)
    found = _place(database, tenant_id, job_id)
    assert (found.position, found.blocked_by) == (None, "retry_delay")
    due = rows.value(database, "SELECT available_at FROM outbox")
    assert found.not_before == due


def test_a_full_concurrency_key_is_named(database, tenant_id, worker):
    first, second = (
        rows.queued(
            database, tenant_id, concurrency_key="k", concurrency_limit=1, **more
        )
        for more in ({}, {"starts_per_minute": 9})
    )
    lines.admit(database)
    lines.turn(database)
    for job_id, blocked_by in ((first, None), (second, "concurrency_key")):
        assert _place(database, tenant_id, job_id).blocked_by == blocked_by


def test_a_key_that_is_free_and_has_started_enough_is_rate_limited(
    database, tenant_id, worker
):
    first, second = (
        rows.queued(
            database,
            tenant_id,
            concurrency_key="k",
            concurrency_limit=1,
            starts_per_minute=1,
        )
        for _ in range(2)
    )
    lines.admit(database)
    lines.turn(database)
    rows.claim(database, first)
    rows.finish(database, first, result={})
    assert _place(database, tenant_id, second).blocked_by == "rate_limit"


def test_a_full_tenant_is_named(database, tenant_id, worker):
    lines.limit(database, tenant_id, max_running=1)
    rows.running(database, tenant_id)
    rows.change(database, "DELETE FROM outbox")
    job_id = rows.queued(database, tenant_id)
    assert _place(database, tenant_id, job_id).blocked_by == "tenant_limit"
    rows.change(database, "UPDATE jobs SET step = 'parts' WHERE state = 'running'")
    assert _place(database, tenant_id, job_id).blocked_by is None


def test_a_tenant_without_tokens_is_rate_limited(database, tenant_id, worker):
    lines.limit(database, tenant_id, starts_per_minute=1)
    rows.queued(database, tenant_id)
    second = rows.queued(database, tenant_id)
    assert _place(database, tenant_id, second).blocked_by is None
    lines.turn(database)
    assert _place(database, tenant_id, second).blocked_by == "rate_limit"


def test_a_published_job_goes_next_whatever_was_paused_since(
    database, tenant_id, worker
):
    job_id = rows.queued(database, tenant_id)
    lines.turn(database)
    with database.tenant(tenant_id) as connection:
        limits.pause(connection, tenant_id=tenant_id, queue="system", paused_by="key")
    found = _place(database, tenant_id, job_id)
    assert (found.position, found.blocked_by) == (0, None)


def test_a_place_counts_what_the_fair_line_lets_go_first(
    database, tenant_id, other_tenant_id, worker
):
    for _ in range(20):
        rows.queued(database, other_tenant_id)
    first, second = (rows.queued(database, tenant_id) for _ in range(2))
    urgent = rows.queued(database, tenant_id, priority=9)
    rows.queued(database, tenant_id, queue="forecast", priority=9)
    places = [
        _place(database, tenant_id, one).position for one in (urgent, first, second)
    ]
    assert places == [1, 3, 5]


def test_a_heavier_tenant_stands_further_ahead(
    database, tenant_id, other_tenant_id, worker
):
    lines.limit(database, tenant_id, weight=2.0)
    for _ in range(20):
        rows.queued(database, other_tenant_id)
    mine = [rows.queued(database, tenant_id) for _ in range(4)]
    assert [_place(database, tenant_id, one).position for one in mine] == [1, 2, 4, 5]


def test_a_published_job_of_another_counts_as_ahead(
    database, tenant_id, other_tenant_id, worker
):
    rows.queued(database, other_tenant_id)
    lines.turn(database)
    job_id = rows.queued(database, tenant_id)
    assert _place(database, tenant_id, job_id).position == 1


def test_the_estimate_grows_with_the_line_and_with_what_runs(
    database, tenant_id, worker
):
    rows.change(
        database,
        "INSERT INTO pace (type, jobs, mean_s, sd_s, computed_at) "
        "VALUES ('system.echo', 9, 10, 3, now())",
    )
    mine = [rows.queued(database, tenant_id) for _ in range(5)]
    places = [_place(database, tenant_id, one) for one in mine]
    starts = [one.estimated_start for one in places]
    assert [one.position for one in places] == [0, 1, 2, 3, 4]
    for earlier, later in itertools.pairwise(starts):
        assert later - earlier > timedelta(seconds=4.9)  # two slots, ten seconds each
    spreads = [one.estimated_start_p90 - one.estimated_start for one in places]
    assert spreads == sorted(spreads)
    assert spreads[0] > timedelta(0)
    before = places[0].estimated_start
    rows.running(database, tenant_id, priority=0)
    rows.change(database, "DELETE FROM outbox WHERE priority = 0")
    later = _place(database, tenant_id, mine[0]).estimated_start
    assert later - before > timedelta(seconds=4)
