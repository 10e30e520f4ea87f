"""Jobs as their tenant sees them."""

import json
from dataclasses import asdict
from datetime import timedelta

import pytest
from sqlalchemy import event, text

from db import jobs
from db.jobs import JobFilter
from tests.db import rows

pytestmark = pytest.mark.servers


def _counts(database) -> dict[str, int]:
    return {
        table: rows.value(database, f"SELECT count(*) FROM {table}")
        for table in ("jobs", "outbox", "job_events")
    }


def _ids(database, tenant_id, before=None, limit=10, **wanted) -> list[str]:
    with database.tenant(tenant_id) as connection:
        found = jobs.page(
            connection,
            tenant_id=tenant_id,
            wanted=JobFilter(**wanted),
            before=before,
            limit=limit,
        )
    return [job.id for job in found]


def _cancel(database, tenant_id, job_id) -> None:
    with database.tenant(tenant_id) as connection:
        jobs.cancel(connection, tenant_id=tenant_id, job_id=job_id)


def test_a_submission_keeps_what_was_asked_for(database, tenant_id):
    new = rows.new_job(
        params={"payload": {"b": 1, "a": [None, "ü", 1.5]}},
        labels={"team": "grid"},
        priority=9,
        timeout_s=7,
        max_attempts=2,
        deadline=rows.AT,
        retry_of="job_0",
        traceparent="00-1-2-01",
    )
    with database.tenant(tenant_id) as connection:
        created_at = jobs.submit(connection, tenant_id=tenant_id, new_jobs=[new])
    kept = asdict(rows.job(database, tenant_id, new.id))
    asked = {name: value for name, value in vars(new).items() if name != "delay_s"}
    assert {name: kept[name] for name in asked} == asked
    assert list(kept["params"]["payload"]) == ["b", "a"]
    assert (kept["state"], kept["attempt"], kept["version"]) == ("queued", 1, 1)
    assert kept["created_at"] == created_at
    unset = {name for name, value in kept.items() if value is None}
    assert unset == {
        "reason",
        "worker",
        "progress",
        "error",
        "dispatched_at",
        "started_at",
        "finished_at",
        "lease_until",
        "cancel_requested_at",
        "concurrency_key",
        "concurrency_limit",
        "starts_per_minute",
        "parent_id",
        "step",
        "part",
        "replayed_at",
    }


def test_a_submission_writes_the_job_its_message_and_its_event_together(
    database, tenant_id
):
    job_id = rows.queued(database, tenant_id, priority=7, traceparent="00-1-2-01")
    assert _counts(database) == {"jobs": 1, "outbox": 1, "job_events": 1}
    with database.system() as connection:
        message = connection.execute(text("SELECT * FROM outbox")).one()._mapping
        told = connection.execute(text("SELECT * FROM job_events")).one()._mapping
    assert (message["job_id"], message["attempt"], message["tenant_id"]) == (
        job_id,
        1,
        tenant_id,
    )
    assert (message["type"], message["queue"], message["priority"]) == (
        "system.echo",
        "system",
        7,
    )
    assert message["traceparent"] == "00-1-2-01"
    assert (told["job_id"], told["tenant_id"], told["kind"]) == (
        job_id,
        tenant_id,
        "queued",
    )
    assert told["body"] == {"state": "queued", "attempt": 1}


def test_a_submission_that_is_rolled_back_leaves_nothing(database, tenant_id):
    def submit_and_fail() -> None:
        with database.tenant(tenant_id) as connection:
            jobs.submit(connection, tenant_id=tenant_id, new_jobs=[rows.new_job()])
            raise KeyError

    with pytest.raises(KeyError):
        submit_and_fail()
    assert _counts(database) == {"jobs": 0, "outbox": 0, "job_events": 0}


def test_many_jobs_are_submitted_in_one_statement(database, tenant_id):
    statements = []
    with database.tenant(tenant_id) as connection:
        event.listen(
            connection,
            "before_cursor_execute",
            lambda *call: statements.append(call[2]),
        )
        new_jobs = [rows.new_job() for _ in range(100)]
        jobs.submit(connection, tenant_id=tenant_id, new_jobs=new_jobs)
    assert len(statements) == 1
    assert _counts(database) == {"jobs": 100, "outbox": 100, "job_events": 100}


def test_messages_go_out_in_the_order_of_the_submission(database, tenant_id):
    new_jobs = [rows.new_job() for _ in range(20)]
    with database.tenant(tenant_id) as connection:
        jobs.submit(connection, tenant_id=tenant_id, new_jobs=new_jobs)
    with database.system() as connection:
        found = connection.execute(text("SELECT job_id FROM outbox ORDER BY id"))
        assert found.scalars().all() == [new.id for new in new_jobs]


def test_no_jobs_are_an_error(database, tenant_id):
    with (
        pytest.raises(ValueError, match="nothing to submit"),
        database.tenant(tenant_id) as connection,
    ):
        jobs.submit(connection, tenant_id=tenant_id, new_jobs=[])


def test_a_job_of_another_tenant_is_not_found(database, tenant_id, other_tenant_id):
    job_id = rows.queued(database, tenant_id)
    with database.tenant(other_tenant_id) as connection:
        for whose in (tenant_id, other_tenant_id):
            assert jobs.find(connection, tenant_id=whose, job_id=job_id) is None
            assert jobs.result(connection, tenant_id=whose, job_id=job_id) is None


def test_a_page_holds_the_newest_jobs_and_the_next_one_goes_on(database, tenant_id):
    made = [rows.queued(database, tenant_id) for _ in range(5)]
    first = _ids(database, tenant_id, limit=2)
    second = _ids(database, tenant_id, before=first[-1], limit=2)
    third = _ids(database, tenant_id, before=second[-1], limit=2)
    assert [*first, *second, *third] == made[::-1]
    assert _ids(database, tenant_id, before=third[-1]) == []


def test_a_page_can_be_narrowed(database, tenant_id, other_tenant_id):
    rows.queued(database, other_tenant_id)
    plain = rows.queued(database, tenant_id)
    labelled = rows.queued(database, tenant_id, labels={"a": "1", "b": "2"})
    other_type = rows.queued(database, tenant_id, type="forecast.run")
    active = rows.running(database, tenant_id)
    everything = [active, other_type, labelled, plain]
    assert _ids(database, tenant_id) == everything
    assert _ids(database, tenant_id, states=["running"]) == [active]
    assert _ids(database, tenant_id, states=["running", "queued"]) == everything
    assert _ids(database, tenant_id, type="forecast.run") == [other_type]
    assert _ids(database, tenant_id, labels={"a": "1"}) == [labelled]
    assert _ids(database, tenant_id, labels={"a": "2"}) == []


def test_cancelling_a_queued_job_ends_it_and_its_message(database, tenant_id):
    job_id = rows.queued(database, tenant_id)
    other = rows.queued(database, tenant_id)
    _cancel(database, tenant_id, job_id)
    job = rows.job(database, tenant_id, job_id)
    assert (job.state, job.reason, job.version) == ("cancelled", "cancelled_by_user", 2)
    assert job.finished_at is not None
    assert rows.history(database, tenant_id, job_id) == ["queued", "cancelled"]
    assert rows.value(database, "SELECT array_agg(job_id) FROM outbox") == [other]


def test_cancelling_a_running_job_asks_it_to_stop(database, tenant_id):
    job_id = rows.running(database, tenant_id)
    _cancel(database, tenant_id, job_id)
    job = rows.job(database, tenant_id, job_id)
    assert (job.state, job.reason, job.finished_at) == ("running", None, None)
    assert job.cancel_requested_at is not None
    assert rows.history(database, tenant_id, job_id)[-1] == "cancel_requested"


def test_cancelling_again_or_from_another_tenant_changes_nothing(
    database, tenant_id, other_tenant_id
):
    job_id = rows.running(database, tenant_id)
    _cancel(database, other_tenant_id, job_id)
    assert rows.job(database, tenant_id, job_id).cancel_requested_at is None
    _cancel(database, tenant_id, job_id)
    before = rows.job(database, tenant_id, job_id)
    _cancel(database, tenant_id, job_id)
    assert rows.job(database, tenant_id, job_id) == before


def test_a_result_is_the_json_that_was_stored(database, tenant_id):
    job_id = rows.running(database, tenant_id)
    rows.finish(database, job_id, result={"b": 1.25, "a": None})
    with database.tenant(tenant_id) as connection:
        found = jobs.result(connection, tenant_id=tenant_id, job_id=job_id)
    assert json.loads(found) == {"b": 1.25, "a": None}


def test_a_page_can_be_narrowed_by_time_reason_and_replay(database, tenant_id):
    old, failed, replayed = (rows.queued(database, tenant_id) for _ in range(3))
    rows.change(
        database, "UPDATE jobs SET created_at = :at WHERE id = :id", at=rows.AT, id=old
    )
    rows.change(database, "UPDATE jobs SET reason = 'r' WHERE id = :id", id=failed)
    with database.tenant(tenant_id) as connection:
        jobs.mark_replayed(connection, tenant_id=tenant_id, job_ids=[replayed])
    later = rows.AT + timedelta(seconds=1)
    assert _ids(database, tenant_id, until=rows.AT) == []
    assert _ids(database, tenant_id, since=rows.AT, until=later) == [old]
    assert _ids(database, tenant_id, since=later) == [replayed, failed]
    assert _ids(database, tenant_id, reason="r") == [failed]
    assert _ids(database, tenant_id, replayed=False) == [failed, old]


def test_parts_are_listed_under_their_parent_alone(database, tenant_id):
    parent = rows.queued(database, tenant_id)
    part = rows.queued(database, tenant_id, parent_id=parent, step="part", part=0)
    assert _ids(database, tenant_id) == [parent]
    assert _ids(database, tenant_id, parent_id=parent) == [part]


def test_a_job_submitted_for_later_is_not_due_yet(database, tenant_id):
    rows.queued(database, tenant_id, delay_s=90.0)
    wait_s = rows.value(
        database, "SELECT extract(epoch FROM available_at - now()) FROM outbox"
    )
    assert 80 < wait_s <= 90


def test_a_blocked_job_has_no_message(database, tenant_id):
    rows.queued(database, tenant_id, blocked=True)
    assert _counts(database) == {"jobs": 1, "outbox": 0, "job_events": 1}


def test_cancelling_a_blocked_job_ends_its_wait(database, tenant_id):
    job_id = rows.queued(database, tenant_id, blocked=True)
    _cancel(database, tenant_id, job_id)
    job = rows.job(database, tenant_id, job_id)
    assert (job.state, job.blocked) == ("cancelled", False)
