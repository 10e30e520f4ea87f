"""A trained version is held against windows that came later."""

from dataclasses import replace

import numpy as np
import pytest

from forecasting.covariates import Covariate
from forecasting.errors import InvalidSeries
from forecasting.forecast import (
    ForecastOptions,
    PanelSeries,
    forecast_by_recipe,
    forecast_panel,
    learned_recipe,
)
from forecasting.judgement import ground, judge, span_of
from tests.forecasting import naive
from tests.forecasting.synthetic import days, hours, wave

NAN = np.nan
OPTIONS = ForecastOptions(
    horizon=4, frequency="D", model=("linear", "theta"), windows=3
)
LATER = 12


def whole(count=3, *, points=100, **given):
    return [
        PanelSeries(f"s{n}", wave(points, season=7, noise=1.0, seed=n), days(points))
        for n in range(count)
    ]


def until(series, count):
    return [replace(o, values=o.values[:count], times=o.times[:count]) for o in series]


def trained(series, options=OPTIONS):
    found = forecast_panel(series, options=options)
    return learned_recipe(series, found=found, options=options)


def test_a_version_is_judged_as_by_forecasting_each_window_by_hand():
    series = whole()
    series[1].values[[90, 97]] = NAN
    recipe = trained(until(series, 100 - LATER))
    found = judge(series, recipe=recipe, options=OPTIONS)
    actual, mean, scaled = [], [], []
    for one in series:
        errors = []
        for back in (4, 8, 12):
            cut = 100 - back
            (made,) = forecast_by_recipe(
                until([one], cut), recipe=recipe, options=OPTIONS
            ).series
            truth = one.values[cut : cut + 4].tolist()
            actual += truth
            mean += made.mean.tolist()
            errors.append(
                naive.mase(truth, made.mean.tolist(), one.values[:cut].tolist(), 7)
            )
        scaled.append(naive.mean(errors))
    assert found["mae"] == pytest.approx(naive.mae(actual, mean))
    assert found["rmse"] == pytest.approx(naive.rmse(actual, mean))
    assert found["smape"] == pytest.approx(naive.smape(actual, mean))
    assert found["mase"] == pytest.approx(naive.mean(scaled))
    assert (found["windows"], found["points"]) == (9, 34)
    assert 0 < found["coverage"] <= 1


def test_what_comes_after_a_window_has_no_part_in_its_forecast():
    series = whole()
    recipe = trained(until(series, 88))
    one = judge(series, recipe=recipe, options=replace(OPTIONS, windows=1))
    assert one["windows"] == 3
    # Judged at the same window of a panel that ends there.
    longer = whole(points=100)
    for each in longer:
        each.values[96:] = NAN
    assert judge(until(longer, 96), recipe=recipe, options=OPTIONS)["windows"] == 9


def test_a_panel_that_never_moved_until_the_window_is_forecast_flat():
    series = whole(2)
    steady = np.full(100, 5.0)
    steady[-1] = 6.0
    series.append(PanelSeries("steady", steady, days(100)))
    recipe = trained(until(whole(2), 88))
    found = judge(series[2:], recipe=recipe, options=replace(OPTIONS, windows=1))
    assert found["mae"] == pytest.approx(0.25)


def test_the_season_of_who_asks_scales_the_errors():
    series = whole()
    seasonal = trained(until(series, 88), replace(OPTIONS, model="naive"))
    without = trained(until(series, 88), replace(OPTIONS, model="naive", season=1))
    wish = replace(OPTIONS, season=7)
    one, two = (judge(series, recipe=r, options=wish) for r in (seasonal, without))
    for name in ("mase", "mae", "skill_vs_naive"):
        assert one[name] == pytest.approx(two[name])


@pytest.mark.parametrize("change", [{"horizon": 5}, {"frequency": "2D"}])
def test_other_steps_cannot_be_judged(change):
    recipe = trained(until(whole(), 88), replace(OPTIONS, model="naive"))
    with pytest.raises(InvalidSeries, match="the version forecasts 4 steps of 'D'"):
        judge(whole(), recipe=recipe, options=replace(OPTIONS, **change))


def test_the_same_steps_written_otherwise_can():
    series = [PanelSeries("a", wave(120, season=24), hours(120))]
    hourly = ForecastOptions(horizon=4, frequency="1h", model="naive")
    recipe = trained(until(series, 108), hourly)
    found = judge(series, recipe=recipe, options=replace(hourly, frequency="3600s"))
    assert found["windows"] == 3


def test_the_ground_begins_with_the_first_step_of_the_earliest_window():
    found = ground(whole(), options=OPTIONS)
    assert found.first == days(100)[100 - 12]
    assert found.windows == 9


def test_equal_grounds_have_equal_digests_wherever_the_history_begins():
    series = whole()
    shorter = [
        replace(one, values=one.values[20:], times=one.times[20:]) for one in series
    ]
    assert ground(series, options=OPTIONS) == ground(shorter, options=OPTIONS)
    for changes in ({"windows": 2}, {"horizon": 3}):
        other = ground(series, options=replace(OPTIONS, **changes))
        assert other.digest != ground(series, options=OPTIONS).digest
    revised = whole()
    revised[0].values[-1] += 1
    assert (
        ground(revised, options=OPTIONS).digest
        != ground(series, options=OPTIONS).digest
    )


def test_without_a_window_there_is_no_ground():
    short = [PanelSeries("a", np.arange(5.0), days(5))]
    assert ground(short, options=OPTIONS) is None
    assert judge(short, recipe=trained(whole()), options=OPTIONS)["mae"] is None


def test_windows_before_a_covariate_was_known_are_no_ground():
    series = whole(1)
    times = days(104)
    issued = np.where(np.arange(104) < 95, times, days(104)[94])
    known = Covariate(name="warm", times=times, values=np.ones(104), issued=issued)
    series = [replace(series[0], covariates=(known,))]
    found = ground(series, options=OPTIONS)
    assert (found.windows, found.first) == (1, days(100)[96])
    recipe = trained(series, replace(OPTIONS, model="naive"))
    assert judge(series, recipe=recipe, options=OPTIONS)["windows"] == 1


def with_a_covariate(one, name="warm"):
    values = np.random.default_rng(5).normal(size=110)
    known = Covariate(name=name, times=days(110), values=values)
    return replace(one, covariates=(*one.covariates, known))


def test_a_version_is_not_judged_without_what_it_learned_from():
    series = [with_a_covariate(one) for one in whole()]
    recipe = trained(until(series, 88), replace(OPTIONS, model="linear"))
    for panel in (whole(), [with_a_covariate(one, "cold") for one in whole()]):
        with pytest.raises(InvalidSeries, match="learned from the covariates warm"):
            judge(panel, recipe=recipe, options=OPTIONS)


def test_a_version_does_not_look_at_what_it_never_learned_from():
    series = whole()
    recipe = trained(until(series, 88), replace(OPTIONS, model="linear"))
    more = [with_a_covariate(one) for one in series]
    one, two = (judge(p, recipe=recipe, options=OPTIONS) for p in (series, more))
    assert one == two


def test_the_span_is_that_of_observed_values_in_any_order():
    values = np.array([NAN, 1.0, 2.0, NAN])
    one = PanelSeries("a", values, days(4))
    two = PanelSeries("b", np.arange(3.0), days(9)[[8, 3, 5]])
    empty = PanelSeries("c", np.full(2, NAN), days(20)[-2:])
    assert span_of([one, two, empty]) == (days(9)[1], days(9)[8])
