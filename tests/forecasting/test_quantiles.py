import numpy as np

from forecasting.backtest import Fold
from forecasting.quantiles import final_quantiles
from tests.forecasting.test_backtest import pose

MEAN = np.array([1.0, 2.0, 3.0])


def ask(folds, *, levels=(0.1, 0.9), values=range(30), season=1):
    return final_quantiles(
        pose(values, season=season), mean=MEAN, folds=folds, levels=levels
    )


def folds_with(residuals):
    return tuple(
        Fold(cutoff, np.array(row), np.zeros(3), replaced=False)
        for cutoff, row in enumerate(np.asarray(residuals, dtype=float))
    )


def test_enough_residuals_need_no_warning():
    rng = np.random.default_rng(0)
    quantiles, warnings = ask(folds_with(rng.normal(size=(12, 3))))
    assert warnings == ()
    assert (quantiles[0.1] < MEAN).all()
    assert (quantiles[0.9] > MEAN).all()


def test_few_residuals_are_said_to_be_few():
    _, warnings = ask(folds_with([[1, 2, 3], [-1, -2, -3]]), levels=(0.01, 0.5))
    assert "6 residuals per step" in warnings[0]
    assert "quantiles 0.01 lie beyond" in warnings[1]


def test_one_window_is_not_enough():
    quantiles, warnings = ask(folds_with([[1, 2, 3]]))
    assert warnings == ("quantiles from in-sample differences: not calibrated",)
    width = quantiles[0.9] - quantiles[0.1]
    assert (np.diff(width) > 0).all()


def test_errors_of_zero_do_not_hide_what_the_history_knows():
    quantiles, warnings = ask(folds_with(np.zeros((9, 3))))
    assert "not calibrated" in warnings[0]
    assert (quantiles[0.9] > MEAN).all()


def test_only_a_series_without_a_difference_gets_zero_width():
    quantiles, warnings = ask((), values=np.full(9, 4.0))
    assert quantiles[0.1].tolist() == quantiles[0.9].tolist() == MEAN.tolist()
    assert warnings == ("no difference was ever seen: the quantiles have no width",)


def test_one_point_gets_no_quantiles():
    quantiles, warnings = ask((), values=[4.0])
    assert quantiles == {}
    assert "no quantiles" in warnings[0]


def test_no_levels_no_quantiles():
    assert ask((), levels=()) == ({}, ())
