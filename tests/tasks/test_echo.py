import pytest
from pydantic import ValidationError

from tasks import echo
from tasks.catalog import job_types
from tasks.errors import JobCancelled
from tests.fakes import FakeContext


def test_echo_returns_the_payload_as_it_came():
    payload = {"b": [1, None], "a": {"ü": 1.5}}
    outcome = echo.echo(echo.EchoParams(payload=payload), FakeContext())
    assert outcome.result == {"payload": payload}
    assert outcome.store is None


def test_an_echo_that_takes_time_tells_its_progress(monkeypatch):
    waits = []
    monkeypatch.setattr(echo.time, "sleep", waits.append)
    context = FakeContext()
    echo.echo(echo.EchoParams(duration_s=0.5), context)
    assert sum(waits) == pytest.approx(0.5)
    assert [step[:2] for step in context.steps] == [(at, 5) for at in range(5)]


def test_an_echo_can_be_cancelled_on_its_way():
    with pytest.raises(JobCancelled):
        echo.echo(echo.EchoParams(duration_s=3_600), FakeContext(cancelled=True))


@pytest.mark.parametrize(
    "params", [{"payload": [1]}, {"payload": {}, "more": 1}, {"duration_s": -1}]
)
def test_echo_takes_an_object_and_nothing_else(params):
    with pytest.raises(ValidationError):
        echo.EchoParams.model_validate(params)


def test_echo_is_in_the_catalogue():
    assert job_types()["system.echo"].queue == "system"
