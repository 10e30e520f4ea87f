import warnings

import numpy as np
import pytest

from forecasting.errors import ModelUnfit
from forecasting.fitting import (
    contained_fit,
    library_mean,
    recent,
    require_points,
    undo_difference,
)


class Library:
    """What a model of statsforecast looks like from outside."""

    def __init__(self, mean):
        self.mean = mean

    def forecast(self, y, h):
        return {"mean": self.mean[:h] + y[-1]}


def test_warnings_of_a_fit_are_silenced():
    with contained_fit("some model"):
        warnings.warn("did not converge", stacklevel=1)
        assert np.isinf(np.float64(1) / np.float64(0))


@pytest.mark.parametrize(
    "failure",
    [ValueError, ZeroDivisionError, np.linalg.LinAlgError, NotImplementedError],
)
def test_a_failure_names_the_model(failure):
    expected = pytest.raises(ModelUnfit, match=r"some model could not be .*: singular")
    with expected, contained_fit("some model"):
        raise failure("singular")


def test_an_interruption_is_not_a_failure_of_the_model():
    with pytest.raises(KeyboardInterrupt), contained_fit("some model"):
        raise KeyboardInterrupt


def test_the_recent_history_is_bounded():
    history = np.arange(50_000.0)
    assert recent(history, season=1).size == 200
    assert recent(history, season=1_440).size == 10_000
    assert recent(history, season=10_080).size == 30_240
    assert recent(history, season=24)[-1] == history[-1]


def test_too_few_points_are_refused_with_both_numbers():
    require_points("some model", history=np.zeros(3), least=3)
    with pytest.raises(ModelUnfit, match="some model needs 4 points and got 3"):
        require_points("some model", history=np.zeros(3), least=4)


def test_the_mean_of_a_library_is_in_double_precision():
    single = Library(np.array([1, 2, 3], dtype=np.float32))
    mean = library_mean(
        "some model", history=np.array([1.0, 5.0]), horizon=2, build=lambda: single
    )
    assert mean.dtype == np.float64
    assert mean.tolist() == [6, 7]


def test_a_flat_history_asks_no_library():
    mean = library_mean("some model", history=np.ones(9), horizon=2, build=lambda: None)
    assert mean.tolist() == [1, 1]


def test_a_forecast_that_is_not_finite_is_a_failure():
    broken = Library(np.array([1.0, np.inf]))
    with pytest.raises(ModelUnfit, match=r"some model gave a .* not finite"):
        library_mean(
            "some model", history=np.array([1.0, 2]), horizon=2, build=lambda: broken
        )


@pytest.mark.parametrize("span", [1, 3, 8])
@pytest.mark.parametrize("horizon", [1, 7])
def test_differences_are_undone(span, horizon):
    values = np.random.default_rng(1).normal(size=20 + horizon)
    changes = (values[span:] - values[:-span])[-horizon:]
    found = undo_difference(changes, latest=values[20 - span : 20])
    assert found == pytest.approx(values[20:])
