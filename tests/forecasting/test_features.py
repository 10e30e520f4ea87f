import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.features import LagPlan, anchor, feature_rows
from tests.forecasting import naive
from tests.forecasting.synthetic import hours

few = settings(max_examples=40, deadline=None)


def rows_of(values, plan, cutoff, steps):
    return feature_rows(
        values,
        target_times=hours(values.size + 99)[cutoff + steps],
        cutoffs=np.full(steps.size, cutoff),
        steps=steps,
        plan=plan,
    )


@few
@given(st.integers(1, 9), st.integers(1, 30))
def test_the_anchor_is_the_seasonal_naive(season, step):
    values = np.random.default_rng(0).normal(size=40)
    found = anchor(
        values, cutoffs=np.array([30]), steps=np.array([step]), season=season
    )
    assert found[0] == naive.seasonal_anchor(values, 30, step, season)


@few
@given(st.integers(1, 9), st.sampled_from([None, 20, 21]), st.integers(1, 30))
def test_no_feature_sees_beyond_its_cutoff(season, longer, horizon):
    plan = LagPlan(season=season, long_season=longer)
    steps = np.arange(1, horizon + 1)
    values = np.random.default_rng(1).normal(size=plan.reach + horizon)
    changed = values.copy()
    changed[plan.reach :] = 1e6
    before, after = (rows_of(v, plan, plan.reach - 1, steps) for v in (values, changed))
    assert np.isfinite(before).all()
    assert (before == after).all()


@pytest.mark.parametrize("longer", [None, 30])
def test_a_shift_of_the_series_leaves_the_features_alone(longer):
    plan = LagPlan(season=5, long_season=longer)
    values = np.random.default_rng(2).normal(size=80)
    steps = np.arange(1, 7)
    plain, shifted = (rows_of(v, plan, 70, steps) for v in (values, values + 8))
    assert plain == pytest.approx(shifted, abs=1e-9)


def test_the_calendar_is_that_of_the_target():
    values = np.zeros(80)
    row = rows_of(values, LagPlan(season=5, long_season=None), 70, np.array([3]))[0]
    assert row[:4].tolist() == [3, 73 % 24, 73 // 24, 0]
