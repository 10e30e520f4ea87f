"""Messages that wait, and the repair of what was lost on the way."""

import threading

import psycopg
import pytest
from sqlalchemy import text

from db import jobs, line, outbox
from tasks.catalog import QUEUES
from tests.db import rows

pytestmark = pytest.mark.servers

IMPATIENT = text("SET LOCAL lock_timeout = '2s'")


def _take(connection, limit=100, queue="system") -> list[line.Message]:
    return line.take(connection, queue=queue, queues=QUEUES, limit=limit, share=0.1)


def _dispatch(database, **limits) -> list[str]:
    with database.system() as connection:
        taken = _take(connection, **limits)
        outbox.mark_sent(connection, ids=[message.id for message in taken])
    return [message.job_id for message in taken]


def _age(database, job_id, seconds=60) -> None:
    rows.change(
        database,
        "UPDATE jobs SET dispatched_at = now() - :s * interval '1 second' "
        "WHERE id = :id",
        id=job_id,
        s=seconds,
    )


def _again(database, limit=100) -> int:
    with database.system() as connection:
        return outbox.publish_again(
            connection, queue="system", older_than_s=10, limit=limit
        )


def _fail_overdue(database) -> int:
    with database.system() as connection:
        return outbox.fail_overdue(connection, error='{"title": "Never started"}')


def test_a_message_says_what_a_worker_needs(database, tenant_id):
    job_id = rows.queued(database, tenant_id, traceparent="00-1-2-01")
    with database.system() as connection:
        (message,) = _take(connection)
    assert (message.job_id, message.attempt) == (job_id, 1)
    assert (message.type, message.queue) == ("system.echo", "system")
    assert message.traceparent == "00-1-2-01"


def test_the_most_urgent_goes_first_and_among_equals_the_oldest(database, tenant_id):
    ids = {
        (priority, number): rows.queued(database, tenant_id, priority=priority)
        for number, priority in enumerate([5, 9, 0, 5, 9])
    }
    expected = [ids[9, 1], ids[9, 4], ids[5, 0], ids[5, 3], ids[0, 2]]
    assert _dispatch(database) == expected


def test_a_queue_gets_its_own_messages_that_are_due(database, tenant_id):
    rows.queued(database, tenant_id, queue="forecast")
    later = rows.running(database, tenant_id)
    rows.change(database, "DELETE FROM outbox WHERE job_id = :id", id=later)
    rows.give_back(database, later, delay_s=60)
    now = rows.queued(database, tenant_id)
    assert _dispatch(database) == [now]


def test_what_is_published_and_unclaimed_is_counted_by_queue(database, tenant_id):
    ids = [rows.queued(database, tenant_id) for _ in range(3)]
    rows.queued(database, tenant_id, queue="forecast")
    _dispatch(database)
    _dispatch(database, queue="forecast")
    rows.claim(database, ids[0])
    with database.system() as connection:
        assert line.unclaimed(connection, queue="system") == 2
        assert line.unclaimed(connection, queue="forecast") == 1
        assert line.unclaimed(connection, queue="ingest") == 0


def test_no_more_is_taken_than_asked_for(database, tenant_id):
    ids = [rows.queued(database, tenant_id) for _ in range(3)]
    assert _dispatch(database, limit=0) == []
    assert _dispatch(database, limit=2) == ids[:2]
    assert _dispatch(database, limit=2) == ids[2:]


def test_while_one_takes_another_gets_nothing_and_does_not_wait(database, tenant_id):
    ids = [rows.queued(database, tenant_id) for _ in range(4)]
    with database.system() as one:
        first = _take(one, limit=2)
        with database.system() as two:
            two.execute(IMPATIENT)
            assert _take(two) == []
        outbox.mark_sent(one, ids=[message.id for message in first])
    assert [message.job_id for message in first] == ids[:2]
    assert _dispatch(database) == ids[2:]


def test_takers_of_different_queues_do_not_disturb_each_other(database, tenant_id):
    here = rows.queued(database, tenant_id)
    there = rows.queued(database, tenant_id, queue="forecast")
    with database.system() as one, database.system() as two:
        two.execute(IMPATIENT)
        assert [message.job_id for message in _take(one)] == [here]
        assert [message.job_id for message in _take(two, queue="forecast")] == [there]


def test_what_is_taken_and_not_marked_stays(database, tenant_id):
    job_id = rows.queued(database, tenant_id)
    with database.system() as connection:
        _take(connection)
    assert rows.job(database, tenant_id, job_id).dispatched_at is None
    assert _dispatch(database) == [job_id]
    assert rows.job(database, tenant_id, job_id).dispatched_at is not None
    assert _dispatch(database) == []


def test_marking_an_old_attempt_sent_does_not_touch_the_next(database, tenant_id):
    job_id = rows.queued(database, tenant_id)
    with database.system() as connection:
        (message,) = _take(connection)
        rows.claim(database, job_id)
        rows.give_back(database, job_id)
        outbox.mark_sent(connection, ids=[message.id])
    job = rows.job(database, tenant_id, job_id)
    assert (job.attempt, job.dispatched_at) == (2, None)
    assert rows.value(database, "SELECT array_agg(attempt) FROM outbox") == [2]


def test_a_cancel_does_not_wait_for_a_message_that_is_being_published(
    database, tenant_id
):
    job_id = rows.queued(database, tenant_id)

    def cancel() -> None:
        with database.tenant(tenant_id) as connection:
            jobs.cancel(connection, tenant_id=tenant_id, job_id=job_id)

    thread = threading.Thread(target=cancel)
    with database.system() as connection:
        (message,) = _take(connection)
        thread.start()
        thread.join(30)
        assert not thread.is_alive()
        outbox.mark_sent(connection, ids=[message.id])
    job = rows.job(database, tenant_id, job_id)
    assert (job.state, job.dispatched_at) == ("cancelled", None)
    assert rows.value(database, "SELECT count(*) FROM outbox") == 0
    assert rows.claim(database, job_id) is None


def test_a_deadline_passes_even_while_the_message_is_being_published(
    database, tenant_id
):
    job_id = rows.queued(database, tenant_id)
    rows.change(database, "UPDATE jobs SET deadline = now()")
    failed = []
    thread = threading.Thread(target=lambda: failed.append(_fail_overdue(database)))
    with database.system() as connection:
        (message,) = _take(connection)
        thread.start()
        thread.join(30)
        assert failed == [1]
        outbox.mark_sent(connection, ids=[message.id])
    assert rows.job(database, tenant_id, job_id).state == "failed"
    assert rows.value(database, "SELECT count(*) FROM outbox") == 0


def test_only_running_jobs_whose_lease_ran_out_are_expired(database, tenant_id):
    rows.queued(database, tenant_id)
    rows.running(database, tenant_id)
    ended = rows.running(database, tenant_id)
    silent = [rows.running(database, tenant_id) for _ in range(2)]
    for number, job_id in enumerate([*silent, ended]):
        rows.change(
            database,
            "UPDATE jobs SET lease_until = now() - :n * interval '1 second' "
            "WHERE id = :id",
            id=job_id,
            n=number + 1,
        )
    rows.change(database, "UPDATE jobs SET state = 'failed' WHERE id = :id", id=ended)
    with database.system() as one, database.system() as two:
        two.execute(IMPATIENT)
        assert outbox.expired(one, limit=1) == [(silent[1], 1)]
        assert outbox.expired(two, limit=9) == [(silent[0], 1)]


def test_a_message_that_was_lost_is_put_back_once(database, tenant_id):
    job_id = rows.queued(database, tenant_id, priority=7, traceparent="00-1-2-01")
    _dispatch(database)
    assert _again(database) == 0  # too young to be missed
    _age(database, job_id)
    with database.system() as connection:
        assert outbox.unclaimed(connection, queue="system", older_than_s=10) == 1
        assert outbox.unclaimed(connection, queue="forecast", older_than_s=10) == 0
    assert _again(database) == 1
    assert _again(database) == 0
    job = rows.job(database, tenant_id, job_id)
    assert (job.attempt, job.version, job.dispatched_at) == (1, 1, None)
    with database.system() as connection:
        (message,) = _take(connection)
    assert (message.job_id, message.attempt) == (job_id, 1)
    assert message.traceparent == "00-1-2-01"


def test_a_claimed_job_is_not_published_again(database, tenant_id):
    claimed, oldest, younger = (rows.queued(database, tenant_id) for _ in range(3))
    _dispatch(database)
    for seconds, job_id in ((90, claimed), (60, oldest), (30, younger)):
        _age(database, job_id, seconds)
    rows.claim(database, claimed)
    assert _again(database, limit=1) == 1
    assert rows.value(database, "SELECT array_agg(job_id) FROM outbox") == [oldest]


def test_a_job_past_its_deadline_fails_without_having_started(database, tenant_id):
    late, early, active = (rows.queued(database, tenant_id) for _ in range(3))
    rows.claim(database, active)
    rows.change(
        database,
        "UPDATE jobs SET deadline = now() - interval '1 second' WHERE id <> :id",
        id=early,
    )
    assert _fail_overdue(database) == 1
    assert _fail_overdue(database) == 0
    job = rows.job(database, tenant_id, late)
    assert (job.state, job.reason, job.version) == ("failed", "never_started", 2)
    assert job.error == {"title": "Never started"}
    assert job.finished_at is not None
    assert rows.history(database, tenant_id, late) == ["queued", "failed"]
    with database.system() as connection:
        left = connection.execute(text("SELECT job_id FROM outbox ORDER BY id"))
        assert left.scalars().all() == [early, active]
    assert rows.job(database, tenant_id, active).state == "running"


def test_a_job_that_started_in_time_does_not_fail_while_it_waits_again(
    database, tenant_id
):
    job_id = rows.running(database, tenant_id)
    rows.change(database, "UPDATE jobs SET deadline = now()")
    rows.give_back(database, job_id, delay_s=60)
    assert _fail_overdue(database) == 0
    assert rows.job(database, tenant_id, job_id).state == "queued"


def test_what_waits_is_counted_by_queue_with_its_age(database, tenant_id):
    for queue in ("system", "system", "forecast"):
        rows.queued(database, tenant_id, queue=queue)
    rows.change(
        database,
        "UPDATE outbox SET available_at = now() + interval '1 hour' "
        "WHERE queue = 'forecast'",
    )
    rows.change(
        database,
        "UPDATE outbox SET available_at = now() - interval '1 hour' WHERE id = "
        "(SELECT min(id) FROM outbox)",
    )
    with database.system() as connection:
        waiting = outbox.waiting(connection)
    assert list(waiting) == ["system"]
    assert waiting["system"][0] == 2
    assert 3_600 <= waiting["system"][1] < 3_700


def test_a_submission_and_a_retry_wake_the_dispatcher(
    database, database_url, tenant_id
):
    with psycopg.connect(database_url, autocommit=True) as listener:
        listener.execute("LISTEN forebay_outbox")
        job_id = rows.running(database, tenant_id, queue="forecast")
        rows.give_back(database, job_id)
        heard = [note.payload for note in listener.notifies(timeout=5, stop_after=2)]
    assert heard == ["forecast", "forecast"]
