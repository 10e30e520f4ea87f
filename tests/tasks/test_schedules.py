"""Schedules are checked, changed, paused and removed."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from tasks import firing, schedules
from tasks.errors import InvalidParams, NotFound, StateConflict
from tests.db import rows
from tests.tasks.book import ECHO, HOUR, NOON, Book

pytestmark = pytest.mark.servers

MINUTE = timedelta(minutes=1)


@pytest.fixture
def book(database, tenant_id) -> Book:
    return Book(database, tenant_id)


def pointers(caught) -> list[str]:
    return [one.pointer for one in caught.value.errors]


def test_the_first_fire_time_comes_after_the_creation(book):
    assert book.make().next_fire_at == NOON + HOUR
    assert book.make(name="b", every_s=90).next_fire_at == NOON + 1.5 * MINUTE
    paris = book.make(name="c", cron="0 6 * * *", timezone="Europe/Paris")
    assert paris.next_fire_at == datetime(2026, 3, 2, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("plan", "wanted"),
    [
        ({"cron": "61 * * * *"}, ["/cron"]),
        ({"cron": "0 0 30 2 *"}, ["/cron"]),
        ({"cron": "0 6 * * *", "every_s": 60}, ["/cron", "/every_s"]),
        ({"cron": None}, ["/cron", "/every_s"]),
        ({"timezone": "Mars/Olympus"}, ["/timezone"]),
        ({"cron": "x", "timezone": "America"}, ["/timezone", "/cron"]),
        ({"jobs": [ECHO, {"type": "no.such"}]}, ["/jobs/1/type"]),
        (
            {"jobs": [{"type": "system.echo", "params": {"payload": 1, "x": 2}}]},
            ["/jobs/0/params/payload", "/jobs/0/params/x"],
        ),
        ({"jobs": [{**ECHO, "after": ["job_of_nobody"]}]}, ["/jobs/0/after/0"]),
        ({"jobs": [{**ECHO, "no_such": 1}]}, ["/jobs/0/no_such"]),
        (
            {"jobs": [{"type": "no.such"}], "cron": "x"},
            ["/cron", "/jobs/0/type"],
        ),
    ],
)
def test_a_bad_plan_is_refused_with_the_fields_to_change(book, plan, wanted):
    with pytest.raises(InvalidParams) as caught:
        book.make(**plan)
    assert pointers(caught) == wanted
    assert all(one.detail for one in caught.value.errors)
    assert rows.value(book.database, "SELECT count(*) FROM schedules") == 0


def test_a_name_can_be_given_once(book):
    book.make()
    other = book.make(name="other")
    with pytest.raises(StateConflict, match="'hourly'"):
        book.make()
    with pytest.raises(StateConflict, match="'hourly'"):
        book.change(other, name="hourly")


def test_a_new_rule_takes_the_place_of_the_old_one_and_counts_from_now(book):
    made = book.make()
    later = NOON + 10 * HOUR
    changed = book.change(made, later, every_s=7_000)
    assert (changed.cron, changed.every_s) == (None, 7_000)
    assert changed.next_fire_at == NOON + timedelta(seconds=6 * 7_000)
    changed = book.change(made, later, cron="30 * * * *")
    assert (changed.cron, changed.every_s) == ("30 * * * *", None)
    assert changed.next_fire_at == later + 30 * MINUTE
    assert changed.updated_at == later
    assert book.find(made) == changed
    with pytest.raises(InvalidParams) as caught:
        book.change(made, cron="0 * * * *", every_s=60)
    assert pointers(caught) == ["/cron", "/every_s"]
    assert book.find(made) == changed


def test_what_is_no_rule_leaves_the_next_fire_time_alone(book):
    made = book.make()
    changed = book.change(made, NOON + 9 * HOUR, name="x", overlap="skip")
    assert changed.next_fire_at == made.next_fire_at
    assert (changed.name, changed.overlap) == ("x", "skip")
    assert book.change(made) == changed


@pytest.mark.parametrize(
    "changes", [{"timezone": "x"}, {"jobs": [{"type": "no.such"}]}, {"cron": "x"}]
)
def test_a_bad_change_changes_nothing(book, changes):
    made = book.make()
    with pytest.raises(InvalidParams):
        book.change(made, **changes)
    assert book.find(made) == made


def test_a_pause_misses_nothing_and_goes_on_with_the_next_time(book):
    made = book.make()
    paused = book.switch(made, enabled=False, now=NOON + 0.5 * HOUR)
    assert not paused.enabled
    assert firing.next_fires(paused, now=NOON) == []
    resumed = book.switch(made, enabled=True, now=NOON + 5.5 * HOUR)
    assert resumed.next_fire_at == NOON + 6 * HOUR
    assert book.fire(made, NOON + 6 * HOUR).fire_at == NOON + 6 * HOUR
    assert book.firings(made) == [(NOON + 6 * HOUR, "fired")]


def test_resuming_what_is_not_paused_loses_no_fire_time(book):
    made = book.make()
    assert book.switch(made, enabled=True, now=NOON + 9 * HOUR) == made


def test_what_is_another_tenant_s_is_not_found(book, other_tenant_id):
    made = book.make()
    other = Book(book.database, other_tenant_id)
    named = {"schedule_id": made.id}
    acts: list[tuple[Callable[..., object], dict]] = [
        (schedules.find, {}),
        (schedules.change, {"changes": {"name": "x"}, "now": NOON}),
        (schedules.switch, {"enabled": False, "now": NOON}),
        (schedules.remove, {}),
        (firing.run_now, {"now": NOON}),
    ]
    for act, more in acts:
        with pytest.raises(NotFound, match=made.id):
            other.do(act, **named, **more)
    assert other.do(firing.fire, **named, now=NOON + HOUR) is None
    assert book.find(made) == made


def test_a_removed_schedule_is_gone(book):
    made = book.make()
    book.fire(made, NOON + HOUR)
    book.do(schedules.remove, schedule_id=made.id)
    with pytest.raises(NotFound):
        book.find(made)
    assert rows.value(book.database, "SELECT count(*) FROM jobs") == 1
