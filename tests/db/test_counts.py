"""Numbers for metrics."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from db.counts import Counts, Deliveries, Ended, Live, Waiting, counts
from tests.db import rows

pytestmark = pytest.mark.servers

FINISHED = 20_000


def _counts(database) -> Counts:
    with database.system() as connection:
        return counts(connection)


def _ended(database, tenant_id, *, waited_s, ran_s, ended_ago_s=0) -> None:
    job_id = rows.running(database, tenant_id)
    rows.finish(database, job_id, result={})
    rows.change(
        database,
        "UPDATE jobs SET finished_at = now() - :ago * interval '1 second', "
        "started_at = now() - (:ago + :ran) * interval '1 second', "
        "created_at = now() - (:ago + :ran + :waited) * interval '1 second' "
        "WHERE id = :id",
        id=job_id,
        ago=ended_ago_s,
        ran=ran_s,
        waited=waited_s,
    )


def _set(database, job_id: str, changes: str) -> None:
    assert rows.change(database, f"UPDATE jobs SET {changes} WHERE id = :id", id=job_id)


def test_an_empty_platform_counts_nothing(database):
    nothing = Deliveries({"pending": 0}, 0.0)
    assert _counts(database) == Counts([], [], [], [], nothing, {}, {}, {})


def test_live_jobs_of_all_tenants_are_counted_by_type_queue_and_state(
    database, tenant_id, other_tenant_id
):
    rows.queued(database, tenant_id)
    rows.queued(database, other_tenant_id)
    rows.queued(database, tenant_id, type="forecast.run", queue="forecast")
    rows.running(database, tenant_id)
    rows.finish(database, rows.running(database, tenant_id), result={})
    found = [
        (one.type, one.queue, one.state, one.total) for one in _counts(database).live
    ]
    assert found == [
        ("forecast.run", "forecast", "queued", 1),
        ("system.echo", "system", "queued", 2),
        ("system.echo", "system", "running", 1),
    ]


def test_retries_and_lost_jobs_are_among_the_queued_ones(database, tenant_id):
    rows.queued(database, tenant_id)
    _set(database, rows.queued(database, tenant_id), "attempt = 2, reason = 'timeout'")
    again = rows.queued(database, tenant_id)
    _set(database, again, "attempt = 3, reason = 'worker_lost'")
    _set(database, rows.running(database, tenant_id), "attempt = 2")
    queued, running = _counts(database).live
    assert (queued.total, queued.retrying, queued.lost) == (3, 2, 1)
    assert (running.total, running.retrying, running.lost) == (1, 0, 0)


def test_a_wait_begins_with_the_submission_or_the_last_start(database, tenant_id):
    _set(
        database,
        rows.queued(database, tenant_id),
        "created_at = now() - interval '1 hour'",
    )
    retried = rows.queued(database, tenant_id, queue="ingest")
    _set(
        database,
        retried,
        "attempt = 2, created_at = now() - interval '1 hour', "
        "started_at = now() - interval '1 minute'",
    )
    old = rows.running(database, tenant_id, queue="analysis")
    _set(database, old, "created_at = now() - interval '1 hour'")
    ages = {one.queue: one.age_s for one in _counts(database).live}
    assert 3_600 <= ages["system"] < 3_700
    assert 60 <= ages["ingest"] < 100
    assert ages["analysis"] == 0


def test_a_job_that_waits_for_another_one_is_blocked_and_not_late(database, tenant_id):
    blocked = rows.queued(database, tenant_id)
    _set(database, blocked, "blocked = true, created_at = now() - interval '1 hour'")
    assert _counts(database).live == [
        Live("system.echo", "system", "queued", 1, 1, 0, 0, 0.0)
    ]


def test_ended_jobs_are_those_of_the_last_quarter_of_an_hour(database, tenant_id):
    for kind, state, reason, ago_min in (
        ("a.b", "failed", "timeout", 14),
        ("a.b", "failed", "timeout", 16),
        ("a.b", "failed", "worker_lost", 0),
        ("c.d", "cancelled", "cancelled_by_user", 1),
        ("e.f", "failed", "timeout", 60),
    ):
        job_id = rows.running(database, tenant_id, type=kind)
        rows.finish(database, job_id, state=state, reason=reason)
        _set(database, job_id, f"finished_at = now() - interval '{ago_min} minutes'")
        _set(database, job_id, "attempt = 3")
    rows.finish(database, rows.running(database, tenant_id, type="a.b"), result={})
    assert _counts(database).ended == [
        Ended("a.b", "failed", "timeout", 1, 2),
        Ended("a.b", "failed", "worker_lost", 1, 2),
        Ended("a.b", "succeeded", "", 1, 0),
        Ended("c.d", "cancelled", "cancelled_by_user", 1, 2),
    ]


def test_durations_are_quantiles_of_the_last_quarter_of_an_hour(database, tenant_id):
    for ran_s in (1, 2, 9):
        _ended(database, tenant_id, waited_s=10 * ran_s, ran_s=ran_s)
    _ended(database, tenant_id, waited_s=900, ran_s=900, ended_ago_s=901)
    rows.running(database, tenant_id)
    low, high = _counts(database).durations
    assert (low.type, low.quantile, high.quantile) == ("system.echo", 0.5, 0.95)
    assert (low.run_s, low.wait_s) == pytest.approx((2, 20))
    assert (high.run_s, high.wait_s) == pytest.approx((8.3, 83))


def test_the_outbox_is_counted_as_far_as_it_is_due(database, tenant_id):
    for _ in range(3):
        rows.queued(database, tenant_id)
    rows.change(
        database, "UPDATE outbox SET available_at = now() - interval '1 minute'"
    )
    rows.change(
        database,
        "UPDATE outbox SET available_at = now() + interval '1 minute' "
        "WHERE id = (SELECT max(id) FROM outbox)",
    )
    (found,) = _counts(database).outbox
    assert (found.queue, found.total) == ("system", 2)
    assert 60 <= found.age_s < 70


@pytest.mark.parametrize(
    "held",
    [
        "UPDATE outbox SET admitted = false",
        "INSERT INTO queue_pauses VALUES (1, 'system', now(), 'x')",
        "INSERT INTO tenant_limits (tenant_id, max_running) VALUES (1, 1)",
        "INSERT INTO tenant_limits (tenant_id, starts_per_minute) VALUES (1, 1)",
    ],
)
def test_a_message_that_somebody_holds_back_is_not_late(database, tenant_id, held):
    rows.queued(database, tenant_id)
    rows.change(database, "UPDATE outbox SET available_at = now() - interval '1 hour'")
    rows.change(database, held.replace("(1,", f"({tenant_id},"))
    assert _counts(database).outbox == [Waiting("system", 1, 0.0)]


def _deliver(database, tenant_id, state: str, *, due="NULL", ended="NULL") -> None:
    rows.change(
        database,
        "INSERT INTO webhook_deliveries (id, tenant_id, webhook_id, kind, body, state, "
        "attempts, next_attempt_at, created_at, ended_at) "
        "SELECT gen_random_uuid()::text, :tenant_id, 'whk', 'succeeded', '{}', :state, "
        f"0, now() + {due}, now(), now() + {ended}",
        tenant_id=tenant_id,
        state=state,
    )


@pytest.fixture
def webhook(database, tenant_id) -> None:
    rows.change(
        database,
        "INSERT INTO webhooks (id, tenant_id, url, events, description, enabled, "
        "generation, created_at, updated_at) "
        "VALUES ('whk', :tenant_id, 'u', '{}', '', true, 1, now(), now())",
        tenant_id=tenant_id,
    )


@pytest.mark.usefixtures("webhook")
def test_deliveries_are_pending_or_ended_lately(database, tenant_id):
    _deliver(database, tenant_id, "pending", due="interval '-2 minutes'")
    _deliver(database, tenant_id, "pending", due="interval '1 hour'")
    _deliver(database, tenant_id, "delivered", ended="interval '-14 minutes'")
    _deliver(database, tenant_id, "delivered", ended="interval '-16 minutes'")
    _deliver(database, tenant_id, "failed", ended="interval '-1 minute'")
    found = _counts(database).deliveries
    assert found.totals == {"pending": 2, "delivered": 1, "failed": 1}
    assert 120 <= found.due_s < 130


@pytest.mark.usefixtures("webhook")
def test_a_disabled_webhook_has_nothing_due(database, tenant_id):
    _deliver(database, tenant_id, "pending", due="interval '-2 minutes'")
    rows.change(database, "UPDATE webhooks SET enabled = false")
    assert _counts(database).deliveries == Deliveries({"pending": 1}, 0.0)


def test_a_process_is_silent_when_it_fell_silent_lately(database):
    for name, ago_s in (("a", 5), ("b", 30), ("c", 899), ("d", 901)):
        rows.change(
            database,
            "INSERT INTO processes (name, role, queues, detail, started_at, seen_at) "
            "VALUES (:name, 'worker', '{}', '{}', now(), "
            "now() - :ago * interval '1 second')",
            name=name,
            ago=ago_s,
        )
    assert _counts(database).silent == {"worker": 2}


@pytest.fixture
def history(database, tenant_id) -> None:
    """Many jobs that ended long ago, 14 lately, and ten that live."""
    rows.change(
        database,
        "INSERT INTO jobs (id, tenant_id, type, queue, state, params, labels, "
        "priority, timeout_s, attempt, max_attempts, version, created_at, started_at, "
        "finished_at) "
        "SELECT 'job_' || n, :tenant_id, 'type.' || n % 5, 'system', 'succeeded', "
        "'{}', '{}', 5, 60, 1, 3, 3, at, at, at "
        "FROM generate_series(1, :n) AS n, "
        "LATERAL (SELECT now() - n * interval '1 minute') AS t (at)",
        tenant_id=tenant_id,
        n=FINISHED,
    )
    for _ in range(5):
        rows.queued(database, tenant_id)
        rows.running(database, tenant_id, type="type.1")
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("ANALYZE jobs")


def _said(database) -> list[tuple[str, dict[str, Any]]]:
    """Return the statements of a count with their parameters."""
    said: list[tuple[str, dict[str, Any]]] = []

    def note(_connection, _cursor, statement, parameters, *_more) -> None:
        said.append((statement, parameters))

    sa.event.listen(database._engine, "before_cursor_execute", note)
    _counts(database)
    sa.event.remove(database._engine, "before_cursor_execute", note)
    return said


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


def _examined(node: dict[str, Any]) -> float:
    refused = node.get("Rows Removed by Filter", 0)
    refused += node.get("Rows Removed by Index Recheck", 0)
    return (node["Actual Rows"] + refused) * node["Actual Loops"]


@pytest.mark.usefixtures("history")
def test_jobs_that_ended_long_ago_are_not_looked_at(database):
    looked = 0
    for statement, parameters in _said(database):
        with psycopg.connect(database.url) as connection:
            connection.execute("SET ROLE forebay_system")
            ((plan,),) = connection.execute(
                f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters
            )
        nodes = list(_nodes(plan[0]["Plan"]))
        of_jobs = [one for one in nodes if one.get("Relation Name") == "jobs"]
        of_jobs += [one for one in nodes if "ix_jobs" in one.get("Index Name", "")]
        assert "Seq Scan" not in {one["Node Type"] for one in of_jobs}, statement
        assert sum(map(_examined, of_jobs)) < 100, statement
        looked += bool(of_jobs)
    assert looked == 3
    found = _counts(database)
    assert sum(one.total for one in found.live) == 10
    assert sum(one.total for one in found.ended) == 14
