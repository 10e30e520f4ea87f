"""One attempt of one job: what is stored and what is refused."""

import pytest
import structlog
from sqlalchemy import text

from db import attempts, jobs
from tasks.context import Outcome
from tasks.errors import InvalidData, SourceUnavailable
from tests.db import rows
from workers.runner import run

pytestmark = pytest.mark.servers


def _run(runtime, job_id, attempt: int = 1) -> str:
    return run(runtime, job_id=job_id, attempt=attempt)


def test_a_result_and_its_rows_are_stored_in_one_transaction_with_the_end(
    runtime, database, tenant_id, register
):
    made = rows.new_job(labels={"made": "by store"})

    def handler(params, context):
        def store(connection):
            jobs.submit(connection, tenant_id=context.tenant_id, new_jobs=[made])
            return {"added": params.number}

        return Outcome({"kept": True}, store)

    name = register(handler)
    job_id = rows.queued(database, tenant_id, type=name, params={"number": 7})
    assert _run(runtime, job_id) == "succeeded"
    job = rows.job(database, tenant_id, job_id)
    assert (job.state, job.worker, job.progress) == ("succeeded", "here/1", None)
    with database.tenant(tenant_id) as connection:
        assert jobs.find(connection, tenant_id=tenant_id, job_id=made.id)
        (result,) = connection.scalars(text("SELECT body FROM job_results"))
        writers = connection.scalars(
            text(
                "SELECT xmin::text FROM jobs UNION SELECT xmin::text FROM job_results "
                "UNION SELECT xmin::text FROM job_events WHERE kind = 'succeeded'"
            )
        ).all()
    assert result == {"kept": True, "added": 7}
    assert len(writers) == 1


@pytest.mark.parametrize(
    ("error", "state"),
    [(InvalidData("the last row is bad"), "failed"), (KeyError("x"), "queued")],
)
def test_a_store_that_fails_leaves_nothing(
    runtime, database, tenant_id, register, error, state
):
    def handler(_params, context):
        def store(connection):
            jobs.submit(
                connection, tenant_id=context.tenant_id, new_jobs=[rows.new_job()]
            )
            raise error

        return Outcome({}, store)

    job_id = rows.queued(database, tenant_id, type=register(handler))
    assert _run(runtime, job_id) == state
    assert rows.value(database, "SELECT count(*) FROM jobs") == 1
    assert rows.value(database, "SELECT count(*) FROM job_results") == 0


def test_a_store_sees_the_rows_of_its_tenant_alone(
    runtime, database, tenant_id, other_tenant_id, register
):
    rows.queued(database, other_tenant_id)
    seen = []

    def handler(_params, _context):
        def store(connection):
            seen.extend(connection.scalars(text("SELECT tenant_id FROM jobs")))
            return {}

        return Outcome({}, store)

    _run(runtime, rows.queued(database, tenant_id, type=register(handler)))
    assert seen == [tenant_id]


def test_a_result_that_is_no_json_fails_the_attempt(
    runtime, database, tenant_id, register
):
    def handler(_params, _context):
        return Outcome({"made": object()})

    job_id = rows.queued(database, tenant_id, type=register(handler), max_attempts=1)
    assert _run(runtime, job_id) == "failed"
    assert rows.job(database, tenant_id, job_id).reason == "internal_error"


def test_the_log_of_a_handler_has_the_ids_of_its_job(
    runtime, database, tenant_id, register
):
    bound = {}

    def handler(_params, _context):
        bound.update(structlog.contextvars.get_contextvars())
        return Outcome({})

    name = register(handler)
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    job_id = rows.queued(database, tenant_id, type=name, traceparent=trace)
    _run(runtime, job_id)
    assert bound == {
        "job_id": job_id,
        "attempt": 1,
        "tenant_id": tenant_id,
        "type": name,
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
    }
    assert structlog.contextvars.get_contextvars() == {}


def test_bad_data_fails_at_once_and_says_why(runtime, database, tenant_id, register):
    def handler(_params, _context):
        raise InvalidData("no series load.x")

    job_id = rows.queued(database, tenant_id, type=register(handler))
    assert _run(runtime, job_id) == "failed"
    job = rows.job(database, tenant_id, job_id)
    assert (job.reason, job.attempt) == ("invalid_data", 1)
    assert job.error is not None
    assert job.error["detail"] == "no series load.x"
    assert job.error["status"] == 422


def test_a_source_that_is_away_is_tried_again_until_the_cap(
    runtime, database, tenant_id, register
):
    def handler(_params, _context):
        raise SourceUnavailable("the grid operator does not answer")

    name = register(handler)
    job_id = rows.queued(database, tenant_id, type=name, max_attempts=2)
    assert _run(runtime, job_id) == "queued"
    assert _run(runtime, job_id, attempt=2) == "failed"
    job = rows.job(database, tenant_id, job_id)
    assert (job.reason, job.attempt) == ("source_unavailable", 2)


def test_a_retry_waits_as_long_as_the_source_asks(
    runtime, database, tenant_id, register
):
    def handler(_params, _context):
        raise SourceUnavailable("slow down", retry_after_s=3_600)

    job_id = rows.queued(database, tenant_id, type=register(handler))
    _run(runtime, job_id)
    wait = (
        "SELECT extract(epoch FROM available_at - now()) FROM outbox WHERE attempt = 2"
    )
    assert 3_500 < rows.value(database, wait) <= 3_600


def test_the_words_of_an_unforeseen_error_never_reach_the_job(
    runtime, database, tenant_id, register
):
    def handler(_params, _context):
        raise RuntimeError("password=hunter2")

    job_id = rows.queued(database, tenant_id, type=register(handler), max_attempts=1)
    assert _run(runtime, job_id) == "failed"
    stored = rows.value(database, "SELECT string_agg(jobs::text, '') FROM jobs")
    events = rows.value(database, "SELECT string_agg(body::text, '') FROM job_events")
    assert "RuntimeError" in stored
    assert "hunter2" not in stored + events


def test_a_job_type_this_worker_does_not_know_fails(runtime, database, tenant_id):
    job_id = rows.queued(database, tenant_id, type="test.unheard")
    assert _run(runtime, job_id) == "failed"
    assert rows.job(database, tenant_id, job_id).reason == "invalid_data"


@pytest.mark.parametrize("attempt", [0, 2])
def test_a_message_of_another_attempt_is_refused(runtime, database, tenant_id, attempt):
    job_id = rows.queued(database, tenant_id)
    assert _run(runtime, job_id, attempt=attempt) == "refused"
    assert rows.job(database, tenant_id, job_id).state == "queued"


def test_a_message_that_comes_twice_runs_once(runtime, database, tenant_id):
    job_id = rows.queued(database, tenant_id)
    assert [_run(runtime, job_id), _run(runtime, job_id)] == ["succeeded", "refused"]


def test_an_attempt_that_was_overtaken_stores_nothing(
    runtime, database, tenant_id, register
):
    def handler(_params, context):
        def store(connection):
            jobs.submit(
                connection, tenant_id=context.tenant_id, new_jobs=[rows.new_job()]
            )
            return {}

        rows.give_back(database, context.job_id)
        return Outcome({"from": "the first attempt"}, store)

    job_id = rows.queued(database, tenant_id, type=register(handler))
    assert _run(runtime, job_id) == "fenced"
    job = rows.job(database, tenant_id, job_id)
    assert (job.state, job.attempt) == ("queued", 2)
    assert rows.value(database, "SELECT count(*) FROM jobs") == 1
    assert rows.value(database, "SELECT count(*) FROM job_results") == 0


@pytest.mark.parametrize("error", [InvalidData("bad"), KeyError("x")])
def test_the_failure_of_an_attempt_that_was_overtaken_changes_nothing(
    runtime, database, tenant_id, register, error
):
    def handler(_params, context):
        rows.give_back(database, context.job_id)
        raise error

    job_id = rows.queued(database, tenant_id, type=register(handler))
    assert _run(runtime, job_id) == "fenced"
    job = rows.job(database, tenant_id, job_id)
    assert (job.state, job.attempt, job.error) == ("queued", 2, None)


def test_a_database_that_is_away_at_the_end_is_an_error_for_the_reaper(
    runtime, database, tenant_id, register, monkeypatch
):
    def away(*_given, **_named):
        raise OSError

    def handler(_params, _context):
        monkeypatch.setattr(attempts, "finish", away)
        monkeypatch.setattr(attempts, "give_back", away)
        return Outcome({})

    job_id = rows.queued(database, tenant_id, type=register(handler))
    with pytest.raises(OSError):  # noqa: PT011 - it has no words
        _run(runtime, job_id)
    assert rows.job(database, tenant_id, job_id).state == "running"
