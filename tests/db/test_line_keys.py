"""Concurrency keys: how many jobs of a key are under way, whatever happens to them."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import text

from db import jobs, outbox
from db.session import Database
from tests.db import lines, rows

pytestmark = pytest.mark.servers

_UNDER_WAY = """
SELECT (SELECT count(*) FROM outbox WHERE admitted AND concurrency_key = :key)
    + (SELECT count(*) FROM jobs WHERE concurrency_key = :key AND (state = 'running'
        OR (state = 'queued' AND dispatched_at IS NOT NULL)))
"""
_WAITING = """
SELECT count(*) FROM outbox WHERE NOT admitted AND concurrency_key = :key
    AND available_at <= now()
"""


def _keyed(database, tenant_id, key="k", most=1, **more) -> str:
    return rows.queued(
        database, tenant_id, concurrency_key=key, concurrency_limit=most, **more
    )


def _start(database) -> list[str]:
    lines.admit(database)
    return [one.job_id for one in lines.turn(database, most=99)]


def test_a_job_with_a_key_waits_beside_the_line_until_it_is_admitted(
    database, tenant_id
):
    job_id = _keyed(database, tenant_id)
    assert lines.turn(database) == []
    assert lines.admit(database) == ({"system"}, False)
    assert [one.job_id for one in lines.turn(database)] == [job_id]
    assert lines.admit(database) == (set(), False)


def test_no_more_jobs_of_a_key_are_under_way_than_its_limit(database, tenant_id):
    ids = [_keyed(database, tenant_id, most=2) for _ in range(5)]
    assert _start(database) == ids[:2]
    assert _start(database) == []
    rows.claim(database, ids[0])
    assert _start(database) == []
    rows.finish(database, ids[0], result={})
    assert _start(database) == [ids[2]]


def test_the_most_urgent_of_a_key_goes_first(database, tenant_id):
    usual = _keyed(database, tenant_id)
    urgent = _keyed(database, tenant_id, priority=9)
    assert _start(database) == [urgent]
    rows.claim(database, urgent)
    rows.finish(database, urgent, state="failed")
    assert _start(database) == [usual]


def test_keys_of_different_names_tenants_and_queues(
    database, tenant_id, other_tenant_id
):
    mine = _keyed(database, tenant_id)
    other = _keyed(database, tenant_id, key="other")
    theirs = _keyed(database, other_tenant_id)
    elsewhere = _keyed(database, tenant_id, queue="forecast")
    grown, left = lines.admit(database)
    assert (grown, left) == ({"system"}, True)  # a key is one in all queues
    went = [one.job_id for one in lines.turn(database, most=9)]
    assert set(went) == {mine, other, theirs}
    for job_id in went:
        rows.claim(database, job_id)
        rows.finish(database, job_id, result={})
    assert lines.admit(database) == ({"forecast"}, False)
    went = lines.turn(database, queue="forecast")
    assert [one.job_id for one in went] == [elsewhere]


def test_a_cancelled_job_makes_room_for_the_next_of_its_key(database, tenant_id):
    first, second = (_keyed(database, tenant_id) for _ in range(2))
    assert _start(database) == [first]
    with database.tenant(tenant_id) as connection:
        jobs.cancel(connection, tenant_id=tenant_id, job_id=first)
    assert _start(database) == [second]


def test_a_job_whose_worker_was_lost_waits_for_its_key_again(database, tenant_id):
    first, second = (_keyed(database, tenant_id) for _ in range(2))
    assert _start(database) == [first]
    rows.claim(database, first)
    rows.give_back(database, first, delay_s=60)
    assert _start(database) == [second]
    rows.change(database, "UPDATE outbox SET available_at = now()")
    assert _start(database) == []
    rows.claim(database, second)
    rows.finish(database, second, result={})
    assert _start(database) == [first]


def test_a_message_lost_on_the_way_keeps_its_place_in_the_key(database, tenant_id):
    first, second = (_keyed(database, tenant_id) for _ in range(2))
    assert _start(database) == [first]
    rows.change(database, "UPDATE jobs SET dispatched_at = now() - interval '1 hour'")
    rows.change(
        database, "UPDATE jobs SET dispatched_at = NULL WHERE id = :id", id=second
    )
    with database.system() as connection:
        outbox.publish_again(connection, queue="system", older_than_s=10, limit=9)
    assert _start(database) == [first]
    assert _start(database) == []


def test_a_keys_starts_in_a_minute_are_limited(database, tenant_id):
    ids = [_keyed(database, tenant_id, most=99, starts_per_minute=2) for _ in range(5)]
    assert _start(database) == ids[:2]
    for job_id in ids[:2]:
        rows.claim(database, job_id)
        rows.finish(database, job_id, result={})
    assert _start(database) == []
    rows.change(
        database,
        "UPDATE jobs SET dispatched_at = now() - interval '61 s'"
        " WHERE dispatched_at IS NOT NULL",
    )
    assert _start(database) == ids[2:4]


def test_a_start_that_failed_counts_among_the_keys_starts(database, tenant_id):
    first, second = (
        _keyed(database, tenant_id, most=9, starts_per_minute=1) for _ in range(2)
    )
    assert _start(database) == [first]
    rows.claim(database, first)
    rows.give_back(database, first, delay_s=30)
    assert _start(database) == []
    rows.change(database, "UPDATE jobs SET started_at = started_at - interval '61 s'")
    assert _start(database) == [second]


LIMITS = {"a": 1, "b": 2}


class KeyLife(RuleBasedStateMachine):
    """Jobs of two keys that end, crash and get lost in any order."""

    database: Database
    tenant_id: int

    @initialize()
    def begin(self):
        self.under_way: dict[str, int] = {}
        self.published: dict[str, int] = {}

    @rule(key=st.sampled_from("ab"), count=st.integers(1, 3))
    def submit(self, key, count):
        for _ in range(count):
            _keyed(
                self.database,
                self.tenant_id,
                key=key,
                most=LIMITS[key],
                max_attempts=2,
            )

    @rule()
    def dispatch(self):
        lines.admit(self.database)
        for one in lines.turn(self.database, most=9):
            self.published[one.job_id] = one.attempt

    @rule(chosen=st.randoms(use_true_random=False))
    def claim(self, chosen):
        if self.published:
            job_id = chosen.choice(sorted(self.published))
            attempt = self.published.pop(job_id)
            if rows.claim(self.database, job_id, attempt):
                self.under_way[job_id] = attempt

    @rule(
        chosen=st.randoms(use_true_random=False),
        how=st.sampled_from(["succeeded", "failed", "crashed", "lost"]),
    )
    def end(self, chosen, how):
        if not self.under_way:
            return
        job_id = chosen.choice(sorted(self.under_way))
        attempt = self.under_way.pop(job_id)
        if how in ("succeeded", "failed"):
            rows.finish(self.database, job_id, attempt=attempt, state=how, result={})
        else:
            rows.give_back(self.database, job_id, attempt=attempt)

    @rule(chosen=st.randoms(use_true_random=False))
    def cancel(self, chosen):
        job_ids = sorted({*self.under_way, *self.published})
        if job_ids:
            with self.database.tenant(self.tenant_id) as connection:
                jobs.cancel(
                    connection,
                    tenant_id=self.tenant_id,
                    job_id=chosen.choice(job_ids),
                )

    @rule()
    def lose_the_messages(self):
        rows.change(
            self.database,
            "UPDATE jobs SET dispatched_at = now() - interval '1 hour' "
            "WHERE state = 'queued' AND dispatched_at IS NOT NULL",
        )
        with self.database.system() as connection:
            outbox.publish_again(connection, queue="system", older_than_s=9, limit=99)
        self.published.clear()

    @invariant()
    def no_key_is_over_its_limit(self):
        for key, most in LIMITS.items():
            assert rows.value(self.database, _UNDER_WAY, key=key) <= most

    def teardown(self):
        """Nothing has leaked: what waits goes as far as there is room."""
        lines.admit(self.database)
        for key, most in LIMITS.items():
            free = most - rows.value(self.database, _UNDER_WAY, key=key)
            assert free == 0 or not rows.value(self.database, _WAITING, key=key)
        with self.database.system() as connection:
            connection.execute(text("DELETE FROM outbox"))
            connection.execute(text("UPDATE jobs SET state = 'failed'"))


def test_no_order_of_ends_and_crashes_overfills_a_key_or_leaks_its_room(
    database, tenant_id
):
    KeyLife.database, KeyLife.tenant_id = database, tenant_id
    run_state_machine_as_test(
        KeyLife,
        settings=settings(
            max_examples=20,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
