import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from forecasting.reconcile import METHODS, reconcile

# Two regions: the first has two series, the second one.
SUMS = np.array(
    [[1, 1, 1], [1, 1, 0], [0, 0, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=float
)
RESIDUALS = np.random.default_rng(0).normal(size=(6, 40))

numbers = st.floats(-1e3, 1e3)


@settings(max_examples=50, deadline=None)
@given(arrays.arrays(float, (6, 4), elements=numbers), st.sampled_from(METHODS))
def test_every_sum_holds_afterwards(base, method):
    found = reconcile(base, summing=SUMS, residuals=RESIDUALS, method=method)
    assert found == pytest.approx(SUMS @ found[-3:], abs=1e-6)


@settings(max_examples=50, deadline=None)
@given(arrays.arrays(float, (3, 4), elements=numbers), st.sampled_from(METHODS))
def test_what_agrees_already_stays(parts, method):
    base = SUMS @ parts
    found = reconcile(base, summing=SUMS, residuals=RESIDUALS, method=method)
    assert found == pytest.approx(base, abs=1e-6)


def test_bottom_up_believes_the_bottom():
    base = np.arange(6.0)[:, None]
    found = reconcile(base, summing=SUMS, residuals=RESIDUALS, method="bottom_up")
    assert found[-3:].ravel().tolist() == [3, 4, 5]


@pytest.mark.parametrize("method", ["wls", "mint"])
def test_a_node_that_errs_little_is_believed_more(method):
    residuals = RESIDUALS.copy()
    residuals[0] *= 0.01
    base = np.array([[100.0], [0], [0], [0], [0], [0]])
    found = reconcile(base, summing=SUMS, residuals=residuals, method=method)
    assert found[0, 0] == pytest.approx(100, abs=1)


def test_the_known_answer_of_generalised_least_squares():
    """Beside the textbook's formula with the inverse written out."""
    base = np.arange(12.0).reshape(6, 2)
    variances = np.diag((RESIDUALS**2).mean(axis=1))
    inverse = np.linalg.inv(variances)
    by_hand = SUMS @ np.linalg.inv(SUMS.T @ inverse @ SUMS) @ SUMS.T @ inverse @ base
    found = reconcile(base, summing=SUMS, residuals=RESIDUALS, method="wls")
    assert found == pytest.approx(by_hand)


def test_too_few_residuals_treat_all_nodes_alike():
    base = np.array([[6.0], [4], [2], [1], [1], [2]])
    found = reconcile(
        base, summing=SUMS, residuals=np.full((6, 5), np.nan), method="mint"
    )
    assert found == pytest.approx(SUMS @ found[-3:])
    # The total and the region each say 2 more than the two series below.
    assert 2 < found[1, 0] < 4


def test_an_unknown_method_is_refused_by_name():
    with pytest.raises(ValueError, match="'guess' is not one of bottom_up, wls, mint"):
        reconcile(np.zeros((6, 1)), summing=SUMS, residuals=RESIDUALS, method="guess")


def test_mint_errs_less_than_the_forecasts_it_was_given():
    """Over many draws, with errors of the nodes that are independent."""
    rng = np.random.default_rng(1)
    truth = SUMS @ np.array([5.0, 3.0, 2.0])
    errors = rng.normal(size=(6, 300))
    base = truth[:, None] + errors
    found = reconcile(
        base, summing=SUMS, residuals=rng.normal(size=(6, 300)), method="mint"
    )
    assert np.abs(found - truth[:, None]).mean() < 0.9 * np.abs(errors).mean()
