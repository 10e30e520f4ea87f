import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting import models
from forecasting.backtest import (
    Problem,
    baseline_mean,
    guarded,
    plan_cutoffs,
    start_trial,
    try_global,
    try_local,
)
from forecasting.errors import ModelUnfit
from forecasting.frequency import parse_frequency
from forecasting.grid import regularise
from forecasting.models import Model, always, milliseconds
from tests.forecasting.synthetic import hours, wave


def pose(values, *, horizon=3, season=4, longer=None, unique_id="series"):
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
        unique_id=unique_id,
    )


def local(predict, name="odd"):
    return Model(name=name, local=predict, suits=always, cost=milliseconds(1))


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
    cutoffs = plan_cutoffs(problem, windows=windows, most=20)
    ends = (problem.final, *cutoffs)
    assert len(cutoffs) <= 20
    assert all(
        later - earlier >= horizon for later, earlier in itertools.pairwise(ends)
    )
    assert all(cutoff + 1 >= 2 * seasons[0] for cutoff in cutoffs)


def test_a_long_series_keeps_phase_and_rotates_through_the_week():
    cutoffs = plan_cutoffs(
        pose(np.arange(2000), horizon=24, season=24, longer=168), windows=3, most=10
    )
    assert cutoffs[:5] == (1975, 1951, 1927, 1879, 1831)
    weekdays = {cutoff // 24 % 7 for cutoff in cutoffs[3:]}
    assert len(weekdays) == 7


def test_a_series_of_one_season_has_no_window():
    assert plan_cutoffs(pose(np.arange(6)), windows=3, most=9) == ()


def test_a_window_sees_nothing_after_its_cutoff():
    seen = []

    def remember(history, context):
        seen.append((history.size, context.times[-1], context.future_times[0]))
        return np.full(context.horizon, history[-1])

    problem = pose(np.arange(30))
    trial = start_trial(problem, cutoffs=[19])
    try_local(problem, trial, model=local(remember))
    assert seen == [(20, hours(30)[19], hours(30)[20])]
    assert (trial.actual - trial.means["odd"]).tolist() == [[1, 2, 3]]


LOCAL = [name for name, one in models.registered_models().items() if one.local]
SHARED = [name for name, one in models.registered_models().items() if one.fit]


@pytest.mark.parametrize("name", LOCAL)
def test_later_values_do_not_change_an_earlier_window(name):
    values = wave(400, season=4, noise=1)
    changed = np.concatenate([values[:300], 0 * values[300:] + 7])
    means = []
    for history in (values, changed):
        problem = pose(history)
        trial = start_trial(problem, cutoffs=[299])
        try_local(problem, trial, model=models.registered_models()[name])
        means.append(trial.means[name].tolist())
    assert means[0] == means[1]


def averages(calls):
    class Average:
        def __init__(self, value):
            self.value = value

        def predict(self, cases):
            return [np.full(case.context.horizon, self.value) for case in cases]

    def fit(cases):
        calls.append([case.history.size for case in cases])
        return Average(np.mean([case.history.mean() for case in cases]))

    return Model(
        name="average",
        fit=fit,
        restore=lambda _: Average(0),
        suits=always,
        cost=milliseconds(1),
    )


def test_a_global_model_is_fitted_before_the_earliest_window_of_each_block():
    calls = []
    problems = [pose(wave(60, season=4, seed=s)) for s in range(2)]
    trials = [start_trial(p, cutoffs=[56, 53, 50, 47]) for p in problems]
    try_global(problems, trials, model=averages(calls), refits=2)
    assert calls == [[54, 54], [48, 48]]
    first, later = trials[0].means["average"][:2], trials[0].means["average"][2:]
    assert np.ptp(first) == np.ptp(later) == 0
    assert first[0, 0] != later[0, 0]


def test_a_short_series_lends_a_global_model_what_lies_as_far_back():
    calls = []
    problems = [pose(wave(60, season=4)), pose(wave(12, season=4))]
    trials = [
        start_trial(problems[0], cutoffs=[56, 53]),
        start_trial(problems[1], cutoffs=[]),
    ]
    try_global(problems, trials, model=averages(calls), refits=1)
    assert calls == [[54, 6]]
    assert trials[1].means["average"].shape == (0, 3)


@pytest.mark.parametrize("absurd", [np.nan, np.inf, 1e9, -1e9])
def test_absurd_output_is_refused(absurd):
    wild = local(lambda _, context: np.full(context.horizon, absurd), "wild")
    with pytest.raises(ModelUnfit, match="wild left the range"):
        guarded(wild, pose(np.arange(8)).case(7))


def test_a_flat_history_allows_round_off():
    near = local(lambda h, context: np.full(context.horizon, h[-1] * (1 + 1e-12)))
    assert guarded(near, pose(np.full(8, 3.0)).case(7)).shape == (3,)


def test_a_model_cannot_change_the_series():
    def spoil(history, context):
        history[0] = 99
        return np.zeros(context.horizon)

    with pytest.raises(ValueError, match="read-only"):
        guarded(local(spoil), pose(np.arange(8)).case(7))


def test_a_failed_window_takes_the_baseline_and_says_why():
    def picky(history, context):
        if history.size < 20:
            raise ModelUnfit("too short")
        return np.zeros(context.horizon)

    problem = pose(np.arange(30))
    trial = start_trial(problem, cutoffs=[25, 10])
    try_local(problem, trial, model=local(picky))
    assert trial.failures["odd"] == {1: "too short"}
    assert trial.means["odd"][1].tolist() == trial.baseline[1].tolist()
    assert trial.means["odd"][0].tolist() == [0, 0, 0]


def test_the_baseline_of_a_series_without_a_whole_season_is_the_naive():
    problem = pose([1.0, 5.0, 2.0])
    assert problem.baseline == "naive"
    assert baseline_mean(problem, 2).tolist() == [2, 2, 2]


@pytest.mark.parametrize(
    ("values", "scale"),
    [([1, 2, 3, 4, 5, 6], 4), ([1, 3, 5], 2), ([0, 0, 0], 1), ([5, 5], 5)],
)
def test_the_scale_is_never_zero(values, scale):
    problem = pose(values)
    assert problem.scale(problem.final) == scale
