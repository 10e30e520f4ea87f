import numpy as np
import pytest

from forecasting.backtest import Fold
from forecasting.evaluation import evaluate, mean_absolute
from tests.forecasting.test_backtest import pose

LEVELS = (0.1, 0.5, 0.9)


def fold(cutoff, actual, mean):
    return Fold(cutoff, np.array(actual, float), np.array(mean, float), replaced=False)


def score(folds, *, baseline=None, calibration=None):
    return evaluate(
        pose(np.arange(40), season=1),
        folds=folds,
        baseline=folds if baseline is None else baseline,
        calibration=folds if calibration is None else calibration,
        levels=LEVELS,
    )


def test_errors_are_pooled_and_compared_on_the_same_windows():
    own = (fold(36, [1, 1, 1], [2, 2, 2]), fold(33, [0, 0, 0], [0, 0, 0]))
    reference = (
        fold(36, [1, 1, 1], [3, 3, 3]),
        fold(33, [0, 0, 0], [2, 2, 2]),
        fold(30, [0, 0, 0], [99, 99, 99]),
    )
    found = score(own, baseline=reference)
    assert found.mae == pytest.approx(0.5)
    assert found.mase == pytest.approx(0.5)
    assert found.rmse == pytest.approx(np.sqrt(0.5))
    assert found.skill_vs_naive == pytest.approx(0.75)
    assert (found.windows, found.points) == (2, 6)


def test_missing_points_are_not_scored():
    found = score(
        (fold(36, [1, np.nan, 1], [2, 50, 2]), fold(33, [np.nan] * 3, [0] * 3))
    )
    assert found.mae == 1
    assert (found.windows, found.points) == (1, 2)


def test_without_a_point_there_is_no_evaluation():
    assert score((fold(36, [np.nan] * 3, [0] * 3),)) is None
    assert score(()) is None


def test_the_quantiles_of_a_window_never_saw_its_residuals():
    calm = tuple(fold(36 - 3 * i, [0, 0, 0], [0.1, -0.1, 0.1]) for i in range(1, 9))
    wild = fold(36, [50, 50, 50], [0, 0, 0])
    found = score((wild,), calibration=(wild, *calm))
    assert found.coverage == 0
    assert found.nominal_coverage == pytest.approx(0.8)


def test_two_windows_are_too_few_for_a_coverage():
    found = score((fold(36, [1] * 3, [2] * 3), fold(33, [1] * 3, [2] * 3)))
    assert found.coverage is None
    assert found.wql is None
    assert found.nominal_coverage is None


def test_a_perfect_baseline_leaves_no_skill_to_tell():
    own = (fold(36, [1, 1, 1], [1, 1, 1]),)
    assert score(own).skill_vs_naive is None
    assert mean_absolute(()) is None
