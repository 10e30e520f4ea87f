"""``forecast.train``: a version in the registry, measured, compared, and used."""

import json
from dataclasses import replace
from datetime import timedelta

import orjson
import pytest
from pydantic import ValidationError

from db import registry as registered
from forecasting.recipe import from_bytes
from tasks import registry
from tasks.errors import InvalidData
from tasks.forecast import ForecastParams, forecast_run
from tasks.forecast_train import TrainParams, forecast_train
from tasks.promote import (
    PromoteParams,
    RollbackParams,
    model_promote,
    model_rollback,
)
from tests.db import rows
from tests.fakes import FakeContext
from tests.tasks.series import START, daily, data, moved, store, warm

pytestmark = pytest.mark.servers
NAME = "load"


@pytest.fixture
def context(database, tenant_id, tmp_path) -> FakeContext:
    job_id = rows.queued(database, tenant_id)
    return FakeContext(
        tenant_id=tenant_id, job_id=job_id, database=database, artifacts=tmp_path
    )


def _outcome(context, **given):
    asked = {"horizon": 4, "name": NAME, "model": "theta", **given}
    return forecast_train(TrainParams.model_validate(asked), context)


def _finish(context, outcome) -> dict:
    with context.read() as connection:
        added = outcome.store(connection) if outcome.store else {}
    return json.loads(orjson.dumps({**outcome.result, **added}))


def _train(context, **given) -> dict:
    return _finish(context, _outcome(context, **given))


def _version(context, number):
    return registry.load(context, NAME, number)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"name": "Load"}, "match pattern"),
        ({"hierarchy": {}}, "has no meaning here"),
        ({"samples": 1}, "has no meaning here"),
    ],
)
def test_params_that_cannot_be_used_are_refused(given, words):
    asked = {"horizon": 4, "name": NAME, "series": ["a"], **given}
    with pytest.raises(ValidationError, match=words):
        TrainParams.model_validate(asked)


def test_a_version_is_registered_when_the_job_ends_and_not_before(context):
    outcome = _outcome(context, data=data(daily(9)))
    with context.read() as connection:
        given = {"tenant_id": context.tenant_id}
        assert registered.find(connection, name=NAME, **given) is None
    result = _finish(context, outcome)
    assert result["version"] == 1
    version, body = _version(context, 1)
    assert (version.stage, version.job_id) == ("challenger", context.job_id)
    assert version.artifact_sha256 == result["artifact_sha256"]
    assert len(body) == version.artifact_bytes
    assert from_bytes(body).panel[0].unique_id == "a"


def test_a_version_tells_what_it_learned_from_and_how_it_did(context):
    short = data([1.0], unique_id="short")
    slow = data(daily(8), unique_id="b")
    result = _train(
        context,
        data=[*data(daily(9)), *slow, *short],
        model=["theta", "naive"],
        quantiles=[0.05, 0.95],
        seed=3,
        backtest={"windows": 2},
    )
    assert [one["unique_id"] for one in result["failed"]] == ["short"]
    assert set(result["members"]) == {"theta", "naive"}
    version, _ = _version(context, 1)
    assert (version.model, version.members) == ("blend", result["members"])
    assert (version.series_count, version.horizon, version.seed) == (2, 4, 3)
    assert version.quantiles == [0.05, 0.95]
    assert version.window_start == START
    assert version.window_end == START + timedelta(days=9)
    assert version.metrics == result["metrics"]
    assert version.metrics["points"] == 2 * 2 * 4
    assert version.evaluation["from"] == "2026-01-08T16:00:00Z"
    assert version.evaluation["windows"] == 4
    assert "data" not in version.params
    assert version.compared is None
    assert "numpy" in version.libraries


def test_rows_of_covariates_are_kept_with_the_artifact_and_not_with_the_params(context):
    source = {"name": "warm", "rows": warm(244)}
    _train(context, data=data(moved(10)), model="linear", covariates=[source])
    version, body = _version(context, 1)
    assert version.params["covariates"][0]["name"] == "warm"
    assert "rows" not in version.params["covariates"][0]
    assert from_bytes(body).panel[0].covariates[0].values.size == 244


def test_what_cannot_be_learned_is_refused(context):
    mixed = [*data(daily(4)), *data(daily(4), unique_id="b", step=timedelta(days=1))]
    for given, words in (
        ({"data": mixed}, "the frequencies 3600s, 86400s: a version learns one"),
        ({"data": data([5.0] * 90)}, "there is nothing to learn"),
        ({"data": data([1.0])}, "too few"),
        ({"data": data(daily(3)), "frequency": "7min"}, "grid"),
    ):
        with pytest.raises(InvalidData, match=words):
            _outcome(context, **given)


def test_a_panel_with_an_uneven_end_has_the_window_of_all_of_it(context):
    late = [1.0, *([None] * 10), *daily(4)]
    _train(context, data=[*data(late, unique_id="b"), *data([5.0] * 150)])
    version, _ = _version(context, 1)
    assert version.window_end == START + timedelta(hours=150)


def _promote(context, number, **given) -> dict:
    params = PromoteParams.model_validate({"name": NAME, "version": number, **given})
    return _finish(context, model_promote(params, context))


def test_the_champion_is_measured_on_windows_it_never_saw(context):
    values = daily(12)
    _train(context, data=data(values[:-12]), model="naive")
    _promote(context, 1, force=True, reason="the first one")
    # Exactly the three windows of four steps after what the champion learned from.
    result = _train(context, data=data(values))
    assert result["compared"]["version"] == 1
    theirs = result["compared"]["metrics"]
    assert theirs["windows"] == result["metrics"]["windows"] == 3
    assert theirs["mase"] > result["metrics"]["mase"]
    verdict = _promote(context, 2, rules={"minimum_points": 12})
    assert (verdict["champion"], verdict["refused"]) == (2, False)


def test_a_champion_that_saw_a_window_is_not_measured_on_it(context):
    values = daily(12)
    _train(context, data=data(values[:-11]))
    _promote(context, 1, force=True, reason="the first one")
    assert _train(context, data=data(values))["compared"] is None
    assert _promote(context, 2)["refused"] is True


@pytest.mark.parametrize(
    "given", [{"horizon": 3}, {"frequency": "2h"}, {"horizon": 5, "model": "naive"}]
)
def test_a_champion_of_other_steps_cannot_be_compared(context, given):
    values = daily(12)
    _train(context, data=data(values[:100]), model="naive")
    _promote(context, 1, force=True, reason="the first one")
    if "frequency" in given:
        pairs = data(values, step=timedelta(hours=2))
        assert _train(context, data=pairs, **given)["compared"] is None
    else:
        assert _train(context, data=data(values), **given)["compared"] is None


def test_the_whole_way_from_training_to_rollback(context):
    for key, more in (("a", 0.0), ("b", 9.0)):
        values = [value + more for value in daily(9)]
        store(context.database, context.tenant_id, key, values, frequency="1h")
    ask = {"series": ["a", "b"], "model": ["theta", "linear"]}
    first = _train(context, **ask, quantiles=[0.1, 0.9])
    assert _promote(context, first["version"])["champion"] == 1
    before = _forecast(context)
    assert before["trained"]["version"] == 1
    for key, more in (("a", 0.0), ("b", 9.0)):
        values = [value + more for value in daily(10)[:228]]
        store(
            context.database,
            context.tenant_id,
            key,
            values,
            frequency="1h",
            now=START + timedelta(days=400),
        )
    second = _train(context, **ask, quantiles=[0.1, 0.9])
    assert second["compared"]["version"] == 1
    assert _promote(context, 2, expected=1)["champion"] == 2
    after = _forecast(context)
    assert after["trained"]["version"] == 2
    assert after["series"][0]["cutoff"] == "2026-01-10T11:00:00Z"
    params = RollbackParams.model_validate({"name": NAME})
    told = _finish(context, model_rollback(params, context))
    assert told["champion"] == 1
    back = _forecast(context)
    assert back["trained"]["version"] == 1
    # The old version, shown what it was trained on, forecasts as it did then.
    given = {"horizon": 4, "quantiles": [0.1, 0.9], "trained": {"name": NAME}}
    old = [*data(daily(9)), *data([v + 9.0 for v in daily(9)], unique_id="b")]
    params = ForecastParams.model_validate({**given, "data": old})
    again = json.loads(orjson.dumps(forecast_run(params, context).result))
    assert again["series"] == before["series"]


def _forecast(context) -> dict:
    params = ForecastParams.model_validate(
        {
            "horizon": 4,
            "series": ["a", "b"],
            "quantiles": [0.1, 0.9],
            "trained": {"name": NAME},
        }
    )
    # A job of its own: each keeps one forecast of a series.
    own = replace(context, job_id=rows.queued(context.database, context.tenant_id))
    return _finish(own, forecast_run(params, own))


def test_another_tenant_s_champion_is_no_rival(context, other_tenant_id):
    _train(context, data=data(daily(9)), model="naive")
    _promote(context, 1, force=True, reason="the first one")
    stranger = FakeContext(
        tenant_id=other_tenant_id,
        job_id=rows.queued(context.database, other_tenant_id),
        database=context.database,
        artifacts=context.artifacts,
    )
    assert _train(stranger, data=data(daily(10)))["compared"] is None
