"""The bargain of a JobContext: a real attempt and the fake both keep it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from db import jobs
from tasks.context import JobContext, Outcome
from tasks.errors import JobCancelled
from tests.db import rows
from tests.db.patience import until
from tests.fakes import FakeContext
from workers.runner import run

pytestmark = pytest.mark.servers

Check = Callable[[JobContext, Callable[[], None]], None]


def _within_a_fake(runtime, database, tenant_id, register, check: Check) -> None:
    context = FakeContext(
        tenant_id=tenant_id,
        database=database,
        artifacts=runtime.settings.artifacts_path,
    )

    def cancel() -> None:
        context.cancelled = True

    check(context, cancel)


def _within_an_attempt(runtime, database, tenant_id, register, check: Check) -> None:
    faults: list[BaseException] = []

    def handler(_params: Any, context: JobContext) -> Outcome:
        def cancel() -> None:
            with database.tenant(tenant_id) as connection:
                jobs.cancel(connection, tenant_id=tenant_id, job_id=context.job_id)

        try:
            check(context, cancel)
        except BaseException as fault:
            faults.append(fault)
            raise
        return Outcome({})

    job_id = rows.queued(database, tenant_id, type=register(handler))
    run(runtime, job_id=job_id, attempt=1)
    if faults:
        raise faults[0]


@pytest.fixture(params=[_within_a_fake, _within_an_attempt])
def within(request, runtime, database, tenant_id, register) -> Callable[[Check], None]:
    """Call a check with a context and a way to cancel its job."""
    return lambda check: request.param(runtime, database, tenant_id, register, check)


def test_a_context_says_whose_attempt_it_is(within, tenant_id):
    def check(context: JobContext, _cancel: Any) -> None:
        assert context.job_id.startswith("job_")
        assert (context.tenant_id, context.attempt) == (tenant_id, 1)
        assert context.now.utcoffset() == timedelta(0)
        assert isinstance(context.artifacts, Path)

    within(check)


def test_a_context_keeps_what_its_tenant_trained(within, tenant_id):
    def check(context: JobContext, _cancel: Any) -> None:
        sha256 = context.artifact_store.put(b"fitted")
        assert context.artifact_store.get(sha256) == b"fitted"
        folder = context.artifacts / "models" / str(tenant_id)
        assert [path.name for path in folder.glob("*/*")] == [sha256]

    within(check)


def test_progress_may_be_told_any_number_of_times(within):
    def check(context: JobContext, _cancel: Any) -> None:
        for done in range(100):
            assert context.progress(done, 100, "rows", "reading") is None

    within(check)


def test_progress_of_a_cancelled_job_raises(within):
    def check(context: JobContext, cancel: Callable[[], None]) -> None:
        cancel()
        until(lambda: context.progress(0, 1, "rows", "reading"))

    with pytest.raises(JobCancelled):
        within(check)


def test_a_context_reads_the_rows_of_its_tenant_alone(
    within, database, tenant_id, other_tenant_id
):
    for tenant in (tenant_id, other_tenant_id):
        rows.series(database, tenant)

    def check(context: JobContext, _cancel: Any) -> None:
        for _ in range(2):
            with context.read() as connection:
                seen = connection.scalars(text("SELECT tenant_id FROM series")).all()
            assert seen == [tenant_id]

    within(check)


def test_an_attempt_begins_now_by_the_clock_of_the_database(
    runtime, database, tenant_id, register
):
    began: list[datetime] = []

    @contextmanager
    def clock() -> Iterator[None]:
        before = rows.value(database, "SELECT now()")
        yield
        assert (
            before <= began[0].astimezone(UTC) <= rows.value(database, "SELECT now()")
        )

    def handler(_params: Any, context: JobContext) -> Outcome:
        began.append(context.now)
        return Outcome({})

    job_id = rows.queued(database, tenant_id, type=register(handler))
    with clock():
        run(runtime, job_id=job_id, attempt=1)
    assert rows.job(database, tenant_id, job_id).started_at == began[0]
