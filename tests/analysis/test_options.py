"""Dead bands, directions, calendars and labels, in hindsight and from the past."""

import numpy as np
import pytest

from analysis.analyse import (
    AnalysisOptions,
    Expected,
    InvalidOptions,
    Label,
    analyse,
)
from tests.analysis.synthetic import HOUR, START, clean, hours

COUNT = 24 * 50
UP, DOWN = 700, 800
every_mode = pytest.mark.parametrize("mode", ["batch", "replay"])


def spoilt(size=15.0):
    values = clean(COUNT, seed=0)
    values[UP] += size
    values[DOWN] -= size
    return values


def judge(values, mode, **options):
    # Ranks of a short history cannot be rarer than this twice.
    options = {"false_alarms_per_1000": 10, **options}
    asked = AnalysisOptions("1h", mode, **options)
    return analyse(values, times=hours(len(values)), options=asked)


def span(start, stop):
    return START + start * HOUR, START + stop * HOUR


@every_mode
def test_without_options_both_are_found(mode):
    assert judge(spoilt(), mode).is_anomaly[[UP, DOWN]].all()


@every_mode
@pytest.mark.parametrize("direction", ["up", "down"])
def test_one_direction_reports_one_side(mode, direction):
    result = judge(spoilt(), mode, direction=direction)
    np.testing.assert_array_equal(
        result.is_anomaly[[UP, DOWN]], [direction == "up", direction == "down"]
    )
    assert {one.direction for one in result.anomalies} <= {direction, ""}
    above = result.values > result.expected
    assert (above[result.is_anomaly] == (direction == "up")).all()


@every_mode
@pytest.mark.parametrize(
    "band", [{"min_change": 25.0}, {"min_change_relative": 0.4}], ids=str
)
def test_a_dead_band_keeps_small_departures_quiet_and_no_others(mode, band):
    values = spoilt()
    values[600] += 80
    result = judge(values, mode, **band)
    flagged = np.flatnonzero(result.is_anomaly)
    assert flagged[0] == 600
    assert not result.is_anomaly[[UP, DOWN]].any()
    departed = np.abs(result.values - result.expected)
    least = band.get("min_change", 0.4 * np.abs(result.expected))
    assert (departed > least)[flagged].all()
    assert result.anomalies[0].start == START + 600 * HOUR


@every_mode
@pytest.mark.parametrize(
    ("action", "reported", "learnt"),
    [("suppress", False, True), ("learn", True, False), ("both", False, False)],
)
def test_a_calendar_decides_what_is_reported_and_what_is_learnt(
    mode, action, reported, learnt
):
    values = clean(COUNT, seed=1)
    values[600:648] += 30
    values[900] += 30
    event = Expected(*span(600, 648), action, "maintenance")
    result = judge(values, mode, calendar=(event,))
    assert result.is_anomaly[600:648].any() == reported
    inside = [one for one in result.anomalies if one.start == START + 600 * HOUR]
    assert bool(inside) == reported
    # What was not learnt is as strange the next time as it was the first.
    assert result.is_anomaly[900] or (learnt and mode == "replay")


@every_mode
@pytest.mark.parametrize("other", [np.nan, 1e4, 100.0])
def test_what_was_labelled_true_has_no_part_in_anything_else(mode, other):
    values = clean(COUNT, seed=2)
    values[900:903] += 12
    label = Label(*span(500, 560), "true")
    plain = judge(values, mode, labels=(label,))
    values[500:560] = other + np.arange(60.0)
    changed = judge(values, mode, labels=(label,))
    rest = np.r_[0:500, 560:COUNT]
    for name in ("expected", "lower", "upper", "score", "is_anomaly"):
        np.testing.assert_array_equal(
            getattr(changed, name)[rest], getattr(plain, name)[rest], name
        )
    assert plain.is_anomaly[900]


@every_mode
def test_what_was_labelled_false_is_usual_from_then_on(mode):
    values = clean(COUNT, seed=3)
    values[[500, 700, 900]] += [30, 24, 60]
    values[800] -= 24
    assert judge(values, mode).is_anomaly[[500, 700, 800, 900]].all()
    label = Label(*span(500, 501), "false")
    result = judge(values, mode, labels=(label,))
    assert not result.is_anomaly[[500, 700]].any()
    # A larger one, and one on the other side, are not.
    assert result.is_anomaly[[800, 900]].all()


@every_mode
def test_an_expected_event_is_neither_reported_nor_learnt(mode):
    label = Label(*span(UP, UP + 1), "expected")
    result = judge(spoilt(), mode, labels=(label,))
    assert not result.is_anomaly[UP]
    assert result.is_anomaly[DOWN]


def test_the_budget_is_that_of_the_sensitivity_or_given_and_rises():
    budgets = [AnalysisOptions("1h", sensitivity=s).budget for s in range(101)]
    assert (np.diff(budgets) > 0).all()
    assert budgets[50] == 1e-3
    assert AnalysisOptions("1h", false_alarms_per_1000=1).budget == 1e-3
    values = spoilt()
    by_knob = judge(values, "batch", sensitivity=75, false_alarms_per_1000=None)
    by_budget = judge(values, "batch", false_alarms_per_1000=10)
    np.testing.assert_array_equal(by_knob.is_anomaly, by_budget.is_anomaly)


@pytest.mark.parametrize("share", [0.0, 1 / COUNT, 3 / COUNT])
def test_at_most_a_share_of_the_points_is_flagged_the_strangest(share):
    values = spoilt()
    values[600] += 80
    result = judge(values, "batch", most_anomalous_share=share)
    assert result.is_anomaly.sum() <= share * COUNT
    assert result.is_anomaly[600] == (share > 0)


@pytest.mark.parametrize(
    ("impute", "value", "expected"),
    [
        ("previous", None, 5.0),
        ("linear", None, 6.0),
        ("zero", None, 0.0),
        ("fixed", 3.5, 3.5),
    ],
)
def test_missing_points_are_filled_as_asked_and_that_is_said(impute, value, expected):
    values = np.tile([5.0, np.nan, 7.0], 20)
    result = judge(values, "batch", impute=impute, impute_value=value)
    assert result.values[1] == expected
    assert "20 missing points were filled" in result.warnings[0]
    assert not [one for one in result.anomalies if one.kind == "gap"]


@pytest.mark.parametrize(
    "bad",
    [
        {"direction": "left"},
        {"impute": "guess"},
        {"impute": "fixed"},
        {"impute_value": 1.0},
        {"min_change": -1.0},
        {"min_change_relative": float("nan")},
        {"false_alarms_per_1000": 0.0},
        {"most_anomalous_share": 2.0},
        {"time_zone": "Mars/Olympus"},
        {"time_zone": "Europe"},
    ],
    ids=str,
)
def test_options_that_mean_nothing_are_refused(bad):
    with pytest.raises(InvalidOptions, match=next(iter(bad))):
        AnalysisOptions("1h", **bad)


def test_spans_and_words_of_calendars_and_labels_are_checked():
    with pytest.raises(InvalidOptions, match="action"):
        Expected(*span(1, 2), "ignore")
    with pytest.raises(InvalidOptions, match="verdict"):
        Label(*span(1, 2), "maybe")
    with pytest.raises(InvalidOptions, match="empty"):
        Label(*span(2, 2), "true")


@every_mode
def test_a_calendar_may_cover_all_there_is(mode):
    whole = Expected(*span(-1, COUNT + 1), "both")
    result = judge(spoilt(), mode, calendar=(whole,))
    assert result.anomalies == ()
    assert len(result.times) == COUNT


@every_mode
def test_every_anomaly_has_its_evidence_in_numbers_and_words(mode):
    result = judge(spoilt(30.0), mode, unit="MW")
    spike = next(one for one in result.anomalies if one.start == START + UP * HOUR)
    assert spike.direction == "up"
    assert spike.value == result.values[UP]
    assert spike.expected == result.expected[UP]
    assert str(int(spike.value)) in spike.explanation
    assert spike.evidence["reading"] == spike.value
    assert spike.evidence["threshold"] == result.upper[UP]
    assert (spike.evidence["unit"], spike.evidence["budget"]) == ("MW", 0.01)
