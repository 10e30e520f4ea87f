import functools
from pathlib import Path

import numpy as np
import pytest

from analysis.analyse import AnalysisOptions, analyse
from analysis.kinds import KINDS, RULES, decide
from analysis.wording import explain_why
from tests.analysis.synthetic import clean, hours

COUNT = 24 * 35


def spoilt(kind, *, seed):
    """A clean series with one anomaly of a kind, and the step at which it begins."""
    values, at = clean(COUNT, seed=seed), 500
    rng = np.random.default_rng(seed)
    after = np.arange(COUNT) >= at
    if kind in ("spike", "dip"):
        values[at : at + 2] += 15 if kind == "spike" else -15
    elif kind == "level_shift":
        values += 8.0 * after
    elif kind == "trend_change":
        values += 0.2 * np.maximum(np.arange(COUNT) - at, 0)
    elif kind == "variance_change":
        values += 4 * rng.normal(size=COUNT) * after
    elif kind == "flatline":
        values[at : at + 30] = values[at]
    elif kind == "gap":
        values[at : at + 40] = np.nan
    elif kind == "missing_data":
        values[rng.random(COUNT) < 0.01] = np.nan
        values[at : at + 96][rng.random(96) < 0.6] = np.nan
    else:
        values[at : at + 20] += 15 * (-1.0) ** np.arange(20)
    return values, at


@functools.cache
def found_in(kind, *, seed):
    """Return the step of the anomaly, and the steps and events that were found."""
    values, at = spoilt(kind, seed=seed)
    times = hours(len(values))
    found = analyse(values, times=times, options=AnalysisOptions("1h")).anomalies
    return at, [(int(np.searchsorted(times, one.start)), one) for one in found]


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_called_by_its_name_where_it_begins(kind):
    named = 0
    for seed in range(3):
        at, found = found_in(kind, seed=seed)
        named += any(one.kind == kind for step, one in found if abs(step - at) < 48)
    assert named >= 2


@pytest.mark.parametrize("kind", KINDS)
def test_the_evidence_names_rule_reading_threshold_and_unit(kind):
    _, found = found_in(kind, seed=1)
    assert found
    for _, one in found:
        assert one.kind in KINDS
        assert one.evidence["kind_rule"] in RULES
        for name in ("reading", "threshold", "kind_reading", "kind_threshold"):
            assert np.isfinite(one.evidence[name])
        assert isinstance(one.evidence["unit"], str)
        assert isinstance(one.evidence["kind_unit"], str)
        assert one.explanation
        if one.kind in ("gap", "missing_data"):
            assert np.isnan(one.value)
            assert one.direction == ""


@pytest.mark.parametrize("kind", ["spike", "level_shift", "trend_change"])
def test_the_reading_of_a_kind_is_beyond_its_threshold_and_said(kind):
    at, found = found_in(kind, seed=2)
    (one,) = [e for step, e in found if e.kind == kind and abs(step - at) < 48]
    evidence = one.evidence
    if kind == "spike":
        assert evidence["kind_reading"] <= evidence["kind_threshold"]
        assert "back after 2 steps" in one.explanation
    else:
        assert abs(evidence["reading"]) > evidence["threshold"]
        assert "chance makes up to" in one.explanation
    assert one.direction == "up"


def test_the_page_has_every_rule_in_the_words_of_the_code():
    page = Path("docs/reference/change-points.md").read_text()
    for rule, words in RULES.items():
        assert f"| `{rule}` | {words} |" in page


def decided(departures, *, band, season=1):
    level = np.asarray(departures, dtype=float)
    outside = np.where(np.abs(level) > 1, level, np.nan)
    return decide(outside, level=level, band=band, season=season)


def test_rules_are_tried_in_order_with_the_reading_that_decided():
    both = np.zeros(60)
    both[20:24] = [9, -9, 9, -9]
    found = decided(both, band=(20, 24))
    assert (found.kind, found.rule, found.reading) == (
        "pattern_break",
        "two_sided",
        0.5,
    )
    long = np.zeros(60)
    long[20:30] = 9
    found = decided(long, band=(20, 30))
    assert (found.kind, found.rule, found.reading) == ("pattern_break", "kept", 0)
    stays = np.where(np.arange(60) < 20, 0.0, -9.0)
    found = decided(stays, band=(20, 30))
    assert (found.kind, found.reading, found.threshold) == ("level_shift", 1, 0.5)
    found = decided(long, band=(20, 30), season=48)
    assert (found.kind, found.threshold) == ("spike", 12)


def test_the_mirror_image_of_a_spike_is_a_dip():
    level = np.zeros(40)
    level[20] = 9
    up, down = decided(level, band=(20, 21)), decided(-level, band=(20, 21))
    assert (up.kind, down.kind) == ("spike", "dip")
    assert (up.reading, up.rule) == (down.reading, down.rule)


def test_why_is_said_in_units_people_read():
    level = np.zeros(60)
    level[20:30] = 9
    assert explain_why(decided(level, band=(20, 30))) == (
        " (0 % of the change is left afterwards, 50 % counts as lasting)"
    )
