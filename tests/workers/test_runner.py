"""One attempt of one job: what is stored, what is refused, what stops it."""

import subprocess
import sys
import textwrap
import time
from dataclasses import replace

import pytest

from db import attempts, jobs
from tasks.context import Outcome
from tasks.errors import InvalidData, SourceUnavailable
from tests.db import rows
from workers.runner import Runtime, run

pytestmark = pytest.mark.servers


@pytest.fixture
def runtime(database, settings) -> Runtime:
    quick = replace(settings, heartbeat_s=0.05, grace_s=0.1, retry_delay_s=0.01)
    return Runtime(database, quick, "here/1")


def _job(database, tenant_id, job_id) -> jobs.Job:
    with database.tenant(tenant_id) as connection:
        found = jobs.find(connection, tenant_id=tenant_id, job_id=job_id)
    assert found is not None
    return found


def _run(runtime, job_id, attempt: int = 1) -> str:
    return run(runtime, job_id=job_id, attempt=attempt)


def test_a_result_and_its_rows_are_stored_with_the_end(
    runtime, database, tenant_id, register
):
    def handler(params, context):
        def store(connection):
            jobs.submit(
                connection,
                tenant_id=context.tenant_id,
                new_jobs=[rows.new_job(labels={"made": "by store"})],
            )
            return {"added": params.number}

        return Outcome({"kept": True}, store)

    name = register(handler)
    job_id = rows.queued(database, tenant_id, type=name, params={"number": 7})
    assert _run(runtime, job_id) == "succeeded"
    with database.tenant(tenant_id) as connection:
        text = jobs.result(connection, tenant_id=tenant_id, job_id=job_id)
    assert text is not None
    assert text.replace(" ", "") == '{"kept":true,"added":7}'
    made = "SELECT count(*) FROM jobs WHERE labels ? 'made'"
    assert rows.value(database, made) == 1
    assert _job(database, tenant_id, job_id).worker == "here/1"


def test_a_store_that_fails_leaves_nothing(runtime, database, tenant_id, register):
    def handler(_params, context):
        def store(connection):
            jobs.submit(
                connection, tenant_id=context.tenant_id, new_jobs=[rows.new_job()]
            )
            raise InvalidData("the last row is bad")

        return Outcome({}, store)

    job_id = rows.queued(database, tenant_id, type=register(handler))
    assert _run(runtime, job_id) == "failed"
    assert rows.value(database, "SELECT count(*) FROM jobs") == 1
    assert rows.value(database, "SELECT count(*) FROM job_results") == 0


def test_bad_data_fails_at_once_and_says_why(runtime, database, tenant_id, register):
    def handler(_params, _context):
        raise InvalidData("no series load.x")

    job_id = rows.queued(database, tenant_id, type=register(handler))
    assert _run(runtime, job_id) == "failed"
    job = _job(database, tenant_id, job_id)
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
    job = _job(database, tenant_id, job_id)
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
    assert _job(database, tenant_id, job_id).reason == "invalid_data"


@pytest.mark.parametrize("attempt", [0, 2])
def test_a_message_of_another_attempt_is_refused(runtime, database, tenant_id, attempt):
    job_id = rows.queued(database, tenant_id)
    assert _run(runtime, job_id, attempt=attempt) == "refused"
    assert _job(database, tenant_id, job_id).state == "queued"


def test_a_message_that_comes_twice_runs_once(runtime, database, tenant_id):
    job_id = rows.queued(database, tenant_id)
    assert [_run(runtime, job_id), _run(runtime, job_id)] == ["succeeded", "refused"]


def test_an_attempt_that_was_overtaken_writes_nothing(
    runtime, database, tenant_id, register
):
    def handler(_params, context):
        with database.system() as connection:
            attempts.give_back(
                connection,
                job_id=context.job_id,
                attempt=1,
                end=attempts.End("failed", "worker_lost"),
                delay_s=0,
            )
        return Outcome({"from": "the first attempt"})

    job_id = rows.queued(database, tenant_id, type=register(handler))
    assert _run(runtime, job_id) == "fenced"
    job = _job(database, tenant_id, job_id)
    assert (job.state, job.attempt) == ("queued", 2)
    assert rows.value(database, "SELECT count(*) FROM job_results") == 0


def test_a_cancel_is_seen_at_the_next_step(runtime, database, tenant_id, register):
    reached = []

    def handler(_params, context):
        with database.tenant(tenant_id) as connection:
            jobs.cancel(connection, tenant_id=tenant_id, job_id=context.job_id)
        for step in range(1_000):
            context.progress(step, 1_000, "steps", "stepping")
            reached.append(step)
            time.sleep(0.01)
        return Outcome({})

    job_id = rows.queued(database, tenant_id, type=register(handler))
    assert _run(runtime, job_id) == "cancelled"
    assert len(reached) < 500
    job = _job(database, tenant_id, job_id)
    assert (job.state, job.reason) == ("cancelled", "cancelled_by_user")


def test_a_job_longer_than_its_timeout_fails_with_the_reason(
    runtime, database, tenant_id, register
):
    def handler(_params, context):
        for step in range(400):
            context.progress(step, 400, "steps", "stepping")
            time.sleep(0.01)
        return Outcome({})

    job_id = rows.queued(database, tenant_id, type=register(handler), timeout_s=1)
    assert _run(runtime, job_id) == "failed"
    assert _job(database, tenant_id, job_id).reason == "timeout"


def test_progress_grows_and_ends_full(runtime, database, tenant_id, register):
    def handler(_params, context):
        for step in range(4):
            context.progress(step, 4, "series", f"fitting {step}")
            time.sleep(0.3)
        return Outcome({})

    job_id = rows.queued(database, tenant_id, type=register(handler))
    assert _run(runtime, job_id) == "succeeded"
    steps = rows.value(
        database,
        "SELECT array_agg((body->'progress'->>'done')::int ORDER BY id) "
        "FROM job_events WHERE kind IN ('progress', 'succeeded')",
    )
    assert steps == sorted(steps)
    assert len(set(steps)) >= 3
    assert steps[-1] == 4


def test_the_lease_is_kept_while_the_handler_is_busy(
    runtime, database, tenant_id, register
):
    leases = []

    def handler(_params, context):
        for _ in range(2):
            leases.append(_job(database, tenant_id, context.job_id).lease_until)
            time.sleep(0.3)
        return Outcome({})

    _run(runtime, rows.queued(database, tenant_id, type=register(handler)))
    assert leases[1] > leases[0]


PROGRAM = """
    import time
    from dataclasses import replace
    from db.session import Database
    from tasks import catalog
    from tasks.context import Outcome
    from tasks.settings import Settings
    from workers.runner import Runtime, run

    class P(catalog.Params):
        pass

    @catalog.job_type("test.deaf", params=P, queue="system")
    def deaf(params, context):
        print("running", flush=True)
        time.sleep(60)
        return Outcome({{}})

    database = Database({url!r}, pool_size=3)
    settings = Settings(heartbeat_s=0.1, grace_s=0.2)
    run(Runtime(database, settings, "there/1"), job_id={job_id!r}, attempt=1)
"""


@pytest.mark.parametrize(
    ("timeout_s", "state", "reason"),
    [(1, "failed", "timeout"), (600, "cancelled", "cancelled_by_user")],
)
def test_a_handler_that_does_not_listen_is_ended_with_its_process(
    database, database_url, tenant_id, timeout_s, state, reason
):
    job_id = rows.queued(
        database, tenant_id, type="test.deaf", params={}, timeout_s=timeout_s
    )
    program = textwrap.dedent(PROGRAM.format(url=database_url, job_id=job_id))
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "running\n"
    if state == "cancelled":
        with database.tenant(tenant_id) as connection:
            jobs.cancel(connection, tenant_id=tenant_id, job_id=job_id)
    assert process.wait(timeout=20) == -9
    process.stdout.close()
    job = _job(database, tenant_id, job_id)
    assert (job.state, job.reason) == (state, reason)
