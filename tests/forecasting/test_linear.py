from dataclasses import replace

import numpy as np
import pytest

from forecasting.errors import ModelUnfit
from forecasting.models import Case, registered_models
from forecasting.models.linear import linear
from tests.forecasting.days_ahead import drivers, knowing
from tests.forecasting.synthetic import wave

POINTS = 24 * 60


def driven(*, points=POINTS, horizon=48, noise=0.5, **known):
    covariates = drivers(points + horizon)
    rng = np.random.default_rng(3)
    values = 200 + 2.0 * covariates[:, 0] - covariates[:, 1]
    values = values + noise * rng.normal(size=values.size)
    context = knowing(covariates, points=points, horizon=horizon, **known)
    return Case(values[:points], context), values[points:]


def test_covariates_are_used_and_those_unknown_ahead_are_not():
    case, actual = driven()
    mean = linear([case]).predict([case])[0]
    assert np.abs(mean - actual).mean() < 0.7
    case, _ = driven(only_past=(1,))
    found = linear([case]).explain([case])[0]
    assert found.names == ("base", "calendar", "load", "recent errors", "limits")


def test_the_contributions_sum_to_the_forecast_bit_for_bit():
    case, _ = driven()
    fitted = linear([case])
    found = fitted.explain([case])[0]
    assert found.names[:4] == ("base", "calendar", "load", "wind")
    assert found.values.sum(axis=0).tobytes() == fitted.predict([case])[0].tobytes()


def test_the_contribution_of_a_covariate_is_its_effect():
    case, _ = driven(noise=0.1)
    found = linear([case]).explain([case])[0]
    wind = case.context.future_covariates[:, 1] - case.context.covariates[:, 1].mean()
    assert found.values[3] == pytest.approx(-wind, abs=0.6)


def test_more_of_a_covariate_changes_the_forecast_by_its_weight():
    case, _ = driven(noise=0.1)
    fitted = linear([case])
    more = case.context.future_covariates + np.array([0.0, 1.0])
    changed = Case(case.history, replace(case.context, future_covariates=more))
    effect = fitted.predict([changed])[0] - fitted.predict([case])[0]
    assert effect == pytest.approx(-1.0, abs=0.15)


def test_what_was_kept_forecasts_the_same_bits():
    cases = [driven(points=points)[0] for points in (500, 900)]
    fitted = linear(cases)
    restored = registered_models()["linear"].restore(fitted.state())
    for before, after in zip(
        fitted.predict(cases), restored.predict(cases), strict=True
    ):
        assert before.tobytes() == after.tobytes()


def test_errors_that_persist_are_carried_on_and_fade():
    rng = np.random.default_rng(4)
    errors = np.zeros(POINTS)
    for step in range(1, POINTS):
        errors[step] = 0.9 * errors[step - 1] + rng.normal()
    errors[-1] = 10.0
    case, _ = driven(noise=0.0)
    case = Case(case.history + errors, case.context)
    carried = linear([case]).explain([case])[0].values[4]
    assert carried[:3] == pytest.approx([9.0, 8.1, 7.3], abs=1.5)
    assert np.abs(carried[-1]) < 4


def test_a_hot_hour_at_noon_is_not_a_hot_hour_at_night():
    case, _ = driven()
    hour = np.arange(POINTS + 48) % 24
    load = np.concatenate([case.context.covariates, case.context.future_covariates])
    values = 100 + np.where(hour < 12, 3.0, -1.0) * (load[:, 0] - 50)
    case = Case(values[:POINTS], case.context)
    mean = linear([case]).predict([case])[0]
    assert mean == pytest.approx(values[POINTS:], abs=1.0)


def test_a_forecast_stays_near_the_range_of_the_history():
    case, _ = driven()
    wild = case.context.future_covariates * 1e6
    case = Case(case.history, replace(case.context, future_covariates=wild))
    found = linear([case]).explain([case])[0]
    span = np.ptp(case.history)
    assert found.values.sum(axis=0).max() <= case.history.max() + 1.001 * span
    assert np.abs(found.values[-1]).max() > span


def test_months_without_covariates_are_forecast():
    history = wave(80, season=12, noise=0.5)
    context = knowing(None, points=80, horizon=12, season=12, longer=None)
    case = Case(history, context)
    actual = wave(92, season=12)[80:]
    assert np.abs(linear([case]).predict([case])[0] - actual).mean() < 1.5


def test_a_short_history_among_long_ones_is_not_forecast():
    long, _ = driven()
    short = Case(long.history[:40], knowing(None, points=40, horizon=5))
    fitted = linear([long, short])
    assert np.isnan(fitted.predict([long, short])[1]).all()
    with pytest.raises(ModelUnfit, match="three seasons"):
        linear([short])
