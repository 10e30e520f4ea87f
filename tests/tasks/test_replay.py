"""Ended jobs again."""

import concurrent.futures
from dataclasses import replace

import pytest

from db import audit, limits
from db.jobs import JobFilter
from db.limits import Limits
from tasks import replay, submit
from tasks.errors import NotFound, QuotaExceeded, StateConflict
from tasks.submission import Submission
from tests.db import rows

pytestmark = pytest.mark.servers

ECHO = Submission("system.echo", {"payload": {"a": 1}})


def _submit(database, tenant_id, submission=ECHO):
    with database.tenant(tenant_id) as connection:
        job, _ = submit.submit(connection, tenant_id=tenant_id, submission=submission)
    return job


def _ended(database, tenant_id, state="failed", **asked):
    job = _submit(database, tenant_id, replace(ECHO, **asked))
    rows.claim(database, job.id)
    rows.finish(database, job.id, state=state, result={})
    return job


def _retry(database, tenant_id, job_id):
    with database.tenant(tenant_id) as connection:
        return replay.retry(
            connection, tenant_id=tenant_id, job_id=job_id, key_id="key_1"
        )


def _replay(database, tenant_id, pace=(100, None), **wanted):
    with database.tenant(tenant_id) as connection:
        return replay.replay(
            connection,
            tenant_id=tenant_id,
            wanted=JobFilter(**wanted),
            pace=pace,
            key_id="key_1",
        )


def _record(database, tenant_id) -> list[audit.Entry]:
    with database.tenant(tenant_id) as connection:
        return audit.page(connection, tenant_id=tenant_id, before=None, limit=9)


@pytest.mark.parametrize("state", ["failed", "cancelled"])
def test_a_retry_is_a_new_job_like_the_first_one(database, tenant_id, state):
    asked = {
        "labels": {"a": "b"},
        "priority": 8,
        "timeout_s": 9,
        "max_attempts": 7,
        "lane": "backfill",
        "retry": {"delay_s": 1.5},
        "concurrency_key": "k",
        "concurrency_limit": 4,
        "starts_per_minute": 30,
    }
    job = _ended(database, tenant_id, state, **asked)
    again = _retry(database, tenant_id, job.id)
    assert again.id != job.id
    assert (again.state, again.attempt, again.retry_of) == ("queued", 1, job.id)
    for name in ("type", "params", *asked):
        assert getattr(again, name) == getattr(job, name), name
    assert rows.job(database, tenant_id, job.id).replayed_at is not None


def test_a_chain_of_retries_leads_back_to_its_first_job(database, tenant_id):
    first = job = _submit(database, tenant_id)
    for _ in range(3):
        rows.claim(database, job.id)
        rows.finish(database, job.id, state="failed")
        job = _retry(database, tenant_id, job.id)
        assert job.retry_of == first.id


@pytest.mark.parametrize("state", ["queued", "running", "succeeded"])
def test_a_job_that_did_not_fail_cannot_be_retried(database, tenant_id, state):
    job = _submit(database, tenant_id)
    if state != "queued":
        rows.claim(database, job.id)
    if state == "succeeded":
        rows.finish(database, job.id, result={})
    with pytest.raises(StateConflict, match=f"{job.id} is {state}"):
        _retry(database, tenant_id, job.id)
    assert rows.value(database, "SELECT count(*) FROM jobs") == 1


def test_a_part_cannot_be_retried_without_its_whole(database, tenant_id):
    parent = rows.running(database, tenant_id)
    part = rows.running(database, tenant_id, parent_id=parent, step="part", part=0)
    rows.finish(database, part, state="failed")
    with pytest.raises(StateConflict, match=f"retry the whole job {parent}"):
        _retry(database, tenant_id, part)


def test_a_job_of_another_tenant_cannot_be_retried(
    database, tenant_id, other_tenant_id
):
    job = _ended(database, tenant_id)
    with pytest.raises(NotFound):
        _retry(database, other_tenant_id, job.id)


def test_a_retry_is_on_the_record(database, tenant_id):
    job = _ended(database, tenant_id)
    again = _retry(database, tenant_id, job.id)
    (entry,) = _record(database, tenant_id)
    assert (entry.key_id, entry.action, entry.target) == (
        "key_1",
        "jobs.replay",
        job.id,
    )
    assert entry.detail == {"jobs": [[job.id, again.id]]}


def test_a_replay_takes_what_the_filter_finds_once(database, tenant_id):
    failed = [_ended(database, tenant_id) for _ in range(2)]
    _ended(database, tenant_id, "cancelled")
    _ended(database, tenant_id, "succeeded")
    other = _ended(database, tenant_id, labels={"other": "yes"})
    done = _replay(database, tenant_id, labels={"other": "yes"})
    assert [before for before, _ in done.replayed] == [other.id]
    done = _replay(database, tenant_id)
    assert [before for before, _ in done.replayed] == [one.id for one in failed[::-1]]
    assert (done.refused, done.left) == ([], False)
    assert _replay(database, tenant_id).replayed == []
    assert len(_record(database, tenant_id)) == 2
    for before, after in done.replayed:
        assert rows.job(database, tenant_id, after).retry_of == before


def test_two_replays_at_a_time_replay_each_job_once(database, tenant_id):
    failed = {_ended(database, tenant_id).id for _ in range(5)}
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: _replay(database, tenant_id), range(4)))
    replayed = [before for one in done for before, _ in one.replayed]
    assert sorted(replayed) == sorted(failed)


def test_cancelled_jobs_are_replayed_where_they_are_asked_for(database, tenant_id):
    job = _ended(database, tenant_id, "cancelled")
    _submit(database, tenant_id)
    done = _replay(database, tenant_id, states=["cancelled", "queued"])
    assert [before for before, _ in done.replayed] == [job.id]


def test_a_replay_takes_no_more_than_asked_and_says_that_more_are_left(
    database, tenant_id
):
    for _ in range(3):
        _ended(database, tenant_id)
    done = _replay(database, tenant_id, pace=(2, None))
    assert (len(done.replayed), done.left) == (2, True)
    done = _replay(database, tenant_id, pace=(2, None))
    assert (len(done.replayed), done.left) == (1, False)


def test_a_replay_at_a_pace_starts_one_job_after_the_other(database, tenant_id):
    for _ in range(3):
        _ended(database, tenant_id)
    rows.change(database, "DELETE FROM outbox")
    _replay(database, tenant_id, pace=(9, 30))
    waits = rows.value(
        database,
        "SELECT array_agg(round(extract(epoch FROM available_at - now()) / 2) "
        "ORDER BY id)::int[] FROM outbox",
    )
    assert sorted(waits) == [0, 1, 2]


def test_what_is_no_longer_valid_is_refused_and_the_rest_goes_on(database, tenant_id):
    good, bad = (_ended(database, tenant_id) for _ in range(2))
    rows.change(
        database, "UPDATE jobs SET type = 'test.gone' WHERE id = :id", id=bad.id
    )
    done = _replay(database, tenant_id)
    assert [before for before, _ in done.replayed] == [good.id]
    ((refused, why),) = done.refused
    assert refused == bad.id
    assert "test.gone" in why


def test_a_replay_over_the_quota_does_nothing(database, tenant_id):
    for _ in range(3):
        _ended(database, tenant_id)
    with database.system() as connection:
        limits.put(connection, tenant_id=tenant_id, limits=Limits(max_queued=2))
    with pytest.raises(QuotaExceeded, match="room for 2 more jobs, and these are 3"):
        _replay(database, tenant_id)
    assert rows.value(database, "SELECT count(*) FROM jobs") == 3
    assert _record(database, tenant_id) == []
