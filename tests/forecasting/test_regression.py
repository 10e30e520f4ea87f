import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.regression import Ridge, column_scale, spread_of


def examples(seed, *, rows=40, regressors=5):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, regressors)) * np.arange(1, regressors + 1)
    return x, 4.0 + x @ rng.normal(size=regressors) + rng.normal(size=rows)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10_000), penalty=st.floats(1e-4, 10))
def test_the_ridge_solves_its_normal_equations(seed, penalty):
    x, y = examples(seed)
    scaled = (x - x.mean(0)) / x.std(0)
    gram = scaled.T @ scaled / len(x) + penalty * np.eye(x.shape[1])
    weights = np.linalg.solve(gram, scaled.T @ (y - y.mean()) / len(x))
    expected = y.mean() + scaled @ weights
    assert Ridge(x, y).line(penalty).at(x)[:, 0] == pytest.approx(expected, abs=1e-8)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10_000), penalty=st.floats(1e-4, 10))
def test_the_criterion_is_generalised_cross_validation(seed, penalty):
    x, y = examples(seed)
    ridge = Ridge(x, y)
    scaled = (x - x.mean(0)) / x.std(0)
    gram = scaled.T @ scaled
    hat = scaled @ np.linalg.solve(gram + len(x) * penalty * np.eye(5), scaled.T)
    error = np.mean((y - ridge.line(penalty).at(x)[:, 0]) ** 2) / y.var()
    expected = error / (1 - np.trace(hat) / len(x)) ** 2
    assert ridge.criterion(np.array([penalty]))[0] == pytest.approx(expected, rel=1e-6)


def test_without_regressors_the_mean_is_the_line():
    _, y = examples(1)
    ridge = Ridge(np.empty((40, 0)), y)
    assert ridge.line(1.0).at(np.empty((3, 0))) == pytest.approx(y.mean())
    assert ridge.criterion(np.array([1.0])) == pytest.approx(1.0)


def test_a_constant_regressor_gets_no_weight():
    x, y = examples(2)
    x[:, 2] = 9.0
    assert Ridge(x, y).line(0.1).weights[2, 0] == 0


def test_a_spike_hardly_moves_the_scale():
    values = np.random.default_rng(3).normal(size=(500, 1))
    centre, scale = column_scale(values)
    values[7] = 1e6
    moved_centre, moved_scale = column_scale(values)
    assert moved_centre == pytest.approx(centre, abs=0.02)
    assert moved_scale == pytest.approx(scale, abs=0.02)


def test_columns_that_hardly_change_have_a_scale():
    rows = np.zeros((10, 2))
    rows[0, 0] = 5.0
    assert column_scale(rows)[1].tolist() == [rows[:, 0].std(), 1.0]
    assert spread_of(rows, flat=np.inf).tolist() == [rows[:, 0].std(), np.inf]
