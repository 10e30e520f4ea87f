import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.calendar import CALENDAR, calendar_columns
from forecasting.features import Pairs, back, feature_rows
from forecasting.layout import LagPlan, attribute_codes, lay_out
from forecasting.models import Case, ModelContext
from tests.forecasting import naive
from tests.forecasting.synthetic import hours

few = settings(max_examples=40, deadline=None)
HORIZON = 9


def case_of(values, *, season=5, longer=None, driver=None):
    points = values.size
    times = hours(points + HORIZON)
    table = np.column_stack((driver, driver)) if driver is not None else None
    future = None
    if table is not None:
        future = table[points:].copy()
        future[:, 1] = np.nan
    return Case(
        values,
        ModelContext(
            horizon=HORIZON,
            season=season,
            long_season=longer,
            times=times[:points],
            future_times=times[points:],
            seed=0,
            names=("known", "past") if table is not None else (),
            covariates=table[:points] if table is not None else np.empty((0, 0)),
            future_covariates=future if table is not None else np.empty((0, 0)),
            attributes=(("region", "north"),),
        ),
    )


def rows_of(cases, pairs):
    layout, tracks = lay_out(cases)
    codes = attribute_codes(cases, layout=layout)
    return feature_rows(tracks, pairs=pairs, layout=layout, codes=codes)


def pairs_at(cutoff, *, series=0):
    steps = np.arange(1, HORIZON + 1)
    return Pairs(np.full(HORIZON, series), np.full(HORIZON, cutoff), steps)


def noise(points, seed=0):
    return np.random.default_rng(seed).normal(size=points)


def slow_features(known, step, plan):
    """The value features of one row from the values known at its cutoff."""
    season = plan.season
    final = len(known) - 1
    errors = [abs(known[i] - known[i - season]) for i in range(season, final + 1)]
    moves = [abs(known[i] - known[i - 1]) for i in range(1, final + 1)]
    unit = max(naive.mean(errors), 0.05 * naive.mean(moves))
    level = naive.mean(known[-season:]) if season >= 7 else known[-1]
    found = [known[final - lag] for lag in range(plan.recent)]
    for width in plan.windows:
        latest = known[-width:]
        found += [naive.mean(latest), min(latest), max(latest)]
    if season > 1:
        phase = final + step
        while phase > final:
            phase -= season
        found += [known[phase - i * season] for i in range(plan.seasons_back)]
        found.append(naive.mean(known[phase - i * season] for i in range(3)))
        after = phase + 1 if phase + 1 <= final else phase + 1 - season
        found += [known[phase - 1], known[after]]
    changes = []
    if season > 1:
        changes = [known[final - i] - known[final - i - season] for i in (0, 1, 3)]
        before = known[-2 * season : -season]
        changes.append(naive.mean(known[-season:]) - naive.mean(before))
    return [(value - level) / unit for value in found] + [c / unit for c in changes]


@few
@given(st.integers(1, 9), st.integers(1, 30))
def test_the_latest_value_of_a_phase_is_that_of_the_seasonal_naive(season, step):
    values = noise(40)
    found = values[30 + back(np.array([step]), season)]
    assert found[0] == naive.seasonal_anchor(values, 30, step, season)


@few
@given(
    st.integers(1, 9),
    st.sampled_from([None, 20, 21]),
    st.integers(0, 79),
    st.booleans(),
)
def test_no_feature_sees_values_beyond_its_cutoff(season, longer, cutoff, positive):
    values = np.exp(noise(80)) if positive else noise(80)
    # Whether a series is taken in logarithms is decided once, by all of its values.
    values[0] = values[0] if positive else -1.0
    changed = values.copy()
    changed[cutoff + 1 :] = 1e3 * np.exp(noise(80, seed=1))[cutoff + 1 :]
    cases = [
        case_of(each, season=season, longer=longer, driver=noise(80 + HORIZON))
        for each in (values, changed)
    ]
    before, after = (rows_of([case], pairs_at(cutoff)) for case in cases)
    if cutoff >= season:
        # The scale of shorter histories is that of the whole panel.
        assert before.matrix.tobytes() == after.matrix.tobytes()
        assert before.scale.tolist() == after.scale.tolist()
    assert before.anchor.tolist() == after.anchor.tolist()


@few
@given(st.integers(5, 60))
def test_past_only_covariates_are_read_up_to_the_cutoff(cutoff):
    driver = noise(80 + HORIZON)
    later = driver.copy()
    later[cutoff + 1 :] += 100
    rows = [
        rows_of([case_of(noise(80), driver=d)], pairs_at(cutoff))
        for d in (driver, later)
    ]
    for index, part in enumerate(rows[0].parts):
        same = np.array_equal(
            rows[0].matrix[:, index], rows[1].matrix[:, index], equal_nan=True
        )
        assert same == (part != "known")


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("season", [1, 4, 7])
def test_value_features_equal_slow_loops(season, positive):
    values = np.exp(noise(60)) if positive else noise(60)
    pairs = pairs_at(50)
    rows = rows_of([case_of(values, season=season)], pairs)
    known = np.log(values) if positive else values
    plan = LagPlan(season=season, long_season=None)
    slow = np.array([slow_features(known[:51], k, plan) for k in pairs.steps])
    kinds = {"recent values", "trend", "range", "season"}
    columns = [i for i, part in enumerate(rows.parts) if part in kinds]
    assert rows.matrix[:, columns] == pytest.approx(slow, rel=1e-4, abs=1e-4)


def test_series_side_by_side_have_the_rows_they_have_alone():
    cases = [case_of(noise(80, seed=s)) for s in range(3)]
    pairs = [pairs_at(60, series=s) for s in range(3)]
    both = Pairs(
        *(
            np.concatenate([getattr(p, n) for p in pairs])
            for n in ("series", "cutoffs", "steps")
        )
    )
    together = rows_of(cases, both)
    alone = [rows_of([case], pairs_at(60)) for case in cases]
    assert together.matrix == pytest.approx(
        np.vstack([r.matrix for r in alone]), nan_ok=True
    )


@pytest.mark.parametrize("change", [lambda x: x - 8, lambda x: 3 * x])
def test_a_shift_or_scale_of_a_signed_series_leaves_the_lags_alone(change):
    values = noise(80)
    plain, changed = (
        rows_of([case_of(v)], pairs_at(70)) for v in (values, change(values))
    )
    columns = [i for i, part in enumerate(plain.parts) if part != "scale"]
    assert plain.matrix[:, columns] == pytest.approx(
        changed.matrix[:, columns], abs=1e-4, nan_ok=True
    )


def test_a_factor_of_a_positive_series_leaves_every_feature_alone():
    values = np.exp(noise(80))
    plain, changed = (
        rows_of([case_of(v)], pairs_at(70)) for v in (values, 1e6 * values)
    )
    assert plain.matrix == pytest.approx(changed.matrix, abs=1e-4, nan_ok=True)


def test_the_calendar_is_that_of_the_target():
    rows = rows_of([case_of(noise(80))], pairs_at(70))
    found = dict(zip(rows.parts, rows.matrix[2], strict=True))
    day, hour = divmod(73, 24)
    assert [found[name] for name in CALENDAR] == [
        hour,
        day,
        24 * day + hour,
        day,
        day,
        0,
    ]


def test_the_calendar_knows_leap_years_and_times_before_the_epoch():
    times = np.array(["1969-12-31T23:30", "2024-12-31"], dtype="datetime64[us]")
    assert calendar_columns(times).tolist() == [
        [23.5, 2, 71.5, 30, 364, 11],
        [0, 1, 24, 30, 365, 11],
    ]
