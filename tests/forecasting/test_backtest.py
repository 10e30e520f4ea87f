import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting import models
from forecasting.backtest import (
    Problem,
    backtest,
    backtest_while_fit,
    plan_cutoffs,
    predict_at,
)
from forecasting.errors import ModelUnfit
from forecasting.frequency import parse_frequency
from forecasting.grid import regularise
from tests.forecasting.synthetic import hours, wave


def pose(values, *, horizon=3, season=4, longer=None):
    frequency = parse_frequency("h")
    values = np.asarray(values, dtype=float)
    series = regularise(
        values, times=hours(values.size), frequency=frequency, season=season
    )
    return Problem(
        series=series,
        frequency=frequency,
        horizon=horizon,
        season=season,
        long_season=longer,
        seed=0,
    )


def use(monkeypatch, predict):
    registry = dict(models.registered_models())
    registry["odd"] = models.Model("odd", predict, 5, equivariant=False)
    monkeypatch.setattr("forecasting.backtest.registered_models", lambda: registry)


@settings(max_examples=80, deadline=None)
@given(
    st.integers(1, 400),
    st.integers(1, 30),
    st.sampled_from([(1, None), (7, None), (24, 168)]),
    st.integers(1, 5),
)
def test_windows_lie_inside_the_series_and_apart(points, horizon, seasons, windows):
    problem = pose(
        np.arange(points), horizon=horizon, season=seasons[0], longer=seasons[1]
    )
    plan = plan_cutoffs(problem, windows=windows)
    assert len(plan.evaluation) <= windows
    ends = (problem.final, *plan.calibration)
    assert all(
        later - earlier >= horizon for later, earlier in itertools.pairwise(ends)
    )
    assert all(cutoff + 1 >= 2 * seasons[0] for cutoff in plan.calibration)
    if plan.nested:
        assert max(plan.selection) + horizon <= min(plan.evaluation)


def test_a_long_series_keeps_phase_and_rotates_through_the_week():
    plan = plan_cutoffs(
        pose(np.arange(2000), horizon=24, season=24, longer=168), windows=3
    )
    assert plan.evaluation == (1975, 1951, 1927)
    assert plan.selection == (1879, 1831, 1783, 1735)
    weekdays = {cutoff // 24 % 7 for cutoff in (*plan.selection, *plan.earlier[:3])}
    assert len(weekdays) == 7


def test_a_short_series_shares_its_windows():
    plan = plan_cutoffs(pose(np.arange(18)), windows=3)
    assert plan.selection == plan.evaluation
    assert not plan.nested


def test_a_series_of_one_season_has_no_window():
    assert plan_cutoffs(pose(np.arange(6)), windows=3).calibration == ()


def test_a_fold_sees_nothing_after_its_cutoff(monkeypatch):
    seen = []

    def remember(history, context):
        seen.append((history.size, context.times[-1], context.future_times[0]))
        return np.full(context.horizon, history[-1])

    use(monkeypatch, remember)
    problem = pose(np.arange(30))
    fold = backtest(problem, name="odd", cutoffs=[19])[0]
    assert seen == [(20, hours(30)[19], hours(30)[20])]
    assert fold.residuals.tolist() == [1, 2, 3]


def test_later_values_do_not_change_an_earlier_fold():
    values = wave(400, season=4, noise=1)
    changed = np.concatenate([values[:300], 0 * values[300:]])
    for name in models.registered_models():
        one, two = (
            backtest(pose(v), name=name, cutoffs=[299])[0].mean
            for v in (values, changed)
        )
        assert one.tolist() == two.tolist()


@pytest.mark.parametrize("absurd", [np.nan, np.inf, 1e9, -1e9])
def test_absurd_output_is_replaced_by_the_baseline(monkeypatch, absurd):
    use(monkeypatch, lambda _, context: np.full(context.horizon, absurd))
    mean, replaced = predict_at(pose(np.arange(8)), name="odd", cutoff=7)
    assert replaced
    assert mean.tolist() == [4, 5, 6]


def test_a_flat_history_allows_round_off(monkeypatch):
    use(monkeypatch, lambda h, context: np.full(context.horizon, h[-1] * (1 + 1e-12)))
    assert predict_at(pose(np.full(8, 3.0)), name="odd", cutoff=7)[1] is False


def test_a_model_cannot_change_the_series(monkeypatch):
    def spoil(history, context):
        history[0] = 99
        return np.zeros(context.horizon)

    use(monkeypatch, spoil)
    with pytest.raises(ValueError, match="read-only"):
        predict_at(pose(np.arange(8)), name="odd", cutoff=7)


def test_an_unfit_model_ends_the_backtest_early(monkeypatch):
    def picky(history, context):
        if history.size < 20:
            raise ModelUnfit("too short")
        return np.zeros(context.horizon)

    use(monkeypatch, picky)
    problem = pose(np.arange(30))
    with pytest.raises(ModelUnfit):
        backtest(problem, name="odd", cutoffs=[25, 10])
    made = backtest_while_fit(problem, name="odd", cutoffs=[25, 22, 10, 5])
    assert [fold.cutoff for fold in made] == [25, 22]
    again = backtest_while_fit(problem, name="odd", cutoffs=[25], made=made)
    assert again[0] is made[0]
