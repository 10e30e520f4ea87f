import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.analyse import AnalysisOptions, analyse
from analysis.changepoints import _pelt, find_change_points
from tests.analysis import naive
from tests.analysis.synthetic import clean, hours


@settings(deadline=None, max_examples=25)
@given(
    values=st.lists(st.integers(-9, 9).map(float), min_size=10, max_size=17),
    penalty=st.sampled_from([3.3, 11.7, 40.1]),
)
def test_the_search_costs_no_more_than_trying_everything(values, penalty):
    def cost(breaks):
        pieces = np.split(np.array(values), breaks)
        return sum(((p - p.mean()) ** 2).sum() for p in pieces) + penalty * len(breaks)

    reached, found = _pelt(np.array(values), penalty=penalty)
    best = naive.best_breaks(values, penalty, 5)
    assert cost(found) == pytest.approx(cost(best))
    assert reached == pytest.approx(cost(found))
    assert min(np.diff([0, *found, len(values)])) >= 5


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
    assert (change.time, change.before, change.after) == (hours(51)[-1], 3, 5)
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
