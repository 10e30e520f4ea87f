"""``forecast.run`` with a version of the registry: the same numbers, or a refusal."""

import json
from datetime import timedelta

import orjson
import pytest
from pydantic import ValidationError

from db import forecasts, registry, series
from tasks.catalog import job_types
from tasks.errors import InvalidData
from tasks.forecast import ForecastParams, forecast_run
from tasks.forecast_train import TrainParams, forecast_train
from tasks.registry import keep, register
from tests.db import rows, trained
from tests.fakes import FakeContext
from tests.tasks.series import daily, data, moved, store, warm

pytestmark = pytest.mark.servers


def _params(**given) -> ForecastParams:
    return ForecastParams.model_validate({"horizon": 4, **given})


def _run(context, **given) -> dict:
    outcome = forecast_run(_params(**given), context)
    return json.loads(orjson.dumps(outcome.result))


@pytest.fixture
def context(database, tenant_id, tmp_path) -> FakeContext:
    job_id = rows.queued(database, tenant_id)
    return FakeContext(
        tenant_id=tenant_id, job_id=job_id, database=database, artifacts=tmp_path
    )


NAME = "load"
ASK = {"series": ["a", "b"], "model": ["linear", "theta"], "quantiles": [0.2, 0.8]}


def _train(context, **changes) -> int:
    given = {"horizon": 4, "name": NAME, **ASK, **changes}
    outcome = forecast_train(TrainParams.model_validate(given), context)
    with context.read() as connection:
        return outcome.store(connection)["version"]


def _crown(context, number: int) -> None:
    with context.read() as connection:
        given = {"tenant_id": context.tenant_id}
        entry = registry.hold(connection, name=NAME, **given)
        registry.crown(connection, entry_id=entry.id, to=number, **given)


def _two_stored(context) -> None:
    for key, more in (("a", 0.0), ("b", 40.0)):
        values = [value + more for value in moved(10)]
        store(context.database, context.tenant_id, key, values, frequency="1h")


def _numbers(result) -> list:
    return [
        (one["unique_id"], one["weights"], one["points"]) for one in result["series"]
    ]


def test_a_version_forecasts_its_own_panel_as_its_training_did(context):
    _two_stored(context)
    number = _train(context)
    learned = _run(context, **ASK)
    asked = {**ASK, "model": "auto", "trained": {"name": NAME, "version": number}}
    result = _run(context, **asked)
    assert _numbers(result) == _numbers(learned)
    assert (result["trained"]["name"], result["trained"]["version"]) == (NAME, 1)
    assert result["trained"]["stage"] == "challenger"
    assert [one["evaluation"] for one in result["series"]] == [None, None]
    assert result["panels"][0]["tried"] == []
    assert _numbers(_run(context, **asked)) == _numbers(result)


def test_the_champion_is_named_with_what_it_forecast(context):
    _two_stored(context)
    _train(context)
    asked = {**ASK, "trained": {"name": NAME}}
    with pytest.raises(InvalidData, match="no champion of a model load") as caught:
        _run(context, **asked)
    assert caught.value.errors[0].pointer == "/params/trained"
    _crown(context, _train(context, model="naive"))
    outcome = forecast_run(_params(**asked), context)
    with context.read() as connection:
        outcome.store(connection)
    with context.read() as connection:
        given = {"tenant_id": context.tenant_id}
        found = series.find(connection, key="a", **given)
        (kept,) = forecasts.of_series(
            connection, series_id=found.id, as_of=None, limit=9, **given
        )
    assert kept["model"] == "load@2"
    assert outcome.result["trained"]["stage"] == "champion"


def test_all_parts_take_the_champion_of_the_split(context):
    _two_stored(context)
    for model in ("naive", "theta"):
        _train(context, model=model)
    _crown(context, 1)
    kind = job_types()["forecast.run"]
    params = _params(**ASK, trained={"name": NAME}, panel=1)
    parts = kind.parts.split(params, context)
    _crown(context, 2)
    assert [part.trained.version for part in parts] == [1, 1]


@pytest.mark.parametrize(
    ("changes", "pointer", "words"),
    [
        ({"horizon": 5}, "/params/horizon", "load 1 forecasts 4 steps, not 5"),
        (
            {"covariates": [{"name": "warm", "rows": warm(244)}]},
            "/params/covariates",
            "the version learned from the covariates none, not warm",
        ),
        (
            {"trained": {"name": NAME, "version": 9}},
            "/params/trained",
            "no version 9 of a model load",
        ),
    ],
)
def test_a_version_that_does_not_fit_the_request_is_refused(
    context, changes, pointer, words
):
    _two_stored(context)
    _train(context, model="naive")
    asked = {**ASK, "trained": {"name": NAME, "version": 1}, **changes}
    with pytest.raises(InvalidData, match=words) as caught:
        _run(context, **asked)
    assert [one.pointer for one in caught.value.errors] == [pointer]


def test_a_version_of_other_steps_fails_the_series(context):
    _two_stored(context)
    _train(context, model="naive")
    asked = {"trained": {"name": NAME, "version": 1}}
    with pytest.raises(InvalidData, match="forecasts 4 steps of 1h, not 4 of 86400s"):
        _run(context, data=data(daily(2), step=timedelta(days=1)), **asked)
    # The same step in other words is the same step.
    assert _run(context, data=data(daily(2)), **asked)["series"][0]["model"] == "naive"


def test_an_artifact_that_is_no_version_of_a_forecast_is_refused(context):
    kept = keep(context, b"no recipe")
    version = trained.new(
        horizon=4, artifact_sha256=kept.sha256, artifact_bytes=kept.bytes
    )
    with context.read() as connection:
        register(connection, tenant_id=context.tenant_id, entry=NAME, version=version)
    asked = {"trained": {"name": NAME, "version": 1}}
    with pytest.raises(InvalidData, match="not a trained version") as caught:
        _run(context, data=data(daily(2)), **asked)
    assert caught.value.errors[0].pointer == "/params/trained"


def test_a_version_forecasts_no_hierarchy():
    with pytest.raises(ValidationError, match="forecasts no hierarchy"):
        _params(series=["a"], trained={"name": NAME}, hierarchy={})
