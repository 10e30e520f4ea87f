"""``forecast.whatif``: other covariates ahead, the same past, and the difference."""

import json
from datetime import timedelta

import orjson
import pytest
from pydantic import ValidationError

from tasks.errors import InvalidData
from tasks.forecast import ForecastParams, forecast_run
from tasks.forecast_whatif import WhatIfParams, as_table, forecast_whatif
from tests.db import rows
from tests.fakes import FakeContext
from tests.tasks.series import START, data, moved, store, warm

WARM = {"name": "warm", "rows": warm(244)}
UP = {"name": "up", "changes": [{"covariate": "warm", "add": 2}]}
SAME = {"name": "same", "changes": [{"covariate": "warm"}]}


def _params(**given) -> WhatIfParams:
    return WhatIfParams.model_validate(
        {"horizon": 4, "model": "linear", "covariates": [WARM], **given}
    )


def _run(context=None, **given) -> dict:
    outcome = forecast_whatif(_params(**given), context or FakeContext())
    assert outcome.store is None
    return json.loads(orjson.dumps(outcome.result))


@pytest.mark.parametrize(
    ("scenarios", "words"),
    [
        ([], "at least 1 item"),
        ([{"name": "", "changes": [{"covariate": "warm"}]}], "at least 1 character"),
        ([{"name": "a", "changes": []}], "at least 1 item"),
        (
            [{"name": "a", "changes": [{"covariate": "price"}]}],
            "a changes price, which is no covariate known ahead; known are warm",
        ),
        ([UP, UP], "two scenarios have one name"),
        (
            [{"name": "a", "changes": [{"covariate": "warm", "add": 1e200}]}],
            "less than or equal to",
        ),
        (
            [{"name": "a", "changes": [{"covariate": "warm", "start": "2026-01-01"}]}],
            "no offset",
        ),
    ],
)
def test_scenarios_that_cannot_be_are_refused(scenarios, words):
    with pytest.raises(ValidationError, match=words):
        _params(series=["a"], scenarios=scenarios)


def test_what_is_known_for_the_past_only_cannot_be_otherwise():
    with pytest.raises(ValidationError, match="known are none"):
        _params(series=["a"], covariates=[{**WARM, "known": "past"}], scenarios=[UP])


def test_sums_and_futures_have_no_scenarios():
    for given in ({"hierarchy": {}}, {"samples": 9}):
        with pytest.raises(ValidationError, match="has no meaning here"):
            _params(series=["a"], scenarios=[UP], **given)


def test_the_forecast_moves_with_the_covariate():
    down = {"name": "down", "changes": [{"covariate": "warm", "multiply": 0}]}
    (found,) = _run(data=data(moved(10)), scenarios=[UP, down, SAME])["series"]
    up, low, same = found["scenarios"]
    # Three units for each of the covariate's, as the series was made.
    assert up["difference"] == pytest.approx([6.0] * 4, abs=1.5)
    assert low["total_difference"] < -5
    assert same["difference"] == [0.0] * 4
    assert same["mean"] == found["mean"]
    assert up["total_difference"] == pytest.approx(sum(up["difference"]))
    assert list(up["q"]) == ["0.1", "0.5", "0.9"]
    assert not any("nothing changes" in text for text in found["warnings"])


def test_the_base_is_what_forecast_run_forecasts():
    given = {"horizon": 4, "model": "linear", "covariates": [WARM]}
    given["data"] = data(moved(10))
    (found,) = _run(**given, scenarios=[UP])["series"]
    params = ForecastParams.model_validate(given)
    (made,) = forecast_run(params, FakeContext()).result["series"]
    assert found["mean"] == [point["mean"] for point in made["points"]]


def test_a_change_may_hold_for_some_hours():
    change = {
        "covariate": "warm",
        "add": 2,
        "start": "2026-01-11T02:00:00Z",
        "end": "2026-01-11T03:00:00Z",
    }
    (found,) = _run(
        data=data(moved(10)), scenarios=[{"name": "hour", "changes": [change]}]
    )["series"]
    moves = found["scenarios"][0]["difference"]
    assert moves[0] == moves[1] == 0.0
    assert moves[2] == pytest.approx(6.0, abs=1.5)


def test_a_change_that_touches_nothing_names_its_field():
    late = {"covariate": "warm", "add": 1, "start": "2026-02-01T00:00:00Z"}
    with pytest.raises(InvalidData, match="touches none of its values") as caught:
        _run(data=data(moved(10)), scenarios=[UP, {"name": "late", "changes": [late]}])
    assert [one.pointer for one in caught.value.errors] == [
        "/params/scenarios/1/changes"
    ]


def test_models_that_look_at_no_covariate_say_so():
    (found,) = _run(data=data(moved(10)), scenarios=[UP], model="theta")["series"]
    assert found["scenarios"][0]["difference"] == [0.0] * 4
    assert any("(theta) uses covariates" in text for text in found["warnings"])


def test_flat_and_bad_series_and_other_steps_disturb_nobody():
    result = _run(
        data=[
            *data(moved(10)),
            *data([5.0] * 240, unique_id="flat"),
            *data([1.0], unique_id="short"),
            *data([3.0] * 11, unique_id="slow", step=timedelta(days=1)),
        ],
        covariates=[{"name": "warm", "rows": warm(24 * 20)}],
        scenarios=[UP],
    )
    told = {one["unique_id"]: one["scenarios"][0] for one in result["series"]}
    assert list(told) == ["a", "flat", "slow"]
    assert told["a"]["total_difference"] > 1
    assert told["flat"]["difference"] == told["slow"]["difference"] == [0.0] * 4
    assert [one["unique_id"] for one in result["failed"]] == ["short"]


def test_the_table_has_a_row_for_each_scenario_and_step():
    result = _run(data=data(moved(10)), scenarios=[UP, SAME])
    columns, table = as_table(result)
    assert columns == ["unique_id", "ds", "scenario", "base", "mean", "difference"]
    assert [row[2] for row in table] == ["up"] * 4 + ["same"] * 4
    for _, _, _, base, mean, difference in table:
        assert difference == pytest.approx(mean - base)


@pytest.mark.servers
def test_nothing_of_a_scenario_is_stored(database, tenant_id):
    given = {"database": database, "tenant_id": tenant_id}
    store(key="a", values=moved(10), frequency="1h", **given)
    store(key="warm", values=[row["value"] for row in warm(244)], **given)
    (found,) = _run(
        FakeContext(**given),
        series=["a"],
        covariates=[{"series": "warm"}],
        scenarios=[UP],
    )["series"]
    assert found["scenarios"][0]["total_difference"] > 10
    assert found["cutoff"] == (START + timedelta(hours=239)).isoformat().replace(
        "+00:00", "Z"
    )
    assert rows.value(database, "SELECT count(*) FROM forecasts") == 0
