"""What a worker does to a job."""

import threading
from datetime import timedelta

import psycopg
import pytest
from sqlalchemy import text

from db import attempts, jobs
from db.errors import Fenced
from tests.db import rows
from tests.db.patience import until

pytestmark = pytest.mark.servers

WAITING = """
SELECT count(*) FROM pg_stat_activity
WHERE wait_event_type = 'Lock' AND datname = current_database()
"""


def _beat(database, job_id, attempt=1, lease_s=rows.LEASE_S, progress=None) -> bool:
    with database.system() as connection:
        return attempts.heartbeat(
            connection,
            job_id=job_id,
            attempt=attempt,
            lease_s=lease_s,
            progress=progress,
        )


def _cancel(database, tenant_id, job_id) -> None:
    with database.tenant(tenant_id) as connection:
        jobs.cancel(connection, tenant_id=tenant_id, job_id=job_id)


def _last_event(database, job_id) -> dict:
    with database.system() as connection:
        return connection.scalar(
            text("SELECT body FROM job_events WHERE job_id = :id ORDER BY id DESC"),
            {"id": job_id},
        )


def test_a_claim_returns_the_job_as_it_now_runs(database, tenant_id):
    job_id = rows.queued(database, tenant_id, params={"payload": {"a": 1}})
    claimed = rows.claim(database, job_id)
    assert claimed == rows.job(database, tenant_id, job_id)
    assert (claimed.state, claimed.worker, claimed.version) == ("running", "w", 2)
    assert claimed.lease_until - claimed.started_at == timedelta(seconds=rows.LEASE_S)
    assert _last_event(database, job_id) == {"state": "running", "attempt": 1}


def test_a_job_is_claimed_once(database, tenant_id):
    job_id = rows.running(database, tenant_id)
    before = rows.job(database, tenant_id, job_id)
    assert rows.claim(database, job_id) is None
    assert rows.job(database, tenant_id, job_id) == before


def test_of_two_workers_exactly_one_claims_each_job(database, tenant_id):
    job_ids = [rows.queued(database, tenant_id) for _ in range(20)]
    line = threading.Barrier(2)
    won: list[list[str]] = [[], []]

    def race(wins: list[str]) -> None:
        for job_id in job_ids:
            line.wait(30)
            if rows.claim(database, job_id):
                wins.append(job_id)

    threads = [threading.Thread(target=race, args=(wins,)) for wins in won]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(won[0] + won[1]) == job_ids
    told = rows.value(
        database, "SELECT count(*) FROM job_events WHERE kind = 'running'"
    )
    assert told == len(job_ids)


def test_a_claim_waits_for_one_that_is_not_committed_and_then_loses(
    database, tenant_id
):
    job_id = rows.queued(database, tenant_id)
    lost = []
    late = threading.Thread(target=lambda: lost.append(rows.claim(database, job_id)))
    with database.system() as connection:
        attempts.claim(connection, job_id=job_id, attempt=1, worker="a", lease_s=60)
        late.start()
        until(lambda: rows.owners_value(database, WAITING))
        assert lost == []
    late.join(30)
    assert lost == [None]
    assert rows.job(database, tenant_id, job_id).worker == "a"


@pytest.mark.parametrize("attempt", [0, 2])
def test_a_message_of_another_attempt_claims_nothing(database, tenant_id, attempt):
    job_id = rows.queued(database, tenant_id)
    assert rows.claim(database, job_id, attempt) is None
    assert rows.job(database, tenant_id, job_id).state == "queued"


def test_nothing_claims_a_job_that_does_not_exist(database):
    assert rows.claim(database, "job_0") is None


def test_a_cancelled_job_cannot_be_claimed(database, tenant_id):
    job_id = rows.queued(database, tenant_id)
    _cancel(database, tenant_id, job_id)
    assert rows.claim(database, job_id) is None


def test_a_job_can_be_claimed_until_its_deadline(database, tenant_id):
    late, early = (rows.queued(database, tenant_id) for _ in range(2))
    for job_id, sign in ((late, "-"), (early, "+")):
        rows.change(
            database,
            f"UPDATE jobs SET deadline = now() {sign} interval '1 hour' WHERE id = :id",
            id=job_id,
        )
    assert rows.claim(database, late) is None
    assert rows.claim(database, early) is not None


def test_a_job_that_started_in_time_may_be_tried_again_after_its_deadline(
    database, tenant_id
):
    job_id = rows.running(database, tenant_id)
    rows.change(database, "UPDATE jobs SET deadline = now()")
    rows.give_back(database, job_id)
    assert rows.claim(database, job_id, 2) is not None


def test_the_jobs_of_a_worker_are_those_its_children_run(database, tenant_id):
    names = ["a_b/1", "a_b/2", "axb/1", "a_b0/1", "a_b", "c/a_b/1", "a_b/3"]
    job_ids = {name: rows.running(database, tenant_id) for name in names}
    for name, job_id in job_ids.items():
        rows.change(
            database, "UPDATE jobs SET worker = :w WHERE id = :id", w=name, id=job_id
        )
    rows.finish(database, job_ids["a_b/3"], result={})
    rows.give_back(database, job_ids["a_b/2"])
    rows.claim(database, job_ids["a_b/2"], 2)
    rows.change(
        database, "UPDATE jobs SET worker = 'a_b/2' WHERE id = :id", id=job_ids["a_b/2"]
    )
    with database.system() as connection:
        found = attempts.of_worker(connection, worker="a_b")
    expected = {(job_ids["a_b"], 1), (job_ids["a_b/1"], 1), (job_ids["a_b/2"], 2)}
    assert set(found) == expected


def test_a_heartbeat_renews_the_lease_and_changes_nothing_else(database, tenant_id):
    job_id = rows.running(database, tenant_id)
    before = rows.job(database, tenant_id, job_id)
    assert _beat(database, job_id, lease_s=600) is False
    after = rows.job(database, tenant_id, job_id)
    assert after.lease_until > before.lease_until + timedelta(seconds=500)
    assert after.version == before.version
    assert rows.history(database, tenant_id, job_id) == ["queued", "running"]


def test_progress_is_stored_and_told(database, tenant_id):
    job_id = rows.running(database, tenant_id)
    progress = {"done": 1, "total": 4, "unit": "series", "message": "one"}
    _beat(database, job_id, progress=progress)
    job = rows.job(database, tenant_id, job_id)
    assert (job.progress, job.version) == (progress, 3)
    assert _last_event(database, job_id) == {
        "state": "running",
        "attempt": 1,
        "progress": progress,
    }
    _beat(database, job_id)
    assert rows.job(database, tenant_id, job_id).progress == progress


def test_a_heartbeat_tells_the_worker_to_cancel(database, tenant_id):
    job_id = rows.running(database, tenant_id)
    _cancel(database, tenant_id, job_id)
    assert _beat(database, job_id) is True


def test_an_attempt_that_was_given_back_is_fenced_off(database, tenant_id):
    job_id = rows.running(database, tenant_id)
    rows.give_back(database, job_id)
    before = rows.job(database, tenant_id, job_id)
    with pytest.raises(Fenced, match=f"attempt 1 of {job_id} was fenced off"):
        _beat(database, job_id, progress={"done": 9})
    with pytest.raises(Fenced):
        rows.finish(database, job_id, result={"late": True})
    assert rows.give_back(database, job_id) is None
    assert rows.job(database, tenant_id, job_id) == before
    assert rows.value(database, "SELECT count(*) FROM job_results") == 0


def test_an_old_attempt_stays_fenced_off_while_the_next_one_runs(database, tenant_id):
    job_id = rows.running(database, tenant_id)
    rows.give_back(database, job_id)
    assert rows.claim(database, job_id, 2) is not None
    with pytest.raises(Fenced):
        rows.finish(database, job_id, attempt=1, result={"of": 1})
    rows.finish(database, job_id, attempt=2, result={"of": 2})
    with database.system() as connection:
        stored = connection.execute(text("SELECT attempt, body FROM job_results"))
        assert stored.one() == (2, {"of": 2})


def test_a_success_stores_one_result(database, tenant_id):
    job_id = rows.running(database, tenant_id)
    rows.finish(database, job_id, result={"a": 1}, progress={"done": 4})
    job = rows.job(database, tenant_id, job_id)
    assert (job.state, job.reason, job.error) == ("succeeded", None, None)
    assert (job.progress, job.lease_until) == ({"done": 4}, None)
    assert job.finished_at >= job.started_at
    with pytest.raises(Fenced):
        rows.finish(database, job_id, result={"a": 2})
    assert rows.value(database, "SELECT body FROM job_results") == {"a": 1}


def test_a_failure_stores_its_error_and_no_result(database, tenant_id):
    job_id = rows.running(database, tenant_id)
    error = {"title": "Invalid data", "detail": None}
    rows.finish(database, job_id, state="failed", reason="invalid_data", error=error)
    job = rows.job(database, tenant_id, job_id)
    assert (job.state, job.reason, job.error) == ("failed", "invalid_data", error)
    assert rows.value(database, "SELECT count(*) FROM job_results") == 0
    assert _last_event(database, job_id) == {
        "state": "failed",
        "attempt": 1,
        "reason": "invalid_data",
        "error": {"title": "Invalid data"},
    }


def test_a_job_given_back_waits_for_its_next_attempt(database, tenant_id):
    job_id = rows.running(database, tenant_id, priority=8, traceparent="00-1-2-01")
    rows.change(database, "DELETE FROM outbox")
    assert rows.give_back(database, job_id, delay_s=90) == "queued"
    job = rows.job(database, tenant_id, job_id)
    assert (job.state, job.attempt, job.reason) == ("queued", 2, "lost")
    assert (job.error, job.finished_at, job.lease_until) == (None, None, None)
    with database.system() as connection:
        message = connection.execute(text("SELECT * FROM outbox")).one()
        wait = connection.scalar(text("SELECT available_at - now() FROM outbox"))
    assert (message.attempt, message.priority, message.traceparent) == (
        2,
        8,
        "00-1-2-01",
    )
    assert timedelta(seconds=80) < wait <= timedelta(seconds=90)
    assert rows.claim(database, job_id, 1) is None
    claimed = rows.claim(database, job_id, 2)
    assert (claimed.reason, claimed.progress) == (None, None)


def test_the_last_attempt_given_back_fails_with_the_error(database, tenant_id):
    job_id = rows.running(database, tenant_id, max_attempts=2)
    rows.give_back(database, job_id)
    rows.claim(database, job_id, 2)
    assert rows.give_back(database, job_id, attempt=2) == "failed"
    job = rows.job(database, tenant_id, job_id)
    assert (job.state, job.attempt, job.reason) == ("failed", 2, "lost")
    assert job.error == {"title": "lost"}
    assert job.finished_at is not None
    assert rows.history(database, tenant_id, job_id) == [
        "queued",
        "running",
        "retrying",
        "running",
        "failed",
    ]


def test_a_job_that_was_to_be_cancelled_is_not_tried_again(database, tenant_id):
    job_id = rows.running(database, tenant_id)
    rows.change(database, "DELETE FROM outbox")
    _cancel(database, tenant_id, job_id)
    assert rows.give_back(database, job_id) == "cancelled"
    job = rows.job(database, tenant_id, job_id)
    assert (job.state, job.reason, job.error, job.attempt) == (
        "cancelled",
        "cancelled_by_user",
        None,
        1,
    )
    assert rows.value(database, "SELECT count(*) FROM outbox") == 0


def test_every_change_of_a_job_is_notified_with_its_tenant_and_event(
    database, database_url, tenant_id
):
    with psycopg.connect(database_url, autocommit=True) as listener:
        listener.execute("LISTEN forebay_jobs")
        job_id = rows.running(database, tenant_id)
        _beat(database, job_id, progress={"done": 1})
        _cancel(database, tenant_id, job_id)
        rows.give_back(database, job_id)
        first, *heard = [
            note.payload for note in listener.notifies(timeout=5, stop_after=5)
        ]
    assert first == f"{tenant_id}:{job_id}:0:queued"
    with database.system() as connection:
        told = connection.execute(
            text("SELECT id, kind FROM job_events WHERE kind <> 'queued' ORDER BY id")
        ).all()
    assert heard == [f"{tenant_id}:{job_id}:{one.id}:{one.kind}" for one in told]
    kinds = ["running", "progress", "cancel_requested", "cancelled"]
    assert [one.kind for one in told] == kinds
