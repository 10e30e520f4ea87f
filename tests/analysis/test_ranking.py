import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.ranking import rank_points, step_rarity
from analysis.shapes import stretch_distance
from tests.analysis import naive_streams as naive


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 999), count=st.integers(20, 40), length=st.integers(2, 5))
def test_the_nearest_stretch_is_the_nearest_of_all(seed, count, length):
    values = np.random.default_rng(seed).integers(0, 9, count).astype(float)
    found = stretch_distance(values, length=length)
    expected = naive.stretch_distances(values.tolist(), length)
    ahead = (length - 1) // 2
    inner = found[ahead : ahead + len(expected)]
    known = np.isfinite(expected)
    np.testing.assert_allclose(inner[known], np.array(expected)[known], atol=1e-9)


@settings(deadline=None, max_examples=20)
@given(values=st.lists(st.integers(-20, 20).map(float), min_size=3, max_size=40))
def test_a_step_is_as_rare_as_its_fifth_nearest_is_far(values):
    steps = np.diff(values, prepend=values[:1])
    np.testing.assert_allclose(
        step_rarity(np.array(values)), naive.fifth_nearest(steps.tolist())
    )


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e9])
@pytest.mark.parametrize("shift", [0.0, 1e3])
def test_ranks_do_not_depend_on_unit_or_level(scale, shift):
    values = np.random.default_rng(0).standard_normal(900)
    values[400:420] += 8
    plain = rank_points(values)
    np.testing.assert_allclose(rank_points(scale * (values + shift)), plain, atol=2e-2)
    assert 380 < np.argmax(plain) < 440


@pytest.mark.parametrize("count", [1, 2, 5, 300])
def test_a_constant_series_ranks_all_points_alike(count):
    np.testing.assert_allclose(rank_points(np.full(count, 3.0)), 0.5)


def test_missing_points_are_bridged():
    values = np.sin(np.arange(600) / 5.0)
    values[:5] = values[100:110] = values[-3:] = np.nan
    found = rank_points(values)
    assert np.isfinite(found).all()
    assert ((found > 0) & (found < 1)).all()
