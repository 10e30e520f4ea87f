"""What happens at a fire time: fired, skipped or missed, and at most once."""

from datetime import UTC, datetime, timedelta

import pytest

from tasks import firing
from tasks.cron import BadRule
from tasks.errors import InvalidParams, QuotaExceeded
from tests.db import rows
from tests.tasks.book import ECHO, HOUR, NOON, Book, spoil

pytestmark = pytest.mark.servers

MINUTE = timedelta(minutes=1)


@pytest.fixture
def book(database, tenant_id) -> Book:
    return Book(database, tenant_id)


def test_a_fire_time_submits_the_jobs_in_order_with_the_name_as_a_label(book):
    second = {**ECHO, "priority": 9, "labels": {"team": "grid"}, "timeout_s": 7}
    made = book.make(jobs=[ECHO, second])
    fired = book.fire(made, NOON + HOUR)
    assert (fired.fire_at, fired.outcome) == (NOON + HOUR, "fired")
    first_id, second_id = fired.job_ids
    assert rows.job(book.database, book.tenant_id, first_id).labels == {
        "schedule": "hourly"
    }
    job = rows.job(book.database, book.tenant_id, second_id)
    assert job.labels == {"team": "grid", "schedule": "hourly"}
    assert (job.priority, job.timeout_s) == (9, 7)
    assert book.find(made).next_fire_at == NOON + 2 * HOUR


def test_a_job_may_wait_for_another_of_the_same_firing(book):
    made = book.make(jobs=[{**ECHO, "ref": "load"}, {**ECHO, "after": ["load"]}])
    first_id, second_id = book.fire(made, NOON + HOUR).job_ids
    found = rows.value(
        book.database,
        "SELECT after_id FROM job_dependencies WHERE job_id = :id",
        id=second_id,
    )
    assert found == first_id


def test_nothing_fires_before_its_time_twice_or_in_a_pause(book):
    made = book.make()
    assert book.fire(made, NOON + HOUR - timedelta(microseconds=1)) is None
    assert book.fire(made, NOON + HOUR) is not None
    assert book.fire(made, NOON + HOUR) is None
    book.switch(made, enabled=False, now=NOON + HOUR)
    assert book.fire(made, NOON + 9 * HOUR) is None
    assert rows.value(book.database, "SELECT count(*) FROM jobs") == 1


def test_an_interval_does_not_drift_however_late_the_beat_looks(book):
    made = book.make(every_s=600)
    for number in range(1, 5):
        book.fire(made, NOON + (10 * number + 3) * MINUTE)
    assert [at for at, _ in book.firings(made)] == [
        NOON + 10 * number * MINUTE for number in range(1, 5)
    ]


def test_after_an_absence_the_latest_time_fires_and_the_older_ones_are_missed(book):
    made = book.make()
    fired = book.fire(made, NOON + 4.5 * HOUR)
    assert fired.fire_at == NOON + 4 * HOUR
    assert book.firings(made) == [
        *((NOON + number * HOUR, "missed") for number in (1, 2, 3)),
        (NOON + 4 * HOUR, "fired"),
    ]
    assert rows.value(book.database, "SELECT count(*) FROM jobs") == 1
    assert book.find(made).next_fire_at == NOON + 5 * HOUR


def test_a_time_further_back_than_the_catch_up_window_is_missed(book):
    made = book.make(catch_up_s=60)
    assert book.fire(made, NOON + 2 * HOUR + timedelta(seconds=61)) is None
    assert book.firings(made) == [
        (NOON + HOUR, "missed"),
        (NOON + 2 * HOUR, "missed"),
    ]
    assert book.find(made).next_fire_at == NOON + 3 * HOUR
    assert book.fire(made, NOON + 3 * HOUR + timedelta(seconds=60)) is not None


@pytest.mark.parametrize(
    ("rule", "step"),
    [({"cron": "* * * * *"}, MINUTE), ({"every_s": 10}, MINUTE / 6)],
)
def test_a_year_of_absence_leaves_the_latest_hundred_missed(book, rule, step):
    made = book.make(**rule)
    back = NOON + timedelta(days=365)
    assert book.fire(made, back).fire_at == back
    found = book.firings(made)
    assert found[-1] == (back, "fired")
    assert found[:-1] == [
        (back - number * step, "missed") for number in range(100, 0, -1)
    ]


def test_a_seldom_rule_misses_each_time_of_a_long_absence(book):
    made = book.make(cron="0 6 1 * *", catch_up_s=10)
    assert book.fire(made, NOON + timedelta(days=365)) is None
    assert len(book.firings(made)) == 12


@pytest.mark.parametrize("ended", [True, False])
@pytest.mark.parametrize(
    ("overlap", "outcome", "state"),
    [
        ("skip", "skipped", "running"),
        ("queue", "fired", "running"),
        ("cancel", "fired", "cancel requested"),
    ],
)
def test_what_becomes_of_the_jobs_of_the_firing_before(
    book, overlap, outcome, state, ended
):
    made = book.make(overlap=overlap, jobs=[ECHO, ECHO])
    done, other = book.fire(made, NOON + HOUR).job_ids
    for job_id in (done, other):
        rows.claim(book.database, job_id)
    rows.finish(book.database, done)
    if ended:
        rows.finish(book.database, other)
    assert book.fire(made, NOON + 2 * HOUR).outcome == ("fired" if ended else outcome)
    job = rows.job(book.database, book.tenant_id, other)
    asked = job.cancel_requested_at is not None
    found = "cancel requested" if asked else job.state
    assert found == ("succeeded" if ended else state)
    assert book.state(done) == "succeeded"


def test_a_skipped_time_does_not_hide_the_jobs_that_still_run(book):
    made = book.make(overlap="skip")
    (job_id,) = book.fire(made, NOON + HOUR).job_ids
    for number in (2, 3):
        assert book.fire(made, NOON + number * HOUR).outcome == "skipped"
    rows.claim(book.database, job_id)
    rows.finish(book.database, job_id)
    assert book.fire(made, NOON + 4 * HOUR).outcome == "fired"


def test_a_quick_run_by_hand_does_not_hide_the_jobs_that_still_run(book):
    made = book.make(overlap="skip")
    (job_id,) = book.fire(made, NOON + HOUR).job_ids
    rows.claim(book.database, job_id)
    named = {"schedule_id": made.id, "now": NOON + HOUR + MINUTE}
    (quick,) = book.do(firing.run_now, **named).job_ids
    rows.claim(book.database, quick)
    rows.finish(book.database, quick)
    assert book.fire(made, NOON + 2 * HOUR).outcome == "skipped"
    rows.finish(book.database, job_id)
    assert book.fire(made, NOON + 3 * HOUR).outcome == "fired"


def test_a_queued_job_is_cancelled_at_once_for_its_successor(book):
    made = book.make(overlap="cancel")
    (old,) = book.fire(made, NOON + HOUR).job_ids
    (new,) = book.fire(made, NOON + 2 * HOUR).job_ids
    assert (book.state(old), book.state(new)) == ("cancelled", "queued")


def _give_up(book, schedule, now) -> Exception:
    with pytest.raises(firing.REFUSALS) as caught:
        book.fire(schedule, now)
    book.do(firing.give_up, schedule_id=schedule.id, refusal=caught.value, now=now)
    return caught.value


def test_a_job_that_is_no_longer_valid_is_a_fault_until_a_firing_succeeds(book):
    made = book.make(overlap="cancel", jobs=[ECHO, ECHO])
    old, _ = book.fire(made, NOON + HOUR).job_ids
    spoil(book, jobs='[{"type": "system.echo"}, {"type": "no.such"}]')
    _give_up(book, made, NOON + 3 * HOUR)
    found = book.find(made)
    assert "/jobs/1/type: unknown job type 'no.such'" in found.fault
    assert found.next_fire_at == NOON + 4 * HOUR
    assert book.firings(made)[1:] == [
        (NOON + 2 * HOUR, "missed"),
        (NOON + 3 * HOUR, "missed"),
    ]
    assert book.state(old) == "queued"
    assert rows.value(book.database, "SELECT count(*) FROM jobs") == 2
    spoil(book, jobs='[{"type": "system.echo"}]')
    book.fire(made, NOON + 4 * HOUR)
    assert book.find(made).fault is None


def test_new_jobs_mend_a_fault(book):
    made = book.make()
    spoil(book, jobs='[{"type": "no.such"}]')
    _give_up(book, made, NOON + HOUR)
    assert book.change(made, name="renamed").fault is not None
    assert book.change(made, jobs=[ECHO]).fault is None


def test_a_full_queue_is_a_fault(book):
    made = book.make()
    rows.change(
        book.database,
        "INSERT INTO tenant_limits (tenant_id, max_queued) VALUES (:id, 0)",
        id=book.tenant_id,
    )
    assert isinstance(_give_up(book, made, NOON + HOUR), QuotaExceeded)
    assert "quota" in book.find(made).fault
    assert book.firings(made) == [(NOON + HOUR, "missed")]


@pytest.mark.parametrize("bad", [{"cron": "every night"}, {"timezone": "Mars/Olympus"}])
def test_a_schedule_whose_rule_cannot_be_followed_is_paused(book, bad):
    made = book.make()
    spoil(book, **bad)
    assert isinstance(_give_up(book, made, NOON + HOUR), BadRule)
    found = book.find(made)
    assert not found.enabled
    assert found.fault
    assert book.firings(made) == [(NOON + HOUR, "missed")]
    assert firing.next_fires(found, now=NOON) == []
    with pytest.raises(InvalidParams):
        book.switch(made, enabled=True, now=NOON)
    mended = book.change(made, cron="0 * * * *", timezone="UTC")
    assert mended.fault is None
    assert book.switch(made, enabled=True, now=NOON).enabled


def test_who_gives_up_too_late_changes_nothing(book):
    made = book.make()
    book.fire(made, NOON + HOUR)
    before = book.find(made)
    book.do(
        firing.give_up,
        schedule_id=made.id,
        refusal=InvalidParams("x"),
        now=NOON + HOUR,
    )
    assert book.find(made) == before


def test_running_now_fires_at_now_and_leaves_the_next_time_alone(book):
    made = book.make(overlap="skip")
    now = NOON + 7 * MINUTE
    named = {"schedule_id": made.id, "now": now}
    first = book.do(firing.run_now, **named)
    second = book.do(firing.run_now, **named)
    assert (first.fire_at, first.outcome) == (now, "fired")
    assert second.fire_at == now + timedelta(microseconds=1)
    assert first.job_ids != second.job_ids
    assert book.find(made).next_fire_at == NOON + HOUR
    paused = book.switch(made, enabled=False, now=now)
    assert book.do(firing.run_now, **named).outcome == "fired"
    assert book.find(made) == paused


def test_a_time_at_which_it_was_run_by_hand_does_not_fire_again(book):
    made = book.make()
    named = {"schedule_id": made.id, "now": NOON + HOUR}
    book.do(firing.run_now, **named)
    assert book.fire(made, NOON + HOUR) is None
    assert book.find(made).next_fire_at == NOON + 2 * HOUR
    assert rows.value(book.database, "SELECT count(*) FROM jobs") == 1


def test_running_now_what_is_not_valid_says_so_and_submits_nothing(book):
    made = book.make()
    spoil(book, jobs='[{"type": "system.echo"}, {"type": "no.such"}]')
    with pytest.raises(InvalidParams, match=r"no\.such"):
        book.do(firing.run_now, schedule_id=made.id, now=NOON)
    assert rows.value(book.database, "SELECT count(*) FROM jobs") == 0


def test_the_next_fire_times_are_those_that_will_fire(book):
    made = book.make(cron="30 1 * * *", timezone="America/New_York")
    now = datetime(2026, 10, 31, 12, tzinfo=UTC)
    found = firing.next_fires(made, now=now, count=3)
    assert [firing.local(made, at) for at in found] == [
        "2026-11-01T01:30:00-04:00",
        "2026-11-02T01:30:00-05:00",
        "2026-11-03T01:30:00-05:00",
    ]
