import numpy as np
import pandas as pd
import pytest

from analysis.grid import on_grid, put_on_grid
from analysis.records import InvalidOptions, InvalidSeries
from tests.analysis.synthetic import hours


@pytest.mark.parametrize(
    ("times", "frequency", "after"),
    [
        (["2024-01-01T00", "2024-01-01T01", "2024-01-01T03"], "PT1H", "2024-01-01T04"),
        (["2024-01-01T00", "2024-01-01T01", "2024-01-01T03"], "H", "2024-01-01T04"),
        (["2024-01-01", "2024-02-01", "2024-04-01"], "P1M", "2024-05-01"),
        (["2024-01-01", "2024-02-01", "2024-04-01"], "MS", "2024-05-01"),
        (["2020-01-01", "2021-01-01", "2023-01-01"], "P1Y", "2024-01-01"),
        (["2024-01-04", "2024-01-05", "2024-01-09"], "B", "2024-01-10"),
    ],
)
def test_an_absent_step_becomes_a_missing_value(times, frequency, after):
    times = np.array(times, dtype="datetime64[s]")
    grid = put_on_grid(np.array([1.0, 2.0, 4.0]), times=times, frequency=frequency)
    np.testing.assert_array_equal(grid.values, [1, 2, np.nan, 4])
    assert set(times) < set(grid.times)
    assert grid.after == np.datetime64(after)


@pytest.mark.parametrize(
    ("values", "times", "words"),
    [
        ([], hours(0), "is empty"),
        ([np.nan, np.nan], hours(2), "every value is missing"),
        ([1.0, np.inf], hours(2), "infinite"),
        ([1.0, np.finfo(float).min], hours(2), "send it as missing"),
        ([1.0, 2.0], hours(2)[::-1], "sort the times"),
        ([1.0, 2.0], hours(1).repeat(2), "sort the times"),
        ([1.0, 2.0], hours(3), "give one time each"),
        ([1.0], np.array(["NaT"], dtype="datetime64[us]"), "a time is missing"),
        ([1.0, 2.0], hours(2) + np.arange(2), "not a step of '1h'"),
        ([1.0, 2.0], np.array(["1000-01-01", "2024-01-01"], "M8[us]"), "more than"),
    ],
)
def test_what_cannot_be_put_on_a_grid_is_refused_in_words(values, times, words):
    with pytest.raises(InvalidSeries, match=words):
        put_on_grid(np.array(values), times=times, frequency="1h")


@pytest.mark.parametrize("frequency", ["", "soon", "P", "-1h", "PT0S", "Pxyz"])
def test_a_frequency_that_is_none_is_refused(frequency):
    with pytest.raises(InvalidOptions, match="frequency"):
        put_on_grid(np.ones(2), times=hours(2), frequency=frequency)


@pytest.mark.parametrize("year", ["1500", "9990"])
@pytest.mark.parametrize("frequency", ["1h", "PT1H"])
def test_any_year_of_the_calendar_is_on_a_grid(year, frequency):
    times = np.array([f"{year}-01-01T00", f"{year}-01-01T02"], "M8[us]")
    grid = put_on_grid(np.ones(2), times=times, frequency=frequency)
    assert grid.values.tolist()[::2] == [1.0, 1.0]  # noqa: PD011 - a Grid, no frame
    assert grid.after == times[1] + np.timedelta64(1, "h")


def test_a_step_of_less_than_a_microsecond_is_refused():
    times = np.array(["2024-01-01T00:00:00.000001", "2024-01-01T00:00:00.000002"])
    with pytest.raises(InvalidOptions, match="microsecond"):
        put_on_grid(np.ones(2), times=times.astype("M8[us]"), frequency="7ns")


def test_one_observation_is_a_grid_of_one_step():
    grid = put_on_grid(np.array([5.0]), times=hours(1), frequency="1h")
    assert grid.times.tolist() == hours(1).tolist()
    assert grid.after == hours(2)[1]


@pytest.mark.parametrize("frequency", ["1h", "15min", "D", "B", "MS", "P1M", "YS"])
def test_most_times_say_which_are_steps(frequency):
    alias = "MS" if frequency == "P1M" else frequency
    index = pd.date_range("2020-01-01", periods=60, freq=alias, unit="us")
    times = index.to_numpy().astype("datetime64[us]")
    assert on_grid(times, frequency=frequency).all()
    stray = np.sort(np.append(times, times[[0, 30]] + np.timedelta64(61, "s")))
    kept = stray[on_grid(stray, frequency=frequency)]
    np.testing.assert_array_equal(kept, times)
    early = np.append(times[0] - np.timedelta64(61, "s"), times)
    np.testing.assert_array_equal(early[on_grid(early, frequency=frequency)], times)


def test_a_gap_moves_no_grid():
    times = np.datetime64("2024-01-01", "us") + np.array([0, 1, 2, 500, 501]) * (
        np.timedelta64(1, "h")
    )
    assert on_grid(times, frequency="1h").all()
