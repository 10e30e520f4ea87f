"""Forecasts that jobs stored."""

from datetime import timedelta

import pytest
from sqlalchemy.exc import IntegrityError

from db import forecasts
from tests.db import rows

pytestmark = pytest.mark.servers

HOUR = timedelta(hours=1)


@pytest.fixture
def series_id(database, tenant_id) -> int:
    return rows.series(database, tenant_id)


def _new(series_id, **changes) -> forecasts.NewForecast:
    return forecasts.NewForecast(
        **{
            "series_id": series_id,
            "cutoff": rows.AT,
            "model": "naive",
            "quantiles": (0.1, 0.9),
            "points": [(rows.AT + HOUR, 1.5, (1.0, 2.0)), (rows.AT, 0.5, (0.0, 1.0))],
            "evaluation": {"mase": 0.9, "folds": None},
            "warnings": ["short"],
            **changes,
        }
    )


def _store(database, tenant_id, new) -> str:
    job_id = rows.queued(database, tenant_id)
    with database.tenant(tenant_id) as connection:
        return forecasts.store(connection, tenant_id=tenant_id, job_id=job_id, new=new)


def _of(database, tenant_id, series_id, as_of=None, limit=10) -> list[dict]:
    with database.tenant(tenant_id) as connection:
        return forecasts.of_series(
            connection,
            tenant_id=tenant_id,
            series_id=series_id,
            as_of=as_of,
            limit=limit,
        )


def test_a_stored_forecast_comes_back_with_its_points_in_order(
    database, tenant_id, series_id
):
    forecast_id = _store(database, tenant_id, _new(series_id))
    (found,) = _of(database, tenant_id, series_id)
    assert (found["id"], found["model"], found["cutoff"]) == (
        forecast_id,
        "naive",
        rows.AT,
    )
    assert found["quantiles"] == [0.1, 0.9]
    assert found["points"] == [
        (rows.AT, 0.5, [0.0, 1.0]),
        (rows.AT + HOUR, 1.5, [1.0, 2.0]),
    ]
    assert found["evaluation"] == {"mase": 0.9, "folds": None}
    assert found["warnings"] == ["short"]


def test_a_forecast_without_an_evaluation_has_none(database, tenant_id, series_id):
    _store(database, tenant_id, _new(series_id, evaluation=None, quantiles=()))
    (found,) = _of(database, tenant_id, series_id)
    assert (found["evaluation"], found["quantiles"]) == (None, [])


def test_the_newest_forecast_comes_first_and_as_of_looks_back(
    database, tenant_id, series_id
):
    ids = [_store(database, tenant_id, _new(series_id)) for _ in range(3)]
    assert [one["id"] for one in _of(database, tenant_id, series_id)] == ids[::-1]
    assert [one["id"] for one in _of(database, tenant_id, series_id, limit=1)] == [
        ids[2]
    ]
    rows.change(
        database,
        "UPDATE forecasts SET issued_at = issued_at - interval '1 day' WHERE id = :id",
        id=ids[0],
    )
    second = rows.value(
        database, "SELECT issued_at FROM forecasts WHERE id = :id", id=ids[1]
    )
    before = second - timedelta(microseconds=1)
    known = _of(database, tenant_id, series_id, as_of=before)
    assert [one["id"] for one in known] == [ids[0]]


def test_one_job_forecasts_a_series_once(database, tenant_id, series_id):
    job_id = rows.queued(database, tenant_id)
    given = {"tenant_id": tenant_id, "job_id": job_id, "new": _new(series_id)}
    with database.tenant(tenant_id) as connection:
        forecasts.store(connection, **given)
    with (
        pytest.raises(IntegrityError, match="uq_forecasts_job_id_series_id"),
        database.tenant(tenant_id) as connection,
    ):
        forecasts.store(connection, **given)


def test_another_tenant_sees_no_forecast(
    database, tenant_id, other_tenant_id, series_id
):
    _store(database, tenant_id, _new(series_id))
    assert _of(database, other_tenant_id, series_id) == []
