import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting import models
from forecasting.errors import ModelUnfit
from forecasting.forecast import (
    ForecastOptions,
    InvalidSeries,
    forecast_series,
    model_names,
)
from tests.forecasting.synthetic import days, hours, months, wave

NAN = np.nan


def ask(values, *, times=None, **wish):
    values = np.asarray(values, dtype=float)
    times = hours(values.size) if times is None else times
    options = ForecastOptions(**({"horizon": 3, "frequency": "1h"} | wish))
    return forecast_series(values, times=times, options=options)


def replace_models(monkeypatch, **functions):
    registry = dict(models.registered_models())
    for name, predict in functions.items():
        registry[name] = models.Model(name, predict, 5, equivariant=False)
    for module in ("backtest", "forecast", "selection"):
        monkeypatch.setattr(f"forecasting.{module}.registered_models", lambda: registry)


def test_the_five_models_of_the_shelf_are_known():
    expected = {"ets", "lightgbm", "naive", "seasonal_naive", "theta"}
    assert expected <= set(model_names())


def test_the_forecast_starts_after_the_latest_observation():
    answer = ask([*wave(100, season=24), NAN, NAN], horizon=5)
    assert answer.cutoff == hours(102)[99]
    assert answer.times.tolist() == hours(105)[100:].tolist()
    assert answer.times.dtype == "datetime64[us]"
    assert answer.mean.shape == (5,)


def test_calendar_steps_are_forecast():
    answer = ask(
        wave(60, season=12, noise=0.5), times=months(60), frequency="MS", horizon=12
    )
    assert answer.times.tolist() == months(72)[60:].tolist()
    assert answer.season == 12
    assert answer.evaluation.baseline == "seasonal_naive"


def test_auto_beats_the_seasonal_naive_where_it_can_be_beaten():
    answer = ask(
        wave(300, season=7, noise=1.0), times=days(300), frequency="D", horizon=7
    )
    assert answer.evaluation.skill_vs_naive > 0
    assert {c.model for c in answer.candidates} == set(model_names())
    assert answer.model == min(answer.candidates, key=lambda c: c.mase).model


def test_auto_says_when_nothing_beats_the_baseline():
    walk = np.tile(np.random.default_rng(0).normal(size=24), 20)
    answer = ask(walk)
    assert answer.model == "seasonal_naive"
    assert any("no model beat seasonal_naive" in text for text in answer.warnings)


def test_an_evaluation_that_is_not_nested_is_called_optimistic():
    answer = ask(wave(58, season=24, noise=1.0))
    assert any("optimistic" in text for text in answer.warnings)
    longer = ask(wave(80, season=24, noise=1.0))
    assert not any("optimistic" in text for text in longer.warnings)


def test_a_named_model_needs_no_candidates():
    answer = ask(wave(200, season=24, noise=1.0), model="theta")
    assert answer.model == "theta"
    assert answer.candidates == ()
    assert answer.evaluation.windows == 3


def test_an_unfit_named_model_is_replaced_by_the_baseline():
    answer = ask(wave(60, season=24), model="lightgbm")
    assert answer.model == "seasonal_naive"
    assert any("lightgbm needs" in text for text in answer.warnings)


def test_an_absurd_model_is_replaced_with_a_warning(monkeypatch):
    replace_models(monkeypatch, wild=lambda _, c: np.full(c.horizon, 1e9))
    answer = ask(wave(100, season=24), model="wild")
    assert answer.model == "seasonal_naive"
    assert any("wild left the range" in text for text in answer.warnings)


def test_a_model_that_failed_in_its_backtests_says_so(monkeypatch):
    def late(history, context):
        value = history[-1] if history.size == 100 else NAN
        return np.full(context.horizon, value)

    replace_models(monkeypatch, late=late)
    answer = ask(wave(100, season=24), model="late")
    assert answer.model == "late"
    assert any("5 of 5 backtests of late" in text for text in answer.warnings)


def test_a_model_worse_than_the_baseline_says_so():
    answer = ask(wave(300, season=24), model="naive", horizon=12)
    assert answer.evaluation.skill_vs_naive < 0
    assert any("did worse than seasonal_naive" in text for text in answer.warnings)


def test_a_candidate_that_cannot_be_fitted_does_not_stop_the_others(monkeypatch):
    def refuse(history, context):
        raise ModelUnfit("not today")

    replace_models(monkeypatch, moody=refuse)
    answer = ask(wave(60, season=7), times=days(60), frequency="D")
    errors = {c.model: c.error for c in answer.candidates}
    assert errors["moody"] == "not today"


@pytest.mark.parametrize("model", ["auto", "ets"])
def test_a_constant_series_gets_zero_width_intervals_and_a_warning(model):
    answer = ask(np.full(100, 5.0), model=model)
    assert answer.mean.tolist() == [5, 5, 5]
    assert all(row.tolist() == [5, 5, 5] for row in answer.quantiles.values())
    assert any("never changes" in text for text in answer.warnings)
    assert answer.evaluation.mae == 0
    assert answer.evaluation.mase is None


def test_one_point_is_forecast_without_quantiles():
    answer = ask([5.0])
    assert answer.mean.tolist() == [5, 5, 5]
    assert answer.quantiles == {}
    assert answer.evaluation is None
    assert any("no quantiles" in text for text in answer.warnings)


def test_two_points_get_quantiles_that_are_called_uncalibrated():
    answer = ask([5.0, 7.0])
    assert answer.evaluation is None
    assert (np.diff(answer.quantiles[0.9]) > 0).all()
    assert "quantiles from in-sample differences: not calibrated" in answer.warnings


def test_gaps_are_reported_and_not_scored():
    values = wave(200, season=24, noise=1.0)
    values[-5:-2] = NAN
    answer = ask(values, model="seasonal_naive")
    assert "3 of 200 steps were missing" in answer.warnings[0]
    assert answer.evaluation.points == 6


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.floats(-1e6, 1e6) | st.just(NAN), min_size=1, max_size=30),
    st.integers(1, 9),
    st.integers(1, 4),
)
def test_no_short_series_crashes(values, horizon, season):
    values = [1.0, *values]
    answer = ask(values, horizon=horizon, season=season, model="theta")
    assert answer.mean.shape == answer.times.shape == (horizon,)
    assert np.isfinite(answer.mean).all()
    rows = np.array(list(answer.quantiles.values()))
    assert np.isfinite(rows).all()
    assert (np.diff(rows, axis=0) >= 0).all()


def test_the_same_wish_gives_the_same_bits():
    values = wave(400, season=24, noise=1.0)
    one, two = (ask(values, model="auto", horizon=6, seed=7) for _ in range(2))
    assert one.mean.tobytes() == two.mean.tobytes()
    assert one.evaluation == two.evaluation
    assert one.candidates == two.candidates
    for level, row in one.quantiles.items():
        assert row.tobytes() == two.quantiles[level].tobytes()


def test_a_coverage_is_near_its_promise_on_a_steady_series():
    answer = ask(
        wave(900, season=7, noise=1.0),
        times=days(900),
        frequency="D",
        horizon=7,
        windows=20,
        model="theta",
    )
    assert answer.evaluation.nominal_coverage == pytest.approx(0.8)
    assert answer.evaluation.coverage == pytest.approx(0.8, abs=0.08)


def test_refusals_reach_the_caller():
    with pytest.raises(InvalidSeries, match="horizon"):
        ask([1.0, 2.0], horizon=0)
    with pytest.raises(InvalidSeries, match="not on the"):
        ask([1.0, 2.0], frequency="D")


def run(code):
    environ = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, check=True, timeout=60, env=environ, text=True)


def test_importing_the_room_loads_no_fitting_library():
    run(
        "import sys, forecasting.forecast as f; f.model_names()\n"
        "assert not {'lightgbm', 'statsmodels', 'sklearn'} & set(sys.modules)"
    )


def test_a_forked_child_fits_after_a_threaded_parent():
    run(
        "import os, numpy as np, lightgbm as lgb\n"
        "x = np.random.default_rng(0).normal(size=(3000, 5))\n"
        "two = {'num_threads': 2, 'verbose': -1}\n"
        "lgb.train(two, lgb.Dataset(x, label=x[:, 0]), num_boost_round=5)\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    from tests.forecasting.test_forecast import ask, wave\n"
        "    answer = ask(wave(200, season=7), season=7, model='lightgbm')\n"
        "    os._exit(0 if answer.model == 'lightgbm' else 1)\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
    )
