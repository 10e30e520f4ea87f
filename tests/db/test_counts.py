"""Numbers for metrics."""

import pytest

from db.counts import Counts, counts
from tests.db import rows

pytestmark = pytest.mark.servers


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


def test_an_empty_platform_counts_nothing(database):
    assert _counts(database) == Counts([], [], [], (0, 0.0))


def test_jobs_of_all_tenants_are_counted_by_type_and_state(
    database, tenant_id, other_tenant_id
):
    rows.queued(database, tenant_id)
    rows.queued(database, other_tenant_id)
    rows.queued(database, tenant_id, type="forecast.run")
    rows.running(database, tenant_id)
    assert sorted(_counts(database).jobs) == [
        ("forecast.run", "queued", 1),
        ("system.echo", "queued", 2),
        ("system.echo", "running", 1),
    ]


def test_the_oldest_queued_job_of_each_queue_is_known(database, tenant_id):
    rows.running(database, tenant_id, queue="ingest")
    old = rows.queued(database, tenant_id)
    rows.queued(database, tenant_id)
    rows.change(
        database,
        "UPDATE jobs SET created_at = now() - interval '1 hour' WHERE id = :id",
        id=old,
    )
    ((queue, age_s),) = _counts(database).oldest_queued_s
    assert queue == "system"
    assert 3_600 <= age_s < 3_700


def test_durations_are_quantiles_of_the_last_quarter_of_an_hour(database, tenant_id):
    for ran_s in (1, 2, 9):
        _ended(database, tenant_id, waited_s=10 * ran_s, ran_s=ran_s)
    _ended(database, tenant_id, waited_s=900, ran_s=900, ended_ago_s=901)
    rows.running(database, tenant_id)
    found = sorted(_counts(database).durations)
    assert [one[:2] for one in found] == [("system.echo", 0.5), ("system.echo", 0.95)]
    assert found[0][2:] == pytest.approx((2, 20))
    assert found[1][2:] == pytest.approx((8.3, 83))


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
    total, age_s = _counts(database).outbox
    assert total == 2
    assert 60 <= age_s < 70
