import numpy as np
import pytest

from forecasting.models.kernel import kernel
from forecasting.models.lear import lear
from tests.forecasting.days_ahead import drivers, knowing

POINTS = 24 * 240


def test_what_wind_does_may_depend_on_the_load():
    covariates = drivers(POINTS + 24 * 20)
    load, wind = covariates[:, 0] - 50, covariates[:, 1] - 10
    prices = 30 + 0.5 * load + 0.1 * load * wind
    errors = {kernel: [], lear: []}
    for day in range(0, 20, 4):
        points = POINTS + 24 * day
        context = knowing(covariates, points=points, horizon=24)
        actual = prices[points : points + 24]
        for model, found in errors.items():
            found.append(np.abs(model(prices[:points], context) - actual).mean())
    assert np.mean(errors[kernel]) < 0.8 * np.mean(errors[lear])


def test_a_history_that_was_seen_before_is_recognised():
    covariates = drivers(POINTS + 24)
    covariates[POINTS:] = covariates[POINTS - 7 * 24 : POINTS - 6 * 24]
    prices = covariates @ np.array([1.0, -1.0])
    context = knowing(covariates, points=POINTS, horizon=24)
    actual = prices[POINTS:]
    assert kernel(prices[:POINTS], context) == pytest.approx(actual, abs=5.0)
