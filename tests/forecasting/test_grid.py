import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.errors import InvalidSeries
from forecasting.frequency import parse_frequency
from forecasting.grid import regularise
from tests.forecasting.synthetic import START, days, hours, months

NAN = np.nan


def on_grid(values, *, times=None, text="h", season=1):
    values = np.array(values, dtype=float)
    times = hours(values.size) if times is None else times
    return regularise(
        values, times=times, frequency=parse_frequency(text), season=season
    )


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
