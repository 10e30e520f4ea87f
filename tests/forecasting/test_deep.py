import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from forecasting.errors import ModelUnfit
from forecasting.models import Case, Regime, registered_models
from forecasting.networks import load
from tests.forecasting.synthetic import wave
from tests.forecasting.test_sequences import case_of, noise

MODELS = {name: registered_models()[name] for name in ("lstm", "transformer")}
every_model = pytest.mark.parametrize("name", MODELS)


def wandering(count, seed):
    """A weekly season around a level that keeps part of its last change."""
    steps = np.zeros(count)
    for i, shock in enumerate(noise(count, seed)):
        steps[i] = 0.9 * steps[i - 1] + shock
    return 100 + 5 * np.sin(2 * np.pi * np.arange(count) / 7) + steps


PANEL = [case_of(wandering(150, seed)[:140]) for seed in range(6)]
FUTURE = [wandering(150, seed)[140:] for seed in range(6)]


@pytest.fixture(scope="module")
def fitted():
    return {name: model.fit(PANEL) for name, model in MODELS.items()}


def error(forecasts):
    return np.abs(np.array(forecasts) - np.array(FUTURE)).mean()


@every_model
def test_a_panel_is_forecast_better_than_by_its_seasonal_naive(fitted, name):
    base = [one.values[0] for one in fitted[name].explain(PANEL)]
    assert error(fitted[name].predict(PANEL)) < 0.9 * error(base)


@every_model
def test_the_parts_are_the_seasonal_naive_and_the_network(fitted, name):
    parts = fitted[name].explain(PANEL)
    for case, one, mean in zip(PANEL, parts, fitted[name].predict(PANEL), strict=True):
        assert one.names == ("base", "network")
        assert one.values.sum(axis=0).tobytes() == mean.tobytes()
        assert one.values[0, :7].tolist() == case.history[-7:].tolist()


@every_model
def test_training_again_gives_the_same_bits_and_another_seed_others(fitted, name):
    again = MODELS[name].fit(PANEL)
    assert again.state() == fitted[name].state()
    few = PANEL[:1]
    context = replace(few[0].context, seed=4)
    other = MODELS[name].fit([Case(few[0].history, context)])
    assert other.state() != MODELS[name].fit(few).state()


@every_model
def test_the_state_gives_the_same_forecasts_and_is_no_pickle(fitted, name):
    state = fitted[name].state()
    line, _, archive = state.partition(b"\n")
    assert json.loads(line)["model"] == name
    assert archive.startswith(b"PK")
    kept = MODELS[name].restore(state)
    assert kept.state() == state
    for mine, its in zip(fitted[name].predict(PANEL), kept.predict(PANEL), strict=True):
        assert mine.tobytes() == its.tobytes()


def test_a_state_is_read_only_by_its_own_model(fitted):
    with pytest.raises(ValueError, match="transformer reads its own states"):
        MODELS["transformer"].restore(fitted["lstm"].state())


def run(script, given=b""):
    command = [sys.executable, "-W", "error", "-c", script]
    return subprocess.run(command, input=given, check=True, capture_output=True).stdout


def test_another_process_restores_the_same_bits_without_a_warning(fitted):
    script = (
        "import sys\n"
        "from tests.forecasting.test_deep import MODELS, PANEL\n"
        "kept = MODELS['lstm'].restore(sys.stdin.buffer.read())\n"
        "sys.stdout.buffer.write(kept.predict(PANEL)[3].tobytes())\n"
    )
    told = run(script, fitted["lstm"].state())
    assert told == fitted["lstm"].predict(PANEL)[3].tobytes()


def test_the_shelf_is_found_without_importing_the_extra():
    run(
        "import sys\n"
        "from forecasting.models import registered_models\n"
        "assert {'lstm', 'transformer'} <= set(registered_models())\n"
        "assert not {'jax', 'keras'} & set(sys.modules)\n"
    )


@every_model
def test_a_forecast_does_not_depend_on_its_neighbours(fitted, name):
    short = case_of(noise(20))
    flat = case_of(np.full(100, 4.0))
    alone = fitted[name].predict(PANEL[:1])[0]
    first, none, same = fitted[name].predict([PANEL[0], short, flat])
    assert first.tobytes() == alone.tobytes()
    assert np.isnan(none).all()
    assert none.shape == (10,)
    assert same.tolist() == [4.0] * 10
    assert np.isnan(fitted[name].predict([short])[0]).all()


@every_model
def test_odd_histories_spoil_neither_each_other_nor_themselves(name):
    plain = wave(150, season=7, noise=1.0)
    odd = [
        noise(3),
        noise(39),
        np.full(150, -5.0),
        plain - 100,
        np.where(np.arange(150) % 6 == 2, 4.0, 0.0),
        np.where(np.arange(150) < 75, 1.0, 1e6),
        1e90 * plain,
        1e-90 * plain,
    ]
    for values in odd:
        values.flags.writeable = False
    cases = [case_of(values) for values in odd]
    short, *means = MODELS[name].fit(cases).predict(cases)
    assert np.isnan(short).all()
    assert np.isfinite(means).all()
    assert np.abs(means[1] + 5).max() == 0
    assert {mean.dtype for mean in means} == {np.dtype(np.float64)}


@every_model
def test_a_clean_season_with_a_trend_is_learned(name):
    history, future = np.split(wave(224, season=7), [210])
    case = case_of(history, horizon=14)
    wrong = np.abs(MODELS[name].predict(case.history, case.context) - future).mean()
    assert wrong < np.abs(np.tile(history[-7:], 2) - future).mean()


def test_a_known_covariate_is_used():
    column = noise(310, seed=8)
    values = 10 + 5 * column + 0.1 * noise(310)
    case = case_of(values[:300], known=column)
    forecast = MODELS["lstm"].predict(case.history, case.context)
    size = np.abs(values[300:] - 10).mean()
    assert np.abs(forecast - values[300:]).mean() < 0.5 * size


@every_model
def test_histories_too_short_are_refused(name):
    with pytest.raises(ModelUnfit, match=f"{name} needs about 73 points and got 50"):
        MODELS[name].fit([case_of(noise(50))])


@every_model
def test_without_the_extra_the_model_says_how_to_install_it(name, monkeypatch):
    monkeypatch.setitem(sys.modules, "keras", None)
    with pytest.raises(ModelUnfit, match=f"{name} needs .* requirements/deep.txt"):
        MODELS[name].fit(PANEL)


def test_another_backend_of_keras_is_refused(monkeypatch):
    keras, _ = load("lstm")
    monkeypatch.setattr(keras.config, "backend", lambda: "torch")
    with pytest.raises(ModelUnfit, match="KERAS_BACKEND=jax and found torch"):
        load("lstm")


def test_the_cost_of_a_series_falls_with_their_number():
    def cost(name, series):
        regime = Regime(
            series=series,
            points=1_000,
            season=24,
            horizon=48,
            zeros=0.0,
            positive=True,
            covariates=0,
        )
        assert not MODELS[name].suits(regime)
        return MODELS[name].cost(regime)

    assert cost("lstm", 1) > 20 * cost("lstm", 50)
    assert cost("transformer", 50) > cost("lstm", 50)
