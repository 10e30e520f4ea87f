import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.past import CYCLES, MEDIAN_WINDOW, Past
from tests.analysis import naive_streams as naive

numbers = st.lists(
    st.one_of(st.just(math.nan), st.integers(-9, 9).map(float)), max_size=60
)


@settings(deadline=None, max_examples=40)
@given(values=numbers, season=st.integers(1, 9), steps=st.integers(1, 12))
def test_a_ring_answers_what_the_whole_series_does(values, season, steps):
    past = Past(season=season, values=values)
    assert past.count == len(values)
    np.testing.assert_equal(past.latest(), values)
    newest = values[-1] if values else math.nan
    np.testing.assert_equal(past.back(0), newest)
    if season > 1:
        # The fifth cycle back begins a step before it is complete.
        expected = naive.at_phase(values, season, CYCLES - 1)
        if len(values) <= (CYCLES - 1) * season:
            np.testing.assert_equal(past.at_phase(), expected)
    mean = np.mean(values[-steps:]) if steps <= len(values) else math.nan
    assert past.mean(steps) == pytest.approx(mean, nan_ok=True)


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 1000))
def test_what_is_too_old_is_forgotten(seed):
    values = np.random.default_rng(seed).standard_normal(3000)
    past = Past(season=10, values=values)
    kept = past.latest()
    np.testing.assert_array_equal(kept, values[-len(kept) :])
    assert past.median() == pytest.approx(np.median(values[-MEDIAN_WINDOW:]))
    assert math.isnan(past.back(len(kept)))


def test_a_forgotten_value_is_missing():
    past = Past(season=1, values=[1.0] * 30 + [9.0])
    past.forget()
    assert math.isnan(past.back(0))
    assert past.window == [1.0] * 30
    past.forget()
    assert past.count == 31
