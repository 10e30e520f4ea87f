import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.analyse import AnalysisOptions, analyse
from analysis.changepoints import find_change_points, find_common_breaks
from tests.analysis.synthetic import clean, hours


@pytest.mark.parametrize("seed", range(5))
def test_a_change_of_level_is_placed_to_the_step(seed):
    values = clean(24 * 90, seed=seed)
    values[1001:] += 8
    found = analyse(
        values,
        times=hours(len(values)),
        options=AnalysisOptions("1h", mode="changepoints"),
    ).change_points
    (change,) = found
    assert abs((change.time - hours(1002)[-1]) / np.timedelta64(1, "h")) <= 2
    assert change.after - change.before == pytest.approx(9, abs=2)
    assert change.confidence > 0.99
    assert "rose" in change.explanation


@pytest.mark.parametrize("seed", range(10))
def test_noise_has_no_change_point(seed):
    noise = np.random.default_rng(seed).standard_normal(400)
    assert find_change_points(noise, times=hours(400), season=1) == []


def test_a_steady_trend_is_no_change_of_level():
    noise = np.random.default_rng(0).standard_normal(400)
    trend = 0.05 * np.arange(400)
    assert find_change_points(trend + noise, times=hours(400), season=1) == []
    assert find_change_points(trend, times=hours(400), season=1) == []


def test_wandering_noise_pays_for_its_persistence():
    counts = []
    for seed in range(10):
        shocks = np.random.default_rng(seed).standard_normal(600)
        wander = np.zeros(600)
        for step in range(1, 600):
            wander[step] = 0.8 * wander[step - 1] + shocks[step]
        found = find_change_points(wander, times=hours(600), season=1)
        counts.append(len(found))
    assert np.mean(counts) <= 0.3


def test_a_jump_between_constants_and_around_missing_points_is_found():
    values = np.repeat([3.0, 5.0], 50)
    values[20:30] = np.nan
    (change,) = find_change_points(values, times=hours(100), season=1)
    assert change.time == hours(51)[-1]
    assert (change.before, change.after) == pytest.approx((3, 5))
    assert change.confidence == 1


def test_change_points_are_reported_in_the_focus_and_on_request_only():
    values = clean(24 * 90, seed=1)
    values[1000:] += 8
    times = hours(len(values))
    assert (
        analyse(values, times=times, options=AnalysisOptions("1h")).change_points == ()
    )
    late = AnalysisOptions("1h", mode="changepoints", focus=(times[1100], None))
    assert analyse(values, times=times, options=late).change_points == ()


@settings(deadline=None, max_examples=15)
@given(
    seed=st.integers(0, 10_000),
    shift=st.floats(-1e4, 1e4),
    scale=st.floats(1e-3, 1e3),
)
def test_shift_and_scale_change_levels_and_nothing_else(seed, shift, scale):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=200) + 6.0 * (np.arange(200) >= 120)
    plain = find_change_points(values, times=hours(200), season=1)
    moved = find_change_points(shift + scale * values, times=hours(200), season=1)
    assert [(c.time, c.kind) for c in moved] == [(c.time, c.kind) for c in plain]
    for one, other in zip(moved, plain, strict=True):
        assert one.after == pytest.approx(
            shift + scale * other.after, rel=1e-6, abs=1e-6 * scale
        )
        assert one.confidence == pytest.approx(other.confidence, abs=0.02)


def test_mirrored_in_time_the_changes_are_the_same():
    rng = np.random.default_rng(3)
    values = rng.normal(size=300) + 6.0 * (np.arange(300) >= 120)
    forwards, backwards = (
        [
            int(np.searchsorted(hours(300), change.time))
            for change in find_change_points(one, times=hours(300), season=1)
        ]
        for one in (values, values[::-1])
    )
    assert forwards == [300 - place for place in backwards] == [120]


def test_the_confidence_falls_with_the_size_of_the_change():
    def confidence(size):
        rng = np.random.default_rng(0)
        values = rng.normal(size=200) + size * (np.arange(200) >= 100)
        return [
            c.confidence for c in find_change_points(values, times=hours(200), season=1)
        ]

    (small,), (large,) = confidence(1.5), confidence(4.0)
    assert 0 < small < large == 1


def test_the_same_seed_gives_the_same_confidence():
    rng = np.random.default_rng(0)
    values = rng.normal(size=200) + 1.5 * (np.arange(200) >= 100)
    one, same, other = (
        find_change_points(values, times=hours(200), season=1, seed=seed)
        for seed in (1, 1, 2)
    )
    assert one == same
    assert [c.time for c in one] == [c.time for c in other]
    assert [c.confidence for c in one] != [c.confidence for c in other]


def test_a_bend_is_told_from_a_jump():
    steps, noise = np.arange(300), np.random.default_rng(5).normal(size=300)
    bent = noise + 0.3 * np.maximum(steps - 150, 0)
    (bend,) = find_change_points(bent, times=hours(300), season=1)
    assert bend.kind == "trend_change"
    assert "slope turned" in bend.explanation
    (jump,) = find_change_points(noise + 9 * (steps > 150), times=hours(300), season=1)
    assert jump.kind == "level_shift"


def test_several_series_share_the_breaks_that_none_shows_clearly():
    rng = np.random.default_rng(2)
    values = rng.normal(size=(200, 8))
    values[120:] += 1.2 * rng.choice([-1, 1], size=8)
    assert find_common_breaks(values) == pytest.approx([120], abs=3)
    assert find_common_breaks(rng.normal(size=(200, 8))) == []
    assert find_common_breaks(np.ones((200, 2))) == []
