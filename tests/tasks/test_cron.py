"""Rules follow the clock on the wall, through the nights when it is put."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.cron import BadRule, next_beat, next_fire, zone_of
from tests.tasks import naive

# The day before each change of a clock: by an hour, by half of one, by two, by none,
# at midnight, and where winter is the time that is put.
CHANGES = [
    ("America/New_York", "2026-03-07"),
    ("America/New_York", "2026-10-31"),
    ("Australia/Lord_Howe", "2026-04-03"),
    ("Australia/Lord_Howe", "2026-10-02"),
    ("Asia/Kolkata", "2026-03-07"),
    ("Europe/Berlin", "2026-03-28"),
    ("Europe/Berlin", "2026-10-24"),
    ("Europe/Dublin", "2026-10-24"),
    ("America/Havana", "2026-03-07"),
    ("America/Havana", "2026-10-31"),
    ("America/Santiago", "2026-04-03"),
    ("America/Santiago", "2026-09-05"),
    ("Antarctica/Troll", "2026-03-28"),
    ("Antarctica/Troll", "2026-10-24"),
]
MINUTES = ["0", "30", "59", "5,45", "*/15", "10-12", "*"]
HOURS = ["*", "*/2", "*/3", "0", "1", "2", "3", "23", "1,3", "1-3"]
WEEKDAYS = ["*", "0", "1-5"]
# Zone, rule, after, expected.
NIGHTS = """
# New York springs forward on 8 March 2026 and falls back on 1 November.
America/New_York   | 30 2 * * *     | 2026-03-08T00:00-05    | 2026-03-08T03:00-04
America/New_York   | 30 2 * * *     | 2026-03-08T03:00-04    | 2026-03-09T02:30-04
America/New_York   | 30 1 * * *     | 2026-11-01T00:00-04    | 2026-11-01T01:30-04
America/New_York   | 30 1 * * *     | 2026-11-01T01:30-04    | 2026-11-02T01:30-05
America/New_York   | 30 1 * * *     | 2026-11-01T01:10-05    | 2026-11-02T01:30-05
America/New_York   | 30 * * * *     | 2026-11-01T01:30-04    | 2026-11-01T01:30-05
America/New_York   | 30 * * * *     | 2026-11-01T01:45-04    | 2026-11-01T01:30-05
America/New_York   | 30 * * * *     | 2026-03-08T01:30-05    | 2026-03-08T03:30-04
America/New_York   | 0 */2 * * *    | 2026-03-08T00:00-05    | 2026-03-08T04:00-04
# Kolkata has no summer time, and an offset of five hours and a half.
Asia/Kolkata       | 0 6 * * *      | 2026-03-01T00:00+00    | 2026-03-01T00:30+00
Asia/Kolkata       | 0 6 * * *      | 2026-03-01T00:30+00    | 2026-03-02T00:30+00
# Lord Howe moves by half an hour: UTC+11 in summer, +10:30 in winter.
Australia/Lord_Howe| 45 1 * * *     | 2026-04-05T00:00+11    | 2026-04-05T01:45+11
Australia/Lord_Howe| 45 1 * * *     | 2026-04-05T01:45+11    | 2026-04-06T01:45+10:30
Australia/Lord_Howe| 45 * * * *     | 2026-04-05T01:45+11    | 2026-04-05T01:45+10:30
Australia/Lord_Howe| 15 2 * * *     | 2026-10-04T00:00+10:30 | 2026-10-04T02:30+11
Australia/Lord_Howe| 15 * * * *     | 2026-10-04T01:15+10:30 | 2026-10-04T03:15+11
# Samoa went from 29 to 31 December 2011: no clock showed the 30th.
Pacific/Apia       | 0 6 * * *      | 2011-12-29T12:00-10    | 2011-12-31T06:00+14
UTC                | 0 0 29 2 *     | 2026-03-01T00:00+00    | 2028-02-29T00:00+00
UTC                | 0 0 * * fri#1  | 2026-03-01T00:00+00    | 2026-03-06T00:00+00
UTC                | 0 0 L * *      | 2026-03-01T00:00+00    | 2026-03-31T00:00+00
""".splitlines()
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def fires(cron: str, zone: str, begin: datetime, end: datetime) -> list[datetime]:
    """Return all instants from after ``begin`` until ``end``."""
    found = [next_fire(cron, timezone=zone, after=begin)]
    while found[-1] <= end:
        found.append(next_fire(cron, timezone=zone, after=found[-1]))
    return found[:-1]


@settings(deadline=None, max_examples=300)
@given(
    change=st.sampled_from(CHANGES),
    seconds=st.integers(-3 * 3_600, 3 * 3_600) | st.integers(-(2**17), 2**17),
    minute=st.sampled_from(MINUTES),
    hour=st.sampled_from(HOURS),
    weekday=st.sampled_from(WEEKDAYS),
)
def test_a_rule_fires_when_a_look_at_the_clock_each_minute_says(
    change, seconds, minute, hour, weekday
):
    zone, day = change
    after = naive.changed(zone, day) + timedelta(seconds=seconds, microseconds=7)
    cron = f"{minute} {hour} * * {weekday}"
    found = next_fire(cron, timezone=zone, after=after)
    assert found == naive.next_fire(cron, zone, after)
    assert found > after
    assert found.utcoffset() == timedelta(0)


@settings(deadline=None, max_examples=100)
@given(
    change=st.sampled_from(CHANGES),
    minute=st.integers(0, 59),
    hour=st.integers(0, 23),
)
def test_a_rule_with_an_hour_fires_once_each_local_day(change, minute, hour):
    zone, day = change
    local = datetime.fromisoformat(day).replace(hour=12, tzinfo=ZoneInfo(zone))
    begin = local.astimezone(UTC) - timedelta(days=2)
    found = fires(f"{minute} {hour} * * *", zone, begin, begin + timedelta(days=8))
    days = Counter(one.astimezone(ZoneInfo(zone)).date() for one in found)
    assert set(days.values()) == {1}
    assert len(days) == (max(days) - min(days)).days + 1


@pytest.mark.parametrize("night", [line for line in NIGHTS if "|" in line])
def test_the_nights_that_are_known_by_heart(night):
    zone, cron, after, expected = map(str.strip, night.split("|"))
    assert next_fire(cron, timezone=zone, after=at(after)) == at(expected)


def test_a_rule_that_fires_each_minute_misses_none_in_the_longest_night():
    begin = at("2026-11-01T00:00-04")
    found = fires("* * * * *", "America/New_York", begin, begin + timedelta(hours=5))
    assert found == [begin + timedelta(minutes=n) for n in range(1, 301)]


@pytest.mark.parametrize(
    "cron",
    [
        "every night",
        "",
        "* * * *",
        "0 0 * * * *",
        "@daily",
        "61 * * * *",
        "0 24 * * *",
        "0 0 30 2 *",
        "*/0 * * * *",
        "R R * * *",
        "0 0 H * *",
        "0 0 r(1-5) * *",
        "0 0 * foo *",
    ],
)
def test_a_rule_that_cannot_be_followed_is_refused(cron):
    with pytest.raises(BadRule, match="cron rule") as caught:
        next_fire(cron, timezone="UTC", after=NOON)
    assert caught.value.field == "cron"
    assert str(caught.value) == caught.value.detail


@pytest.mark.parametrize(
    "zone", ["Mars/Olympus", "America", "../etc/passwd", "", "x" * 300, "localtime"]
)
def test_a_zone_that_does_not_exist_is_refused_with_what_to_write(zone):
    with pytest.raises(BadRule, match="Europe/Berlin") as caught:
        zone_of(zone)
    assert caught.value.field == "timezone"


@given(
    every_s=st.integers(10, 100_000),
    ahead=st.integers(-(10**12), 10**13),
)
def test_an_interval_is_counted_from_its_anchor_and_does_not_drift(every_s, ahead):
    after = NOON + timedelta(microseconds=ahead)
    found = next_beat(NOON, every_s=every_s, after=after)
    assert (found - NOON) % timedelta(seconds=every_s) == timedelta(0)
    assert found > max(after, NOON)
    assert found - max(after, NOON) <= timedelta(seconds=every_s)


def test_a_zone_that_there_is_not_is_refused_with_those_of_like_names():
    with pytest.raises(BadRule, match=r"near are Europe/Berlin") as caught:
        zone_of("Europe/Berln")
    assert caught.value.field == "timezone"
    with pytest.raises(BadRule, match=r"or UTC$"):
        zone_of("?")
