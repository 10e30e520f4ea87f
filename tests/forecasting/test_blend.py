import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from forecasting.backtest import Trial
from forecasting.blend import (
    Losses,
    blend,
    gate,
    group_baseline,
    measure,
    pooled_loss,
    weights_of,
)

NAN = np.nan


def trial(actual, *, baseline=0.0, scale=1.0, **means):
    actual = np.array(actual, float)
    shape = actual.shape
    return Trial(
        cutoffs=tuple(range(shape[0])),
        actual=actual,
        baseline=np.full(shape, baseline),
        means={name: np.full(shape, value) for name, value in means.items()},
        failures={name: {} for name in means},
        scale=np.full(shape[0], scale),
    )


def losses(*rows):
    """One row a series, one list a window, one number a member."""
    return plain(np.array(rows, float))


def plain(errors):
    """Scaled errors beside a baseline that always has 1."""
    names = tuple("abcdef"[: errors.shape[2]])
    scaled = np.concatenate([errors, np.ones((*errors.shape[:2], 1))], axis=2)
    zeros = np.zeros(errors.shape[:2], dtype=bool)
    return Losses(names, scaled, scaled, zeros)


def test_a_loss_is_relative_to_the_baseline_of_the_group():
    # Values at zero leave the percentage error out: the scaled one decides alone.
    trials = [trial([[0, 4]], baseline=2.0, good=1.0, bad=4.0)]
    found = measure(trials, names=("good", "bad"))
    assert found.relative[0, 0].tolist() == [1.0, 1.0]
    trials = [trial([[0, 0]], baseline=2.0, good=1.0, bad=4.0)]
    assert measure(trials, names=("good", "bad")).relative[0, 0].tolist() == [0.5, 2.0]
    assert group_baseline(trials) == 1.0


def test_positive_values_count_percentages_as_much_as_scaled_errors():
    trials = [trial([[2.0]], baseline=1.0, other=4.0)]
    # Scaled: 2 against 1. Percentages: 2/6 against 1/3. So (2 + 1) / 2.
    assert measure(trials, names=("other",)).relative[0, 0, 0] == pytest.approx(1.5)
    assert pooled_loss(trials, [np.full((1, 1), 4.0)]) == pytest.approx(1.5)


def test_missing_points_and_windows_are_left_out():
    long = trial([[0, NAN], [0, 0]], baseline=2.0, one=1.0)
    short = trial([[NAN, NAN]], baseline=2.0, one=1.0)
    found = measure([long, short], names=("one",)).relative
    assert found[0].ravel().tolist() == [0.5, 0.5]
    assert np.isnan(found[1]).all()


def test_the_gate_drops_who_is_far_behind_but_keeps_two():
    assert gate(losses([[1.0, 1.2, 1.3]])) == (0, 1)
    assert gate(losses([[1.0, 5.0, 9.0]])) == (0, 1)
    assert gate(losses([[NAN, NAN, NAN]])) == (0, 1, 2)


def test_nothing_measured_means_equal_weights():
    found = weights_of(losses([[NAN, NAN]]), gated=True)
    assert found.tolist() == [[0.5, 0.5]]


def test_an_error_half_as_large_weighs_four_times_as_much():
    assert weights_of(losses([[1.0, 2.0]]), gated=False)[0] == pytest.approx([0.8, 0.2])


def test_a_series_that_differs_leans_to_its_own_best():
    typical, odd = weights_of(losses([[1.0, 1.1]], [[1.1, 1.0]]), gated=True)
    assert typical[0] > 0.5 > odd[0]


def test_a_series_without_a_window_takes_the_weights_of_the_group():
    known, unknown = weights_of(losses([[1.0, 1.2]], [[NAN, NAN]]), gated=True)
    assert unknown == pytest.approx(known)


@settings(max_examples=60, deadline=None)
@given(
    arrays.arrays(
        float,
        st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 5)),
        elements=st.floats(0, 1e6) | st.just(NAN),
    ),
    st.booleans(),
)
def test_weights_are_shares(members, gated):
    found = weights_of(plain(members), gated=gated)
    assert (found >= 0).all()
    assert found.sum(axis=1) == pytest.approx(1)


def test_a_blend_is_the_weighted_mean_of_each_window():
    made = trial([[0.0, 0.0], [0.0, 0.0]], one=1.0, two=3.0)
    found = blend(made, weights=np.array([[1, 0], [0.5, 0.5]]), names=("one", "two"))
    assert found.tolist() == [[1, 1], [2, 2]]


def test_naive_methods_leave_the_blend_once_a_model_beats_them():
    better = plain(np.array([[[0.9, 1.0, 1.05]]]))
    named = Losses(
        ("theta", "naive2", "ets"), better.scaled, better.shares, better.positive
    )
    assert gate(named) == (0, 2)
    beaten = Losses(
        ("naive2", "theta", "ets"), better.scaled, better.shares, better.positive
    )
    assert gate(beaten) == (0, 1, 2)
