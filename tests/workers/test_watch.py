"""Around a running handler: progress, lease, cancel, timeout, and the end by force."""

import subprocess
import sys
import textwrap
from datetime import timedelta

import pytest

from db import attempts, jobs
from db.errors import Fenced
from tasks.context import Outcome
from tests.db import rows
from tests.db.patience import until
from workers import runner

pytestmark = pytest.mark.servers


def _cancel(database, tenant_id, job_id) -> None:
    with database.tenant(tenant_id) as connection:
        jobs.cancel(connection, tenant_id=tenant_id, job_id=job_id)


def _until_stopped(context) -> None:
    """Work that looks at its clock and would not end by itself."""
    until(lambda: context.progress(1, 2, "steps", "stepping"))


def _run(runtime, job_id) -> str:
    return runner.run(runtime, job_id=job_id, attempt=1)


def test_an_attempt_that_was_overtaken_hears_of_it_at_the_next_step(
    runtime, database, tenant_id, register
):
    def handler(_params, context):
        rows.give_back(database, context.job_id)
        _until_stopped(context)

    job_id = rows.queued(database, tenant_id, type=register(handler))
    assert _run(runtime, job_id) == "fenced"
    job = rows.job(database, tenant_id, job_id)
    assert (job.state, job.attempt, job.progress) == ("queued", 2, None)


def test_a_cancel_is_seen_at_the_next_step(runtime, database, tenant_id, register):
    def handler(_params, context):
        _cancel(database, tenant_id, context.job_id)
        _until_stopped(context)

    job_id = rows.queued(database, tenant_id, type=register(handler))
    assert _run(runtime, job_id) == "cancelled"
    job = rows.job(database, tenant_id, job_id)
    assert (job.state, job.reason) == ("cancelled", "cancelled_by_user")


def test_a_job_that_ends_before_it_sees_the_cancel_has_succeeded(
    runtime, database, tenant_id, register
):
    def handler(_params, context):
        _cancel(database, tenant_id, context.job_id)
        return Outcome({})

    job_id = rows.queued(database, tenant_id, type=register(handler))
    assert _run(runtime, job_id) == "succeeded"


def test_a_job_longer_than_its_timeout_fails_with_the_reason(
    runtime, database, tenant_id, register
):
    def handler(_params, context):
        _until_stopped(context)

    job_id = rows.queued(database, tenant_id, type=register(handler), timeout_s=0)
    assert _run(runtime, job_id) == "failed"
    job = rows.job(database, tenant_id, job_id)
    assert (job.reason, job.attempt) == ("timeout", 1)
    assert job.error["detail"] == "ran longer than 0 s"


def _told(database) -> list[int]:
    return rows.value(
        database,
        "SELECT array_agg((body->'progress'->>'done')::int ORDER BY id) "
        "FROM job_events WHERE kind IN ('progress', 'succeeded')",
    )


def test_progress_is_told_in_its_order_and_ends_full(
    runtime, database, tenant_id, register, monkeypatch
):
    monkeypatch.setattr(runner, "_PROGRESS_EVERY_S", 0)

    def handler(_params, context):
        for step in range(5):
            context.progress(step, 7, "series", f"fitting {step}")
        return Outcome({})

    job_id = rows.queued(database, tenant_id, type=register(handler))
    assert _run(runtime, job_id) == "succeeded"
    assert _told(database) == [0, 1, 2, 3, 4, 7]
    assert rows.job(database, tenant_id, job_id).progress == {
        "done": 7,
        "total": 7,
        "unit": "series",
        "message": "done",
    }


def test_quick_calls_are_told_from_time_to_time_and_the_latest_by_the_watch(
    runtime, database, tenant_id, register
):
    def handler(_params, context):
        for step in range(1_000):
            context.progress(step, 1_000, "rows", "")
        until(lambda: _told(database)[-1] == 999)
        return Outcome({})

    job_id = rows.queued(database, tenant_id, type=register(handler))
    assert _run(runtime, job_id) == "succeeded"
    told = _told(database)
    assert told == sorted(set(told))
    assert told[-2:] == [999, 1_000]
    assert len(told) < 100


def test_the_lease_is_kept_while_the_handler_is_busy(
    runtime, database, tenant_id, register
):
    def handler(_params, context):
        def lease():
            return rows.job(database, tenant_id, context.job_id).lease_until

        first = lease()
        until(lambda: lease() > first + timedelta(seconds=0.1))
        return Outcome({})

    job_id = rows.queued(database, tenant_id, type=register(handler))
    assert _run(runtime, job_id) == "succeeded"


def test_progress_without_news_is_not_told_again(
    runtime, database, tenant_id, register
):
    def handler(_params, context):
        def lease():
            return rows.job(database, tenant_id, context.job_id).lease_until

        context.progress(1, 2, "steps", "half")
        first = lease()
        until(lambda: lease() > first + timedelta(seconds=0.2))
        assert _told(database) == [1]
        return Outcome({})

    job_id = rows.queued(database, tenant_id, type=register(handler))
    assert _run(runtime, job_id) == "succeeded"


def test_a_database_that_is_away_for_a_while_does_not_end_the_watch(
    runtime, database, tenant_id, register, monkeypatch
):
    heartbeat = attempts.heartbeat
    faults = [OSError] * 3

    def stumble(connection, **given):
        if faults:
            raise faults.pop()
        return heartbeat(connection, **given)

    def handler(_params, context):
        until(lambda: not faults)
        _cancel(database, tenant_id, context.job_id)
        until(lambda: context._stop)
        context.progress(1, 1, "", "")

    monkeypatch.setattr(attempts, "heartbeat", stumble)
    job_id = rows.queued(database, tenant_id, type=register(handler))
    assert _run(runtime, job_id) == "cancelled"


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


@pytest.fixture
def deaf(database, database_url, tenant_id):
    """Start a process whose handler does not listen; return it and its job."""
    started = []

    def start(timeout_s: int = 600) -> tuple[subprocess.Popen, str]:
        job_id = rows.queued(
            database, tenant_id, type="test.deaf", params={}, timeout_s=timeout_s
        )
        program = textwrap.dedent(PROGRAM.format(url=database_url, job_id=job_id))
        process = subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        # One without any time may be ended before it says so.
        assert process.stdout.readline() == "running\n" or not timeout_s
        return process, job_id

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_a_handler_that_does_not_hear_the_cancel_is_ended_with_its_process(
    database, tenant_id, deaf
):
    process, job_id = deaf()
    _cancel(database, tenant_id, job_id)
    assert process.wait(timeout=60) == -9
    job = rows.job(database, tenant_id, job_id)
    assert (job.state, job.reason) == ("cancelled", "cancelled_by_user")


def test_a_handler_that_does_not_look_at_its_clock_is_ended_with_its_process(
    database, tenant_id, deaf
):
    process, job_id = deaf(timeout_s=0)
    assert process.wait(timeout=60) == -9
    job = rows.job(database, tenant_id, job_id)
    assert (job.state, job.reason) == ("failed", "timeout")


def test_a_handler_that_was_overtaken_is_ended_and_its_job_left_alone(
    database, tenant_id, deaf
):
    process, job_id = deaf()
    rows.give_back(database, job_id)
    before = rows.job(database, tenant_id, job_id)
    assert process.wait(timeout=60) == -9
    assert rows.job(database, tenant_id, job_id) == before
    with pytest.raises(Fenced):
        rows.finish(database, job_id)
