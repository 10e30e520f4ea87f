import numpy as np
import pytest

from forecasting.evaluation import Scored, evaluate, mean_scaled

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
