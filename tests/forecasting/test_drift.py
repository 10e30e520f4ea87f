"""Drift: verdicts about errors, and about inputs with a season and with memory."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.signal import lfilter

from forecasting.drift import (
    Errors,
    Rules,
    Window,
    doubtful,
    holm,
    input_change,
    judge_errors,
    judge_p_values,
    on_steps,
)
from tests.forecasting import naive

RULES = Rules()
HOURLY = (24, 168)


def errors(mae, baseline=1.0, **changes) -> Errors:
    many = np.atleast_1d(np.asarray(mae, float))
    given = {"size": 100.0, "forecasts": 28, "points": 672, **changes}
    columns = {name: np.full(many.shape, value) for name, value in given.items()}
    return Errors(mae=many, baseline=np.full(many.shape, baseline), **columns)


def verdicts(*args, **changes) -> list[str]:
    return judge_errors(errors(*args, **changes), rules=RULES).tolist()


@pytest.mark.parametrize(
    ("mae", "verdict"),
    [
        (0.0, "calm"),
        (1.0, "calm"),
        (1.1, "calm"),
        (1.11, "uncertain"),
        (1.2, "uncertain"),
        (1.21, "drifted"),
        (np.inf, "not_enough"),
        (np.nan, "not_enough"),
    ],
)
def test_an_error_drifts_beyond_a_fifth_and_calms_below_a_tenth(mae, verdict):
    assert verdicts(mae) == [verdict]


@pytest.mark.parametrize(
    "changes",
    [{"forecasts": 2}, {"points": 23}, {"baseline": np.nan}],
)
def test_without_enough_there_is_no_verdict(changes):
    assert verdicts(9.0, **changes) == ["not_enough"]
    assert verdicts(9.0) == ["drifted"]


def test_the_rounding_of_sums_is_no_drift_where_the_baseline_was_perfect():
    assert verdicts([0.0, 1e-12, 0.1], baseline=0.0) == ["calm", "calm", "drifted"]


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=12),
    st.integers(0, 20),
)
@settings(deadline=None, max_examples=60)
def test_adjusted_p_values_are_those_of_a_slow_reference(found, unseen):
    tests = len(found) + unseen
    adjusted = holm(np.array(found), tests=tests)
    assert adjusted == pytest.approx(naive.holm(found, tests))


def test_no_tests_have_no_verdicts():
    assert judge_p_values(np.empty(0), tests=0, rules=RULES).tolist() == []


def test_one_p_value_among_many_has_to_be_smaller():
    found = np.array([0.01])
    assert judge_p_values(found, tests=4, rules=RULES).tolist() == ["drifted"]
    assert judge_p_values(found, tests=5, rules=RULES).tolist() == ["uncertain"]


def test_what_is_not_doubtful_is_calm_whatever_else_was_tested():
    for p_value in (0.21, 0.5, 1.0):
        assert not doubtful(p_value, rules=RULES)
        verdict = judge_p_values(np.array([p_value]), tests=1, rules=RULES)
        assert verdict.tolist() == ["calm"]
    assert doubtful(0.2, rules=RULES)


def memory(rng, count: int, share: float) -> np.ndarray:
    """An autoregressive series of order one with a standard deviation of one."""
    shocks = rng.normal(size=count + 500)
    return lfilter([1], [1, -share], shocks)[500:] * np.sqrt(1 - share**2)


def windows(values: np.ndarray, split: int | None = None) -> tuple[Window, Window]:
    at, steps = split or len(values) // 2, np.arange(len(values))
    return Window(steps[:at], values[:at]), Window(steps[at:], values[at:])


def change(values, seasons=(1,), split=None):
    before, after = windows(np.asarray(values, float), split)
    return input_change(before, recent=after, seasons=seasons, rules=RULES)


def found_share(share: float, *, shift: float, days=28, step=24, runs=300) -> float:
    """How often a change is found in seasonal series with memory."""
    rng = np.random.default_rng(int(share * 100) + days)
    cycle = 3 * np.sin(np.arange(2 * days * step) * 2 * np.pi / max(step, 7))
    found = 0
    for _ in range(runs):
        values = memory(rng, cycle.size, share) + cycle
        values[cycle.size // 2 :] += shift
        one = change(values, (24, 168) if step == 24 else (7,))
        found += one is not None and one.p_value < RULES.alpha
    return found / runs


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9, 0.98])
def test_a_stationary_season_with_memory_rarely_alarms(share):
    assert found_share(share, shift=0.0) <= 0.07


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("days", [28, 90])
def test_a_stationary_daily_series_rarely_alarms(share, days):
    assert found_share(share, shift=0.0, days=days, step=1) <= 0.07


def test_plain_kolmogorov_smirnov_would_alarm_all_the_time():
    rng = np.random.default_rng(9)
    alarms = 0
    for _ in range(100):
        before, after = windows(memory(rng, 1_344, 0.9))
        alarms += stats.ks_2samp(before.values, after.values).pvalue < RULES.alpha
    assert alarms > 50


@pytest.mark.parametrize(
    ("share", "power"), [(0.0, 1.0), (0.5, 1.0), (0.7, 0.99), (0.9, 0.75)]
)
def test_a_shift_of_one_standard_deviation_is_found(share, power):
    assert found_share(share, shift=1.0, runs=80) >= power


def test_a_random_walk_is_too_much_alike_to_be_judged():
    rng = np.random.default_rng(2)
    walks = [change(np.cumsum(rng.normal(size=1_344)), HOURLY) for _ in range(50)]
    alarms = sum(one is not None and one.p_value < RULES.alpha for one in walks)
    assert alarms <= 3


def test_a_wider_spread_is_found_though_the_mean_stays():
    rng = np.random.default_rng(3)
    values = rng.normal(size=1_344)
    values[672:] *= 2
    found = change(values, HOURLY)
    assert found.p_value < 1e-6
    assert abs(found.shift) < 0.2


def test_the_season_that_is_taken_off_is_held_six_times():
    rng = np.random.default_rng(4)
    for count, season in ((1_344, 168), (1_000, 24), (143, 1)):
        assert change(rng.normal(size=count), HOURLY).season == season


def test_a_change_is_the_same_in_any_unit():
    rng = np.random.default_rng(5)
    values = memory(rng, 1_344, 0.5) + 0.1 * (np.arange(1_344) % 24)
    plain, scaled = change(values, HOURLY), change(values * 1_000 + 7, HOURLY)
    assert scaled.p_value == pytest.approx(plain.p_value)
    assert scaled.shift == pytest.approx(1_000 * plain.shift)


def test_the_statistic_is_the_largest_distance_of_the_two_samples():
    rng = np.random.default_rng(6)
    values = rng.normal(size=120)
    found = change(values, split=70)
    assert found.statistic == pytest.approx(naive.ks(values[:70], values[70:]))
    assert found.season == 1


def test_without_memory_the_p_value_is_near_that_of_scipy():
    rng = np.random.default_rng(7)
    values = rng.normal(size=4_000)
    values[2_000:] += 0.05
    theirs = stats.ks_2samp(values[:2_000], values[2_000:]).pvalue
    assert change(values).p_value == pytest.approx(theirs, abs=0.15)


def test_gaps_leave_the_season_where_it_is():
    rng = np.random.default_rng(8)
    cycle = 30 * np.sin(np.arange(1_344) * np.pi / 12)
    values, kept = cycle + rng.normal(size=1_344), rng.random(1_344) > 0.3
    steps = np.flatnonzero(kept)
    before, after = (
        Window(steps[part], values[kept][part]) for part in (steps < 672, steps >= 672)
    )
    found = input_change(before, recent=after, seasons=(24,), rules=RULES)
    assert found.p_value > 0.01
    assert found.statistic < 0.15


def test_a_constant_series_has_not_changed_until_it_does():
    assert change(np.full(1_344, 5.0), HOURLY).p_value == pytest.approx(1.0)
    stepped = np.repeat([5.0, 6.0], 672)
    found = change(stepped, HOURLY)
    assert (found.statistic, found.shift) == (1.0, pytest.approx(1.0))
    assert found.p_value < 1e-12


def test_a_cycle_that_only_repeats_has_not_changed():
    cycle = np.sin(np.arange(1_344) * np.pi / 12) * 0.1 + 1e6
    assert change(cycle, HOURLY).p_value == pytest.approx(1.0)


def test_too_few_values_are_not_compared():
    values = np.random.default_rng(1).normal(size=100)
    assert change(values, split=23) is None
    assert change(values, split=77) is None
    assert change(values, split=24) is not None


def test_a_step_in_the_middle_of_a_window_waits_for_more():
    values = np.random.default_rng(1).normal(size=1_344)
    values[672 + 336 :] += 8
    assert change(values, HOURLY) is None


def times(*texts: str) -> np.ndarray:
    return np.array(texts, "M8[us]")


def test_times_become_steps_of_the_frequency_or_of_the_most_common_gap():
    hours = np.datetime64("2026-01-01", "us") + np.array([0, 1, 2, 5]) * np.timedelta64(
        1, "h"
    )
    for frequency in ("1h", "PT1H", None, "nonsense"):
        steps, seasons = on_steps(hours, frequency=frequency)
        assert steps.tolist() == [0, 1, 2, 5]
        assert seasons == HOURLY


def test_steps_of_the_calendar_are_counted():
    months = times("2026-01-01", "2026-02-01", "2026-03-01")
    steps, seasons = on_steps(months, frequency="MS")
    assert (steps.tolist(), seasons) == ([0, 1, 2], (12,))


def test_a_single_time_has_no_season():
    steps, seasons = on_steps(times("2026-01-01"), frequency=None)
    assert (steps.tolist(), seasons) == ([0], (1,))
