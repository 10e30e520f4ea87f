import numpy as np
import pytest

from forecasting.calibration import coverage_by_step, pool

NAN = np.nan


def normal(series, windows, horizon, *, size=1.0, seed=0):
    return size * np.random.default_rng(seed).normal(size=(series, windows, horizon))


def residuals(errors, *, scale=1.0):
    return pool(list(errors), scales=[np.full(len(one), scale) for one in errors])


def test_residuals_are_in_scales_of_their_series():
    found = pool([np.full((1, 2), 6.0)], scales=[np.array([3.0])])
    assert found.scaled.tolist() == [[[2.0, 2.0]]]


def test_series_with_fewer_windows_are_unknown_in_the_rest():
    found = residuals([np.ones((2, 1)), np.ones((1, 1))])
    assert np.isnan(found.scaled[1, 1]).all()
    assert found.rows().shape == (3, 1)


def test_a_series_with_larger_errors_has_a_larger_size():
    errors = [*normal(9, 6, 4), *normal(1, 6, 4, size=4.0, seed=1)]
    sizes = residuals(errors).own()
    assert sizes[-1] > 1.5
    assert sizes[:-1] == pytest.approx(np.full(9, 0.9), abs=0.3)


def test_two_windows_are_too_few_for_a_size_of_ones_own():
    assert residuals([np.ones((2, 3)), 9 * np.ones((2, 3))]).own().tolist() == [1, 1]


def test_a_window_has_no_part_in_its_own_band():
    errors = normal(1, 9, 3)
    errors[0, 0] = 1e6
    found = residuals(errors)
    assert np.abs(found.rows(without=0)).max() < 100
    assert found.own(without=0).tolist() == [1.0]


def test_the_coverage_of_normal_errors_is_as_promised():
    shares, windows = coverage_by_step(residuals(normal(20, 10, 6)), levels=(0.1, 0.9))
    assert windows == 200
    assert shares == pytest.approx(np.full(6, 0.8), abs=0.09)


def test_steps_that_nobody_observed_have_no_coverage():
    errors = normal(3, 4, 2)
    errors[:, :, 1] = NAN
    shares, _ = coverage_by_step(residuals(errors), levels=(0.1, 0.9))
    assert shares[0] > 0
    assert np.isnan(shares[1])
