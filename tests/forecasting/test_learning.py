import numpy as np
import pytest

from forecasting.errors import ModelUnfit
from forecasting.learning import learn
from forecasting.members import line_up, regime_of
from forecasting.models import Model, always, milliseconds, never, registered_models
from forecasting.options import ForecastOptions
from forecasting.prediction import predict
from tests.forecasting import shelf
from tests.forecasting.synthetic import wave
from tests.forecasting.test_backtest import pose

OPTIONS = ForecastOptions(horizon=3, frequency="1h", quantiles=(0.1, 0.9))


def problems(count, *, points=60):
    return [
        pose(wave(points, season=4, noise=1.0, seed=s), unique_id=f"s{s}")
        for s in range(count)
    ]


def counting(calls, name):
    def predict(history, context):
        calls.append(name)
        return 0.5 * history[-4:-1] + 0.5 * history[-8:-5]

    return predict


def test_the_regime_describes_the_group():
    found = regime_of([pose([0, 0, 2, 1]), pose(range(1, 13))])
    assert (found.series, found.points, found.season) == (2, 8, 4)
    assert found.zeros == pytest.approx(2 / 16)
    assert not found.positive
    assert found.covariates == 0


def test_named_models_are_tried_whatever_they_cost(monkeypatch):
    costly = Model(
        name="costly", local=lambda *_: None, suits=never, cost=milliseconds(1e9)
    )
    shelf.use(monkeypatch, {"costly": costly})
    wish = ForecastOptions(horizon=3, frequency="1h", model="costly")
    line = line_up(regime_of(problems(1)), options=wish)
    assert line.names == ("costly",)
    assert line.windows == wish.windows + 1


def test_a_single_series_has_more_windows_than_a_panel():
    one, many = (line_up(regime_of(problems(n)), options=OPTIONS) for n in (1, 100))
    assert one.windows > many.windows >= OPTIONS.windows + 1


def test_models_behind_the_gate_are_not_run_on_the_whole_group(monkeypatch):
    calls = []
    wild = []

    def bad(history, context):
        wild.append(history.size)
        return np.full(context.horizon, history.max() + np.ptp(history))

    shelf.put(monkeypatch, only=True, good=counting(calls, "good"), bad=bad)
    group = problems(150)
    learned, evidence = learn(group, options=OPTIONS)
    assert len(wild) == 60 * 2
    assert len(calls) == 150 * len(evidence.trials[0].cutoffs)
    assert "bad" not in learned.names
    assert "first windows" in evidence.left_out["bad"]


def test_a_model_that_failed_everywhere_is_no_member(monkeypatch):
    def refuse(history, context):
        raise ModelUnfit("no")

    shelf.put(monkeypatch, only=True, moody=refuse, good=counting([], "good"))
    learned, evidence = learn(problems(3), options=OPTIONS)
    assert "moody" not in learned.names
    assert evidence.left_out["moody"] == "no"


def test_the_first_window_of_the_evaluation_used_no_later_error():
    """The blend of a window changes with earlier windows and not with later ones."""
    names = ("naive", "seasonal_naive")
    wish = ForecastOptions(horizon=3, frequency="1h", model=names)
    history = wave(80, season=4, noise=1.0)
    later = np.concatenate([history[:-3], history[-3:] + 50])
    plain, changed = (learn([pose(v)], options=wish)[1] for v in (history, later))
    assert plain.earlier[0][1:].tolist() == changed.earlier[0][1:].tolist()


def test_a_series_that_was_not_learned_from_takes_the_weights_of_the_group():
    learned, _ = learn(problems(5), options=OPTIONS)
    stranger = pose(wave(60, season=4, noise=1.0, seed=9), unique_id="new")
    (found,) = predict(learned, [stranger], options=OPTIONS)
    assert found.mean.shape == (3,)
    assert (found.quantiles[0.1] <= found.quantiles[0.9]).all()


def test_the_quantiles_of_a_wilder_series_are_wider():
    calm = problems(6, points=120)
    wild = pose(wave(120, season=4, noise=8.0, seed=7), unique_id="wild")
    learned, _ = learn([*calm, wild], options=OPTIONS)
    found = predict(learned, [calm[0], wild], options=OPTIONS)
    widths = [np.mean(one.quantiles[0.9] - one.quantiles[0.1]) for one in found]
    assert widths[1] > 3 * widths[0]


def test_every_registered_model_costs_something():
    regime = regime_of(problems(2))
    assert all(one.cost(regime) > 0 for one in registered_models().values())


def test_an_always_suitable_model_suits():
    assert always(regime_of(problems(1)))
