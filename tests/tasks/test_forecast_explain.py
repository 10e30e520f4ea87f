"""``forecast.explain``: parts that sum to the forecast that forecast.run gives."""

import json
from datetime import timedelta

import orjson
import pytest

from tasks.errors import InvalidData
from tasks.forecast import ForecastParams, forecast_run
from tasks.forecast_explain import ExplainParams, as_table, forecast_explain
from tests.fakes import FakeContext
from tests.tasks.series import daily, data, moved, store, warm

WARM = {"name": "warm", "rows": warm(244)}


def _run(context=None, **given) -> dict:
    params = ExplainParams.model_validate({"horizon": 4, "model": "naive", **given})
    outcome = forecast_explain(params, context or FakeContext())
    assert outcome.store is None
    return json.loads(orjson.dumps(outcome.result))


def _assert_sums(result) -> None:
    for one in result["series"]:
        for step, mean in enumerate(one["mean"]):
            total = sum(part["values"][step] for part in one["contributions"])
            assert total == pytest.approx(mean, rel=1e-12, abs=1e-9)


def test_the_parts_sum_to_what_is_forecast():
    given = {
        "horizon": 4,
        "data": [*data(moved(10)), *data(moved(9), unique_id="b")],
        "model": ["linear", "theta"],
        "covariates": [WARM],
        "upper": 20,
    }
    result = _run(**given)
    _assert_sums(result)
    forecast = forecast_run(ForecastParams.model_validate(given), FakeContext()).result
    for told, made in zip(result["series"], forecast["series"], strict=True):
        assert told["mean"] == [point["mean"] for point in made["points"]]
        assert told["ds"] == [point["ds"] for point in made["points"]]
        assert (told["weights"], told["cutoff"]) == (made["weights"], made["cutoff"])


def test_the_largest_part_comes_first_and_the_covariate_is_one():
    (found,) = _run(data=data(moved(10)), model="linear", covariates=[WARM])["series"]
    sizes = [part["mean_absolute"] for part in found["contributions"]]
    assert sizes == sorted(sizes, reverse=True)
    assert {"base", "calendar", "warm"} <= {p["part"] for p in found["contributions"]}


def test_flat_and_bad_series_disturb_nobody():
    result = _run(
        data=[
            *data(daily(4)),
            *data([5.0] * 90, unique_id="flat"),
            *data([1.0], unique_id="short"),
            *data(daily(4), unique_id="slow", step=timedelta(days=1)),
        ]
    )
    assert [one["unique_id"] for one in result["series"]] == ["a", "flat", "slow"]
    assert [one["unique_id"] for one in result["failed"]] == ["short"]
    _assert_sums(result)
    with pytest.raises(InvalidData, match="too few"):
        _run(data=data([1.0]))


def test_what_made_sums_hold_is_a_part():
    result = _run(
        data=[*data(daily(5)), *data([*daily(5)][::-1], unique_id="b")],
        model="theta",
        hierarchy={},
    )
    assert [one["unique_id"] for one in result["series"]] == ["total", "a", "b"]
    _assert_sums(result)
    parts = {part["part"] for one in result["series"] for part in one["contributions"]}
    assert parts == {"theta", "agreement"}


def test_the_table_has_a_row_for_each_step_and_part():
    result = _run(data=data(daily(4)), model=["theta", "naive"])
    columns, table = as_table(result)
    assert columns == ["unique_id", "ds", "part", "value"]
    assert len(table) == 4 * 2
    (found,) = result["series"]
    assert sum(row[3] for row in table[:2]) == pytest.approx(found["mean"][0])
    assert table[0][:2] == ["a", found["ds"][0]]


@pytest.mark.servers
def test_stored_series_are_explained(database, tenant_id):
    store(database, tenant_id, "a", daily(5), frequency="1h")
    context = FakeContext(tenant_id=tenant_id, database=database)
    result = _run(context, series=["a"], model="theta")
    _assert_sums(result)
    assert result["series"] == _run(data=data(daily(5)), model="theta")["series"]
