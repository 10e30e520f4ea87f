"""Ended jobs again."""

import concurrent.futures
from dataclasses import replace

import pytest

from db import audit, dependencies, limits
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


def _replay(database, tenant_id, pace=(100, None), cursor=None, **wanted):
    with database.tenant(tenant_id) as connection:
        return replay.replay(
            connection,
            tenant_id=tenant_id,
            wanted=JobFilter(**wanted),
            pace=pace,
            key_id="key_1",
            cursor=cursor,
        )


def _spoil(database, job_id) -> None:
    rows.change(
        database, "UPDATE jobs SET type = 'test.gone' WHERE id = :id", id=job_id
    )


def _fail(database, job_id) -> None:
    rows.claim(database, job_id)
    rows.finish(database, job_id, state="failed")
    _release(database)


def _release(database) -> None:
    with database.system() as connection:
        dependencies.release(connection)


def _chain(database, tenant_id, on_failure="fail", first=ECHO):
    """A job that failed, and one that waited for it."""
    one = _submit(database, tenant_id, first)
    waiting = replace(ECHO, after=[one.id], on_failure=on_failure)
    other = _submit(database, tenant_id, waiting)
    _fail(database, one.id)
    return one.id, other.id


def _edges(database, tenant_id, job_id) -> list[tuple[str, str]]:
    """What a job waits for, and what it does where that fails."""
    found = rows.value(
        database,
        "SELECT json_agg(json_build_array(after_id, on_failure)) "
        "FROM job_dependencies WHERE job_id = :id",
        id=job_id,
    )
    assert rows.job(database, tenant_id, job_id).blocked == bool(found)
    return [tuple(one) for one in found or []]


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
    assert (done.refused, done.next_cursor) == ([], None)
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


def test_a_replay_takes_no_more_than_asked_and_says_where_to_go_on(database, tenant_id):
    failed = [_ended(database, tenant_id).id for _ in range(3)]
    done = _replay(database, tenant_id, pace=(2, None))
    assert [before for before, _ in done.replayed] == [failed[2], failed[1]]
    assert done.next_cursor == failed[1]
    done = _replay(database, tenant_id, pace=(2, None), cursor=done.next_cursor)
    assert [before for before, _ in done.replayed] == [failed[0]]
    assert done.next_cursor is None


def test_who_walks_on_gets_past_what_is_refused(database, tenant_id):
    good, bad = (_ended(database, tenant_id).id for _ in range(2))
    _spoil(database, bad)
    done = _replay(database, tenant_id, pace=(1, None))
    assert (done.replayed, [one for one, _ in done.refused]) == ([], [bad])
    done = _replay(database, tenant_id, pace=(1, None), cursor=done.next_cursor)
    assert [before for before, _ in done.replayed] == [good]
    assert (done.refused, done.next_cursor) == ([], None)


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
    _spoil(database, bad.id)
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


@pytest.mark.parametrize("on_failure", ["fail", "run"])
def test_a_replayed_chain_waits_for_the_copies_of_its_jobs(
    database, tenant_id, on_failure
):
    first, second = _chain(database, tenant_id, on_failure)
    if on_failure == "run":
        _fail(database, second)
    assert rows.job(database, tenant_id, second).state == "failed"
    done = _replay(database, tenant_id)
    assert [before for before, _ in done.replayed] == [second, first]
    again = dict(done.replayed)
    assert _edges(database, tenant_id, again[first]) == []
    assert _edges(database, tenant_id, again[second]) == [(again[first], on_failure)]
    rows.claim(database, again[first])
    rows.finish(database, again[first])
    _release(database)
    assert rows.claim(database, again[second]) is not None


def test_what_succeeded_or_does_not_matter_is_not_waited_for(database, tenant_id):
    succeeded = _ended(database, tenant_id, "succeeded").id
    cancelled = _ended(database, tenant_id, "cancelled").id
    for after, on_failure in (([succeeded], "cancel"), ([cancelled], "run")):
        _ended(database, tenant_id, after=after, on_failure=on_failure)
    done = _replay(database, tenant_id)
    assert len(done.replayed) == 2
    for _, again in done.replayed:
        assert _edges(database, tenant_id, again) == []


def test_what_has_not_ended_is_waited_for_still(database, tenant_id):
    first = _submit(database, tenant_id).id
    second = _submit(database, tenant_id, replace(ECHO, after=[first])).id
    with database.tenant(tenant_id) as connection:
        submit.cancel(connection, tenant_id=tenant_id, job_id=second)
    ((_, again),) = _replay(database, tenant_id, states=["cancelled"]).replayed
    assert _edges(database, tenant_id, again) == [(first, "cancel")]


def test_a_job_is_refused_whose_first_job_failed_and_is_not_replayed(
    database, tenant_id
):
    first, second = _chain(database, tenant_id, "cancel")
    third = _submit(database, tenant_id, replace(ECHO, after=[second]))
    _release(database)
    done = _replay(database, tenant_id, states=["cancelled"])
    assert done.replayed == []
    ask = "is not replayed in this call; replay that job too"
    assert done.refused == [
        (third.id, f"it waited for {second}, which is cancelled and {ask}"),
        (second, f"it waited for {first}, which is failed and {ask}"),
    ]
    assert rows.job(database, tenant_id, second).replayed_at is None
    assert _record(database, tenant_id) == []


def test_a_job_is_refused_with_the_first_job_that_is_no_longer_valid(
    database, tenant_id
):
    first, second = _chain(database, tenant_id)
    _spoil(database, first)
    done = _replay(database, tenant_id)
    assert done.replayed == []
    why = dict(done.refused)
    assert "test.gone" in why[first]
    assert first in why[second]


def test_a_job_waits_for_the_copy_that_an_earlier_replay_made(database, tenant_id):
    first, second = _chain(database, tenant_id, "cancel")
    ((_, copy),) = _replay(database, tenant_id).replayed
    _fail(database, copy)
    ((_, why),) = _replay(database, tenant_id, states=["cancelled"]).refused
    assert f"waited for {copy}, which is failed" in why
    latest = _retry(database, tenant_id, copy)
    assert latest.retry_of == first
    ((before, again),) = _replay(database, tenant_id, states=["cancelled"]).replayed
    assert before == second
    assert _edges(database, tenant_id, again) == [(latest.id, "cancel")]


def test_a_copy_that_fails_is_replayed_with_what_waits_for_its_first(
    database, tenant_id
):
    first, second = _chain(database, tenant_id)
    copy = _retry(database, tenant_id, first)
    _fail(database, copy.id)
    again = dict(_replay(database, tenant_id).replayed)
    assert set(again) == {copy.id, second}
    assert _edges(database, tenant_id, again[second]) == [(again[copy.id], "fail")]


def test_a_copy_that_succeeded_is_not_waited_for(database, tenant_id):
    first, second = _chain(database, tenant_id)
    copy = _retry(database, tenant_id, first)
    rows.claim(database, copy.id)
    rows.finish(database, copy.id)
    ((before, again),) = _replay(database, tenant_id).replayed
    assert before == second
    assert _edges(database, tenant_id, again) == []


def test_a_single_retry_waits_for_nothing(database, tenant_id):
    _, second = _chain(database, tenant_id)
    assert _edges(database, tenant_id, _retry(database, tenant_id, second).id) == []
