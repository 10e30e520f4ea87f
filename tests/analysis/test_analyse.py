import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.analyse import (
    AnalysisOptions,
    InvalidOptions,
    InvalidSeries,
    Label,
    analyse,
)
from tests.analysis.synthetic import HOUR, START, clean, hours, match, plant

COUNT = 24 * 70
# Enough for all that is planted, and quick.
SHORT = 24 * 40


def judge(values, **options):
    times = hours(len(values))
    return analyse(values, times=times, options=AnalysisOptions("1h", **options))


def test_planted_anomalies_are_found_and_little_else():
    found = named = false = total = 0
    for seed in range(6):
        values, planted = plant(clean(24 * 120, seed=seed), seed=seed)
        real, right, wrong = match(judge(values), planted)
        found, named, false = found + real, named + right, false + wrong
        total += len(planted)
    assert found / total >= 0.9
    assert named / total >= 0.9
    # What else is flagged is what the budget allows.
    assert false <= 1.5e-3 * 6 * 24 * 120


@pytest.mark.parametrize(
    ("sensitivity", "budget"), [(50, 1e-3), (75, 1e-2), (90, 4e-2)]
)
def test_a_clean_series_spends_its_false_alarm_budget(sensitivity, budget):
    shares = [
        judge(clean(24 * 120, seed=seed), sensitivity=sensitivity).is_anomaly.mean()
        for seed in range(4)
    ]
    assert budget / 2 <= np.mean(shares) <= budget * 1.5
    assert max(shares) <= 2 * budget


def test_points_judged_from_the_past_keep_the_budget_too():
    flagged = [
        judge(clean(2400, seed=seed), sensitivity=75, mode="replay").is_anomaly[400:]
        for seed in range(4)
    ]
    assert 0.5e-2 <= np.mean(flagged) <= 1.5e-2


@settings(deadline=None, max_examples=12)
@given(
    seed=st.integers(0, 10_000),
    sensitivity=st.integers(0, 100),
    detector=st.sampled_from(["seasonal", "zscore"]),
)
def test_a_point_is_flagged_exactly_where_it_leaves_its_bounds(
    seed, sensitivity, detector
):
    values, _ = plant(clean(SHORT, seed=seed), seed=seed)
    values[100:103] = np.nan
    result = judge(values, sensitivity=sensitivity, detector=detector)
    outside = (values < result.lower) | (values > result.upper)
    np.testing.assert_array_equal(result.is_anomaly, outside)
    assert (result.lower <= result.expected).all()
    assert (result.expected <= result.upper).all()
    # The same verdict from the score: p <= budget is -log10 p >= 5 - s / 25.
    least = 5 - sensitivity / 25
    by_score = result.score >= least / (least + 3)
    # A rank may tie with the threshold to the last bit.
    near = np.abs(result.score - least / (least + 3)) < 1e-6
    np.testing.assert_array_equal(by_score[~near], outside[~near])
    assert ((result.score >= 0) & (result.score < 1)).all()


@settings(deadline=None, max_examples=8)
@given(
    seed=st.integers(0, 10_000),
    pair=st.tuples(st.integers(0, 100), st.integers(0, 100)),
)
def test_more_sensitivity_never_flags_less(seed, pair):
    values, _ = plant(clean(SHORT, seed=seed), seed=seed)
    low, high = (judge(values, sensitivity=which) for which in sorted(pair))
    assert (low.is_anomaly <= high.is_anomaly).all()
    assert (low.lower <= high.lower + 1e-12).all()
    np.testing.assert_array_equal(low.score, high.score)


@settings(deadline=None, max_examples=8)
@given(
    seed=st.integers(0, 10_000),
    shift=st.floats(-1e4, 1e4),
    scale=st.floats(1e-3, 1e3),
    detector=st.sampled_from(["seasonal", "zscore"]),
)
def test_shift_and_scale_of_the_values_change_nothing_else(
    seed, shift, scale, detector
):
    values, _ = plant(clean(SHORT, seed=seed), seed=seed)
    plain = judge(values, detector=detector)
    moved = judge(shift + scale * values, detector=detector)
    for name in ("expected", "lower", "upper"):
        np.testing.assert_allclose(
            getattr(moved, name),
            shift + scale * getattr(plain, name),
            atol=1e-6 * scale + 1e-9 * abs(shift),
            rtol=1e-9,
        )
    np.testing.assert_allclose(moved.score, plain.score, atol=1e-4)
    assert moved.season == plain.season
    assert [(e.start, e.kind) for e in moved.anomalies if e.kind != "flatline"] == [
        (e.start, e.kind) for e in plain.anomalies if e.kind != "flatline"
    ]


def test_mirrored_values_turn_spikes_into_dips():
    values = clean(COUNT, seed=1)
    values[900] += 15
    up, down = judge(values), judge(-values)
    assert [event.kind for event in up.anomalies if event.start == hours(901)[-1]] == [
        "spike"
    ]
    assert [
        event.kind for event in down.anomalies if event.start == hours(901)[-1]
    ] == ["dip"]


@pytest.mark.parametrize("detector", ["seasonal", "zscore"])
def test_latest_judges_the_newest_point_from_the_past_alone(detector):
    values = clean(COUNT, seed=2)
    calm = judge(values, mode="latest", detector=detector)
    values[-1] += 40
    wild = judge(values, mode="latest", detector=detector)
    assert len(wild.values) == len(wild.expected) == len(wild.score) == 1
    assert wild.times[0] == hours(COUNT)[-1]
    for name in ("expected", "lower", "upper"):
        assert getattr(wild, name) == getattr(calm, name)
    assert wild.is_anomaly[0]
    assert [event.kind for event in wild.anomalies] == ["spike"]


def test_latest_reports_a_stuck_sensor_and_a_missing_newest_value():
    values = clean(COUNT, seed=3)
    values[-20:] = values[-20]
    assert "flatline" in {
        event.kind for event in judge(values, mode="latest").anomalies
    }
    values[-20:] = np.nan
    result = judge(values, mode="latest")
    assert [event.kind for event in result.anomalies] == ["gap"]
    assert np.isfinite(result.expected).all()
    assert result.score[0] == 0
    assert not result.is_anomaly[0]


def test_the_focus_bounds_what_is_reported_and_hides_what_comes_later():
    values = clean(COUNT, seed=4)
    values[[300, 1000, 1400]] += 20
    focus = (hours(1000)[-1] + HOUR - HOUR, hours(1201)[-1])
    result = judge(values, focus=focus)
    assert result.times[0] == focus[0]
    assert result.times[-1] == focus[1] - HOUR
    assert {event.start for event in result.anomalies} == {hours(1001)[-1]}
    later = values.copy()
    later[1300:] *= 3
    np.testing.assert_array_equal(judge(later, focus=focus).score, result.score)


def test_an_event_that_began_before_the_focus_starts_with_it():
    values = clean(COUNT, seed=5)
    values[1000:1010] += 20
    result = judge(values, focus=(hours(1005)[-1], None))
    assert result.anomalies[0].start == hours(1005)[-1]
    assert "2024-02-11 16:00" in result.anomalies[0].explanation


def test_a_focus_without_points_says_so():
    result = judge(clean(COUNT, seed=6), focus=(START + 2 * COUNT * HOUR, None))
    assert len(result.times) == 0
    assert any("no point" in warning for warning in result.warnings)
    with pytest.raises(InvalidSeries, match="no observation before"):
        judge(clean(COUNT, seed=6), focus=(None, START))


def test_a_gap_is_an_anomaly_whether_absent_or_nan():
    values, times = clean(COUNT, seed=7), hours(COUNT)
    holed = values.copy()
    holed[800:830] = np.nan
    kept = np.isfinite(holed)
    options = AnalysisOptions("PT1H")
    absent = analyse(values[kept], times=times[kept], options=options)
    given_nan = analyse(holed, times=times, options=options)
    assert absent.anomalies == given_nan.anomalies
    gap = next(event for event in absent.anomalies if event.kind == "gap")
    assert (gap.start, gap.end) == (times[800], times[830])
    assert "30 points" in gap.explanation
    assert np.isnan(absent.values[800:830]).all()
    assert (absent.score[800:830] == 0).all()
    assert not absent.is_anomaly[800:830].any()
    assert np.isfinite(absent.expected).all()


@pytest.mark.parametrize("detector", ["seasonal", "zscore"])
@pytest.mark.parametrize("level", [0.0, 7.0, 1e9])
def test_a_constant_series_has_no_anomaly_but_a_warning(detector, level):
    result = judge(np.full(200, level), detector=detector, mode="changepoints")
    assert result.anomalies == ()
    assert result.change_points == ()
    assert not result.is_anomaly.any()
    assert any("constant" in warning for warning in result.warnings)


@pytest.mark.parametrize("detector", ["seasonal", "zscore"])
@pytest.mark.parametrize("count", [30, 60, 200])
def test_constant_then_one_jump_is_found(detector, count):
    for after in (1, count // 2):
        values = np.full(count, 7.0)
        values[count // 2 : count // 2 + after] = 9.0
        result = judge(values, detector=detector)
        first = result.anomalies[0]
        assert first.start == result.times[count // 2]


@pytest.mark.parametrize("mode", ["batch", "latest", "changepoints"])
@pytest.mark.parametrize("count", [1, 2, 3, 11, 12, 13, 25])
def test_very_short_series_are_answered_with_a_warning(mode, count):
    values = np.random.default_rng(count).standard_normal(count)
    result = judge(values, mode=mode)
    assert len(result.times) == (1 if mode == "latest" else count)
    assert result.warnings
    if count < 12:
        assert "too short" in result.warnings[0]
        assert not result.is_anomaly.any()
        assert np.isnan(result.expected).all()


def test_noise_free_series_with_season_and_trend_are_clean():
    steps = np.arange(1200)
    result = judge(5 + np.sin(steps * np.pi / 12) + 0.01 * steps)
    assert result.season == 24
    assert result.anomalies == ()


def test_a_season_may_be_given_and_a_too_long_one_is_refused_aloud():
    assert judge(clean(COUNT, seed=8), season=168).season == 168
    short = judge(clean(200, seed=8), season=168)
    assert short.season == 1
    assert any("168" in warning for warning in short.warnings)


@pytest.mark.parametrize("mode", ["batch", "replay"])
def test_a_season_of_one_step_is_no_cycle(mode):
    values = clean(COUNT, seed=8)
    free, none = judge(values, mode=mode), judge(values, mode=mode, season=1)
    assert free.season in (24, 168)
    assert none.season == 1
    late = slice(400, None)
    errors = [np.abs(one.expected - values)[late].mean() for one in (free, none)]
    # The wave of a day is then no more than unrest.
    assert errors[1] > 1.2 * errors[0]
    assert not any("season" in warning for warning in none.warnings)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"mode": "all"}, "mode"),
        ({"sensitivity": 101}, "sensitivity"),
        ({"sensitivity": -1}, "sensitivity"),
        ({"season": 0}, "season"),
        ({"detector": "oracle"}, "detector"),
        ({"focus": (hours(2)[1], hours(1)[0])}, "focus"),
    ],
)
def test_options_out_of_range_are_refused_in_words(options, words):
    with pytest.raises(InvalidOptions, match=words):
        judge(clean(100, seed=0), **options)


def test_importing_the_room_does_not_load_statsmodels():
    code = "import sys, analysis.analyse; print('statsmodels' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def outliers_with(verdict, places, **options):
    times = hours(800)
    values = 1000 + 200 * np.sin(np.arange(800) * np.pi / 12)
    values += np.random.default_rng(0).normal(scale=10, size=800)
    values[places] = 1600
    labels = tuple(Label(times[one], times[one] + HOUR, verdict) for one in places)
    asked = AnalysisOptions("1h", labels=labels, season=24, **options)
    return analyse(values, times=times, options=asked)


def near(result, place):
    return [
        (event.kind, event.expected)
        for event in result.anomalies
        if abs(event.start - hours(800)[place]) < 12 * HOUR
    ]


@pytest.mark.parametrize("verdict", ["expected", "false"])
@pytest.mark.parametrize("places", [[400, 401], [798, 799], [200, 400, 600]])
def test_what_people_said_to_be_nothing_moves_no_level(verdict, places):
    result = outliers_with(verdict, places, mode="changepoints")
    assert [near(result, place) for place in places] == [[] for _ in places]
    assert not result.change_points


def test_outliers_too_small_to_be_reported_move_no_level():
    result = outliers_with("true", [798, 799], min_change=700)
    assert not near(result, 798)


@pytest.mark.parametrize("verdict", ["expected", "false"])
def test_a_shift_that_people_said_to_be_nothing_is_not_found_after_their_label(verdict):
    times, values = hours(COUNT), clean(COUNT, seed=0)
    values[1000:] += 10
    found = analyse(values, times=times, options=AnalysisOptions("1h")).anomalies
    (shift,) = [event for event in found if event.kind == "level_shift"]
    labels = (Label(shift.start, shift.end, verdict),)
    options = AnalysisOptions("1h", labels=labels)
    again = analyse(values, times=times, options=options)
    assert "level_shift" not in {event.kind for event in again.anomalies}


def test_a_shift_before_what_was_expected_is_still_found():
    times, values = hours(COUNT), clean(COUNT, seed=0)
    values[1000:] += 10
    labels = (Label(times[1100], times[1103], "expected"),)
    options = AnalysisOptions("1h", labels=labels)
    found = analyse(values, times=times, options=options).anomalies
    assert ("level_shift", times[1000]) in {(one.kind, one.start) for one in found}
