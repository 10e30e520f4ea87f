import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.intervals import conformal_offsets, in_sample_offsets, pool_size
from tests.forecasting import naive

LEVELS = (0.05, 0.1, 0.5, 0.9, 0.95)
few = settings(max_examples=60, deadline=None)
tables = st.tuples(st.integers(1, 12), st.integers(1, 10), st.integers(0, 99))


def residuals_of(shape, *, bias=0.0):
    folds, horizon, seed = shape
    rng = np.random.default_rng(seed)
    return bias + rng.normal(size=(folds, horizon)) * np.sqrt(np.arange(1, horizon + 1))


@few
@given(tables, st.floats(-5, 5))
def test_quantiles_never_cross_and_never_exclude_the_mean(shape, bias):
    offsets = conformal_offsets(residuals_of(shape, bias=bias), levels=LEVELS)
    assert (np.diff(offsets, axis=0) >= 0).all()
    assert (offsets[:2] <= 0).all()
    assert (offsets[3:] >= 0).all()


@few
@given(tables)
def test_intervals_around_an_unbiased_forecast_widen_with_the_step(shape):
    residuals = residuals_of(shape)
    both = np.concatenate([residuals, -residuals])
    offsets = conformal_offsets(both, levels=(0.1, 0.9))
    assert (np.diff(offsets[1]) >= -1e-9).all()
    assert (np.diff(offsets[0]) <= 1e-9).all()


@few
@given(st.integers(4, 12), st.integers(0, 99))
def test_offsets_agree_with_loops(folds, seed):
    residuals = residuals_of((folds, 6, seed))
    fast = conformal_offsets(residuals, levels=(0.9,))[0]
    pools = [
        residuals[:, min(max(k - 1, 0), 3) : min(max(k - 1, 0), 3) + 3].ravel()
        for k in range(6)
    ]
    medians = [naive.rank_quantile(pool, 0.5) for pool in pools]
    wide = naive.increasing(
        [naive.rank_quantile(p, 0.9) - m for p, m in zip(pools, medians, strict=True)]
    )
    slow = [max(w + 0.5 * m, 0) for w, m in zip(wide, medians, strict=True)]
    assert fast == pytest.approx(slow, abs=1e-9)


def test_most_of_what_comes_next_falls_inside():
    rng = np.random.default_rng(4)
    residuals, later = rng.normal(size=(40, 12)), rng.normal(size=(4000, 12))
    low, high = conformal_offsets(residuals, levels=(0.1, 0.9))
    assert np.mean((low <= later) & (later <= high)) == pytest.approx(0.8, abs=0.04)


def test_half_of_a_bias_is_taken_out():
    residuals = np.full((12, 4), 2.0)
    offsets = conformal_offsets(residuals, levels=(0.1, 0.5, 0.9))
    assert offsets.tolist() == [[0.0] * 4, [1.0] * 4, [1.0] * 4]


def test_missing_residuals_borrow_from_other_steps():
    residuals = np.full((3, 8), np.nan)
    residuals[:, 0] = [-1.0, 0.0, 1.0]
    offsets = conformal_offsets(residuals, levels=(0.25, 0.75))
    assert offsets[1].tolist() == [1.0] * 8
    assert pool_size(residuals) == 3


def test_no_levels_give_no_rows():
    assert conformal_offsets(np.ones((3, 2)), levels=()).shape == (0, 2)


def test_in_sample_offsets_widen_with_the_root_of_the_season():
    history = np.array([0.0, 0.0, 1.0, -1.0])
    offsets = in_sample_offsets(history, season=2, horizon=8, levels=(0.1, 0.5, 0.9))
    upper = 1.2815515655446004 * np.sqrt([1, 1, 2, 2, 3, 3, 4, 4])
    assert offsets[2] == pytest.approx(upper)
    assert offsets[0] == pytest.approx(-upper)
    assert not offsets[1].any()
