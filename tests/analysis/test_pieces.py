import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.pieces import best_splits, find_breaks, fitted
from analysis.steps import is_step
from tests.analysis import naive

numbers = st.lists(st.integers(-9, 9).map(float), min_size=10, max_size=17)


def cost(values, breaks, penalty, *, straight):
    pieces = np.split(np.asarray(values), breaks)
    total = sum(naive.misfit(list(piece), straight=straight) for piece in pieces)
    return total + penalty * len(breaks)


@settings(deadline=None, max_examples=40)
@given(
    values=numbers, penalty=st.sampled_from([3.3, 11.7, 40.1]), straight=st.booleans()
)
def test_no_way_to_cut_is_cheaper_than_the_found_one(values, penalty, straight):
    reached, found = find_breaks(np.array(values), penalty=penalty, straight=straight)
    best = naive.best_breaks(values, penalty, 5, straight=straight)
    expected = cost(values, best, penalty, straight=straight)
    assert cost(values, found, penalty, straight=straight) == pytest.approx(expected)
    assert reached == pytest.approx(expected)
    assert min(np.diff([0, *found, len(values)])) >= 5


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 10_000), width=st.integers(1, 3), straight=st.booleans())
def test_pruning_loses_nothing_with_one_or_several_columns(seed, width, straight):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(60, width)).cumsum(axis=0)
    reached, found = find_breaks(values, penalty=8.0, straight=straight)
    columns = [list(column) for column in values.T]
    best = naive.optimal_cost(columns, 8.0, 5, straight=straight)
    assert reached == pytest.approx(best)
    own = sum(cost(c, found, 0.0, straight=straight) for c in columns)
    assert own + 8.0 * len(found) == pytest.approx(best)


def test_a_long_series_with_few_changes_is_cut_at_them():
    rng = np.random.default_rng(0)
    values = rng.normal(size=6000) + 4.0 * (np.arange(6000) // 1500 % 2)
    _, found = find_breaks(values, penalty=3 * np.log(6000))
    assert found == pytest.approx([1500, 3000, 4500], abs=2)


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 10_000),
    shift=st.floats(-1e3, 1e3),
    scale=st.floats(1e-2, 1e2),
    straight=st.booleans(),
)
def test_shift_and_scale_move_no_break(seed, shift, scale, straight):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=120) + 5.0 * (np.arange(120) >= rng.integers(20, 100))
    _, plain = find_breaks(values, penalty=15.0, straight=straight)
    _, moved = find_breaks(
        shift + scale * values, penalty=15.0 * scale**2, straight=straight
    )
    assert moved == plain


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000), straight=st.booleans())
def test_the_best_split_is_the_one_that_trying_all_finds(seed, straight):
    samples = np.random.default_rng(seed).normal(size=(24, 3)).cumsum(axis=0)
    places, gains = best_splits(samples, straight=straight)
    for column, place, gain in zip(samples.T, places, gains, strict=True):
        best = naive.best_split(list(column), 5, straight=straight)
        assert gain == pytest.approx(best[1])
        at_place = naive.misfit(list(column), straight=straight)
        at_place -= naive.misfit(list(column[:place]), straight=straight)
        at_place -= naive.misfit(list(column[place:]), straight=straight)
        assert at_place == pytest.approx(best[1])


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10_000))
def test_fitted_lines_are_those_of_polyfit(seed):
    values = np.random.default_rng(seed).normal(size=(30, 2))
    lines = fitted(values, [0, 11, 30], straight=True)
    for start, stop in ((0, 11), (11, 30)):
        places = np.arange(stop - start)
        slopes = np.polyfit(places, values[start:stop], 1)
        expected = np.multiply.outer(places, slopes[0]) + slopes[1]
        np.testing.assert_allclose(lines[start:stop], expected, atol=1e-9)


def test_large_steps_are_steps_and_bends_are_none():
    rng, steps = np.random.default_rng(0), np.arange(80)
    noises = rng.normal(size=(40, 80))
    jumps = [is_step(one + 10 * (steps >= 40), 41, low=0, high=80) for one in noises]
    assert np.mean(jumps) >= 0.9
    for slope in (0.2, 1.0, 3.0):
        arm = slope * np.maximum(steps - 40, 0)
        bends = [is_step(one + arm, 43, low=0, high=80) for one in noises]
        assert np.mean(bends) <= 0.1


def test_a_straight_line_has_no_step():
    assert not is_step(np.arange(40.0), 20, low=0, high=40)
