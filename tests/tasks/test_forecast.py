"""``forecast.run`` as a plain function: shapes, honesty, and what is stored."""

import json
from dataclasses import replace
from datetime import timedelta

import orjson
import pytest
from pydantic import ValidationError

from db import forecasts, series
from tasks.answers import point_table
from tasks.catalog import job_types
from tasks.errors import InvalidData, JobCancelled
from tasks.forecast import ForecastParams, forecast_run
from tests.db import rows
from tests.fakes import FakeContext
from tests.tasks.series import START, daily, data, store


def _params(**given) -> ForecastParams:
    return ForecastParams.model_validate({"horizon": 4, "model": "naive", **given})


def _run(context=None, **given) -> dict:
    outcome = forecast_run(_params(**given), context or FakeContext())
    return json.loads(orjson.dumps(outcome.result))


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("horizon", 0, "greater than or equal to 1"),
        ("horizon", -1, "greater than or equal to 1"),
        ("horizon", 10**9, "less than or equal to 10000"),
        ("horizon", 1.5, "valid integer"),
        ("quantiles", [], "at least 1 item"),
        ("quantiles", [0.9, 0.1], "ascend without repeats"),
        ("quantiles", [0.1, 0.1], "ascend without repeats"),
        ("quantiles", [0.0, 0.5], "greater than 0"),
        ("quantiles", [0.5, 1.0], "less than 1"),
        ("quantiles", [float("nan")], "finite number"),
        ("model", "oracle", "unknown model; known are auto, arima"),
        ("model", "", "unknown model"),
        ("model", ["naive", "oracle"], "unknown model"),
        ("model", ["naive", "naive"], "name each model once"),
        ("model", ["naive", "auto"], "or auto alone"),
        ("model", [], "at least 1 item"),
        ("season", 0, "greater than or equal to 1"),
        ("budget_s", 0, "greater than 0"),
        ("lower", float("inf"), "finite number"),
        ("panel", 0, "greater than or equal to 1"),
        ("panel", 1_001, "less than or equal to 1000"),
        ("trained", {"name": "A/B"}, "match pattern"),
        ("trained", {"name": "a", "version": 0}, "greater than or equal to 1"),
        ("trained", {"name": "a", "version": "best"}, "champion"),
        ("backtest", {"windows": 0}, "greater than or equal to 1"),
        ("backtest", {"windows": 21}, "less than or equal to 20"),
        ("backtest", {"folds": 3}, "Extra inputs are not permitted"),
        ("seed", -1, "greater than or equal to 0"),
        ("seed", 2**31, "less than or equal to"),
        ("colour", "red", "Extra inputs are not permitted"),
    ],
)
def test_params_that_cannot_be_used_are_refused(field, value, words):
    with pytest.raises(ValidationError, match=words):
        _params(series=["a"], **{field: value})


def test_the_horizon_must_be_given():
    with pytest.raises(ValidationError, match="Field required"):
        ForecastParams.model_validate({"series": ["a"]})


def test_a_forecast_has_a_point_for_each_step_after_the_cutoff():
    result = _run(
        data=data(daily(10)), horizon=30, model="seasonal_naive", quantiles=[0.1, 0.9]
    )
    (found,) = result["series"]
    assert result["failed"] == []
    assert (result["horizon"], result["quantiles"]) == (30, [0.1, 0.9])
    assert (found["unique_id"], found["model"], found["season"]) == (
        "a",
        "seasonal_naive",
        24,
    )
    assert found["cutoff"] == "2026-01-10T23:00:00Z"
    assert len(found["points"]) == 30
    assert [point["ds"] for point in found["points"][:2]] == [
        "2026-01-11T00:00:00Z",
        "2026-01-11T01:00:00Z",
    ]
    for point in found["points"]:
        assert list(point["q"]) == ["0.1", "0.9"]
        assert point["q"]["0.1"] <= point["mean"] <= point["q"]["0.9"]
    assert found["evaluation"]["windows"] == 3
    assert found["evaluation"]["mae"] > 0


def test_auto_tells_what_it_tried_and_how_much_each_counts():
    result = _run(data=data(daily(6)), model="auto")
    (found,), (panel,) = result["series"], result["panels"]
    candidates = {one["model"]: one for one in found["candidates"]}
    assert set(candidates) == set(panel["tried"])
    assert set(panel["tried"]) >= {"naive", "seasonal_naive"}
    shares = {name: one["weight"] for name, one in candidates.items() if one["weight"]}
    assert shares == found["weights"]
    assert sum(found["weights"].values()) == pytest.approx(1)
    assert found["model"] == ("blend" if len(shares) > 1 else next(iter(shares)))
    assert (panel["frequency"], panel["series"]) == ("3600s", 1)
    assert panel["windows"] >= 4
    assert panel["coverage"]["nominal"] == 0.8
    assert len(panel["coverage"]["by_step"]) == 4


def test_the_same_params_give_the_same_forecast():
    two = [*data(daily(4)), *data(daily(5), unique_id="b")]
    params = {"data": two, "model": ["lightgbm", "theta"], "seed": 3}
    assert _run(**params) == _run(**params)


def test_a_constant_series_is_forecast_with_a_warning():
    (found,) = _run(data=data([5.0] * 60))["series"]
    assert [point["mean"] for point in found["points"]] == [5.0] * 4
    assert any("never changes" in warning for warning in found["warnings"])
    assert found["evaluation"]["mase"] is None


def test_two_points_are_too_few_and_said_so():
    with pytest.raises(InvalidData, match="a: 2 observations are too few"):
        _run(data=data([1.0, 2.0]))


def test_missing_values_do_not_count_as_observations():
    with pytest.raises(InvalidData, match="a: 2 observations are too few"):
        _run(data=data([1.0, None, None, 2.0]))


def test_one_bad_series_does_not_fail_the_panel():
    result = _run(
        data=[
            *data(daily(4)),
            *data([1.0], unique_id="short"),
            *data([3.0, 2.0, 1.0], unique_id="b"),
        ]
    )
    assert [one["unique_id"] for one in result["series"]] == ["a", "b"]
    (bad,) = result["failed"]
    assert bad["unique_id"] == "short"
    assert "too few" in bad["detail"]


def test_a_panel_without_a_good_series_fails_with_the_reasons_of_some():
    panel = [row for name in "abcdefg" for row in data([1.0], unique_id=name)]
    with pytest.raises(InvalidData) as caught:
        _run(data=panel)
    assert [name for name in "abcdefg" if f"{name}: 1 obs" in str(caught.value)] == [
        *"abcde"
    ]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"frequency": "7min"}, "grid"),
        ({"data": data([1e200] * 30)}, "above 1e\\+100"),
    ],
)
def test_what_the_room_refuses_is_invalid_data(given, words):
    with pytest.raises(InvalidData, match=words):
        _run(**{"data": data(daily(3)), **given})


def test_steps_below_a_second_are_forecast_too():
    (found,) = _run(data=data(daily(3), step=timedelta(milliseconds=500)))["series"]
    assert found["points"][0]["ds"] == "2026-01-01T00:00:36Z"
    assert found["points"][1]["ds"] == "2026-01-01T00:00:36.500000Z"


def test_progress_counts_the_series_and_ends_with_storing():
    context = FakeContext()
    _run(context, data=[*data(daily(3)), *data(daily(3), unique_id="b")])
    shares = [done / total for done, total, _, _ in context.steps]
    assert shares == sorted(shares)
    assert [what for _, _, _, what in context.steps] == [
        "reading a",
        "reading b",
        "backtesting a",
        "backtesting b",
        "storing",
    ]
    assert [total for _, total, _, _ in context.steps] == [4, 4, 4, 4, 2]
    done, total, unit, _ = context.steps[-1]
    assert (done, unit) == (total, "series")


def test_a_cancelled_job_stops():
    with pytest.raises(JobCancelled):
        _run(FakeContext(cancelled=True), data=data(daily(3)))


def test_the_table_has_a_row_for_each_series_and_step():
    result = _run(data=[*data(daily(3)), *data(daily(3), unique_id="b")])
    columns, table = point_table(result)
    assert columns == ["unique_id", "ds", "model", "mean", "q0.1", "q0.5", "q0.9"]
    assert len(table) == 2 * 4
    for row in table:
        assert len(row) == len(columns)
    point = result["series"][1]["points"][0]
    assert table[4] == [
        "b",
        point["ds"],
        "naive",
        point["mean"],
        *(point["q"][level] for level in ("0.1", "0.5", "0.9")),
    ]


def test_a_budget_leaves_out_models_and_says_which():
    result = _run(data=data(daily(9)), model="auto", budget_s=0.001)
    (panel,) = result["panels"]
    assert panel["beyond_budget"]
    assert not set(panel["beyond_budget"]) & set(panel["tried"])


def _stored(database, tenant_id, key) -> list[dict]:
    with database.tenant(tenant_id) as connection:
        found = series.find(connection, tenant_id=tenant_id, key=key)
        return forecasts.of_series(
            connection, tenant_id=tenant_id, series_id=found.id, as_of=None, limit=9
        )


@pytest.mark.servers
def test_forecasts_of_stored_series_are_stored(database, tenant_id):
    store(database, tenant_id, "a", daily(10), frequency="1h")
    store(database, tenant_id, "b", [1.0], frequency="1h")
    job_id = rows.queued(database, tenant_id)
    context = FakeContext(tenant_id=tenant_id, job_id=job_id, database=database)
    outcome = forecast_run(_params(series=["a", "b"]), context)
    assert _stored(database, tenant_id, "a") == []
    with database.tenant(tenant_id) as connection:
        assert outcome.store(connection) == {}
    (told,) = outcome.result["series"]
    (kept,) = _stored(database, tenant_id, "a")
    assert (kept["job_id"], kept["model"]) == (job_id, "naive")
    assert kept["cutoff"] == START + timedelta(hours=239)
    assert kept["quantiles"] == [0.1, 0.5, 0.9]
    assert kept["evaluation"] == told["evaluation"]
    assert kept["warnings"] == told["warnings"]
    assert [(mean, q) for _, mean, q in kept["points"]] == [
        (point["mean"], list(point["q"].values())) for point in told["points"]
    ]
    assert _stored(database, tenant_id, "b") == []


@pytest.mark.servers
def test_forecasts_of_given_rows_are_not_stored(database, tenant_id):
    outcome = forecast_run(_params(data=data(daily(3))), FakeContext())
    with database.tenant(tenant_id) as connection:
        assert outcome.store(connection) == {}
    assert rows.value(database, "SELECT count(*) FROM forecasts") == 0


@pytest.fixture
def context(database, tenant_id, tmp_path) -> FakeContext:
    job_id = rows.queued(database, tenant_id)
    return FakeContext(
        tenant_id=tenant_id, job_id=job_id, database=database, artifacts=tmp_path
    )


@pytest.mark.servers
def test_parts_are_cut_by_number_so_that_they_are_the_same_twice(context):
    kind = job_types()["forecast.run"]
    for key in "abcde":
        store(context.database, context.tenant_id, key, daily(4), frequency="1h")
    params = _params(series=list("edcba"), panel=2)
    parts = kind.parts.split(params, context)
    assert [part.series for part in parts] == [["e", "d"], ["c", "b"], ["a"]]
    results = [
        forecast_run(part, replace(context, part=number)).result
        for number, part in enumerate(parts)
    ]
    merged = kind.parts.merge(params, iter(results), context).result
    assert [one["unique_id"] for one in merged["series"]] == list("edcba")
    assert [one["series"] for one in merged["panels"]] == [2, 2, 1]
    assert kind.parts.split(_params(data=data(daily(2))), context) == [
        _params(data=data(daily(2)))
    ]


@pytest.mark.servers
def test_a_part_without_any_forecast_is_told_and_does_not_fail_the_rest(context):
    store(context.database, context.tenant_id, "b", [1.0, 2.0, 3.0], frequency="7min")
    with pytest.raises(InvalidData, match=r"b: .*grid"):
        forecast_run(_params(series=["b"]), context)
    part = replace(context, part=0)
    result = forecast_run(_params(series=["b"]), part).result
    assert result["series"] == []
    assert [one["unique_id"] for one in result["failed"]] == ["b"]
