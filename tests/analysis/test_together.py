import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.records import AnalysisOptions, InvalidOptions, InvalidSeries
from analysis.together import analyse_together
from tests.analysis.synthetic import hours

NAMES = ("flow", "pressure", "current", "heat")


def sensors(seed, count=800):
    """Four sensors that share a daily wave; two of them share their noise too."""
    rng = np.random.default_rng(seed)
    day = np.sin(2 * np.pi * np.arange(count) / 24)[:, None]
    noise = rng.normal(size=(count, 4))
    noise[:, 1] = 0.95 * noise[:, 0] + 0.3 * noise[:, 1]
    return 10 + 3 * day * [1, 2, 0.5, 1] + noise


def judge(values, *, calm=None, margin=None, **options):
    return analyse_together(
        values,
        times=hours(len(values)),
        options=AnalysisOptions("1h", **options),
        names=NAMES,
        calm=calm,
        margin=margin,
    )


@pytest.mark.parametrize("calm", [None, 480])
def test_the_series_that_moved_first_and_most_is_named(calm):
    values = sensors(0)
    values[600:640, 2] += 8
    values[606:640, 3] += 4
    found = judge(values, calm=calm)
    event = max(found.events, key=lambda one: one.score)
    assert event.start == hours(601)[-1]
    assert event.contributors[0][0] == "current"
    assert event.group.members[0].name == "current"
    assert "heat" in {member.name for member in event.group.members}
    assert "current was first" in event.explanation
    assert "no proof of a cause" in event.explanation
    assert found.is_anomaly[600:640].all()
    assert found.season == 24


def test_a_relation_that_breaks_is_reported_with_both_correlations():
    values = sensors(1)
    values[600:, 0] += 6
    values[600:, 1] += 6 * np.random.default_rng(1).normal(size=200)
    event = max(judge(values, calm=480).events, key=lambda one: one.group.stop)
    (change,) = [
        one
        for one in event.relation_changes
        if {one.first, one.second} == {"flow", "pressure"}
    ]
    assert change.before > 0.8
    assert change.after < 0.5
    assert min(change.counts) >= 150
    assert "the correlation of flow and pressure went from 0.9" in event.explanation


@pytest.mark.parametrize("calm", [None, 1000])
def test_clean_series_spend_about_the_budget(calm):
    shares = [
        judge(sensors(seed, 3000), calm=calm, sensitivity=75).is_anomaly.mean()
        for seed in range(4)
    ]
    assert 0.002 <= np.mean(shares) <= 0.02


@settings(deadline=None, max_examples=8)
@given(
    seed=st.integers(0, 1000), shift=st.floats(-1e3, 1e3), scale=st.floats(1e-2, 1e2)
)
def test_units_and_the_order_of_the_series_change_no_verdict(seed, shift, scale):
    values = sensors(seed)
    values[600:620, 1] += 9
    plain = judge(values, season=24)
    order = [2, 0, 3, 1]
    moved = analyse_together(
        shift + scale * values[:, order],
        times=hours(800),
        options=AnalysisOptions("1h", season=24),
        names=[NAMES[place] for place in order],
    )
    np.testing.assert_array_equal(moved.is_anomaly, plain.is_anomaly)
    np.testing.assert_allclose(moved.score, plain.score, atol=1e-6)
    np.testing.assert_allclose(
        moved.contributions, plain.contributions[:, order], atol=1e-6
    )
    assert [event.start for event in moved.events] == [
        event.start for event in plain.events
    ]


def test_shares_of_a_row_sum_to_one_and_words_of_severity_fit():
    found = judge(sensors(2))
    np.testing.assert_allclose(found.contributions.sum(axis=1), 1)
    assert ((found.score >= 0) & (found.score < 1)).all()
    said = np.array([bool(word) for word in found.severity])
    np.testing.assert_array_equal(said, found.is_anomaly)


def test_missing_points_are_no_anomaly_and_hide_no_other():
    values = sensors(3)
    values[500:520, 0] = np.nan
    values[550:553] = np.nan
    values[600:620, 1] += 9
    found = judge(values)
    assert not found.is_anomaly[550:553].any()
    assert found.is_anomaly[600:620].all()
    assert np.isnan(found.sizes[500:520, 0]).all()
    np.testing.assert_allclose(found.contributions[550:553], 0)


def test_constant_series_have_no_anomaly():
    found = judge(np.ones((200, 4)), calm=100)
    assert not found.is_anomaly.any()
    assert found.events == ()


def test_a_wider_margin_flags_less():
    values = sensors(4)
    values[600:700] += 3
    narrow, wide = (judge(values, calm=480, margin=m) for m in (1.0, 1.6))
    assert (wide.is_anomaly <= narrow.is_anomaly).all()
    assert wide.is_anomaly.sum() < narrow.is_anomaly.sum()


def test_few_rows_are_not_judged():
    found = judge(sensors(5, 8))
    assert not found.is_anomaly.any()


@pytest.mark.parametrize(
    ("values", "options", "error", "words"),
    [
        (np.ones(9), {}, InvalidSeries, "a column a series"),
        (np.ones((9, 3)), {}, InvalidOptions, "4 names for 3 series"),
        (np.full((9, 4), np.inf), {}, InvalidSeries, "flow: the value at"),
        (np.ones((9, 4)), {"calm": 9}, InvalidOptions, "calm is 9"),
    ],
)
def test_what_cannot_be_judged_is_refused_in_words(values, options, error, words):
    with pytest.raises(error, match=words):
        judge(values, **options)
