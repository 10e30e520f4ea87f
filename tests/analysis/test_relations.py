import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.groups import group_departures
from analysis.leads import find_lead
from analysis.relations import find_relation_changes

NAMES = ("a", "b", "c")


def moving_together(seed, count=400):
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(count, 1))
    return common + 0.5 * rng.normal(size=(count, 3))


def halves(count=400):
    early = np.arange(count) < count // 2
    return {"before": early, "during": ~early}


@pytest.mark.parametrize("seed", range(5))
def test_the_series_that_left_the_others_is_in_every_broken_pair(seed):
    values = moving_together(seed)
    values[200:, 2] = np.random.default_rng(seed + 99).normal(size=200)
    found = find_relation_changes(values, names=NAMES, **halves())
    assert {(one.first, one.second) for one in found} == {("a", "c"), ("b", "c")}
    for one in found:
        assert one.before > 0.6
        assert abs(one.after) < 0.3
        assert one.counts == (200, 200)
        assert one.p_value < 0.01


@pytest.mark.parametrize("wandering", [False, True])
def test_what_goes_on_as_before_is_hardly_ever_called_broken(wandering):
    broken = 0
    for seed in range(100):
        values = moving_together(seed)
        if wandering:
            values = np.random.default_rng(seed).normal(size=(400, 3)).cumsum(axis=0)
        broken += bool(find_relation_changes(values, names=NAMES, **halves()))
    assert broken <= 7


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 1000), scale=st.floats(0.01, 100))
def test_units_and_order_of_the_series_change_nothing(seed, scale):
    values = moving_together(seed)
    values[200:, 2] *= -1
    plain = find_relation_changes(values, names=NAMES, **halves())
    other = find_relation_changes(
        7 + scale * values[:, ::-1], names=NAMES[::-1], **halves()
    )
    assert {frozenset((c.first, c.second)) for c in plain} == {
        frozenset((c.first, c.second)) for c in other
    }


def test_too_few_points_or_missing_ones_say_nothing():
    values = moving_together(0)
    values[200:, 2] = np.nan
    assert find_relation_changes(values, names=NAMES, **halves()) == []
    few = {"before": np.arange(400) < 200, "during": np.arange(400) >= 390}
    assert find_relation_changes(values, names=NAMES, **few) == []
    constant = np.ones((400, 3))
    assert find_relation_changes(constant, names=NAMES, **halves()) == []


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10_000), lag=st.integers(-9, 9))
def test_a_lag_is_found_in_either_direction(seed, lag):
    wave = np.random.default_rng(seed).normal(size=300)
    first, second = wave[20:220], wave[20 - lag : 220 - lag]
    found = find_lead(first, second, reach=12)
    assert found.steps == lag
    assert found.correlation == pytest.approx(1)
    assert found.count == 200 - abs(lag)


def test_a_lead_of_something_constant_is_none():
    assert find_lead(np.ones(50), np.arange(50.0), reach=5).correlation == 0


def test_groups_are_told_apart_in_time_and_ordered_by_onset():
    sizes = np.full((100, 3), 0.2)
    sizes[20:30, 1], sizes[24:33, 0] = 3.0, 2.0
    sizes[70:74, 2] = 5.0
    sizes[5:8, 1] = np.nan
    first, second = group_departures(sizes, departures=sizes, names=NAMES, reach=4)
    assert [member.name for member in first.members] == ["b", "a"]
    assert (first.start, first.stop) == (20, 33)
    assert [(m.start, m.stop, m.peak) for m in first.members] == [
        (20, 30, 3.0),
        (24, 33, 2.0),
    ]
    assert [member.name for member in second.members] == ["c"]
