import numpy as np
import pytest

from forecasting.errors import InvalidSeries
from forecasting.frequency import (
    grid_between,
    parse_frequency,
    season_lengths,
    times_after,
    times_before,
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


@pytest.mark.parametrize("text", ["B", "D", "24h", "86400s", "P1D"])
def test_a_step_of_one_day_may_follow_a_calendar(text):
    trading = parse_frequency(text, calendar="XNYS")
    assert season_lengths(trading) == (5,)
    ahead = times_after(trading, cutoff=np.datetime64("2024-07-03T21", "us"), horizon=3)
    assert ahead.astype("M8[h]").astype(str).tolist() == [
        "2024-07-05T21",
        "2024-07-08T21",
        "2024-07-09T21",
    ]
    between = grid_between(
        trading, first=np.datetime64("2024-07-03T21", "us"), final=ahead[1]
    )
    assert between[1:].tolist() == ahead[:2].tolist()


@pytest.mark.parametrize("text", ["h", "2D", "W", "MS", "2B"])
def test_other_steps_do_not_go_with_a_calendar(text):
    with pytest.raises(InvalidSeries, match="needs steps of one day"):
        parse_frequency(text, calendar="XNYS")


def test_a_calendar_or_a_zone_that_nobody_keeps_is_refused():
    with pytest.raises(InvalidSeries, match="no calendar is called 'MOON'"):
        parse_frequency("B", calendar="MOON")
    with pytest.raises(InvalidSeries, match="no time zone is called 'Moon'"):
        parse_frequency("D", timezone="Moon")


def test_days_of_a_zone_begin_at_its_midnight():
    berlin = parse_frequency("D", timezone="Europe/Berlin")
    assert season_lengths(berlin) == (7,)
    cutoff = np.datetime64("2024-03-29T23", "us")
    ahead = times_after(berlin, cutoff=cutoff, horizon=3)
    assert ahead.astype("M8[h]").astype(str).tolist() == [
        "2024-03-30T23",
        "2024-03-31T22",
        "2024-04-01T22",
    ]
    assert grid_between(berlin, first=cutoff, final=ahead[2])[1:].tolist() == (
        ahead.tolist()
    )


def test_trading_days_may_close_at_an_hour_of_their_zone():
    close = parse_frequency("B", calendar="XNYS", timezone="America/New_York")
    friday = np.datetime64("2024-03-08T21", "us")
    ahead = times_after(close, cutoff=friday, horizon=1)
    assert ahead[0] == np.datetime64("2024-03-11T20", "us")


def test_months_of_a_zone_begin_at_its_midnight():
    months = parse_frequency("MS", timezone="Europe/Berlin")
    ahead = times_after(months, cutoff=np.datetime64("2024-02-29T23", "us"), horizon=1)
    assert ahead[0] == np.datetime64("2024-03-31T22", "us")


def test_hours_are_the_same_everywhere():
    hourly = parse_frequency("h", timezone="Europe/Berlin")
    assert hourly.step_us == HOUR_US
    cutoff = np.datetime64("2024-03-31T00", "us")
    ahead = times_after(hourly, cutoff=cutoff, horizon=30)
    assert (np.diff(ahead) == np.timedelta64(1, "h")).all()


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("h", {}),
        ("D", {"timezone": "Europe/Berlin"}),
        ("W", {"timezone": "America/New_York"}),
        ("B", {"calendar": "XNYS"}),
        ("B", {"calendar": "ECB", "timezone": "Europe/Berlin"}),
        ("3MS", {}),
        ("ME", {}),
    ],
)
def test_the_times_before_a_grid_continue_it_backwards(text, places):
    frequency = parse_frequency(text, **places)
    start = np.datetime64("2024-01-01", "us")
    grid = times_after(frequency, cutoff=start, horizon=40)
    before = times_before(frequency, first=grid[20], start=grid[5])
    assert before.tolist() == grid[5:20].tolist()
    late = grid[5] + np.timedelta64(1, "us")
    before = times_before(frequency, first=grid[20], start=late)
    assert before.tolist() == grid[6:20].tolist()
    assert times_before(frequency, first=grid[20], start=grid[20]).size == 0
