import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.models import Case, ModelContext
from forecasting.sequences import (
    TOKENS,
    can_be_forecast,
    cutoffs_to_learn_from,
    join_rows,
    plan_windows,
    window_rows,
)
from tests.forecasting import naive
from tests.forecasting.synthetic import hours

few = settings(max_examples=40, deadline=None)
seasons = st.integers(1, 40)
horizons = st.integers(1, 50)


def case_of(values, *, season=7, horizon=10, longer=None, **columns):
    """A case; a column is its past and, where it is known, its future."""
    count = len(values)
    times = hours(count + horizon)
    table = np.full((count + horizon, len(columns)), np.nan)
    for place, column in enumerate(columns.values()):
        table[: len(column), place] = column
    context = ModelContext(
        horizon=horizon,
        season=season,
        long_season=longer,
        times=times[:count],
        future_times=times[count:],
        seed=3,
        names=tuple(columns),
        covariates=table[:count],
        future_covariates=table[count:],
    )
    return Case(np.asarray(values, dtype=float), context)


def noise(count, seed=0):
    return np.random.default_rng(seed).normal(size=count)


def spare(plan):
    return plan.reach + plan.horizon + 5


def rows_at(case, plan, *cutoffs):
    return window_rows(case, cutoffs=np.array(cutoffs), plan=plan)


@few
@given(seasons, horizons)
def test_the_base_is_the_seasonal_naive_and_the_scale_its_error(season, horizon):
    plan = plan_windows([case_of(noise(9), season=season, horizon=horizon)])
    case = case_of(noise(spare(plan)), season=season, horizon=horizon)
    cutoff = plan.reach + 2
    rows = rows_at(case, plan, cutoff)
    assert rows.naive[0].tolist() == [
        naive.seasonal_anchor(case.history, cutoff, step, season)
        for step in range(1, horizon + 1)
    ]
    window = case.history[cutoff + 1 - plan.length - season : cutoff + 1]
    assert rows.scale[0] == pytest.approx(naive.seasonal_error(window, season, 1))


@few
@given(seasons, horizons, st.sampled_from([None, 50]))
def test_no_window_sees_values_beyond_its_cutoff(season, horizon, longer):
    wish = {"season": season, "horizon": horizon, "longer": longer}
    plan = plan_windows([case_of(noise(200), **wish)])
    values = noise(spare(plan))
    changed = values.copy()
    changed[plan.reach :] = 1e6
    before, after = (
        rows_at(case_of(v, **wish), plan, plan.reach - 1) for v in (values, changed)
    )
    assert np.isfinite(before.tokens).all()
    assert np.isfinite(before.ahead).all()
    for part in ("tokens", "ahead", "naive", "scale"):
        assert (getattr(before, part) == getattr(after, part)).all()


@few
@given(seasons, st.floats(0.1, 50), st.floats(-100, 100))
def test_level_and_unit_of_the_series_leave_the_inputs_alone(season, unit, level):
    plan = plan_windows([case_of(noise(200), season=season, longer=50)])
    values = noise(spare(plan))
    plain, moved = (
        rows_at(case_of(v, season=season, longer=50), plan, plan.reach + 1)
        for v in (values, unit * values + level)
    )
    assert plain.tokens == pytest.approx(moved.tokens, abs=1e-3)
    assert plain.ahead == pytest.approx(moved.ahead, abs=1e-3)
    assert unit * plain.scale == pytest.approx(moved.scale)


@pytest.mark.parametrize(
    ("season", "longer", "points", "length"),
    [
        (1, None, 100, 24),
        (7, None, 100, 24),
        (12, None, 100, 48),
        (24, None, 700, 72),
        (24, 168, 700, 336),
        (24, 168, 500, 72),
        (52, None, 500, 168),
        (365, None, 2000, 336),
    ],
)
def test_a_window_holds_some_seasons_within_bounds(season, longer, points, length):
    case = case_of(noise(points), season=season, longer=longer)
    plan = plan_windows([case])
    assert plan.length == length
    assert plan.long_season == (longer if points >= 504 else None)


def test_tokens_are_consecutive_steps_of_the_seasonal_errors():
    plan = plan_windows([case_of(noise(300), season=24)])
    case = case_of(noise(300), season=24)
    rows = rows_at(case, plan, 250)
    errors = case.history[24:] - case.history[:-24]
    told = rows.tokens[0, :, : plan.patch].ravel() * rows.scale[0]
    assert rows.tokens.shape == (1, TOKENS, 2 * plan.patch)
    assert told == pytest.approx(errors[251 - 24 - plan.length : 251 - 24], rel=1e-5)


def test_the_calendar_is_that_of_the_target():
    plan = plan_windows([case_of(noise(300), horizon=30)])
    case = case_of(noise(300), horizon=30)
    # The series starts on a Monday at midnight: hour 120 begins Saturday.
    rows = rows_at(case, plan, 118)
    assert rows.ahead[0, :4, 12].tolist() == [0, 1, 1, 1]
    assert rows.ahead[0, 1, 6:8] == pytest.approx([0, 1], abs=1e-6)


def test_steps_beyond_the_horizon_repeat_the_last_one():
    case = case_of(noise(100), horizon=10)
    rows = rows_at(case, plan_windows([case]), 99)
    assert rows.naive.shape == (1, 10)
    assert rows.ahead.shape[:2] == (1, 24)
    assert (rows.ahead[0, 10:] == rows.ahead[0, 9]).all()


def test_a_flat_history_has_no_scale_and_finite_inputs():
    case = case_of(np.full(100, 0.1) + 0.2)
    rows = rows_at(case, plan_windows([case]), 99)
    assert rows.scale.tolist() == [0]
    assert np.isfinite(rows.tokens).all()
    assert np.isfinite(rows.ahead).all()


def test_known_covariates_are_read_ahead_and_others_only_behind():
    known = np.zeros(110)
    known[105] = 1
    case = case_of(noise(100), known=known, past=noise(100))
    plan = plan_windows([case])
    assert (plan.past, plan.ahead) == (("known", "past"), ("known",))
    rows = rows_at(case, plan, 99)
    assert rows.tokens.shape[2] == 4 * plan.patch
    assert rows.ahead[0, :10, 13].tolist() == [0, 0, 0, 0, 0, 1, 0, 0, 0, 0]
    learned = rows_at(case, plan, 70)
    assert np.isfinite(learned.ahead).all()


def test_a_covariate_that_one_case_lacks_is_left_out():
    cases = [case_of(noise(100), a=noise(110), b=noise(110))]
    cases += [case_of(noise(100), b=noise(110))]
    assert plan_windows(cases).past == ("b",)


def test_a_case_without_history_or_covariates_cannot_be_forecast():
    plan = plan_windows([case_of(noise(100), known=noise(110))])
    enough = case_of(noise(plan.reach), known=noise(plan.reach + 10))
    assert can_be_forecast(enough, plan)
    assert not can_be_forecast(case_of(noise(30), known=noise(40)), plan)
    assert not can_be_forecast(case_of(noise(100), known=noise(100)), plan)
    assert not can_be_forecast(case_of(noise(100), other=noise(110)), plan)
    longer = case_of(noise(100), horizon=11, known=noise(111))
    assert not can_be_forecast(longer, plan)


@few
@given(st.integers(1, 400), horizons)
def test_training_ends_before_what_it_is_judged_by(points, horizon):
    case = case_of(noise(points), horizon=horizon)
    plan = plan_windows([case])
    known, held = cutoffs_to_learn_from(case, plan)
    windows = max(points - horizon - plan.reach + 1, 0)
    assert held.size == -(-windows // 10)
    assert known.size + held.size <= windows
    if windows > 1:
        assert known[0] == plan.reach - 1
        assert known.size * 2 >= windows - 1
        assert known[-1] < held[0]
        assert held[-1] + horizon == points - 1
    if windows > 3 * horizon + 3:
        assert known[-1] + horizon <= held[0]


def test_rows_are_joined_and_chosen_by_row():
    case = case_of(noise(100))
    plan = plan_windows([case])
    joined = join_rows([rows_at(case, plan, 60), rows_at(case, plan, 70, 80)])
    assert (joined.at([2]).tokens == rows_at(case, plan, 80).tokens).all()
    assert joined.scale.shape == (3,)
