import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.missing import find_scattered


def test_scattered_gaps_are_found_where_they_are_dense():
    rng = np.random.default_rng(0)
    values = np.arange(2000.0)
    values[rng.random(2000) < 0.01] = np.nan
    values[1000:1100][rng.random(100) < 0.5] = np.nan
    (found,) = find_scattered(values)
    assert found.start == pytest.approx(1000, abs=24)
    assert found.stop == pytest.approx(1100, abs=24)
    assert found.share > 0.3
    assert found.usual < 0.05


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), share=st.floats(0, 0.6))
def test_points_that_are_missing_evenly_are_usual(seed, share):
    values = np.arange(1500.0)
    values[np.random.default_rng(seed).random(1500) < share] = np.nan
    assert find_scattered(values) == []


def test_nothing_missing_and_too_short_series_have_none():
    assert find_scattered(np.arange(500.0)) == []
    assert find_scattered(np.full(50, np.nan)) == []
