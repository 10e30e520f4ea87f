"""The points of a job as a stream, beside what the tables hold."""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from db import forecast_stream, forecasts
from db.forecasts import NewForecast
from tests.db import rows

pytestmark = pytest.mark.servers

HOUR = timedelta(hours=1)
LEVELS = (0.1, 0.5, 0.9)


def _new(series_id, count, levels=LEVELS) -> NewForecast:
    return NewForecast(
        series_id=series_id,
        cutoff=rows.AT,
        model=f"model {series_id}",
        quantiles=levels,
        points=[
            (rows.AT + at * HOUR, at + 0.1, [at + level for level in levels])
            for at in reversed(range(count))
        ],
        evaluation=None,
        warnings=[],
    )


def _stored(database, tenant_id, counts, levels=None) -> str:
    """Store a forecast of so many points for each of the series s00, s01, ..."""
    job_id = rows.queued(database, tenant_id)
    given = levels or [LEVELS] * len(counts)
    series_ids = [
        rows.series(database, tenant_id, f"{job_id[-8:]}.s{number:02}")
        for number in range(len(counts))
    ]
    new = map(_new, series_ids, counts, given)
    with database.tenant(tenant_id) as connection:
        forecasts.store_many(
            connection,
            tenant_id=tenant_id,
            job_id=job_id,
            new=reversed([*new]),
        )
    return job_id


def _batches(database, tenant_id, job_id, chunk_rows=100) -> list:
    with database.tenant(tenant_id) as connection:
        named = forecast_stream.levels(connection, tenant_id=tenant_id, job_id=job_id)
        return [
            *forecast_stream.stream(
                connection,
                tenant_id=tenant_id,
                job_id=job_id,
                named=named,
                chunk_rows=chunk_rows,
            )
        ]


def _rows(batches) -> list[dict]:
    return [row for batch in batches for row in batch.to_pylist()]


@settings(
    deadline=None,
    max_examples=20,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(counts=st.lists(st.integers(0, 12), max_size=9), chunk_rows=st.integers(1, 40))
def test_every_point_comes_once_by_series_and_time(
    database, tenant_id, counts, chunk_rows
):
    job_id = _stored(database, tenant_id, counts)
    found = _rows(_batches(database, tenant_id, job_id, chunk_rows))
    assert [(one["unique_id"][-3:], one["ds"], one["mean"]) for one in found] == [
        (f"s{number:02}", rows.AT + at * HOUR, at + 0.1)
        for number, count in enumerate(counts)
        for at in range(count)
    ]
    for one in found:
        step = (one["ds"] - rows.AT) / HOUR
        assert [one[f"q{level}"] for level in LEVELS] == [
            step + level for level in LEVELS
        ]


def test_no_batch_is_much_larger_than_asked(database, tenant_id):
    job_id = _stored(database, tenant_id, [10] * 50)
    sizes = [one.num_rows for one in _batches(database, tenant_id, job_id, 60)]
    assert sizes == [10, *[60] * 8, 10]


def test_a_forecast_without_a_level_has_null_there(database, tenant_id):
    job_id = _stored(database, tenant_id, [1, 1, 1], [(0.1, 0.9), (0.5,), ()])
    found = _rows(_batches(database, tenant_id, job_id))
    assert [[one[f"q{level}"] for level in LEVELS] for one in found] == [
        [0.1, None, 0.9],
        [None, 0.5, None],
        [None, None, None],
    ]


def test_a_job_without_forecasts_has_no_batches(database, tenant_id):
    job_id = rows.queued(database, tenant_id)
    assert _batches(database, tenant_id, job_id) == []


def test_another_tenant_has_no_points_of_it(database, tenant_id, other_tenant_id):
    job_id = _stored(database, tenant_id, [3, 2])
    assert _batches(database, other_tenant_id, job_id) == []
    for seen_by, count in ((tenant_id, 2), (other_tenant_id, 0)):
        with database.tenant(seen_by) as connection:
            assert (
                forecast_stream.count(connection, tenant_id=seen_by, job_id=job_id)
                == count
            )


def test_each_job_has_its_own(database, tenant_id):
    first, second = (_stored(database, tenant_id, [number]) for number in (2, 3))
    assert [len(_rows(_batches(database, tenant_id, one))) for one in (first, second)]
    assert len(_rows(_batches(database, tenant_id, second))) == 3
