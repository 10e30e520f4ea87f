"""Contenders on the same windows: errors, order, and how sure of it one can be."""

import functools

import numpy as np
import pytest

from forecasting.backtest import Trial, baseline_of, plan_cutoffs, start_trial
from forecasting.leaderboard import contend, window_table
from tests.forecasting import naive
from tests.forecasting.synthetic import wave
from tests.forecasting.test_backtest import pose

NAN = np.nan
LEVELS = (0.1, 0.5, 0.9)


def posed(count, *, windows=5, points=90, missing=()):
    """Series with seeds of their own, and their windows."""
    problems = []
    for seed in range(count):
        values = wave(points, season=4, noise=1.0, seed=seed)
        values[list(missing)] = NAN
        problems.append(pose(values, unique_id=f"s{seed}"))
    trials = [
        start_trial(p, cutoffs=plan_cutoffs(p, windows=windows, most=windows))
        for p in problems
    ]
    return problems, trials


def guesses(trials, *, size, seed=0):
    """Forecasts that miss what happened by normal noise."""
    rng = np.random.default_rng(seed)
    return [
        np.nan_to_num(trial.actual) + size * rng.normal(size=trial.actual.shape)
        for trial in trials
    ]


def test_metrics_agree_with_a_slow_reference():
    problems, trials = posed(4, missing=(80, 86))
    means = guesses(trials, size=0.7)
    found = contend("guess", problems, trials, means=means, levels=LEVELS)
    actual = np.concatenate([trial.actual.ravel() for trial in trials]).tolist()
    mean = np.concatenate([one.ravel() for one in means]).tolist()
    assert found.evaluation.mae == pytest.approx(naive.mae(actual, mean))
    assert found.evaluation.rmse == pytest.approx(naive.rmse(actual, mean))
    each = [
        naive.mean(
            naive.mase(
                actual.tolist(),
                made.tolist(),
                problem.series.known[: cutoff + 1].tolist(),
                4,
            )
            for actual, made, cutoff in zip(
                trial.actual, one, trial.cutoffs, strict=True
            )
        )
        for problem, trial, one in zip(problems, trials, means, strict=True)
    ]
    assert found.evaluation.mase == pytest.approx(naive.mean(each))
    rows = [
        list(zip(t.actual, one, t.baseline, t.scale, strict=True))
        for t, one in zip(trials, means, strict=True)
    ]
    assert found.relative == pytest.approx(naive.relative_error(rows))
    assert (found.evaluation.windows, found.evaluation.points) == (20, 52)
    assert found.evaluation.baseline == "seasonal_naive"


def test_quantiles_of_a_window_know_nothing_of_it():
    problems, trials = posed(6)
    wild = guesses(trials, size=1.0)
    for one in wild:
        one[0] += 1e3
    found = contend("wild", problems, trials, means=wild, levels=(0.01, 0.99))
    # The window that was missed by far lies outside: its own errors widened nothing.
    assert found.evaluation.coverage <= 0.8
    assert found.coverage_by_step.max() <= 0.8


def test_the_coverage_is_near_its_promise():
    problems, trials = posed(40)
    means = guesses(trials, size=1.0)
    found = contend("guess", problems, trials, means=means, levels=LEVELS)
    assert found.evaluation.nominal_coverage == pytest.approx(0.8)
    assert found.evaluation.coverage == pytest.approx(0.8, abs=0.05)
    assert found.coverage_by_step == pytest.approx(np.full(3, 0.8), abs=0.08)


def test_one_level_has_no_coverage():
    problems, trials = posed(6)
    means = guesses(trials, size=1.0)
    found = contend("guess", problems, trials, means=means, levels=(0.5,))
    assert found.evaluation.coverage is None
    assert np.isnan(found.coverage_by_step).all()


def test_the_baseline_itself_cannot_differ_from_itself():
    problems, trials = posed(5)
    means = [trial.baseline for trial in trials]
    found = contend("same", problems, trials, means=means, levels=LEVELS)
    assert found.p_value is None
    assert found.pairs == 5
    assert found.relative == pytest.approx(1)
    assert found.evaluation.skill_vs_naive == pytest.approx(0)


@functools.cache
def single_windows(count):
    return posed(count, windows=1)


def paired(differences):
    """Series whose method errs by so much more than the baseline, in scales."""
    problems, trials = single_windows(len(differences))
    means = []
    for trial, more in zip(trials, differences, strict=True):
        error = np.abs(trial.actual - trial.baseline).mean(axis=1) / trial.scale
        means.append(trial.actual + (error + more)[:, None] * trial.scale[:, None])
    return contend("odd", problems, trials, means=means, levels=())


@pytest.mark.parametrize("seed", range(3))
def test_the_p_value_of_few_pairs_is_exact(seed):
    differences = 0.2 * np.random.default_rng(seed).normal(size=7) - 0.05
    found = paired(differences)
    assert found.pairs == 7
    assert found.p_value == pytest.approx(naive.p_of_signed_ranks(differences.tolist()))


def test_what_is_clearly_better_is_told_apart():
    assert paired(-0.1 - 0.01 * np.arange(5)).p_value == pytest.approx(1 / 32)
    problems, trials = posed(12)
    means = guesses(trials, size=0.1)
    better = contend("guess", problems, trials, means=means, levels=LEVELS)
    assert better.p_value < 0.001
    assert better.relative < 0.2
    worse = contend(
        "bad", problems, trials, means=guesses(trials, size=9.0), levels=LEVELS
    )
    assert worse.p_value > 0.99


def test_ties_and_zeros_leave_a_sensible_p_value():
    assert paired([0.0] * 3 + [-0.1] * 9).p_value < 0.05
    assert paired([0.0] * 3 + [0.1] * 9).p_value > 0.9


@pytest.mark.parametrize("count", [6, 15])
def test_no_difference_is_rarely_taken_for_one(count):
    rng = np.random.default_rng(11)
    found = [paired(0.3 * rng.laplace(size=count)).p_value < 0.05 for _ in range(200)]
    assert np.mean(found) < 0.075
    assert np.mean(found) > 0.015


def test_fewer_than_four_series_are_compared_by_windows():
    problems, trials = posed(2, windows=5)
    means = guesses(trials, size=0.1)
    found = contend("guess", problems, trials, means=means, levels=LEVELS)
    assert found.pairs == 10
    assert found.p_value < 0.01
    one = contend("guess", problems[:1], trials[:1], means=means[:1], levels=LEVELS)
    assert one.pairs == 5


def test_series_without_windows_do_not_stand_for_pairs():
    problems, trials = posed(2, windows=5)
    short = [pose(range(8), unique_id=f"short{n}") for n in range(4)]
    empty = [start_trial(problem, cutoffs=()) for problem in short]
    made = [*guesses(trials, size=0.1), *(trial.baseline for trial in empty)]
    found = contend(
        "guess", [*problems, *short], [*trials, *empty], means=made, levels=LEVELS
    )
    assert found.pairs == 10
    assert found.p_value is not None


def test_two_windows_can_prove_nothing():
    problems, trials = posed(1, windows=2)
    means = guesses(trials, size=0.1)
    found = contend("guess", problems, trials, means=means, levels=LEVELS)
    assert (found.p_value, found.pairs) == (None, 2)


def test_without_a_window_there_is_no_contender():
    problem = pose(range(8))
    trial = start_trial(problem, cutoffs=())
    means = [trial.baseline]
    assert contend("none", [problem], [trial], means=means, levels=LEVELS) is None


def test_failures_are_counted():
    problems, trials = posed(3)
    trials[0].failures["guess"] = {0: "tired", 3: "tired"}
    trials[2].failures["guess"] = {1: "tired"}
    means = guesses(trials, size=1.0)
    found = contend("guess", problems, trials, means=means, levels=LEVELS)
    assert found.failed == 3


def test_the_baseline_of_most_series_is_named():
    problems = [pose(range(3)), pose(range(40)), pose(range(40))]
    assert baseline_of(problems) == "seasonal_naive"


def test_windows_are_listed_latest_first_with_everyone_s_error():
    problems, trials = posed(3, windows=3)
    shorter = start_trial(problems[2], cutoffs=trials[2].cutoffs[:1])
    trials = [trials[0], trials[1], shorter]
    good = guesses(trials, size=0.1)
    means = {"good": good, "same": [trial.baseline for trial in trials]}
    table = window_table(problems, trials, means=means)
    assert [row.series for row in table] == [3, 2, 2]
    times = problems[0].series.times
    assert [row.cutoff for row in table] == [times[c] for c in trials[0].cutoffs]
    for number, row in enumerate(table):
        within = [t for t in trials if number < len(t.cutoffs)]
        rows = [
            [(t.actual[number], made[number], t.baseline[number], t.scale[number])]
            for t, made in zip(within, good, strict=False)
        ]
        assert row.relative["good"] == pytest.approx(naive.relative_error(rows))
        assert row.relative["same"] == pytest.approx(1)


def test_a_baseline_that_never_erred_leaves_the_ratio_open():
    problem = pose([1.0, 2.0, 3.0, 4.0] * 12)
    trial = start_trial(problem, cutoffs=plan_cutoffs(problem, windows=4, most=4))
    assert isinstance(trial, Trial)
    means = [trial.actual + 1.0]
    found = contend("off", [problem], [trial], means=means, levels=LEVELS)
    assert found.relative is None
    assert found.evaluation.skill_vs_naive is None
