import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.robust import (
    latest_median,
    phase_median,
    rounding_floor,
    spread,
    trailing_median,
)
from tests.analysis import naive

numbers = st.lists(
    st.one_of(st.just(float("nan")), st.integers(-50, 50).map(float)),
    min_size=1,
    max_size=40,
)


@settings(deadline=None, max_examples=60)
@given(values=numbers, window=st.integers(1, 12))
def test_trailing_and_latest_medians_equal_the_slow_ones(values, window):
    array = np.array(values)
    np.testing.assert_allclose(
        trailing_median(array, window=window), naive.trailing_median(values, window)
    )
    np.testing.assert_allclose(
        latest_median(array, window=window), naive.latest_median(values, window)
    )


@settings(deadline=None, max_examples=60)
@given(values=numbers, season=st.integers(1, 9), cycles=st.integers(2, 6))
def test_phase_median_equals_the_slow_one(values, season, cycles):
    np.testing.assert_allclose(
        phase_median(np.array(values), season=season, cycles=cycles),
        naive.phase_median(values, season, cycles),
    )


def test_spread_of_normal_noise_is_its_standard_deviation():
    noise = 3 * np.random.default_rng(0).standard_normal(20_000)
    assert abs(spread(noise) - 3) < 0.1


def test_spread_looks_further_out_when_most_residuals_are_zero():
    sparse = np.concatenate([np.zeros(80), np.full(20, 2.0)])
    assert spread(sparse) > 0
    assert spread(np.concatenate([np.zeros(95), np.full(5, 2.0)])) == 0
    assert spread(np.full(3, np.nan)) == 0


def test_the_rounding_floor_is_never_zero():
    assert rounding_floor(np.zeros(5)) > 0
    assert 0 < rounding_floor(np.array([0.0, np.nan, 7.0])) < 1e-6
