import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.errors import ModelUnfit
from forecasting.forecast import (
    ForecastOptions,
    InvalidSeries,
    PanelSeries,
    forecast_panel,
    forecast_series,
)
from tests.forecasting import shelf
from tests.forecasting.synthetic import days, hours, months, wave

NAN = np.nan


def ask(values, *, times=None, **wish):
    values = np.asarray(values, dtype=float)
    times = hours(values.size) if times is None else times
    options = ForecastOptions(**({"horizon": 3, "frequency": "1h"} | wish))
    return forecast_series(values, times=times, options=options)


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
    assert answer.model == "blend"
    shares = {c.model: c.weight for c in answer.candidates if c.weight}
    assert shares == answer.weights
    assert sum(shares.values()) == pytest.approx(1)
    assert list(answer.weights.values()) == sorted(shares.values(), reverse=True)


def test_auto_says_when_nothing_beats_the_baseline():
    walk = np.tile(np.random.default_rng(0).normal(size=24), 20)
    answer = ask(walk)
    assert answer.model == "seasonal_naive"
    assert any("no model beat the baseline" in text for text in answer.warnings)


def test_a_series_without_a_window_is_forecast_by_the_baseline_and_says_so():
    answer = ask([1.0, 4.0, 2.0, 5.0], horizon=3)
    assert answer.model == "naive"
    assert any("too short to compare models" in text for text in answer.warnings)


def test_several_named_models_are_blended_by_their_errors():
    answer = ask(wave(200, season=24, noise=1.0), model=("naive", "theta"))
    assert set(answer.weights) == {"naive", "theta"}
    assert answer.weights["theta"] > 0.6


def test_what_was_never_negative_is_not_forecast_below_zero():
    rng = np.random.default_rng(1)
    values = rng.poisson(0.4, 300).astype(float)
    free = ask(values - 0.001, model="seasonal_naive")
    answer = ask(values, model="seasonal_naive")
    assert answer.quantiles[0.1].min() == 0
    assert free.quantiles[0.1].min() < 0


def test_bounds_hold_for_every_quantile():
    answer = ask(wave(200, season=24, noise=5.0), lower=95.0, upper=105.0)
    rows = np.array([answer.mean, *answer.quantiles.values()])
    assert rows.min() >= 95
    assert rows.max() <= 105


def test_a_named_model_needs_no_candidates():
    answer = ask(wave(200, season=24, noise=1.0), model="theta")
    assert answer.model == "theta"
    assert answer.candidates == ()
    assert answer.evaluation.windows == 3


def test_an_unfit_named_model_is_replaced_by_the_baseline(monkeypatch):
    def refuse(history, context):
        raise ModelUnfit("not today")

    shelf.put(monkeypatch, moody=refuse)
    answer = ask(wave(60, season=24), model="moody")
    assert answer.model == "seasonal_naive"
    assert "not today: forecast by seasonal_naive" in answer.warnings


def test_an_absurd_model_is_replaced_with_a_warning(monkeypatch):
    shelf.put(monkeypatch, wild=lambda _, c: np.full(c.horizon, 1e9))
    answer = ask(wave(100, season=24), model="wild")
    assert answer.model == "seasonal_naive"
    assert any("wild left the range" in text for text in answer.warnings)


def test_a_member_that_fails_at_the_end_leaves_the_others_alone(monkeypatch):
    def late(history, context):
        if history.size == 100:
            raise ModelUnfit("tired")
        return np.full(context.horizon, history[-1])

    shelf.put(monkeypatch, late=late)
    answer = ask(wave(100, season=24), model=("late", "naive"))
    assert answer.weights == {"naive": 1.0}
    assert "tired: the other models forecast without it" in answer.warnings


def test_a_model_that_failed_in_its_backtests_says_so(monkeypatch):
    def late(history, context):
        value = history[-1] if history.size == 100 else NAN
        return np.full(context.horizon, value)

    shelf.put(monkeypatch, late=late)
    answer = ask(wave(100, season=24), model="late")
    assert answer.model == "late"
    failed = [text for text in answer.warnings if "backtests of late failed" in text]
    assert "late left the range" in failed[0]


def test_a_model_worse_than_the_baseline_says_so():
    answer = ask(wave(300, season=24), model="naive", horizon=12)
    assert answer.evaluation.skill_vs_naive < 0
    assert any("did worse than seasonal_naive" in text for text in answer.warnings)


def test_a_candidate_that_cannot_be_fitted_does_not_stop_the_others(monkeypatch):
    def refuse(history, context):
        raise ModelUnfit("not today")

    shelf.put(monkeypatch, moody=refuse)
    answer = ask(wave(60, season=7, noise=9.0), times=days(60), frequency="D")
    found = {c.model: c for c in answer.candidates}
    assert found["moody"].error == "not today"
    assert found["moody"].weight == 0
    assert found["seasonal_naive"].error is None


def panel(*rows, frequency="1h", **wish):
    series = [
        PanelSeries(f"s{number}", np.asarray(row, float), hours(len(row)))
        for number, row in enumerate(rows)
    ]
    options = ForecastOptions(**({"horizon": 6, "frequency": frequency} | wish))
    return forecast_panel(series, options=options)


def test_one_bad_series_does_not_spoil_the_panel():
    good = wave(200, season=24, noise=1.0)
    found = panel(good, [NAN] * 9, good + 5, [1e200] * 9)
    assert [one.unique_id for one in found.series] == ["s0", "s2"]
    assert [name for name, _ in found.failed] == ["s1", "s3"]
    assert "none of the 9 values" in found.failed[0][1]


def test_a_flat_series_in_a_panel_is_forecast_flat():
    found = panel(wave(200, season=24, noise=1.0), np.full(200, 3.0), model="theta")
    flat = found.series[1]
    assert flat.mean.tolist() == [3.0] * 6
    assert any("never changes" in text for text in flat.warnings)


def test_a_short_series_borrows_its_spread_from_the_panel():
    long = [wave(300, season=24, noise=1.0, seed=s) for s in range(6)]
    found = panel(*long, long[0][:46], model="seasonal_naive")
    short = found.series[-1]
    assert short.evaluation is None
    assert not any("not calibrated" in text for text in short.warnings)
    width = short.quantiles[0.9] - short.quantiles[0.1]
    assert width == pytest.approx(np.full(6, 3.6), abs=1.8)


def test_the_coverage_of_every_step_is_told():
    rows = [wave(400, season=24, noise=1.0, seed=s) for s in range(10)]
    found = panel(*rows, model="seasonal_naive")
    assert found.coverage.nominal == pytest.approx(0.8)
    assert found.coverage.by_step == pytest.approx(np.full(6, 0.8), abs=0.15)
    assert found.coverage.windows == 10 * found.line.windows


def test_a_budget_leaves_out_the_expensive_models_and_says_which():
    rows = [wave(200, season=24, noise=1.0, seed=s) for s in range(3)]
    tight, free = (panel(*rows, budget_s=b) for b in (0.01, 1e6))
    assert tight.line.cost_s <= 0.01
    assert tight.line.dropped
    assert set(tight.line.names) >= {"naive", "seasonal_naive"}
    assert set(free.line.names) == {*tight.line.names, *tight.line.dropped}


def test_progress_is_told_and_grows():
    heard = []
    rows = [wave(100, season=24, noise=1.0, seed=s) for s in range(4)]
    series = [PanelSeries(f"s{n}", row, hours(100)) for n, row in enumerate(rows)]
    options = ForecastOptions(horizon=3, frequency="1h", model="naive")
    forecast_panel(
        series, options=options, tell=lambda share, what: heard.append((share, what))
    )
    shares = [share for share, _ in heard]
    assert shares == sorted(shares)
    assert heard[-1] == (0.75, "backtesting s3")


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
    answer = ask(values, horizon=horizon, season=season, model="seasonal_naive")
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


def test_a_coverage_is_near_its_promise_on_steady_series():
    found = [
        ask(
            wave(900, season=7, noise=1.0, seed=seed),
            times=days(900),
            frequency="D",
            horizon=7,
            windows=20,
            model="seasonal_naive",
        ).evaluation
        for seed in range(6)
    ]
    assert found[0].nominal_coverage == pytest.approx(0.8)
    shares = [one.coverage for one in found]
    assert np.mean(shares) == pytest.approx(0.8, abs=0.04)


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
