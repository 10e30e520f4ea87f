import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.errors import InvalidSeries
from forecasting.fill import FillRules
from forecasting.frequency import grid_between, parse_frequency, times_after
from forecasting.grid import regularise
from forecasting.open_days import open_days
from forecasting.zones import utc_times
from tests.forecasting.synthetic import START, days, hours, months

NAN = np.nan


def on_grid(values, *, times=None, text="h", season=1, **more):
    values = np.array(values, dtype=float)
    times = hours(values.size) if times is None else times
    frequency = parse_frequency(text) if isinstance(text, str) else text
    return regularise(values, times=times, frequency=frequency, season=season, **more)


def test_a_whole_series_is_left_as_it_is():
    series = on_grid([1, 2, 3])
    assert series.values.tolist() == [1, 2, 3]
    assert series.observed.all()
    assert series.warnings == ()


def test_missing_ends_are_cut_off():
    series = on_grid([NAN, 1, 2, NAN, NAN])
    assert series.times.tolist() == hours(5)[1:3].tolist()
    assert series.warnings == ()


def test_a_short_gap_is_a_straight_line():
    series = on_grid([1, NAN, NAN, 4], season=2)
    assert series.values.tolist() == [1, 2, 3, 4]
    assert np.isnan(series.known[1:3]).all()
    assert "2 of 4 steps" in series.warnings[0]


def test_a_long_gap_takes_the_median_of_its_phase():
    values = np.tile([0.0, 5.0, 1.0, 9.0], 6)
    values[8:12] = NAN
    series = on_grid(values, season=4)
    assert series.values[8:12].tolist() == [0, 5, 1, 9]
    assert "0 by a straight line, 4 by nearby seasons" in series.warnings[0]


def test_a_long_gap_without_a_phase_is_a_straight_line():
    series = on_grid([0, NAN, NAN, NAN, 4], season=4)
    assert series.values.tolist() == [0, 1, 2, 3, 4]
    assert "filled, not observed" in series.warnings[1]


def test_absent_times_are_gaps():
    times = hours(5)[[0, 1, 4]]
    series = on_grid([1, 2, 5], times=times)
    assert series.values.tolist() == [1, 2, 3, 4, 5]


def test_calendar_grids_are_filled_too():
    times = months(6)[[0, 1, 3, 4, 5]]
    series = on_grid([1, 2, 4, 5, 6], times=times, text="MS")
    assert series.values.tolist() == [1, 2, 3, 4, 5, 6]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-1e3, 1e3) | st.just(NAN), min_size=1, max_size=40),
    st.integers(1, 6),
)
def test_observed_values_survive_and_filled_ones_stay_between(values, season):
    values = np.array([0.5, *values, 0.5])
    series = on_grid(values, season=season)
    known = ~np.isnan(values)
    assert (series.observed == known).all()
    assert (series.values[known] == values[known]).all()
    assert series.values.min() >= np.nanmin(values) - 1e-9
    assert series.values.max() <= np.nanmax(values) + 1e-9


@pytest.mark.parametrize(
    ("values", "times", "text", "message"),
    [
        ([], hours(0), "h", "at least one observation"),
        ([NAN, NAN], hours(2), "h", "at least one observation"),
        ([1, np.inf], hours(2), "h", "2024-01-01T01:00:00.* is not finite"),
        ([1, -1e101], hours(2), "h", "larger unit"),
        ([1, 2], hours(3), "h", "one time per value"),
        ([1, 2], hours(2)[::-1], "h", "sort the times"),
        ([1, 2], hours(2)[[0, 0]], "h", "2024-01-01T00:00:00.* does not come after"),
        ([1, 2], np.array([START, "NaT"], "M8[us]"), "h", "time number 1"),
        ([1, 2], hours(2), "D", "T01:00:00.* is not on the 'D' grid"),
        ([1, 2, 3], days(3), "MS", "2024-01-02T00:00:00.* is not on the 'MS' grid"),
        ([1, 2], days(60)[[0, 59]], "s", "check the frequency"),
    ],
)
def test_what_cannot_be_forecast_is_refused_with_advice(values, times, text, message):
    with pytest.raises(InvalidSeries, match=message):
        on_grid(values, times=times, text=text)


def test_the_callers_array_is_not_changed():
    values = np.array([1.0, NAN, 3.0])
    on_grid(values)
    assert np.isnan(values[1])


def test_the_front_and_the_back_reach_to_the_ends_of_the_panel():
    ends = (hours(10)[0], hours(10)[9])
    rules = FillRules(front="zero", back=5)
    series = on_grid([1, 2], times=hours(10)[3:5], rules=rules, span=ends)
    assert series.times.tolist() == hours(10).tolist()
    assert series.values.tolist() == [0, 0, 0, 1, 2, 5, 5, 5, 5, 5]
    assert series.observed.all()
    alone = on_grid([1, 2], times=hours(10)[3:5], span=ends)
    assert alone.times.tolist() == hours(10)[3:5].tolist()


def test_one_end_may_be_filled_and_the_other_left_out():
    ends = (hours(10)[0], hours(10)[9])
    front = FillRules(front="linear")
    series = on_grid([1, 2], times=hours(10)[3:5], rules=front, span=ends)
    assert series.values.tolist() == [1, 1, 1, 1, 2]
    assert series.observed.tolist() == [False] * 3 + [True] * 2
    series = on_grid([1, 2], times=hours(10)[3:5], rules=front, span=(None, ends[1]))
    assert series.values.tolist() == [1, 2]


def test_the_front_keeps_the_phase_of_the_observations():
    times = np.array(["2024-01-01T06", "2024-01-02T06"], "M8[us]") + np.timedelta64(3)
    span = (np.datetime64("2023-12-30"), np.datetime64("2024-01-03T12"))
    rules = FillRules(front="min", back="max")
    series = on_grid([1, 2], times=times, text="D", rules=rules, span=span)
    assert series.values.tolist() == [1, 1, 1, 2, 2]
    assert (np.diff(series.times) == np.timedelta64(1, "D")).all()
    assert (times == series.times[2:4]).all()


@pytest.mark.parametrize("text", ["2MS", "QS", "W-MON", "B", "ME"])
def test_calendar_grids_reach_to_the_front_in_their_own_phase(text):
    frequency = parse_frequency(text)
    ends = {"first": np.datetime64("2019-01-01"), "final": np.datetime64("2024-01-01")}
    grid = grid_between(frequency, **ends)
    rules, span = FillRules(front="zero"), (grid[2], None)
    values = np.ones(grid.size - 7)
    series = on_grid(values, times=grid[7:], text=text, rules=rules, span=span)
    assert series.times.tolist() == grid[2:].tolist()
    assert series.values[:6].tolist() == [0, 0, 0, 0, 0, 1]


def test_a_panel_much_longer_than_the_series_is_refused():
    rules, span = FillRules(front="zero"), (np.datetime64("1950-01-01"), None)
    with pytest.raises(InvalidSeries, match="check the frequency"):
        on_grid([1, 2], text="min", times=hours(2), rules=rules, span=span)


@pytest.mark.parametrize("rule", ["first", "last", "mean", "sum"])
def test_duplicates_and_disorder_follow_the_rule_and_are_reported(rule):
    times = hours(4)[[2, 0, 0, 3]]
    series = on_grid([5, 1, 3, 7], times=times, rules=FillRules(duplicates=rule))
    start = {"first": 1, "last": 3, "mean": 2, "sum": 4}[rule]
    assert series.values.tolist() == [start, (start + 5) / 2, 5, 7]
    assert "sorted" in series.warnings[0]
    assert f"in 2 rows; the {rule} of each" in series.warnings[1]


def test_both_changes_of_the_clocks_leave_hours_on_the_grid():
    local = np.arange("2024-03-25", "2024-11-05", dtype="M8[h]").astype("M8[us]")
    missing = local == np.datetime64("2024-03-31T02")
    utc = utc_times(local[~missing], timezone="Europe/Berlin")
    repeated = np.array(["2024-10-27T01"], "M8[us]")
    times = np.sort(np.concatenate((utc, repeated)))
    series = on_grid(np.arange(times.size) % 24.0, times=times, season=24)
    assert series.observed.all()
    assert series.warnings == ()


def test_local_days_are_days_of_23_and_25_hours_in_their_zone():
    days = np.arange("2024-03-25", "2024-11-05", dtype="M8[D]").astype("M8[us]")
    times = utc_times(days, timezone="Europe/Berlin")
    with pytest.raises(InvalidSeries, match="is not on the 'D' grid"):
        on_grid(np.ones(days.size), times=times, text="D", season=7)
    there = np.arange(days.size) != 7
    series = on_grid(
        np.ones(days.size)[there],
        times=times[there],
        text=parse_frequency("D", timezone="Europe/Berlin"),
        season=7,
    )
    assert series.times.tolist() == times.tolist()
    assert np.flatnonzero(~series.observed).tolist() == [7]


TRADING = parse_frequency("B", calendar="XNYS")


def test_closed_days_are_no_gaps_and_missing_open_days_are():
    days = np.array(["2024-07-02", "2024-07-05", "2024-07-08"], "M8[us]")
    series = on_grid([1, 3, 4], times=days, text=TRADING, season=5)
    shown = series.times.astype("M8[D]").astype(str).tolist()
    assert shown == ["2024-07-02", "2024-07-03", "2024-07-05", "2024-07-08"]
    assert series.values.tolist() == [1, 2, 3, 4]


def test_a_few_observations_on_closed_days_count_as_open_and_are_reported():
    days = open_days(
        "XNYS", first=np.datetime64("2024-01-01"), final=np.datetime64("2024-08-01")
    )
    held = np.union1d(days, np.datetime64("2024-07-04")).astype("M8[us]")
    series = on_grid(np.arange(held.size), times=held, text=TRADING, season=5)
    assert series.times.tolist() == held.tolist()
    assert series.observed.all()
    assert "1 of 148 observations, the first at 2024-07-04" in series.warnings[0]


def test_a_calendar_that_does_not_fit_is_refused():
    with pytest.raises(InvalidSeries, match="name the calendar the series really has"):
        on_grid(np.arange(60), times=days(60), text=TRADING, season=5)
    off = days(60)[[1, 2, 3]] + np.array([0, 0, 3_600], "m8[s]")
    with pytest.raises(InvalidSeries, match=r"T01:00:00.* 'B' grid of the XNYS calend"):
        on_grid([1, 2, 3], times=off, text=TRADING, season=5)


def test_years_before_the_calendar_was_kept_are_pointed_out():
    frequency = parse_frequency("B", calendar="ECB")
    times = times_after(frequency, cutoff=np.datetime64("1998-12-01"), horizon=40)
    series = on_grid(np.ones(40), times=times, text=frequency, season=5)
    assert "'ECB' knows no holidays before 1999" in series.warnings[0]


@pytest.mark.parametrize("count", [1, 2, 3, 100_000])
@pytest.mark.parametrize("season", [1, 24])
@pytest.mark.parametrize("kind", ["constant", "zero", "negative", "shifted", "spiky"])
def test_observations_of_any_kind_and_length_are_kept_as_they_are(count, season, kind):
    steps = np.arange(count)
    values = {
        "constant": np.full(count, 3.0),
        "zero": np.zeros(count),
        "negative": -1.5 * steps,
        "shifted": np.where(steps > count // 2, 1e6, 1.0),
        "spiky": np.where(steps % 1_000 == 0, 1e30, 1.0),
    }[kind]
    gaps = (steps % 97 > 90) & (steps < count - 1)
    series = on_grid(values[~gaps], times=hours(count)[~gaps], season=season, text="h")
    assert series.times.size == count
    assert (series.values[series.observed] == values[~gaps]).all()
    assert np.isfinite(series.values).all()
    assert values.min() <= series.values.min() <= series.values.max() <= values.max()
