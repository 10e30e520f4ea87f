"""The history, the ratios, and a tiny run on the suite's own server."""

import psycopg
import pytest

from bench import rows, scale
from bench.scale import CALLS, Plan, compare
from db import keys
from tests.db.rows import value

TINY = Plan(jobs=3_000, few=2_000, days=30, rounds=2, warm_up=1)


def _times(seconds: float) -> dict[str, list[float]]:
    return {name: [seconds / 2, seconds, seconds * 9] for name in CALLS}


def test_a_ratio_is_that_of_the_medians():
    for line in compare(_times(0.01), _times(0.015)):
        assert (line.few_s, line.many_s) == (0.01, 0.015)
        assert line.ratio == pytest.approx(1.5)
        assert line.met


def test_twice_as_slow_misses_the_aim():
    assert not any(line.met for line in compare(_times(0.01), _times(0.02)))


def test_the_table_shows_milliseconds_under_each_other():
    lines = compare(_times(0.01), _times(0.03))
    drawn = scale.table(lines, Plan()).split("\n")
    assert len(drawn) == 2 + len(CALLS)
    assert len({len(row) for row in drawn}) == 1
    assert [cell.strip() for cell in drawn[2].split("|")[1:7]] == [
        *("POST /v1/jobs", "10.00", "30.00", "3.00", "< 2", "missed")
    ]


@pytest.fixture
def history(database):
    with database.system() as connection:
        tenants = [
            keys.ensure_tenant(connection, name=f"tenant {number}")
            for number in range(10)
        ]
    rows.fill(database.url, jobs=1_000, tenant_ids=tenants, days=3)
    return database


@pytest.mark.servers
def test_every_tenant_has_jobs_of_every_type_and_state(history):
    found = value(
        history,
        "SELECT count(DISTINCT (tenant_id, type, state)) FROM jobs "
        "WHERE state <> 'cancelled'",
    )
    assert found == 10 * 3 * 2
    assert value(history, "SELECT count(*) FROM jobs") == 1_000


@pytest.mark.servers
def test_every_job_has_its_events_in_order_and_its_result(history):
    assert (
        value(history, "SELECT count(*) FROM job_results")
        == value(history, "SELECT count(*) FROM jobs WHERE state = 'succeeded'")
        > 0
    )
    kinds = value(
        history,
        "SELECT array_agg(DISTINCT kinds) FROM (SELECT "
        "string_agg(kind, ' ' ORDER BY id) AS kinds FROM job_events GROUP BY job_id) "
        "AS of_jobs",
    )
    assert kinds == [
        f"queued running {end}" for end in ("cancelled", "failed", "succeeded")
    ]


@pytest.mark.servers
def test_younger_jobs_have_higher_ids(history):
    with psycopg.connect(history.url) as connection:
        found = connection.execute("SELECT id FROM jobs ORDER BY created_at").fetchall()
    assert found == sorted(found)


@pytest.mark.servers
@pytest.mark.slow
def test_a_tiny_run_asks_both_sides_for_everything(postgres_server, tmp_path):
    lines = scale.run(postgres_server, TINY, folder=tmp_path)
    assert [line.name for line in lines] == list(CALLS)
    assert all(line.few_s > 0 and line.many_s > 0 for line in lines)
