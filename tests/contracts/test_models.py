"""What every model on the shelf promises; a new file is tested with no edit here."""

from dataclasses import replace
from functools import cache
from itertools import product

import numpy as np
import pytest

from forecasting.errors import ModelUnfit
from forecasting.models import (
    Case,
    ModelContext,
    Regime,
    always,
    global_model,
    milliseconds,
    model,
    registered_models,
)
from tests.forecasting.synthetic import hours, wave

MODELS = registered_models()
LOCAL = [name for name, one in MODELS.items() if one.local]
TINY = Regime(
    series=3, points=80, season=4, horizon=12, zeros=0, positive=True, covariates=2
)
# The networks of the extra "deep" train for seconds; their own tests hold them to the
# same promises.
GLOBAL = [name for name, one in MODELS.items() if one.fit and one.cost(TINY) < 500]
COVARIATE = [
    name for name, one in MODELS.items() if one.covariates and one.cost(TINY) < 500
]
every_model = pytest.mark.parametrize("name", MODELS)
local_model = pytest.mark.parametrize("name", LOCAL)
each_global_model = pytest.mark.parametrize("name", GLOBAL)


def context_of(points, *, horizon=12, season=4, longer=None, seed=3):
    times = hours(points + horizon)
    return ModelContext(
        horizon=horizon,
        season=season,
        long_season=longer,
        times=times[:points],
        future_times=times[points:],
        seed=seed,
    )


def run(name, history, **wish):
    return MODELS[name].predict(history, context_of(history.size, **wish))


def driven_case(seed):
    """A wave that a covariate moves, another covariate known only for the past."""
    rng = np.random.default_rng(seed)
    driver, past = rng.normal(size=92), rng.normal(size=80)
    values = wave(92, season=4, noise=0.5, seed=seed) + 8 * driver
    values.flags.writeable = False
    context = replace(
        context_of(80),
        names=("driver", "past"),
        covariates=np.column_stack([driver[:80], past]),
        future_covariates=np.column_stack([driver[80:], np.full(12, np.nan)]),
        attributes=(("region", f"r{seed}"),),
    )
    return Case(values[:80], context), values[80:]


PANEL, FUTURE = zip(*(driven_case(seed) for seed in range(3)), strict=True)
PLAIN = [Case(case.history, context_of(80)) for case in PANEL]
SHORT = [
    Case(wave(points, season=4), replace(PANEL[0].context, times=hours(points), **cut))
    for points in (1, 2, 3, 8)
    for cut in [{"covariates": PANEL[0].context.covariates[:points]}]
]


@cache
def fitted(name, *, plain=False):
    return MODELS[name].fit(PLAIN if plain else [*SHORT, *PANEL])


def means(name, *, plain=False):
    cases = PLAIN if plain else PANEL
    if MODELS[name].local:
        return [MODELS[name].predict(case.history, case.context) for case in cases]
    return fitted(name, plain=plain).predict(cases)


def error(forecasts):
    return np.abs(np.array(forecasts) - np.array(FUTURE)).mean()


@every_model
def test_a_model_is_either_local_or_can_be_kept(name):
    one = MODELS[name]
    assert (one.local is None) == (one.fit is not None) == (one.restore is not None)


@every_model
def test_every_kind_of_series_has_a_price_and_suits_or_not(name):
    kinds = product(
        (1, 100), (5, 100, 20_000), (1, 7, 12, 24, 52, 168), (1, 48), (0.0, 0.5), (0, 3)
    )
    for series, points, season, horizon, zeros, covariates in kinds:
        regime = Regime(
            series=series,
            points=points,
            season=season,
            horizon=horizon,
            zeros=zeros,
            positive=not zeros,
            covariates=covariates,
        )
        assert MODELS[name].cost(regime) > 0
        assert MODELS[name].cost(regime) == MODELS[name].cost(regime)
        assert bool(MODELS[name].suits(regime)) is MODELS[name].suits(regime)


@local_model
@pytest.mark.parametrize("horizon", [1, 20])
@pytest.mark.parametrize("longer", [None, 12])
def test_the_mean_is_finite_and_as_long_as_the_horizon(name, horizon, longer):
    history = wave(80, season=4, noise=1.0)
    mean = run(name, history, horizon=horizon, longer=longer)
    assert mean.shape == (horizon,)
    assert mean.dtype == np.float64
    assert np.isfinite(mean).all()


@local_model
def test_a_series_without_a_season_is_forecast_or_refused_by_name(name):
    refused = name
    try:
        mean = run(name, wave(60, season=4, noise=1.0), horizon=5, season=1)
    except ModelUnfit as refusal:
        mean, refused = np.zeros(5), str(refusal)
    assert np.isfinite(mean).all()
    assert name in refused


@local_model
def test_the_same_history_gives_the_same_bits(name):
    history = wave(80, season=4, noise=1.0)
    assert run(name, history).tobytes() == run(name, history).tobytes()


@local_model
def test_the_history_is_left_alone(name):
    history = wave(80, season=4, noise=1.0)
    history.flags.writeable = False
    before = history.tobytes()
    run(name, history)
    assert history.tobytes() == before


@local_model
@pytest.mark.parametrize("season", [1, 4])
def test_a_history_too_short_is_refused_or_forecast(name, season):
    for points in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 17, 24, 25, 39):
        history = wave(points, season=4, noise=1.0)
        try:
            mean = run(name, history, season=season)
        except ModelUnfit:
            continue
        assert mean.shape == (12,)
        assert np.isfinite(mean).all()


@local_model
@pytest.mark.parametrize("value", [0.0, -5.0, 1e12])
def test_a_flat_history_is_forecast_flat(name, value):
    mean = run(name, np.full(80, value))
    assert mean == pytest.approx(np.full(12, value), rel=1e-6, abs=1e-6)


@local_model
@pytest.mark.parametrize(
    "history",
    [
        wave(80, season=4, noise=1.0) - 100,
        np.where(np.arange(80) % 6 == 2, 4.0, 0.0),
        np.where(np.arange(80) < 40, 1.0, 1e6),
        1e90 * wave(80, season=4, noise=1.0),
        1e-90 * wave(80, season=4, noise=1.0),
    ],
    ids=["around zero", "rare", "a step", "huge", "tiny"],
)
def test_odd_histories_give_finite_forecasts(name, history):
    assert np.isfinite(run(name, history)).all()


@local_model
def test_a_clean_season_is_learned(name):
    history, future = np.split(wave(92, season=4), [80])
    wrong = np.abs(run(name, history) - future).mean()
    naive = np.abs(run("naive", history) - future).mean()
    # A straight line knows no season; where it ends is as accidental as one value.
    assert wrong <= 1.1 * naive


@pytest.mark.parametrize("name", [n for n, m in MODELS.items() if m.equivariant])
@pytest.mark.parametrize(("scale", "shift"), [(3.0, 0.0), (1.0, 500.0), (-2.0, 40.0)])
def test_shift_and_scale_pass_through_where_claimed(name, scale, shift):
    history = wave(80, season=4, noise=1.0)
    plain, moved = run(name, history), run(name, scale * history + shift)
    size = np.abs(scale) * np.ptp(history)
    assert moved == pytest.approx(scale * plain + shift, abs=0.01 * size)


@pytest.mark.parametrize("name", COVARIATE)
def test_what_is_known_of_the_future_is_used(name):
    assert error(means(name)) < 0.8 * error(means(name, plain=True))


@each_global_model
def test_a_panel_is_forecast_better_than_by_naive(name):
    assert error(means(name)) < error(means("naive"))
    assert {mean.shape for mean in means(name)} == {(12,)}


@each_global_model
def test_fitting_again_gives_the_same_bits(name):
    assert MODELS[name].fit([*SHORT, *PANEL]).state() == fitted(name).state()


@each_global_model
def test_a_kept_model_forecasts_the_same_bits(name):
    state = fitted(name).state()
    assert not state.startswith(b"\x80"), "a pickle"
    kept = MODELS[name].restore(state)
    assert kept.state() == state
    for mine, its in zip(means(name), kept.predict(PANEL), strict=True):
        assert mine.tobytes() == its.tobytes()


@each_global_model
def test_the_parts_sum_to_the_forecast(name):
    found = fitted(name).explain(PANEL)
    for parts, mean in zip(found, means(name), strict=True):
        assert parts.names[0] == "base"
        assert parts.values.shape == (len(parts.names), 12)
        assert parts.values.sum(axis=0) == pytest.approx(mean, rel=1e-6)


@each_global_model
def test_a_case_too_short_spoils_no_other(name):
    answers = fitted(name).predict([*SHORT, *PANEL])
    for answer in answers[: len(SHORT)]:
        assert answer.shape == (12,)
        assert np.isfinite(answer).all() or np.isnan(answer).all()
    for answer, same in zip(answers[len(SHORT) :], means(name), strict=True):
        assert np.isfinite(answer).all()
        assert answer.tobytes() == same.tobytes()


@each_global_model
def test_a_panel_with_nothing_to_learn_from_is_refused(name):
    with pytest.raises(ModelUnfit, match=name):
        MODELS[name].fit([Case(np.array([1.0]), context_of(1))])


def test_a_name_is_taken_only_once():
    register = model("naive", suits=always, cost=milliseconds(1))
    with pytest.raises(ValueError, match="two models are called 'naive'"):
        register(MODELS["naive"].local)
    register = global_model(
        "naive", suits=always, cost=milliseconds(1), restore=MODELS["linear"].restore
    )
    with pytest.raises(ValueError, match="two models are called 'naive'"):
        register(MODELS["linear"].fit)
