import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.evaluation import Scored, evaluate, mean_scaled, pool_evaluations
from tests.forecasting import naive

NAN = np.nan


def score(actual, mean, *, baseline=None, quantiles=None, scale=1.0):
    actual, mean = np.array(actual, float), np.array(mean, float)
    windows = actual.shape[0]
    return evaluate(
        Scored(
            actual=actual,
            mean=mean,
            baseline=mean if baseline is None else np.array(baseline, float),
            quantiles=quantiles or {},
            scale=np.full(windows, scale),
            squared_scale=np.full(windows, scale**2),
        ),
        baseline="naive",
    )


def test_errors_are_pooled_and_compared_on_the_same_windows():
    found = score(
        [[1, 1, 1], [0, 0, 0]],
        [[2, 2, 2], [0, 0, 0]],
        baseline=[[3, 3, 3], [2, 2, 2]],
        scale=2.0,
    )
    assert found.mae == pytest.approx(0.5)
    assert found.mase == pytest.approx(0.25)
    assert found.rmse == pytest.approx(np.sqrt(0.5))
    assert found.rmsse == pytest.approx(0.25)
    assert found.skill_vs_naive == pytest.approx(0.75)
    assert (found.windows, found.points, found.baseline) == (2, 6, "naive")


def test_missing_points_are_not_scored():
    found = score([[1, NAN, 1], [NAN] * 3], [[2, 50, 2], [0] * 3])
    assert found.mae == 1
    assert (found.windows, found.points) == (1, 2)


def test_without_a_point_there_is_no_evaluation():
    assert score([[NAN] * 3], [[0] * 3]) is None
    assert score(np.empty((0, 3)), np.empty((0, 3))) is None


def test_the_outermost_quantiles_tell_the_coverage():
    quantiles = {
        0.1: np.array([[0.0, 0, 0, 0]]),
        0.5: np.array([[1.0, 1, 1, 1]]),
        0.9: np.array([[2.0, 2, 2, 2]]),
    }
    found = score([[1, 2, 3, NAN]], [[1, 1, 1, 1]], quantiles=quantiles)
    assert found.coverage == pytest.approx(2 / 3)
    assert found.nominal_coverage == pytest.approx(0.8)
    # Pinball by hand: level 0.1: 0.1 (1 + 2 + 3), 0.5: 0.5 (0 + 1 + 2),
    # 0.9: 0.1 (1 + 0) + 0.9; each over three points.
    assert found.crps == pytest.approx(2 * np.mean([0.2, 0.5, 1 / 3]))
    assert found.wql == pytest.approx(found.crps / 2)


def test_a_perfect_baseline_leaves_no_skill_to_tell():
    assert score([[1, 1, 1]], [[1, 1, 1]]).skill_vs_naive is None


def test_a_history_that_never_changed_has_no_scaled_error():
    assert score([[1, 1]], [[2, 2]], scale=0.0).mase is None
    assert score([[1, 1]], [[2, 2]], scale=NAN).rmsse is None


def test_the_scaled_error_averages_the_windows_that_have_one():
    actual, mean = np.ones((3, 2)), np.zeros((3, 2))
    actual[2] = NAN
    found = mean_scaled(actual, mean=mean, scale=np.array([1.0, 4.0, 1.0]))
    assert found == pytest.approx(0.625)


def test_the_size_of_the_points_and_the_baseline_s_error_are_told():
    found = score([[1, -3, NAN]], [[1, 1, 1]], baseline=[[2, 2, 2]])
    assert found.mean_size == 2
    assert found.baseline_mae == 3


LEVELS = (0.1, 0.5, 0.9)
NUMBERS = st.sampled_from([0.0, 1.0, -2.0, 0.5, 1e3, NAN])


@st.composite
def scored_series(draw):
    """One series of one to three windows: actual, mean, baseline, quantiles."""
    shape = (draw(st.integers(1, 3)), draw(st.integers(1, 4)))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    cells = st.lists(
        NUMBERS, min_size=shape[0] * shape[1], max_size=shape[0] * shape[1]
    )
    actual = np.array(draw(cells)).reshape(shape)
    perfect = np.nan_to_num(actual)
    mean = perfect if draw(st.booleans()) else rng.normal(size=shape)
    baseline = perfect if draw(st.booleans()) else rng.normal(size=shape)
    spread = draw(st.sampled_from([0.0, 1.0]))
    told = draw(st.booleans())
    quantiles = {a: mean + spread * (a - 0.5) for a in LEVELS if told}
    return actual, mean, baseline, quantiles


def agree(found, wanted):
    if math.isnan(wanted):
        assert found is None
    else:
        assert found == pytest.approx(wanted, rel=1e-9, abs=1e-9)


@settings(max_examples=150, deadline=None)
@given(st.lists(scored_series(), min_size=1, max_size=4))
def test_pooled_errors_are_those_of_all_points_together(panel):
    each = [
        score(actual, mean, baseline=baseline, quantiles=quantiles)
        for actual, mean, baseline, quantiles in panel
    ]
    pooled = pool_evaluations([one for one in each if one is not None])
    actual, mean, baseline = (
        np.concatenate([one[part].ravel() for one in panel]).tolist()
        for part in range(3)
    )
    agree(pooled["mae"], naive.mae(actual, mean))
    agree(pooled["rmse"], naive.rmse(actual, mean))
    agree(pooled["smape"], naive.smape(actual, mean))
    error, reference = naive.mae(actual, mean), naive.mae(actual, baseline)
    skill = 1 - error / reference if reference > 0 else NAN
    agree(pooled["skill_vs_naive"], skill)
    assert pooled["points"] == np.count_nonzero(~np.isnan(actual))


@settings(max_examples=100, deadline=None)
@given(st.lists(scored_series(), min_size=1, max_size=4))
def test_pooled_quantile_losses_are_those_of_all_points_with_quantiles(panel):
    told = [one for one in panel if one[3]]
    each = [score(a, m, baseline=b, quantiles=q) for a, m, b, q in panel]
    pooled = pool_evaluations([one for one in each if one is not None])
    actual = [value for one in told for value in one[0].ravel().tolist()]
    rows = {
        level: [value for one in told for value in one[3][level].ravel().tolist()]
        for level in LEVELS
    }
    size = naive.mae(actual, [0.0] * len(actual))
    loss = 2 * naive.mean(naive.pinball(actual, rows[a], a) for a in LEVELS)
    agree(pooled["crps"], loss)
    agree(pooled["wql"], loss / size if size > 0 else NAN)
    inside = [
        low <= value <= high
        for value, low, high in zip(actual, rows[0.1], rows[0.9], strict=True)
        if not math.isnan(value)
    ]
    agree(pooled["coverage"], naive.mean(inside))


def test_scaled_errors_are_pooled_over_series_not_points():
    one = score([[1, 1, 1]], [[2, 2, 2]], scale=2.0)
    other = score([[1], [1]], [[4], [4]], scale=1.0)
    flat = score([[1]], [[1]], scale=NAN)
    pooled = pool_evaluations([one, other, flat])
    assert pooled["mase"] == pytest.approx((0.5 + 3) / 2)
    assert pooled["rmsse"] == pytest.approx((0.5 + 3) / 2)
    assert pooled["windows"] == 4


def test_nothing_pooled_tells_nothing():
    pooled = pool_evaluations([])
    assert (pooled.pop("windows"), pooled.pop("points")) == (0, 0)
    assert set(pooled.values()) == {None}
