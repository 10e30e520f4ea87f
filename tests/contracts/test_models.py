"""What every model on the shelf promises; a new file is tested with no edit here."""

import numpy as np
import pytest

from forecasting.errors import ModelUnfit
from forecasting.models import ModelContext, model, registered_models
from tests.forecasting.synthetic import hours, wave

MODELS = registered_models()
every_model = pytest.mark.parametrize("name", MODELS)


def context_of(points, *, horizon=14, season=7, longer=None, seed=3):
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


@every_model
@pytest.mark.parametrize("horizon", [1, 5, 20])
@pytest.mark.parametrize(("season", "longer"), [(1, None), (7, None), (7, 21)])
def test_the_mean_is_finite_and_as_long_as_the_horizon(name, horizon, season, longer):
    history = wave(150, season=7, noise=1.0)
    mean = run(name, history, horizon=horizon, season=season, longer=longer)
    assert mean.shape == (horizon,)
    assert mean.dtype == np.float64
    assert np.isfinite(mean).all()


@every_model
def test_the_same_history_gives_the_same_bits(name):
    history = wave(150, season=7, noise=1.0)
    assert run(name, history).tobytes() == run(name, history).tobytes()


@every_model
def test_the_history_is_left_alone(name):
    history = wave(150, season=7, noise=1.0)
    history.flags.writeable = False
    before = history.tobytes()
    run(name, history)
    assert history.tobytes() == before


@every_model
def test_a_history_too_short_is_refused_by_name_or_forecast(name):
    for points in range(1, 40):
        history = wave(points, season=7, noise=1.0)
        try:
            mean = run(name, history)
        except ModelUnfit:
            continue
        assert mean.shape == (14,)
        assert np.isfinite(mean).all()


@every_model
@pytest.mark.parametrize("value", [0.0, -5.0, 1e12])
def test_a_flat_history_is_forecast_flat(name, value):
    mean = run(name, np.full(150, value))
    assert mean == pytest.approx(np.full(14, value), rel=1e-6, abs=1e-6)


@every_model
def test_a_clean_season_is_learned(name):
    history, future = np.split(wave(224, season=7), [210])
    error = np.abs(run(name, history) - future).mean()
    naive = np.abs(run("naive", history) - future).mean()
    assert error <= naive


@pytest.mark.parametrize("name", [n for n, m in MODELS.items() if m.equivariant])
@pytest.mark.parametrize(("scale", "shift"), [(3.0, 0.0), (1.0, 500.0), (-2.0, 40.0)])
def test_shift_and_scale_pass_through_where_claimed(name, scale, shift):
    history = wave(150, season=7, noise=1.0)
    plain, moved = run(name, history), run(name, scale * history + shift)
    size = np.abs(scale) * np.ptp(history)
    assert moved == pytest.approx(scale * plain + shift, abs=0.01 * size)


def test_a_name_is_taken_only_once():
    with pytest.raises(ValueError, match="two models are called 'naive'"):
        model("naive")(MODELS["naive"].predict)
