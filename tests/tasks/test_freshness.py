"""Freshness follows the time of the data, and due times on the clock of a place."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.cron import BadRule
from tasks.freshness import Rule, judge

BERLIN = Rule("0 9 * * *", "Europe/Berlin")
ORDER = ("fresh", "late", "stale", "dead")


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


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
    def workday(local):
        return local.weekday() < 5

    rule = Rule("0 9 * * *", reach=timedelta(hours=30))
    friday, sunday = at("2026-03-06T08:00"), at("2026-03-08T12:00")
    assert judge(friday, rule, now=sunday) == "stale"
    assert judge(friday, rule, now=sunday, is_open=workday) == "fresh"


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
