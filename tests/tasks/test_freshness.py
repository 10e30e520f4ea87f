"""Freshness follows the time of the data, and due times on the clock of a place."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.cron import BadRule, next_fire
from tasks.freshness import Rule, judge

BERLIN = Rule("0 9 * * *", "Europe/Berlin")
ORDER = ("fresh", "late", "stale", "dead")


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def workday(local):
    return local.weekday() < 5


@pytest.mark.parametrize(
    ("latest", "now", "state"),
    [
        ("2026-03-02T08:00", "2026-03-03T07:59", "fresh"),
        ("2026-03-02T08:00", "2026-03-03T08:01", "fresh"),
        ("2026-03-02T07:00", "2026-03-03T08:01", "late"),
        ("2026-03-02T07:00", "2026-03-03T10:01", "stale"),
        ("2026-02-20T07:00", "2026-03-03T10:01", "dead"),
    ],
)
def test_data_are_late_then_stale_then_dead(latest, now, state):
    assert judge(at(latest), BERLIN, now=at(now)) == state


def test_a_series_without_any_value_is_dead():
    assert judge(None, BERLIN, now=at("2026-03-03T10:01")) == "dead"


def test_the_clock_of_the_place_decides_in_summer_too():
    assert judge(at("2026-07-01T06:00"), BERLIN, now=at("2026-07-02T07:30")) == "late"
    assert judge(at("2026-07-01T07:00"), BERLIN, now=at("2026-07-02T07:30")) == "fresh"


def test_nothing_is_missed_on_a_day_on_which_nothing_is_due():
    rule = Rule("0 9 * * *", reach=timedelta(hours=30))
    friday, sunday = at("2026-03-06T08:00"), at("2026-03-08T12:00")
    assert judge(friday, rule, now=sunday) == "stale"
    assert judge(friday, rule, now=sunday, is_open=workday) == "fresh"


def test_days_on_which_nothing_is_due_do_not_count_in_the_reach():
    rule = Rule("0 9 * * *", reach=timedelta(hours=33))
    friday, thursday = at("2026-03-06T00:00"), at("2026-03-05T00:00")
    monday = at("2026-03-09T09:30")
    assert judge(friday, rule, now=monday) == "stale"
    assert judge(friday, rule, now=monday, is_open=workday) == "fresh"
    assert judge(thursday, rule, now=monday, is_open=workday) == "late"


@pytest.mark.parametrize(
    "day", ["2026-03-29", "2026-03-30", "2026-10-25", "2026-10-26"]
)
def test_a_day_that_is_longer_or_shorter_makes_nobody_late(day):
    """A night's data: they begin at midnight of the place, and are due next morning."""
    rule = replace(BERLIN, reach=timedelta(hours=33))
    zone = ZoneInfo("Europe/Berlin")
    morning = datetime.fromisoformat(f"{day}T09:00").replace(tzinfo=zone)
    midnight = (morning - timedelta(hours=33)).astimezone(UTC)
    assert judge(midnight, rule, now=morning.astimezone(UTC)) == "fresh"
    before = midnight - timedelta(days=1)
    assert judge(before, rule, now=morning.astimezone(UTC)) == "late"


@pytest.mark.parametrize(
    ("cron", "latest", "now", "state"),
    [
        ("0 9 1 */3 *", "2025-11-01T00:00", "2026-03-20T12:00", "stale"),
        ("0 9 1 */3 *", "2025-12-31T12:00", "2026-03-20T12:00", "fresh"),
        ("0 9 1 * *", "2025-08-01T00:00", "2026-03-20T12:00", "dead"),
        ("0 9 * * 1", "2026-02-02T00:00", "2026-03-20T12:00", "dead"),
        ("0 9 * * 1", "2026-02-09T00:00", "2026-03-20T12:00", "stale"),
        ("* * * * *", "2026-03-19T09:59", "2026-03-20T12:00", "stale"),
        ("* * * * *", "2026-03-19T09:53", "2026-03-20T12:00", "dead"),
        ("* * * * *", "2026-03-19T10:01", "2026-03-20T12:00", "late"),
    ],
)
def test_seldom_and_frequent_rules_are_looked_back_far_enough(cron, latest, now, state):
    rule = replace(BERLIN, cron=cron, timezone="UTC")
    if cron.endswith("*/3 *"):
        rule = replace(rule, reach=timedelta(days=2))
    assert judge(at(latest), rule, now=at(now)) == state


def naive(latest, rule, now, is_open) -> str:
    """Look at every due time there was."""
    due, end = [], now
    start = now - timedelta(days=60)
    while (start := next_fire(rule.cron, timezone=rule.timezone, after=start)) <= end:
        if is_open(start):
            due.append(start)
    missed = [one for one in due if latest < one - rule.reach]
    over = [one for one in missed if one <= now - rule.grace]
    if not over:
        return "late" if missed else "fresh"
    return "dead" if len(over) > 5 else "stale"


@settings(deadline=None, max_examples=60)
@given(
    age=st.integers(0, 1_000),
    hour=st.integers(0, 23),
    reach=st.integers(0, 48),
    grace=st.integers(0, 48),
    every=st.sampled_from(["0 9 * * *", "30 */6 * * *", "0 0 * * 1", "15 7,19 * * *"]),
)
def test_the_due_times_that_decide_are_enough(age, hour, reach, grace, every):
    rule = Rule(every, "UTC", timedelta(hours=reach), timedelta(hours=grace))
    now = at("2026-03-20T00:00") + timedelta(hours=hour)
    latest = now - timedelta(hours=age)
    expected = naive(latest, rule, now, lambda _: True)
    assert judge(latest, rule, now=now) == expected


def test_a_rule_that_nobody_can_follow_is_refused():
    with pytest.raises(BadRule):
        judge(None, Rule("every day"), now=at("2026-03-03T10:01"))


@settings(deadline=None, max_examples=50)
@given(
    first=st.integers(0, 400),
    later=st.integers(0, 100),
    hours=st.integers(0, 500),
)
def test_newer_data_are_never_less_fresh(first, later, hours):
    start = at("2026-03-01T00:00")
    now = start + timedelta(hours=hours)
    rule = Rule("0 */6 * * *", reach=timedelta(hours=5), grace=timedelta(hours=1))
    older, newer = (start + timedelta(hours=n) for n in (first, first + later))
    judged = [ORDER.index(judge(one, rule, now=now)) for one in (older, newer)]
    assert judged[0] >= judged[1]
