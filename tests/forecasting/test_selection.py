from forecasting.selection import Candidate, best_model, choose_model
from tests.forecasting.synthetic import wave
from tests.forecasting.test_backtest import pose


def row(name, mase, mae=1.0):
    return Candidate(name, mase=mase, mae=mae, error=None)


def test_the_least_scaled_error_wins():
    candidates = (row("a", 2.0), row("b", 1.0), row("naive", 3.0))
    assert best_model(candidates, baseline="naive") == "b"


def test_the_baseline_wins_a_tie():
    candidates = (row("a", 1.0), row("naive", 1.0))
    assert best_model(candidates, baseline="naive") == "naive"


def test_without_a_scale_the_absolute_error_decides():
    candidates = (row("a", None, 0.5), row("naive", None, 0.7))
    assert best_model(candidates, baseline="naive") == "a"


def test_the_baseline_stands_in_when_nothing_was_scored():
    candidates = (Candidate("a", mase=None, mae=None, error="too short"),)
    assert best_model(candidates, baseline="naive") == "naive"


def test_unfit_models_are_named_with_their_reason():
    problem = pose(wave(30, season=4))
    choice = choose_model(problem, cutoffs=(26, 23))
    errors = {c.model: c.error for c in choice.candidates}
    assert "lightgbm needs" in errors["lightgbm"]
    assert errors["naive"] is None
    assert [fold.cutoff for fold in choice.folds] == [26, 23]


def test_without_windows_nothing_is_compared():
    choice = choose_model(pose(range(6)), cutoffs=())
    assert choice.model == "seasonal_naive"
    assert choice.candidates == ()
