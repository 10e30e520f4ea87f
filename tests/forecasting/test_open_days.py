from datetime import date

import numpy as np
import pytest

from forecasting.errors import InvalidSeries
from forecasting.open_days import (
    check_calendar,
    holidays_between,
    known_years,
    open_days,
    open_days_after,
)


def listed(calendar, first, final, find=open_days):
    ends = {"first": np.datetime64(first), "final": np.datetime64(final)}
    return find(calendar, **ends).astype(str).tolist()


def test_new_york_is_closed_on_independence_day_and_good_friday():
    week = ["2024-07-01", "2024-07-02", "2024-07-03", "2024-07-05"]
    assert listed("XNYS", "2024-06-29", "2024-07-07") == week
    assert listed("NYSE", "2024-06-29", "2024-07-07") == week
    assert "2024-03-29" not in listed("XNYS", "2024-03-25", "2024-04-05")


def test_new_york_counts_as_many_days_as_its_exchange_published():
    counts = [
        len(listed("XNYS", f"{year}-01-01", f"{year}-12-31"))
        for year in (2021, 2022, 2023, 2024, 2025)
    ]
    assert counts == [252, 251, 250, 252, 250]


def test_europes_banks_are_open_on_national_holidays():
    assert "2024-10-03" in listed("ECB", "2024-10-01", "2024-10-04")
    assert "2024-10-03" not in listed("DE", "2024-10-01", "2024-10-04")
    assert "2024-05-01" not in listed("ECB", "2024-04-30", "2024-05-02")


def test_regions_have_holidays_of_their_own():
    day = ("2024-03-08", "2024-03-08")
    assert listed("DE-BE", *day) == []
    assert listed("DE", *day) == listed("DE-BY", *day) == ["2024-03-08"]


def test_a_weekend_may_be_friday_and_saturday_and_may_have_been_another():
    assert listed("SA", "2024-05-02", "2024-05-05") == ["2024-05-02", "2024-05-05"]
    assert listed("SA", "2013-05-02", "2013-05-05") == ["2013-05-04", "2013-05-05"]


def test_a_weekend_that_was_made_a_working_day_is_open():
    assert "2024-02-04" in listed("CN", "2024-02-01", "2024-02-06")
    assert date(2024, 2, 4).weekday() == 6


def test_a_holiday_that_is_observed_in_the_year_before_is_found_there():
    span = ("2021-12-31", "2022-01-01")
    assert listed("US", *span, find=holidays_between) == list(span)


def test_holidays_on_weekends_are_holidays():
    assert listed("DE", "2021-12-24", "2021-12-27", find=holidays_between) == [
        "2021-12-25",
        "2021-12-26",
    ]


@pytest.mark.parametrize("day", ["2024-07-03", "2024-07-04", "2024-07-06"])
@pytest.mark.parametrize("count", [1, 5, 300])
def test_the_days_after_a_day_are_the_next_open_ones(day, count):
    found = open_days_after("XNYS", day=np.datetime64(day), count=count)
    final = found[-1].astype(str)
    assert found.astype(str).tolist() == [
        one for one in listed("XNYS", day, final) if one > day
    ]
    assert found.size == count


def test_an_empty_stretch_has_no_days():
    assert listed("XNYS", "2024-07-05", "2024-07-03") == []


def test_a_calendar_tells_since_when_it_is_kept():
    assert known_years("XNYS") == (1863, 2100)


@pytest.mark.parametrize(
    ("calendar", "words"),
    [
        ("XXXX", "no calendar is called 'XXXX'"),
        ("", "name an exchange such as XNYS or ECB"),
        ("de", "a country such as DE"),
        ("DE-QQ", "no region 'QQ': use one of BB, BE, BW"),
    ],
)
def test_a_calendar_that_nobody_keeps_is_refused_with_advice(calendar, words):
    with pytest.raises(InvalidSeries, match=words):
        check_calendar(calendar)


@pytest.mark.parametrize("ends", [("1677-12-01", "1678-01-05"), ("2200", "2262")])
def test_days_beyond_the_years_of_the_calendar_are_refused(ends):
    with pytest.raises(InvalidSeries, match="shorter horizon"):
        listed("DE", *ends)
