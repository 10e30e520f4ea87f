import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting import losses
from tests.forecasting import naive

numbers = st.floats(-1e6, 1e6) | st.just(math.nan)
rows = st.lists(st.tuples(numbers, numbers), min_size=0, max_size=12)
histories = st.lists(numbers, min_size=1, max_size=15)
few = settings(max_examples=60, deadline=None)


def columns(pairs):
    table = np.array(pairs, dtype=float).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def same(fast, slow):
    assert fast == pytest.approx(slow, rel=1e-9, abs=1e-9, nan_ok=True)


@few
@given(rows)
def test_point_losses_agree_with_loops(pairs):
    actual, forecast = columns(pairs)
    for name in ("mae", "rmse", "smape"):
        fast = getattr(losses, name)(actual, forecast=forecast)
        same(fast, getattr(naive, name)(actual, forecast))


@few
@given(rows, histories, st.integers(1, 4))
def test_scaled_losses_agree_with_loops(pairs, history, season):
    actual, forecast = columns(pairs)
    history = np.array(history)
    for name in ("mase", "rmsse"):
        fast = getattr(losses, name)(
            actual, forecast=forecast, history=history, season=season
        )
        slow = getattr(naive, name)(actual, forecast, history, season)
        assert fast == pytest.approx(slow, rel=1e-6, nan_ok=True)


@few
@given(rows, st.floats(0.01, 0.99))
def test_quantile_losses_agree_with_loops(pairs, level):
    actual, forecast = columns(pairs)
    forecast = np.nan_to_num(forecast)
    same(
        losses.pinball(actual, forecast=forecast, level=level),
        naive.pinball(actual, forecast, level),
    )
    quantiles = {level: forecast, 0.995: forecast + 1}
    fast = losses.wql(actual, quantiles=quantiles)
    assert fast == pytest.approx(naive.wql(actual, quantiles), rel=1e-9, nan_ok=True)
    same(
        losses.coverage(actual, lower=forecast - 1, upper=forecast + 1),
        naive.coverage(actual, forecast - 1, forecast + 1),
    )


@few
@given(rows, st.floats(0.1, 100))
def test_scaled_losses_do_not_depend_on_the_unit(pairs, unit):
    actual, forecast = columns(pairs)
    history = np.array([1.0, 3.0, 2.0, 7.0])
    plain = losses.mase(actual, forecast=forecast, history=history, season=1)
    other = losses.mase(
        unit * actual, forecast=unit * forecast, history=unit * history, season=1
    )
    assert other == pytest.approx(plain, rel=1e-9, abs=1e-9, nan_ok=True)


def test_a_perfect_forecast_has_no_loss():
    actual = np.array([1.0, -2.0, 0.0])
    assert losses.mae(actual, forecast=actual) == 0
    assert losses.smape(actual, forecast=actual) == 0
    assert losses.wql(actual, quantiles={0.1: actual, 0.9: actual}) == 0


def test_no_known_step_cannot_be_scored():
    nothing = np.array([math.nan])
    assert math.isnan(losses.mae(nothing, forecast=np.zeros(1)))
    assert math.isnan(losses.coverage(nothing, lower=np.zeros(1), upper=np.ones(1)))
    assert math.isnan(losses.wql(np.ones(1), quantiles={}))


def test_a_flat_history_gives_no_scale():
    flat = np.ones(5)
    scored = losses.mase(np.zeros(1), forecast=np.ones(1), history=flat, season=1)
    assert math.isnan(scored)
