import numpy as np

from forecasting.quantiles import guessed_quantiles, limits
from tests.forecasting.test_backtest import pose

MEAN = np.array([1.0, 2.0, 3.0])


def guess(values, *, levels=(0.1, 0.9), season=1):
    return guessed_quantiles(pose(values, season=season), mean=MEAN, levels=levels)


def test_enough_residuals_need_no_warning():
    assert limits(np.zeros((12, 3)), (0.1, 0.9)) == ()


def test_few_residuals_are_said_to_be_few():
    few, beyond = limits(np.zeros((2, 3)), (0.01, 0.5))
    assert "6 residuals per step" in few
    assert "quantiles 0.01 lie beyond" in beyond


def test_a_guess_widens_and_is_said_to_be_one():
    quantiles, warnings = guess(range(30))
    assert warnings == ("quantiles from in-sample differences: not calibrated",)
    assert (np.diff(quantiles[0.9] - quantiles[0.1]) > 0).all()


def test_only_a_series_without_a_difference_gets_zero_width():
    quantiles, warnings = guess(np.full(9, 4.0))
    assert quantiles[0.1].tolist() == quantiles[0.9].tolist() == MEAN.tolist()
    assert warnings == ("no difference was ever seen: the quantiles have no width",)


def test_a_history_shorter_than_a_season_is_guessed_from_its_steps():
    quantiles, _ = guess([1.0, 3.0, 2.0], season=12)
    assert (quantiles[0.9] > MEAN).all()


def test_one_point_gets_no_quantiles():
    quantiles, warnings = guess([4.0])
    assert quantiles == {}
    assert "no quantiles" in warnings[0]


def test_no_level_needs_no_quantile():
    assert guess(range(9), levels=()) == ({}, ())
    assert limits(np.zeros((1, 3)), ()) == ()
