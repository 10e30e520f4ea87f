from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.errors import ModelUnfit
from forecasting.models import Regime, registered_models
from forecasting.models.sar import lag_sets
from tests.contracts.test_models import context_of
from tests.forecasting import naive
from tests.forecasting.synthetic import wave

MODELS = registered_models()


def run(name, history, **wish):
    history = np.asarray(history, dtype=np.float64)
    return MODELS[name].predict(history, context_of(history.size, **wish))


def random_walk(count, seed):
    return np.random.default_rng(seed).normal(size=count).cumsum()


def persistent(count, seed):
    values = np.zeros(count)
    for at, shock in enumerate(np.random.default_rng(seed).normal(size=count)):
        values[at] = 0.6 * values[at - 1] + shock
    return values


def regime(**known):
    usual = {
        "series": 50,
        "points": 200,
        "season": 12,
        "horizon": 12,
        "zeros": 0.0,
        "positive": True,
        "covariates": 0,
    }
    return Regime(**usual | known)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("season", [1, 4])
@pytest.mark.parametrize("outlier", [0.0, 40.0])
def test_sar_is_the_slow_autoregression(seed, season, outlier):
    history = persistent(45, seed) + np.resize([0.0, 3.0, -2.0, 1.0], 45)
    history[20] += outlier
    sets = {1: [(1, 2), (1, 2, 3, 4)], 4: [(1, 2, 3, 4, 5), (1, 2, 3, 4, 5, 7, 8, 9)]}
    # A set needs five equations a lag: the sparser one is all that fits four seasons.
    chosen = sets[season] if season == 1 else sets[season][:1]
    history = history[: 45 if season == 1 else 40]
    found = run("sar", history, season=season, horizon=6)
    slow = naive.sparse_ar(history.tolist(), season, chosen, 6)
    assert found == pytest.approx(slow, rel=1e-6, abs=1e-8)


def test_sar_takes_logs_of_what_grows_by_shares():
    shares = 0.1 * np.random.default_rng(3).normal(size=150)
    history = 100 * np.exp(np.cumsum(shares) + 0.3 * np.resize([0.0, 1.0, -1.0], 150))
    found = run("sar", history, season=3, horizon=5)
    logs = run("sar", np.log(history) - 20, season=3, horizon=5)
    assert found == pytest.approx(np.exp(logs + 20), rel=0.05)


def test_sar_knows_the_second_season():
    steps = np.arange(480)
    values = 100 + 10 * np.sin(2 * np.pi * steps / 4) + 20 * (steps % 40 < 8)
    values = values + np.random.default_rng(0).normal(size=steps.size)
    history, future = values[:-40], values[-40:]
    both = run("sar", history, season=4, longer=40, horizon=40)
    one = run("sar", history, season=4, horizon=40)
    assert np.abs(both - future).mean() < 0.5 * np.abs(one - future).mean()


def test_sar_is_hardly_moved_by_one_outlier():
    history = wave(200, season=7, noise=1.0)
    spoiled = history.copy()
    spoiled[150] += 500
    clean, robust = run("sar", history, season=7), run("sar", spoiled, season=7)
    assert np.abs(robust - clean).max() < 0.01 * 500


def test_sar_stays_within_one_range_of_what_was_seen():
    history = np.exp(np.arange(60) / 4.0)
    mean = run("sar", history, season=1, horizon=500)
    assert mean.max() <= 2 * history.max()
    assert mean.min() >= -history.max()


@settings(deadline=None, max_examples=25)
@given(
    season=st.sampled_from([1, 2, 7, 12, 52]),
    points=st.integers(2, 130),
    seed=st.integers(0, 99),
    horizon=st.integers(1, 60),
)
def test_sar_forecasts_every_length_or_says_what_it_needs(
    season, points, seed, horizon
):
    history = random_walk(points, seed)
    try:
        mean = run("sar", history, season=season, horizon=horizon)
    except ModelUnfit as refusal:
        needed = int(str(refusal).split()[2])
        assert points < needed <= max(season + 7, 2 * season + 5)
    else:
        assert mean.shape == (horizon,)
        assert np.isfinite(mean).all()


@pytest.mark.parametrize("season", [1, 2, 4, 6, 7, 12, 24, 48, 52, 96, 1440])
@pytest.mark.parametrize("cycles", [None, 7])
def test_the_sets_of_lags_are_nested_and_bounded(season, cycles):
    sets = lag_sets(season, long_season=cycles and cycles * season)
    for fewer, more in pairwise(sets):
        assert set(fewer) <= set(more)
        assert len(fewer) < len(more)
    for lags in sets:
        assert list(lags) == sorted(set(lags))
        assert 1 <= lags[0] <= len(lags) <= 130


def test_sar_needs_points_and_values_that_are_not_mostly_zero():
    assert MODELS["sar"].suits(regime())
    assert not MODELS["sar"].suits(regime(points=30))
    assert not MODELS["sar"].suits(regime(zeros=0.4))


def test_naive2_is_the_slow_decomposition():
    for season, shift in ((4, 100.0), (5, 100.0), (4, 0.0)):
        history = wave(60, season=season, noise=1.0) - 100 + shift
        slow = naive.naive2(history.tolist(), season, 12)
        assert run("naive2", history, season=season) == pytest.approx(slow)


def test_naive2_ignores_a_season_that_chance_explains():
    history = np.random.default_rng(5).normal(size=90)
    assert run("naive2", history, season=7).tolist() == [history[-1]] * 12


def test_naive2_tests_no_season_on_less_than_three():
    history = np.tile([1.0, 5.0, 2.0, 9.0], 3)[:11]
    assert run("naive2", history, season=4).tolist() == [2.0] * 12


def test_drift_continues_the_line_between_the_ends():
    assert run("drift", [1.0, 9.0, 5.0], horizon=2).tolist() == [7.0, 9.0]


@pytest.mark.parametrize("name", ["ets", "arima", "sarimax"])
def test_a_season_too_long_is_refused(name):
    with pytest.raises(ModelUnfit, match=f"{name} .* season of 168"):
        run(name, wave(700, season=168), season=168)


@pytest.mark.parametrize("name", ["theta", "optimized_theta"])
def test_a_season_that_repeats_gets_no_drift(name):
    mean = run(name, np.tile([-5.0, -4.0, -9.0, -7.0], 30), season=4)
    assert mean == pytest.approx(np.tile([-5.0, -4.0, -9.0, -7.0], 3), abs=1e-6)


def test_ets_damps_or_follows_the_trend_of_the_series():
    line = 50 + 2.0 * np.arange(60) + np.random.default_rng(2).normal(size=60)
    mean = run("ets", line, season=1, horizon=5)
    assert mean == pytest.approx(50 + 2.0 * np.arange(60, 65), abs=4)


def test_mstl_takes_both_seasons_where_the_longer_one_was_seen_three_times():
    steps = np.arange(28 * 4 + 28)
    values = 10 * np.sin(2 * np.pi * steps / 7) + 20 * (steps % 28 < 7)
    history, future = values[:-28], values[-28:]
    both = run("mstl", history, season=7, longer=28, horizon=28)
    one = run("mstl", history, season=7, horizon=28)
    assert np.abs(both - future).mean() < 0.5 * np.abs(one - future).mean()
    seldom = run("mstl", history[-80:], season=7, longer=28, horizon=28)
    assert seldom.tolist() == run("mstl", history[-80:], season=7, horizon=28).tolist()


def test_mstl_wants_a_season():
    with pytest.raises(ModelUnfit, match="mstl needs a season"):
        run("mstl", wave(60, season=4), season=1)


def test_sarimax_regresses_on_what_is_known_and_changes():
    rng = np.random.default_rng(4)
    columns = rng.normal(size=(92, 3))
    columns[:, 1] = 7.0
    columns[80:, 2] = np.nan
    values = 5 * columns[:, 0] + 0.1 * rng.normal(size=92).cumsum()
    context = replace(
        context_of(80, season=1),
        names=("driver", "constant", "past"),
        covariates=columns[:80],
        future_covariates=columns[80:],
    )
    mean = MODELS["sarimax"].predict(values[:80], context)
    assert np.abs(mean - values[80:]).mean() < 1
    without = replace(context, future_covariates=np.full((12, 3), np.nan))
    blind = MODELS["sarimax"].predict(values[:80], without)
    assert blind.tolist() == run("sarimax", values[:80], season=1).tolist()


def test_croston_divides_the_size_by_the_gap():
    # Size: 4, then 4 + 0.1 * (6 - 4); gap: 3, then 3 + 0.1 * (2 - 3).
    mean = run("croston", [0, 0, 4, 0, 6, 0], season=1)
    assert mean == pytest.approx(np.full(12, 0.95 * 4.2 / 2.9))


def test_croston_corrects_nothing_where_every_step_has_a_demand():
    assert run("croston", [4, 6], season=1) == pytest.approx(np.full(12, 4.2))


def test_tsb_multiplies_the_chance_by_the_size():
    # Chance: 0, then 0.1, 0.09, 0.181; size: 4, then 4.2.
    mean = run("tsb", [0, 4, 0, 6], season=1)
    assert mean == pytest.approx(np.full(12, 0.181 * 4.2))


def test_tsb_lets_a_product_die_out_and_croston_does_not():
    selling = np.where(np.arange(100) % 5 == 0, 10.0, 0.0)
    ended = np.concatenate([selling, np.zeros(60)])
    assert run("tsb", ended, season=1)[0] < 0.01 * run("tsb", selling, season=1)[0]
    same = run("croston", selling, season=1).tolist()
    assert run("croston", ended, season=1).tolist() == same


def test_rare_demand_is_for_models_made_for_it():
    suited = {name for name, one in MODELS.items() if one.suits(regime(zeros=0.6))}
    assert {"croston", "tsb", "naive"} <= suited
    assert "croston" not in {
        name for name, one in MODELS.items() if one.suits(regime())
    }


def test_slow_models_are_left_to_those_who_ask():
    for season in (1, 4, 12, 24):
        assert not MODELS["arima"].suits(regime(season=season))
        assert not MODELS["sarimax"].suits(regime(season=season, covariates=2))
