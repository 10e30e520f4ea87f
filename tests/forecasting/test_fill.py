import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.errors import InvalidSeries
from forecasting.fill import DUPLICATES, METHODS, FillRules, fill_gaps
from tests.forecasting import naive

NAN = np.nan
KNOWN = [NAN, NAN, 4.0, NAN, 1.0, NAN, NAN, NAN, 7.0, NAN]


def filled(known, *, season=1, **rules):
    return fill_gaps(np.array(known, float), season=season, rules=FillRules(**rules))


@pytest.mark.parametrize(
    ("rule", "middle"),
    [
        ("linear", [2.5, 2.5, 4.0, 5.5]),
        ("previous", [4, 1, 1, 1]),
        ("zero", [0, 0, 0, 0]),
        ("mean", [4, 4, 4, 4]),
        ("median", [4, 4, 4, 4]),
        ("min", [1, 1, 1, 1]),
        ("max", [7, 7, 7, 7]),
        (-2.5, [-2.5] * 4),
    ],
)
def test_each_rule_fills_the_middle_in_its_way(rule, middle):
    found = filled(KNOWN, front=0.5, middle=rule, back="nan")
    assert found.values[[3, 5, 6, 7]].tolist() == middle
    assert found.values[:2].tolist() == [0.5, 0.5]
    assert found.values[9] == 7


def test_what_a_rule_states_counts_as_observed_and_a_guess_does_not():
    found = filled(KNOWN, front="zero", middle="mean", back=3)
    assert found.observed.tolist() == [
        *(True, True, True, False, True),
        *(False, False, False, True, True),
    ]


@pytest.mark.parametrize("rule", sorted(set(METHODS) - {"none", "zero"}))
def test_a_method_that_guesses_never_counts_as_observed(rule):
    known = [1.0, NAN, 3.0, 4.0, 5.0]
    assert filled(known, middle=rule).observed.tolist() == [True, False, *[True] * 3]


def test_every_part_tells_how_much_was_filled_and_how():
    notes = [*filled(KNOWN, front="zero", middle="previous", back="max").notes]
    lost = "were missing and filled"
    assert notes == (
        f"2 of 10 steps before the first observation {lost}: by 0, which counts as "
        f"observed; 4 of 10 steps {lost}: by the latest value before; 1 of 10 steps "
        f"after the latest observation {lost}: by the max of the observations, 7; 50% "
        "of the history is filled, not observed: trust the forecast accordingly"
    ).split("; ")


def test_stated_steps_are_no_reason_for_doubt():
    notes = filled(KNOWN, front="zero", middle="zero", back="zero").notes
    assert len(notes) == 3
    assert not any("trust the forecast" in note for note in notes)


def test_a_series_without_gaps_is_left_alone():
    found = filled([1, 2, 3], middle="zero")
    assert found.values.tolist() == [1, 2, 3]
    assert (found.observed.all(), found.notes) == (True, ())


def test_a_gap_that_the_rule_refuses_is_an_error_with_advice():
    with pytest.raises(InvalidSeries, match=r"1 of 3 steps are missing.*step number 1"):
        filled([1, NAN, 3], middle="none")


def test_the_seasonal_rule_fills_short_gaps_by_season_too():
    values = np.tile([0.0, 5.0, 1.0, 9.0], 6)
    gappy = values.copy()
    gappy[9] = NAN
    assert filled(gappy, season=4, middle="seasonal").values[9] == 5
    assert filled(gappy, season=4, middle="auto").values[9] == 0.5


def test_the_ends_can_be_filled_by_season():
    values = np.tile([0.0, 5.0, 1.0, 9.0], 6)
    gappy = values.copy()
    gappy[:4] = gappy[-4:] = NAN
    found = filled(gappy, season=4, front="seasonal", back="auto")
    assert found.values.tolist() == values.tolist()


GAPPY = st.lists(st.floats(-1e3, 1e3) | st.just(NAN), min_size=1, max_size=30).filter(
    lambda values: not all(np.isnan(values))
)


@settings(max_examples=80, deadline=None)
@given(
    GAPPY,
    st.sampled_from(["linear", "previous", "mean", "median", "min", "max", "zero"]),
    st.integers(1, 5),
)
def test_a_rule_fills_as_slow_code_does(known, rule, season):
    front = "linear" if rule == "previous" else rule
    found = filled(known, season=season, front=front, middle=rule, back=rule)
    expected = [
        naive.filled(known, at, "linear" if rule == "previous" and at < first else rule)
        for first in [next(n for n, v in enumerate(known) if not np.isnan(v))]
        for at in range(len(known))
    ]
    np.testing.assert_allclose(found.values, expected, rtol=1e-9, atol=1e-9)
    present = ~np.isnan(known)
    assert (found.values[present] == np.array(known)[present]).all()
    assert found.observed[present].all()


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({"front": "seasonable"}, "the front cannot be filled by 'seasonable'"),
        ({"middle": float("nan")}, "the middle cannot be filled by nan"),
        ({"back": float("inf")}, "the back cannot be filled by inf"),
        ({"front": "previous"}, "nothing precedes the front"),
        ({"duplicates": "most"}, f"use one of {', '.join(DUPLICATES)}"),
    ],
)
def test_a_rule_without_sense_is_refused_with_advice(rules, words):
    with pytest.raises(InvalidSeries, match=words):
        FillRules(**rules)


@pytest.mark.parametrize("part", ["front", "middle", "back"])
@pytest.mark.parametrize("rule", [*METHODS, 0, -1.5])
def test_every_rule_may_be_named_for_every_part(part, rule):
    if (part, rule) != ("front", "previous"):
        assert getattr(FillRules(**{part: rule}), part) == rule
