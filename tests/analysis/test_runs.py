import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.runs import find_flatlines, find_gaps, find_runs
from tests.analysis import naive


@settings(deadline=None, max_examples=60)
@given(st.lists(st.booleans(), max_size=40))
def test_runs_equal_the_slow_ones(mask):
    assert find_runs(np.array(mask, dtype=bool)) == naive.runs(mask)


def test_when_gaps_are_a_habit_only_the_longest_are_listed():
    values = np.random.default_rng(0).standard_normal(2000)
    values[::20] = np.nan
    values[500:530] = np.nan
    gaps, usual = find_gaps(values)
    assert [(gap.start, gap.stop) for gap in gaps] == [(500, 530)]
    assert usual == 98


def test_a_longer_gap_is_the_greater_surprise():
    values = np.arange(100.0)
    values[10], values[50:60] = np.nan, np.nan
    short, long = find_gaps(values)[0]
    assert long.surprise > short.surprise > 0


def test_nights_of_zeros_are_no_flatlines():
    day = np.clip(np.sin(np.arange(24) * np.pi / 12), 0, None)
    noise = np.random.default_rng(0).uniform(0.9, 1.1, 24 * 30)
    assert find_flatlines(np.tile(day, 30) * noise) == []


def test_a_series_that_mostly_repeats_itself_has_no_flatlines():
    assert find_flatlines(np.repeat(np.arange(10.0), 12)) == []
    assert find_flatlines(np.array([1.0])) == []
