import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.lasso import lasso_by_aic
from tests.forecasting.naive_lasso import lasso_by_descent


def examples(seed, *, rows=60, regressors=12, targets=3):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, regressors)) @ rng.normal(size=(regressors, regressors))
    weights = rng.normal(size=(regressors, targets)) * (
        rng.random((regressors, targets)) < 0.3
    )
    return 5.0 + x, 3.0 + x @ weights + 2.0 * rng.normal(size=(rows, targets))


def scaled(x, y, lines):
    weights = lines.weights * x.std(axis=0)[:, None] / y.std(axis=0)
    return (x - x.mean(0)) / x.std(0), (y - y.mean(0)) / y.std(0), weights


def criterion(x, y, weights, *, noise):
    error = np.mean((y - x @ weights) ** 2, axis=0)
    return error + 2 * noise / len(x) * np.count_nonzero(weights, axis=0)


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 10_000), noise=st.sampled_from([0.05, 0.3, 1.0]))
def test_the_weights_are_a_lasso_of_some_strength(seed, noise):
    x, y = examples(seed)
    x, y, weights = scaled(x, y, lasso_by_aic(x, y, noise=noise))
    for target in range(y.shape[1]):
        slope = x.T @ (y[:, target] - x @ weights[:, target]) / len(x)
        active = weights[:, target] != 0
        strength = np.abs(slope).max()
        signed = strength * np.sign(weights[active, target])
        assert slope[active] == pytest.approx(signed, abs=1e-9)


@settings(deadline=None, max_examples=3)
@given(seed=st.integers(0, 10_000))
def test_no_strength_has_a_smaller_criterion(seed):
    x, y = examples(seed)
    x, y, weights = scaled(x, y, lasso_by_aic(x, y, noise=0.3))
    best = criterion(x, y, weights, noise=0.3)
    for strength in np.geomspace(0.005, 0.5, 10):
        for target in range(y.shape[1]):
            other = lasso_by_descent(x, y[:, target], strength=strength)
            at_most = criterion(x, y[:, [target]], other[:, None], noise=0.3)[0]
            assert best[target] <= at_most + 1e-9


def test_targets_are_fitted_as_if_alone():
    x, y = examples(1)
    together = lasso_by_aic(x, y, noise=0.3).weights
    for target in range(y.shape[1]):
        alone = lasso_by_aic(x, y[:, [target]], noise=0.3).weights
        assert together[:, [target]] == pytest.approx(alone, abs=1e-9)


def test_constant_and_repeated_regressors_do_no_harm():
    x, y = examples(2)
    odd = np.column_stack([x, np.full(len(x), 7.0), x[:, 0], x[:, 1]])
    found, plain = lasso_by_aic(odd, y).at(odd), lasso_by_aic(x, y).at(x)
    assert found == pytest.approx(plain, abs=1e-6)


def test_a_constant_target_is_its_own_forecast():
    x, _ = examples(3)
    assert lasso_by_aic(x, np.full((len(x), 2), 4.0)).at(x) == pytest.approx(4.0)


def test_more_regressors_than_rows_are_fitted():
    x, y = examples(4, rows=20, regressors=50)
    lines = lasso_by_aic(x, y, noise=0.01)
    assert np.isfinite(lines.at(x)).all()
    assert (np.count_nonzero(lines.weights, axis=0) < 20).all()


def test_the_number_of_regressors_can_be_bounded():
    x, y = examples(5)
    lines = lasso_by_aic(x, y, noise=1e-3, most=3)
    assert (np.count_nonzero(lines.weights, axis=0) <= 3).all()
