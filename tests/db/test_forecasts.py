"""Forecasts that jobs stored."""

import itertools
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from db import forecasts, tables
from db.ids import new_id
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


def _plainly(connection, *, tenant_id, job_id, new) -> str:
    """Store a forecast with one INSERT for the header and one for each point."""
    forecast_id = new_id("fc")
    connection.execute(
        tables.forecasts.insert(),
        {
            **{name: value for name, value in vars(new).items() if name != "points"},
            "id": forecast_id,
            "tenant_id": tenant_id,
            "job_id": job_id,
            "issued_at": connection.scalar(text("SELECT now()")),
            "quantiles": list(new.quantiles),
            "warnings": list(new.warnings),
        },
    )
    for ts, mean, q in new.points:
        connection.execute(
            tables.forecast_points.insert(),
            {
                "tenant_id": tenant_id,
                "forecast_id": forecast_id,
                "ts": ts,
                "mean": mean,
                "q": list(q),
            },
        )
    return forecast_id


_floats = st.floats(allow_nan=False)
_finite = st.floats(allow_nan=False, allow_infinity=False)
_instants = st.timedeltas(timedelta(-100_000), timedelta(100_000)).map(
    lambda since: rows.AT + since
)


@st.composite
def _forecasts(draw):
    levels = draw(st.lists(st.floats(0.01, 0.99), max_size=4, unique=True))
    steps = draw(st.lists(_instants, max_size=5, unique=True))
    values = st.lists(_floats, min_size=len(levels), max_size=len(levels))
    judged = st.dictionaries(st.text("amse", max_size=4), _finite | st.none())
    return {
        "cutoff": draw(_instants),
        "model": draw(st.text(st.characters(exclude_characters="\0", codec="utf-8"))),
        "quantiles": sorted(levels),
        "points": [(ts, draw(_floats), draw(values)) for ts in steps],
        "evaluation": draw(judged | st.none()),
        "warnings": draw(st.lists(st.text("ab\"\\'é", max_size=5), max_size=2)),
    }


def _unnamed(found) -> list[dict]:
    return [
        {name: value for name, value in one.items() if name not in ("id", "job_id")}
        for one in found
    ]


@settings(
    deadline=None,
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(_forecasts(), max_size=4))
def test_many_are_stored_as_each_would_be(database, tenant_id, drawn):
    numbers = itertools.count()
    series_ids = [
        rows.series(database, tenant_id, f"s{next(numbers)}.{new_id('x')}")
        for _ in drawn
    ]
    new = [
        _new(series_id, **changes)
        for series_id, changes in zip(series_ids, drawn, strict=True)
    ]
    whole, plain = (rows.queued(database, tenant_id) for _ in range(2))
    with database.tenant(tenant_id) as connection:
        ids = forecasts.store_many(
            connection, tenant_id=tenant_id, job_id=whole, new=iter(new)
        )
        for one in new:
            _plainly(connection, tenant_id=tenant_id, job_id=plain, new=one)
    for series_id, forecast_id in zip(series_ids, ids, strict=True):
        found = _of(database, tenant_id, series_id)
        assert {one["job_id"] for one in found} == {whole, plain}
        assert forecast_id in {one["id"] for one in found if one["job_id"] == whole}
        one, other = _unnamed(found)
        assert repr(one) == repr(other)  # repr tells 0.0 from -0.0


def test_more_points_than_a_few_are_copied_also_of_one_forecast(
    database, tenant_id, series_id
):
    points = [(rows.AT + at * HOUR, at / 7, (at - 1.0, at + 1.0)) for at in range(300)]
    _store(database, tenant_id, _new(series_id, points=points))
    (found,) = _of(database, tenant_id, series_id)
    assert found["points"] == [(ts, mean, list(q)) for ts, mean, q in points]


def test_storing_twice_in_one_transaction_keeps_both(database, tenant_id):
    series_ids = [rows.series(database, tenant_id, key) for key in "abcd"]
    job_id = rows.queued(database, tenant_id)
    with database.tenant(tenant_id) as connection:
        for some in (series_ids[:2], series_ids[2:]):
            forecasts.store_many(
                connection,
                tenant_id=tenant_id,
                job_id=job_id,
                new=map(_new, some),
            )
    assert [len(_of(database, tenant_id, one)[0]["points"]) for one in series_ids] == (
        [2] * 4
    )


def test_what_fails_on_the_way_stores_nothing(database, tenant_id, series_id):
    job_id = rows.queued(database, tenant_id)

    def broken():
        yield _new(series_id)
        yield _new(series_id)
        raise RuntimeError

    with pytest.raises(RuntimeError), database.tenant(tenant_id) as connection:
        forecasts.store_many(
            connection, tenant_id=tenant_id, job_id=job_id, new=broken()
        )
    assert rows.value(database, "SELECT count(*) FROM forecasts") == 0


def test_forecasts_without_points_have_none(database, tenant_id, series_id):
    _store(database, tenant_id, _new(series_id, points=[]))
    assert _of(database, tenant_id, series_id)[0]["points"] == []
