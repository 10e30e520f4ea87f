import warnings

import numpy as np
import pytest

from forecasting.errors import ModelUnfit
from forecasting.fitting import contained_fit, recent
from forecasting.models import registered_models
from tests.contracts.test_models import context_of
from tests.forecasting.synthetic import wave


def test_warnings_of_a_fit_are_silenced():
    with contained_fit("some model"):
        warnings.warn("did not converge", stacklevel=1)
        assert np.isinf(np.float64(1) / np.float64(0))


@pytest.mark.parametrize(
    "failure", [ValueError, ZeroDivisionError, np.linalg.LinAlgError]
)
def test_a_numerical_failure_names_the_model(failure):
    expected = pytest.raises(ModelUnfit, match=r"some model could not be .*: singular")
    with expected, contained_fit("some model"):
        raise failure("singular")


def test_the_recent_history_is_bounded():
    history = np.arange(50_000.0)
    assert recent(history, season=1).size == 200
    assert recent(history, season=1_440).size == 10_000
    assert recent(history, season=10_080).size == 30_240
    assert recent(history, season=24)[-1] == history[-1]


def test_ets_refuses_a_season_it_is_too_slow_for():
    history = wave(1_000, season=450)
    with pytest.raises(ModelUnfit, match="season of 450"):
        registered_models()["ets"].predict(history, context_of(1_000, season=450))


def test_theta_adds_no_drift_to_a_season_that_repeats():
    history = np.tile([-5.0, -4.0, -9.0], 40)
    mean = registered_models()["theta"].predict(history, context_of(120, season=3))
    assert mean.tolist() == np.resize([-5.0, -4.0, -9.0], 14).tolist()


def test_lightgbm_samples_the_phase_of_its_cutoff_in_a_long_series():
    history, future = np.split(wave(2_424, season=24), [2_400])
    context = context_of(2_400, season=24, horizon=24)
    mean = registered_models()["lightgbm"].predict(history, context)
    assert np.abs(mean - future).mean() < 0.3


def test_lightgbm_ignores_a_second_season_seen_too_seldom():
    history = wave(400, season=24, noise=1.0)
    means = [
        registered_models()["lightgbm"].predict(
            history, context_of(400, season=24, longer=longer)
        )
        for longer in (None, 168)
    ]
    assert means[0].tolist() == means[1].tolist()
