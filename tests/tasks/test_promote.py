"""``model.promote`` and ``model.rollback`` as plain functions."""

import json

import orjson
import pytest
from pydantic import ValidationError

from tasks import registry
from tasks.errors import InvalidData
from tasks.promote import (
    PromoteParams,
    RollbackParams,
    model_promote,
    model_rollback,
)
from tests.db import trained
from tests.fakes import FakeContext

NAME = "load-day-ahead"


@pytest.fixture
def context(database, tenant_id, tmp_path) -> FakeContext:
    return FakeContext(tenant_id=tenant_id, database=database, artifacts=tmp_path)


@pytest.fixture
def train(context):
    def run(**changes) -> int:
        kept = registry.keep(context, orjson.dumps(changes))
        version = trained.new(artifact_sha256=kept.sha256, **changes)
        with context.read() as connection:
            return registry.register(
                connection, tenant_id=context.tenant_id, entry=NAME, version=version
            )

    return run


def _end(context, outcome) -> dict:
    with context.read() as connection:
        added = outcome.store(connection)
    return json.loads(orjson.dumps({**outcome.result, **added}))


def promote(context, **given) -> dict:
    params = PromoteParams(**{"name": NAME, **given})
    return _end(context, model_promote(params, context))


def roll_back(context, **given) -> dict:
    params = RollbackParams(**{"name": NAME, **given})
    return _end(context, model_rollback(params, context))


def gone(context) -> None:
    for path in context.artifacts.rglob("*"):
        if path.is_file():
            path.unlink()


@pytest.mark.servers
def test_promote_and_roll_back_tell_who_is_champion(context, train):
    for skill in (0.1, 0.2):
        train(metrics={"skill_vs_naive": skill})
    assert promote(context, version=1)["champion"] == 1
    told = promote(context, version=2, expected=1)
    assert (told["champion"], told["former"], told["gate"]["passed"]) == (2, 1, True)
    told = roll_back(context, expected=2)
    assert (told["champion"], told["former"], told["changed"]) == (1, 2, True)


@pytest.mark.servers
def test_a_refusal_is_a_result_or_a_failure_as_the_caller_wants(context, train):
    train(metrics={"mase": None, "coverage": None})
    told = promote(context, version=1)
    assert (told["refused"], told["champion"]) == (True, None)
    with pytest.raises(InvalidData) as caught:
        promote(context, version=1, refusal="fail")
    assert str(caught.value) == (
        "the gate refuses version 1: mase is missing; coverage is missing"
    )


@pytest.mark.servers
def test_a_version_whose_artifact_is_gone_is_not_promoted_even_by_force(context, train):
    train()
    gone(context)
    with pytest.raises(InvalidData, match="is not in file") as caught:
        promote(context, version=1, force=True, reason="now")
    assert caught.value.errors[0].pointer == "/params/version"


@pytest.mark.servers
def test_a_champion_whose_artifact_is_gone_is_not_brought_back(context, train):
    for seed in (1, 2):
        train(seed=seed)
        promote(context, version=seed)
    gone(context)
    with pytest.raises(InvalidData, match="load-day-ahead 1 is not in file"):
        roll_back(context)


@pytest.mark.servers
def test_what_is_not_there_fails_the_job_with_its_field(context, train):
    for call, pointer in (
        (lambda: promote(context, version=1), "/params/version"),
        (lambda: roll_back(context), "/params/name"),
    ):
        with pytest.raises(InvalidData) as caught:
            call()
        assert caught.value.errors[0].pointer == pointer


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"name": "Load"}, "match pattern"),
        ({"name": "load\n"}, "match pattern"),
        ({"version": 0}, "greater than or equal to 1"),
        ({"version": "champion"}, "valid integer"),
        ({"expected": -1}, "greater than or equal to 0"),
        ({"force": True}, "force needs a reason"),
        ({"force": True, "reason": "  "}, "force needs a reason"),
        ({"reason": "x" * 501}, "at most 500"),
        ({"refusal": "shrug"}, "'tell' or 'fail'"),
        ({"rules": {"primary": "luck"}}, "Input should be"),
        ({"colour": "red"}, "Extra inputs"),
    ],
)
def test_params_that_cannot_be_used_are_refused(given, words):
    with pytest.raises(ValidationError, match=words):
        PromoteParams(**{"name": NAME, "version": 1, **given})


@pytest.mark.parametrize("given", [{"expected": 0}, {"version": 1}, {"name": ""}])
def test_params_of_a_rollback_that_cannot_be_used_are_refused(given):
    with pytest.raises(ValidationError):
        RollbackParams(**{"name": NAME, **given})
