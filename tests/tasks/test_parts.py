"""How a job over many series is split, and its parts put together."""

import pytest

from db import pace
from tasks import parts
from tasks.catalog import job_types
from tasks.errors import InvalidData
from tasks.forecast import ForecastParams
from tests.db import rows
from tests.fakes import FakeContext
from tests.tasks.series import daily, data, store

HOW = parts.by_series("forecast.run")


def _params(**given) -> ForecastParams:
    return ForecastParams.model_validate({"horizon": 2, "model": "naive", **given})


def _stored(database, tenant_id, count, **fields) -> list[str]:
    keys = [f"s{number}" for number in range(count)]
    for key in keys:
        store(database, tenant_id, key, [1.0, 2.0, 3.0, 4.0], **fields)
    return keys


def _part(*keys, failed=()) -> dict:
    return {
        "horizon": 2,
        "series": [{"unique_id": key} for key in keys],
        "failed": [{"unique_id": key, "detail": "bad"} for key in failed],
    }


def _says(database, unit_s) -> None:
    rows.change(
        database,
        "INSERT INTO pace (type, jobs, mean_s, sd_s, unit_s, computed_at) "
        "VALUES ('forecast.run', 1, 1, 0, :unit_s, now())",
        unit_s=unit_s,
    )


def test_inline_data_stays_whole():
    params = _params(data=data(daily(2)))
    assert HOW.split(params, FakeContext()) == [params]


@pytest.mark.servers
@pytest.mark.parametrize(
    ("unit_s", "sizes"),
    [
        (None, [5]),
        (15.0, [2, 2, 1]),
        (40.0, [1] * 5),
        (1e6, [1] * 5),
        (1e-9, [5]),
    ],
)
def test_each_part_takes_about_half_a_minute(database, tenant_id, unit_s, sizes):
    keys = _stored(database, tenant_id, 5)
    _says(database, unit_s)
    context = FakeContext(tenant_id=tenant_id, database=database)
    planned = HOW.split(_params(series=keys, seed=7), context)
    assert [len(one.series) for one in planned] == sizes
    assert [key for one in planned for key in one.series] == keys
    assert {(one.seed, one.horizon) for one in planned} == {(7, 2)}


@pytest.mark.servers
def test_a_tag_is_resolved_once_for_all_parts(database, tenant_id):
    keys = _stored(database, tenant_id, 3, tags=["load"])
    _says(database, 30.0)
    context = FakeContext(tenant_id=tenant_id, database=database)
    planned = HOW.split(_params(series={"tag": "load"}), context)
    assert [one.series for one in planned] == [[key] for key in keys]


@pytest.mark.servers
def test_a_series_that_does_not_exist_is_said_before_the_split(database, tenant_id):
    context = FakeContext(tenant_id=tenant_id, database=database)
    with pytest.raises(InvalidData, match="nowhere"):
        HOW.split(_params(series=["nowhere"]), context)


@pytest.mark.servers
def test_what_ran_before_decides_how_many_series_a_part_gets(database, tenant_id):
    keys = _stored(database, tenant_id, 4)
    job_id = rows.running(database, tenant_id, type="forecast.run", queue="forecast")
    rows.finish(database, job_id, result={}, progress={"done": 2, "total": 2})
    rows.change(
        database, "UPDATE jobs SET started_at = finished_at - interval '30 seconds'"
    )
    with database.system() as connection:
        pace.compute(connection, types=["forecast.run"])
    context = FakeContext(tenant_id=tenant_id, database=database)
    planned = HOW.split(_params(series=keys), context)
    assert [len(one.series) for one in planned] == [2, 2]


def test_parts_are_put_together_in_their_order():
    results = iter([_part("a", "b"), _part(failed=["c"]), _part("d", failed=["e"])])
    whole = HOW.merge(_params(series=["a"]), results, FakeContext()).result
    assert [one["unique_id"] for one in whole["series"]] == ["a", "b", "d"]
    assert [one["unique_id"] for one in whole["failed"]] == ["c", "e"]
    assert whole["horizon"] == 2


def test_a_job_without_a_single_answer_fails_and_says_why():
    results = iter([_part(failed=["a"]), _part(failed=["b"])])
    with pytest.raises(InvalidData, match="a: bad; b: bad"):
        HOW.merge(_params(series=["a"]), results, FakeContext())


def test_only_the_first_few_reasons_are_named():
    with pytest.raises(InvalidData) as caught:
        parts.refuse_empty([], _part(failed=list("abcdefg"))["failed"])
    assert caught.value.detail.count("bad") == 5


@pytest.mark.servers
def test_parts_give_what_the_whole_job_gives(database, tenant_id):
    keys = _stored(database, tenant_id, 3)
    _says(database, 30.0)
    run = job_types()["forecast.run"].handler
    context = FakeContext(tenant_id=tenant_id, database=database)
    params = _params(series=keys)
    whole = run(params, context).result
    results = [
        run(one, FakeContext(tenant_id=tenant_id, database=database, part=number))
        for number, one in enumerate(HOW.split(params, context))
    ]
    assert len(results) == 3
    merged = HOW.merge(params, (one.result for one in results), context).result
    # Each part is a panel of its own, and says how that went.
    assert [one["series"] for one in merged.pop("panels")] == [1, 1, 1]
    assert [one["series"] for one in whole.pop("panels")] == [3]
    assert merged == whole
