import numpy as np
import pytest

from forecasting.errors import InvalidSeries
from forecasting.holiday_columns import holiday_columns
from tests.forecasting.synthetic import hours

BERLIN = {"country": "DE", "region": "BE", "timezone": "Europe/Berlin"}


def on(days, **place):
    """The days on which each column is not zero."""
    times = np.array(days, "M8[D]").astype("M8[us]")
    found = holiday_columns(times, **(place or {"country": "DE"}))
    return {
        name: times[column > 0].astype("M8[D]").astype(str).tolist()
        for name, column in found.items()
    }


def test_days_around_a_holiday_are_told_apart():
    # Ascension Day 2024 was a Thursday, 9 May.
    assert on(np.arange("2024-05-06", "2024-05-13", dtype="M8[D]")) == {
        "holiday": ["2024-05-09"],
        "day before holiday": ["2024-05-08"],
        "day after holiday": ["2024-05-10"],
        "bridge day": ["2024-05-10"],
    }


def test_a_bridge_day_may_come_before_the_holiday():
    # German Unity Day 2023 was a Tuesday.
    found = on(np.arange("2023-09-29", "2023-10-06", dtype="M8[D]"))
    assert found["bridge day"] == ["2023-10-02"]
    assert found["day after holiday"] == ["2023-10-04"]


def test_a_holiday_in_the_middle_of_the_week_makes_no_bridge():
    assert on(np.arange("2024-04-29", "2024-05-05", dtype="M8[D]"))["bridge day"] == []


def test_holidays_that_follow_each_other_are_neither_before_nor_after():
    found = on(np.arange("2023-12-23", "2023-12-29", dtype="M8[D]"))
    assert found["holiday"] == ["2023-12-25", "2023-12-26"]
    assert found["day before holiday"] == ["2023-12-24"]
    assert found["day after holiday"] == ["2023-12-27"]


def test_a_region_has_holidays_of_its_own():
    day = ["2024-03-08", "2024-03-09"]
    assert on(day, country="DE", region="BE")["holiday"] == day[:1]
    assert on(day, country="DE", region="BY")["holiday"] == []


@pytest.mark.parametrize(
    ("day", "first", "count"),
    [
        ("2024-10-03", "2024-10-02T22", 24),
        ("2024-12-25", "2024-12-24T23", 24),
        # Easter Sunday and Reformation Day are holidays in Brandenburg.
        ("2024-03-31", "2024-03-30T23", 23),
        ("2021-10-31", "2021-10-30T22", 25),
    ],
)
def test_a_holiday_lasts_from_midnight_to_midnight_of_its_zone(day, first, count):
    start = np.datetime64(day, "us") - np.timedelta64(1, "D")
    times = start + np.arange(96) * np.timedelta64(1, "h")
    place = BERLIN | {"region": "BB"}
    marked = times[holiday_columns(times, **place)["holiday"] > 0]
    marked = marked[marked < np.datetime64(first, "us") + np.timedelta64(count, "h")]
    assert marked[0] == np.datetime64(first, "us")
    assert marked.size == count


def test_dates_without_a_zone_are_not_moved():
    days = ["2024-07-03", "2024-07-04", "2024-07-05"]
    place = {"country": "US", "timezone": "America/New_York"}
    assert on(days, **place)["holiday"] == ["2024-07-04"]


def test_days_that_begin_at_local_midnight_are_local_days():
    local = np.array(["2024-07-03T04", "2024-07-04T04", "2024-07-05T04"], "M8[us]")
    place = {"country": "US", "timezone": "America/New_York"}
    assert holiday_columns(local, **place)["holiday"].tolist() == [0, 1, 0]
    # Midnight in Tokyo is on the day before in UTC.
    east = local - np.timedelta64(13, "h")
    place["timezone"] = "Asia/Tokyo"
    assert holiday_columns(east, **place)["holiday"].tolist() == [0, 1, 0]


def test_months_count_their_holidays_and_working_days():
    months = np.arange("2024-01", "2025-01", dtype="M8[M]")
    firsts = months.astype("M8[us]")
    lasts = (months + 1).astype("M8[D]").astype("M8[us]") - np.timedelta64(1, "D")
    for times in (firsts, lasts):
        found = holiday_columns(times, country="DE", region="BE")
        assert found["holidays"].tolist() == [1, 0, 2, 1, 3, 0, 0, 0, 0, 1, 0, 2]
        # 262 weekdays less 10 holidays, none of them on a weekend.
        assert found["working days"].sum() == 252
        assert found["working days"][0] == 22


def test_quarters_and_weeks_count_too():
    quarters = np.arange("2024-01", "2025-01", 3, dtype="M8[M]").astype("M8[us]")
    found = holiday_columns(quarters, country="DE", region="BE")
    assert found["holidays"].tolist() == [3, 4, 0, 3]
    weeks = np.arange("2024-04-29", "2024-05-27", 7, dtype="M8[D]").astype("M8[us]")
    found = holiday_columns(weeks, country="DE")
    assert found["holidays"].tolist() == [1, 1, 0, 1]
    assert found["working days"].tolist() == [4, 4, 5, 4]


def test_one_time_alone_is_taken_for_a_day():
    assert on(["2024-12-25"])["holiday"] == ["2024-12-25"]


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ({"country": "ZZ"}, "no calendar is called 'ZZ'"),
        ({"country": "DE", "region": "ZZ"}, "no region 'ZZ'"),
        ({"country": "DE", "timezone": "Moon"}, "no time zone is called 'Moon'"),
    ],
)
def test_a_place_that_nobody_keeps_is_refused(place, words):
    with pytest.raises(InvalidSeries, match=words):
        holiday_columns(hours(3), **place)
