import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import scores
from tests.analysis import naive


def normal_sizes(count, *, seed=0):
    return np.abs(np.random.default_rng(seed).standard_normal(count))


def test_inside_the_usual_range_the_probability_is_the_conformal_rank():
    sizes = normal_sizes(300)
    tail = scores.fit_tail(sizes)
    found = 10 ** -scores.surprise(sizes, tail=tail)
    assert len(tail.sizes) == 300
    np.testing.assert_allclose(
        found, [naive.share_at_least(sizes, size) for size in sizes]
    )


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 10_000),
    count=st.integers(12, 400),
    share=st.floats(1e-5, 0.09),
    heavy=st.booleans(),
)
def test_the_threshold_is_the_inverse_of_the_surprise(seed, count, share, heavy):
    sizes = normal_sizes(count, seed=seed) ** (2 if heavy else 1)
    tail = scores.fit_tail(sizes)
    size = scores.threshold(share, tail=tail)
    assert scores.surprise(np.array([size]), tail=tail)[0] == pytest.approx(
        -np.log10(share), rel=1e-6
    )


def test_the_surprise_rises_with_the_size_beyond_everything_seen():
    tail = scores.fit_tail(normal_sizes(100))
    found = scores.surprise(np.linspace(0, 1000, 5000), tail=tail)
    assert (np.diff(found) >= 0).all()
    assert (np.diff(found[20:]) > 0).all()


def test_anomalies_do_not_count_as_usual():
    sizes = np.concatenate([normal_sizes(500), np.full(25, 9.0)])
    tail = scores.fit_tail(sizes)
    assert tail.sizes[-1] < 6
    assert scores.surprise(np.array([9.0]), tail=tail)[0] > 4


def test_residuals_without_width_still_give_a_tail():
    tail = scores.fit_tail(np.append(np.zeros(50), 1e9))
    assert scores.surprise(np.array([0.0]), tail=tail)[0] < 0.01
    assert scores.surprise(np.array([1e9]), tail=tail)[0] > 100


def test_a_score_is_zero_without_a_value_and_never_one():
    found = scores.score(np.array([np.nan, 0.0, 3.0, 1e6]))
    np.testing.assert_allclose(found[:3], [0, 0, 0.5])
    assert 0.99 < found[3] < 1


def test_severities_rise_with_the_score():
    names = [scores.severity(value) for value in (0.4, 0.59, 0.6, 0.7, 0.8, 0.99)]
    assert names == ["low", "low", "medium", "high", "critical", "critical"]


@pytest.mark.parametrize("freedom", [1.5, 3, 30])
@pytest.mark.parametrize("budget", [1e-2, 1e-3])
def test_a_heavy_tail_is_usual_and_keeps_the_budget(freedom, budget):
    flagged = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        sizes = np.abs(rng.standard_t(freedom, size=4000))
        limit = scores.threshold(budget, tail=scores.fit_tail(sizes))
        flagged.append(np.mean(sizes > limit))
    assert 0.5 * budget <= np.mean(flagged) <= 1.5 * budget


@pytest.mark.parametrize("count", [60, 200, 2000])
def test_one_departure_beyond_a_gap_is_no_tail(count):
    sizes = np.append(normal_sizes(count, seed=count), 15.0)
    assert scores.threshold(1e-3, tail=scores.fit_tail(sizes)) < 10
