"""Scenarios change covariates ahead, and nothing that has been."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.covariates import Covariate, Holidays
from forecasting.errors import InvalidSeries
from forecasting.fill import FillRules
from forecasting.forecast import (
    ForecastOptions,
    PanelSeries,
    forecast_by_recipe,
    forecast_panel,
    learned_recipe,
)
from forecasting.scenario import Change, changed_panel
from tests.forecasting.synthetic import days, wave

POINTS, AHEAD = 120, 5
NAN = np.nan
WISH = ForecastOptions(horizon=AHEAD, frequency="D")


def one_series(name="a", *, seed=0, values=None, **given):
    rng = np.random.default_rng(seed)
    warm = rng.normal(10, 3, size=POINTS + AHEAD)
    if values is None:
        values = wave(POINTS, season=7, noise=0.3, seed=seed) + 2 * warm[:POINTS]
    covariate = Covariate(name="warm", times=days(POINTS + AHEAD), values=warm, **given)
    return PanelSeries(name, values, days(POINTS), (covariate,))


def changed(*changes, series=None, **given):
    (found,) = changed_panel([series or one_series()], changes=changes, **given)
    return found.covariates[0].values


@settings(max_examples=60, deadline=None)
@given(
    st.floats(-5, 5),
    st.floats(-5, 5),
    st.none() | st.integers(0, POINTS + AHEAD - 1),
    st.none() | st.integers(1, AHEAD),
)
def test_only_what_lies_ahead_and_in_the_window_changes(multiply, add, start, length):
    times = days(POINTS + AHEAD + 20)
    first = max(POINTS, start or 0)
    end = None if length is None else first + length
    change = Change(
        covariate="warm",
        multiply=multiply,
        add=add,
        start=None if start is None else times[start],
        end=None if end is None else times[end],
    )
    before, after = one_series().covariates[0].values, changed(change)
    hit = np.zeros(before.size, dtype=bool)
    hit[first:end] = True
    assert after[~hit].tobytes() == before[~hit].tobytes()
    assert after[hit].tobytes() == (before[hit] * multiply + add).tobytes()


def test_changes_are_applied_in_their_order():
    add, double = Change(covariate="warm", add=1), Change(covariate="warm", multiply=2)
    before = one_series().covariates[0].values[POINTS:]
    assert changed(add, double)[POINTS:] == pytest.approx(2 * (before + 1))
    assert changed(double, add)[POINTS:] == pytest.approx(2 * before + 1)


def test_the_latest_observation_counts_and_not_the_latest_row():
    values = one_series().values.copy()
    values[-3:] = NAN
    after = changed(Change(covariate="warm", add=1), series=one_series(values=values))
    before = one_series().covariates[0].values
    assert np.flatnonzero(after != before).tolist() == list(range(117, 125))


def test_rows_in_any_order_end_at_the_latest_time():
    plain = one_series()
    turned = replace(plain, values=plain.values[::-1], times=plain.times[::-1])
    after = changed(Change(covariate="warm", add=1), series=turned)
    assert np.flatnonzero(after != plain.covariates[0].values).size == AHEAD


def test_a_change_holds_for_the_steps_that_are_forecast():
    ahead = {"a": days(POINTS + AHEAD)[POINTS + 2 : POINTS + 4]}
    after = changed(Change(covariate="warm", add=1), ahead=ahead)
    before = one_series().covariates[0].values
    assert np.flatnonzero(after != before).tolist() == [122, 123]


def test_other_covariates_and_vintages_stay():
    times = days(POINTS + AHEAD)
    cold = Covariate(
        name="cold", times=times, values=np.zeros(times.size), issued=times - 1
    )
    series = replace(
        one_series(), covariates=(*one_series().covariates, cold, Holidays("DE"))
    )
    (found,) = changed_panel([series], changes=[Change(covariate="cold", add=2)])
    assert found.covariates[0] is series.covariates[0] or (
        found.covariates[0].values.tobytes() == series.covariates[0].values.tobytes()
    )
    assert found.covariates[1].issued.tobytes() == cold.issued.tobytes()
    assert found.covariates[1].values[POINTS:].tolist() == [2.0] * AHEAD
    assert found.covariates[2] == series.covariates[2]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            Change(covariate="price"),
            "a has no covariate 'price' to change; it has warm",
        ),
        (
            Change(covariate="warm", start=days(200)[-1]),
            "the change of 'warm' touches none of its values",
        ),
        (Change(covariate="warm", end=days(POINTS)[-1]), "check its start and end"),
        (Change(covariate="warm", multiply=1e300), "'warm'.*above 1e\\+100"),
    ],
)
def test_a_change_that_cannot_be_made_is_refused(change, words):
    with pytest.raises(InvalidSeries, match=words):
        changed(change)


def test_what_is_known_for_the_past_only_has_no_ahead():
    with pytest.raises(InvalidSeries, match="'warm' is known for the past only"):
        changed(Change(covariate="warm", add=1), series=one_series(future=False))


def test_a_series_without_covariates_says_so():
    bare = replace(one_series(), covariates=())
    with pytest.raises(InvalidSeries, match="it has none"):
        changed_panel([bare], changes=[Change(covariate="warm")])


def what_if(series, options, *changes):
    """The forecast as it is and in scenarios of one change each."""
    base = forecast_panel(series, options=options)
    recipe = learned_recipe(series, found=base, options=options)
    ahead = {one.unique_id: one.times for one in base.series}
    return base, *(
        forecast_by_recipe(
            changed_panel(series, changes=[change], ahead=ahead),
            recipe=recipe,
            options=options,
        )
        for change in changes
    )


@pytest.mark.parametrize("model", ["linear", "lightgbm"])
def test_a_covariate_moves_the_forecast_in_its_direction(model):
    series = [one_series(name, seed=seed) for seed, name in enumerate("abcd")]
    up, down = (Change(covariate="warm", add=4.0 * sign) for sign in (1, -1))
    base, *others = what_if(series, replace(WISH, model=model), up, down)
    for sign, other in zip((1, -1), others, strict=True):
        for one, two in zip(base.series, other.series, strict=True):
            assert sign * (two.mean - one.mean).sum() > AHEAD
            assert (two.quantiles[0.9] >= two.quantiles[0.1]).all()


@pytest.mark.parametrize(
    "options",
    [
        replace(WISH, model=("linear", "lightgbm", "theta"), season=7),
        replace(WISH, model=("linear", "naive"), lower=110.0, upper=118.0),
        replace(WISH, model="theta", rules=FillRules(back="mean", middle="linear")),
        replace(WISH, budget_s=0.05),
    ],
)
def test_no_change_makes_no_difference_to_the_bit(options):
    values = one_series(seed=9).values.copy()
    values[40:49] = NAN
    panel = [
        *(one_series(name, seed=seed) for seed, name in enumerate("ab")),
        one_series("gaps", values=values),
        one_series("flat", values=np.full(POINTS, 7.0)),
    ]
    base, other = what_if(panel, options, Change(covariate="warm"))
    for one, two in zip(base.series, other.series, strict=True):
        assert one.mean.tobytes() == two.mean.tobytes()
        assert one.weights == two.weights
        for level, row in one.quantiles.items():
            assert row.tobytes() == two.quantiles[level].tobytes()
