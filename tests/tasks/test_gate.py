"""The gate: nothing that is missing passes, and nothing worse than allowed."""

import math

import pytest
from hypothesis import given
from hypothesis import settings as sometimes
from hypothesis import strategies as st
from pydantic import ValidationError

from tasks.gate import Rules, gate

GOOD = {"mase": 0.9, "coverage": 0.8, "points": 72, "skill_vs_naive": 0.2}
NO_NUMBERS = [None, math.nan, math.inf, -math.inf, "0.9", True, [0.9]]


def failed(verdict) -> list[str]:
    return [check.name for check in verdict.checks if not check.passed]


@pytest.mark.parametrize("champion", [None, GOOD])
def test_a_good_candidate_passes(champion):
    verdict = gate(GOOD, champion, Rules())
    assert verdict.passed
    assert verdict.faults() == ""
    assert all(check.detail for check in verdict.checks)


@pytest.mark.parametrize("champion", [None, GOOD])
@pytest.mark.parametrize("name", ["mase", "coverage", "points"])
@pytest.mark.parametrize("value", NO_NUMBERS)
def test_a_metric_that_is_no_number_fails_and_is_named_once(champion, name, value):
    verdict = gate({**GOOD, name: value}, champion, Rules())
    assert failed(verdict) == [name]
    assert not verdict.passed
    assert verdict.faults().count(name) == 1


@pytest.mark.parametrize("name", ["mase", "coverage", "points"])
def test_a_metric_that_was_never_told_fails(name):
    metrics = {key: value for key, value in GOOD.items() if key != name}
    assert f"{name} is missing" in gate(metrics, GOOD, Rules()).faults()


def test_no_metrics_at_all_fail_every_requirement():
    assert failed(gate({}, None, Rules())) == [
        "mase",
        "coverage",
        "points",
        "skill_vs_naive",
    ]


def test_a_required_metric_of_the_caller_s_own_is_asked_for():
    rules = Rules(required=["crps"])
    assert failed(gate(GOOD, None, rules)) == ["crps"]
    assert gate({**GOOD, "crps": 1.0, "coverage": None}, None, rules).passed


@pytest.mark.parametrize(
    ("ours", "passes"), [(0.9, True), (0.945, True), (0.9451, False), (2.0, False)]
)
def test_up_to_the_tolerance_a_candidate_may_be_worse(ours, passes):
    verdict = gate({**GOOD, "mase": ours}, GOOD, Rules(tolerance_percent=5))
    assert verdict.passed is passes
    if not passes:
        assert failed(verdict) == ["mase_vs_champion"]
        assert "the champion's 0.9" in verdict.faults()


def test_another_error_may_be_the_one_that_is_compared():
    rules = Rules(primary="wql")
    worse = {**GOOD, "mase": 9.0, "wql": 0.1}
    assert gate(worse, {**GOOD, "wql": 0.2}, rules).passed
    assert failed(gate(GOOD, {**GOOD, "wql": 0.2}, rules)) == ["wql"]


@pytest.mark.parametrize("value", NO_NUMBERS)
def test_a_champion_without_the_metric_cannot_be_compared_with(value):
    verdict = gate(GOOD, {**GOOD, "mase": value}, Rules())
    assert failed(verdict) == ["mase_vs_champion"]
    assert verdict.faults() == "mase of the champion is missing"


@pytest.mark.parametrize(("points", "passes"), [(20, True), (19, False), (0, False)])
def test_too_few_points_fail(points, passes):
    verdict = gate({**GOOD, "points": points}, GOOD, Rules())
    assert verdict.passed is passes
    assert failed(verdict) == ([] if passes else ["minimum_points"])


@pytest.mark.parametrize(
    ("skill", "names"),
    [
        (0.0, []),
        (-0.001, ["minimum_skill"]),
        (None, ["skill_vs_naive"]),
        (math.nan, ["skill_vs_naive"]),
    ],
)
def test_a_first_champion_needs_skill_and_a_later_one_is_compared(skill, names):
    metrics = {**GOOD, "skill_vs_naive": skill}
    assert failed(gate(metrics, None, Rules())) == names
    assert gate(metrics, GOOD, Rules()).passed


def test_a_perfect_champion_is_met_only_by_perfection():
    champion = {**GOOD, "mase": 0.0}
    assert gate({**GOOD, "mase": 0.0}, champion, Rules()).passed
    assert not gate({**GOOD, "mase": 1e-9}, champion, Rules()).passed


@sometimes(deadline=None, max_examples=200)
@given(
    ours=st.floats(0, 1e6),
    theirs=st.floats(0, 1e6),
    tolerance=st.floats(0, 100),
)
def test_a_smaller_error_or_a_larger_tolerance_never_turns_a_pass_into_a_failure(
    ours, theirs, tolerance
):
    def passes(error: float, percent: float) -> bool:
        rules = Rules(tolerance_percent=percent)
        return gate({**GOOD, "mase": error}, {**GOOD, "mase": theirs}, rules).passed

    assert passes(theirs, tolerance)
    if passes(ours, tolerance):
        assert passes(ours / 2, tolerance)
        assert passes(ours, 100)


def test_a_verdict_is_shown_with_every_check():
    shown = gate({**GOOD, "mase": None}, GOOD, Rules()).as_json()
    assert shown["passed"] is False
    assert shown["checks"][0] == {
        "name": "mase",
        "passed": False,
        "detail": "mase is missing",
    }


@pytest.mark.parametrize(
    "bad",
    [
        {"primary": "coverage"},
        {"tolerance_percent": -1},
        {"tolerance_percent": math.nan},
        {"minimum_points": 0},
        {"minimum_skill": 2},
        {"required": ["no metric"]},
        {"colour": "red"},
    ],
)
def test_rules_that_cannot_be_used_are_refused(bad):
    with pytest.raises(ValidationError):
        Rules(**bad)
