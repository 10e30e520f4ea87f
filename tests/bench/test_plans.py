"""Each number of a bench's plan is an option of its command."""

from dataclasses import dataclass

import pytest

from bench.plans import asked


@dataclass(frozen=True)
class Plan:
    """How much of something is done."""

    rounds: int = 3
    big_mb: int = 500
    budget: float = 10.0
    model: str = "auto"


def read(*words, more=None):
    return asked(Plan, words, name="thing", about="Measure a thing.", more=more)


def test_without_words_the_plan_is_that_of_the_defaults():
    found = read()
    assert (found.plan, found.json, found.more) == (Plan(), False, {})


def test_an_option_has_the_type_of_its_default():
    words = ("--rounds", "5", "--big-mb", "0", "--budget", "1", "--model", "naive")
    found = read(*words, "--json")
    assert found.plan == Plan(5, 0, 1.0, "naive")
    assert isinstance(found.plan.budget, float)
    assert found.json is True


def test_an_option_of_the_bench_alone_is_given_beside_the_plan():
    more = {"queue_type": {"choices": ("quorum", "classic"), "default": "quorum"}}
    found = read("--queue-type", "classic", more=more)
    assert (found.plan, found.more) == (Plan(), {"queue_type": "classic"})


@pytest.mark.parametrize("words", [["--nothing"], ["--rounds", "many"]])
def test_words_that_make_no_sense_are_told(words, capsys):
    with pytest.raises(SystemExit) as ended:
        read(*words)
    assert ended.value.code == 2
    assert "python -m bench.thing" in capsys.readouterr().err
