"""How long jobs take, from what ran lately."""

import statistics

import pytest
from sqlalchemy import text

from db import pace
from tests.db import rows

pytestmark = pytest.mark.servers


def _ran(database, tenant_id, seconds, *, state="succeeded", total=None, **more):
    """Have a job that took so long and did so many units."""
    job_id = rows.running(database, tenant_id, **more)
    progress = None if total is None else {"done": total, "total": total}
    rows.finish(database, job_id, state=state, result={}, progress=progress)
    rows.change(
        database,
        "UPDATE jobs SET started_at = finished_at - :s * interval '1 second' "
        "WHERE id = :id",
        s=seconds,
        id=job_id,
    )
    return job_id


def _compute(database, *types):
    with database.system() as connection:
        pace.compute(connection, types=types or ["system.echo"])
        found = connection.execute(text("SELECT * FROM pace ORDER BY type")).all()
    return {row.type: row for row in found}


def test_the_pace_is_the_mean_and_the_spread_of_what_ran(database, tenant_id):
    took = [1.0, 2.0, 6.0]
    for seconds in took:
        _ran(database, tenant_id, seconds)
    found = _compute(database)["system.echo"]
    assert found.jobs == 3
    assert found.mean_s == pytest.approx(3.0)
    assert found.sd_s == pytest.approx(statistics.stdev(took))
    assert found.unit_s is None


def test_one_job_has_no_spread_and_none_has_no_pace(database, tenant_id):
    _ran(database, tenant_id, 5.0)
    found = _compute(database, "system.echo", "forecast.run")
    assert set(found) == {"system.echo"}
    assert found["system.echo"].sd_s == 0


def test_a_job_that_never_started_says_nothing(database, tenant_id):
    job_id = rows.queued(database, tenant_id)
    rows.change(
        database,
        "UPDATE jobs SET state = 'cancelled', finished_at = now() WHERE id = :id",
        id=job_id,
    )
    assert _compute(database) == {}


def test_the_pace_of_a_unit_counts_the_work_of_jobs_that_succeeded(database, tenant_id):
    _ran(database, tenant_id, 10.0, total=5)
    _ran(database, tenant_id, 2.0, total=1)
    _ran(database, tenant_id, 0.5, total=1_000, state="failed")
    _ran(database, tenant_id, 99.0)
    _compute(database)
    with database.tenant(tenant_id) as connection:
        assert pace.unit_s(connection, kind="system.echo") == pytest.approx(2.0)
        assert pace.unit_s(connection, kind="forecast.run") is None


def test_a_parent_that_waited_for_its_parts_is_left_out_and_a_part_counts(
    database, tenant_id
):
    parent = _ran(database, tenant_id, 1_000.0, total=3)
    rows.change(database, "UPDATE jobs SET step = 'parts' WHERE id = :id", id=parent)
    _ran(database, tenant_id, 30.0, total=50, parent_id=parent, step="part", part=0)
    found = _compute(database)["system.echo"]
    assert (found.jobs, found.mean_s) == (1, pytest.approx(30.0))
    assert found.unit_s == pytest.approx(0.6)


def test_a_new_look_replaces_the_old_one_and_sees_the_latest(database, tenant_id):
    _ran(database, tenant_id, 1.0)
    before = _compute(database)["system.echo"]
    _ran(database, tenant_id, 3.0)
    after = _compute(database)["system.echo"]
    assert (before.mean_s, after.mean_s) == (pytest.approx(1.0), pytest.approx(2.0))
    assert after.computed_at > before.computed_at


def test_only_the_latest_jobs_count(database, tenant_id, monkeypatch):
    monkeypatch.setattr(pace, "_RECENT", 2)
    for seconds in (50.0, 1.0, 3.0):
        _ran(database, tenant_id, seconds)
    assert _compute(database)["system.echo"].mean_s == pytest.approx(2.0)
