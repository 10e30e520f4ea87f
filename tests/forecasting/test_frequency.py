import numpy as np
import pytest

from forecasting.errors import InvalidSeries
from forecasting.frequency import (
    grid_between,
    parse_frequency,
    season_lengths,
    times_after,
)

HOUR_US = 3_600_000_000


@pytest.mark.parametrize(
    ("text", "hours"),
    [("h", 1), ("1h", 1), ("H", 1), ("PT1H", 1), ("D", 24), ("P1D", 24), ("W", 168)],
)
def test_fixed_steps_have_a_length(text, hours):
    assert parse_frequency(text).step_us == hours * HOUR_US


@pytest.mark.parametrize(
    ("text", "alias"),
    [("P1M", "MS"), ("P3M", "QS"), ("P1Y", "YS"), ("P12M", "YS"), ("P2M", "2MS")],
)
def test_iso_months_are_calendar_months(text, alias):
    first = np.datetime64("2020-01-01", "us")
    iso, pandas = (
        times_after(parse_frequency(name), cutoff=first, horizon=5)
        for name in (text, alias)
    )
    assert iso.tolist() == pandas.tolist()


@pytest.mark.parametrize("text", ["", "bogus", "P", "-1D", "0h", "P0M", "1ns", "NaT"])
def test_a_frequency_without_sense_is_refused(text):
    with pytest.raises(InvalidSeries, match="frequency"):
        parse_frequency(text)


@pytest.mark.parametrize(
    ("text", "seasons"),
    [
        ("15min", (96, 672)),
        ("h", (24, 168)),
        ("5h", (1,)),
        ("D", (7,)),
        ("2D", (1,)),
        ("W", (52,)),
        ("W-MON", (52,)),
        ("MS", (12,)),
        ("ME", (12,)),
        ("2MS", (6,)),
        ("QS", (4,)),
        ("YS", (1,)),
        ("B", (5,)),
        ("s", (3600,)),
    ],
)
def test_the_usual_seasons_follow_from_the_step(text, seasons):
    assert season_lengths(parse_frequency(text)) == seasons


@pytest.mark.parametrize("text", ["h", "D", "W", "W-MON", "MS", "QS", "YS", "B", "ME"])
def test_future_times_continue_the_grid(text):
    frequency = parse_frequency(text)
    span = {"first": np.datetime64("2020-01-01", "us")}
    span["final"] = np.datetime64("2023-01-01", "us")
    grid = grid_between(frequency, **span)
    ahead = times_after(frequency, cutoff=grid[-4], horizon=3)
    assert ahead.tolist() == grid[-3:].tolist()


def test_months_keep_their_time_of_day():
    start = np.datetime64("2020-01-01T06:00", "us")
    ahead = times_after(parse_frequency("MS"), cutoff=start, horizon=1)
    assert ahead[0] == np.datetime64("2020-02-01T06:00", "us")


def test_a_calendar_that_ends_is_an_error_with_advice():
    yearly = parse_frequency("YS")
    with pytest.raises(InvalidSeries, match="shorter horizon"):
        times_after(yearly, cutoff=np.datetime64("2000-01-01", "us"), horizon=999)
    late = np.array(["3000-01-01", "3001-01-01"], dtype="datetime64[us]")
    with pytest.raises(InvalidSeries, match="leave the calendar"):
        grid_between(yearly, first=late[0], final=late[1])
