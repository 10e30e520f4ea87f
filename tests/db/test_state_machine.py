"""Any sequence of what clients, workers and housekeeping do, beside a plain model."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import text

from db import attempts, events, jobs, line, outbox
from db.errors import Fenced
from db.jobs import Job
from db.session import Database
from tasks.catalog import QUEUES
from tests.db import rows
from tests.db.naive import FINAL, NaiveJob

pytestmark = pytest.mark.servers

_ATTEMPTS = text("""
SELECT ARRAY(SELECT attempt FROM outbox WHERE job_id = :id ORDER BY attempt),
    ARRAY(SELECT attempt FROM job_results WHERE job_id = :id)
""")
# The present attempt most often, but also late messages and ones from nowhere.
_WHICH = st.sampled_from([0, 0, 0, 0, -1, 1])


class JobLife(RuleBasedStateMachine):
    """One job; each rule does the same to the row and to the model."""

    database: Database
    tenant_id: int

    @initialize(max_attempts=st.integers(1, 3))
    def submit(self, max_attempts):
        self.model = NaiveJob(max_attempts)
        self.job_id = rows.queued(
            self.database, self.tenant_id, max_attempts=max_attempts
        )
        self.ended_as = None
        self.version = 0

    @rule(which=_WHICH)
    def claim(self, which):
        attempt = self.model.attempt + which
        claimed = rows.claim(self.database, self.job_id, attempt)
        assert (claimed is not None) == self.model.claim(attempt)

    @rule(which=_WHICH, progress=st.booleans())
    def heartbeat(self, which, progress):
        attempt = self.model.attempt + which
        expected = self.model.heartbeat(attempt, progress=progress)
        try:
            with self.database.system() as connection:
                cancel = attempts.heartbeat(
                    connection,
                    job_id=self.job_id,
                    attempt=attempt,
                    lease_s=60,
                    progress={"done": 1} if progress else None,
                )
        except Fenced:
            cancel = None
        assert cancel == expected

    @rule(which=_WHICH, state=st.sampled_from(["succeeded", "succeeded", "failed"]))
    def finish(self, which, state):
        attempt = self.model.attempt + which
        accepted = self.model.finish(attempt, state)
        try:
            with self.database.system() as connection:
                attempts.finish(
                    connection,
                    job_id=self.job_id,
                    attempt=attempt,
                    end=attempts.End(state, result={"attempt": attempt}),
                )
        except Fenced:
            assert not accepted
        else:
            assert accepted

    @rule(which=_WHICH)
    def give_back(self, which):
        attempt = self.model.attempt + which
        assert self._give_back(attempt) == self.model.give_back(attempt)

    @rule()
    def lease_runs_out(self):
        rows.change(
            self.database,
            "UPDATE jobs SET lease_until = now() - interval '1 second' "
            "WHERE id = :id AND state = 'running'",
            id=self.job_id,
        )
        with self.database.system() as connection:
            found = outbox.expired(connection, limit=10)
        expected = [(self.job_id, self.model.attempt)]
        assert found == (expected if self.model.state == "running" else [])
        for _, attempt in found:
            assert self._give_back(attempt) == self.model.give_back(attempt)

    @rule()
    def cancel(self):
        self.model.cancel()
        with self.database.tenant(self.tenant_id) as connection:
            jobs.cancel(connection, tenant_id=self.tenant_id, job_id=self.job_id)

    @rule()
    def dispatch(self):
        with self.database.system() as connection:
            taken = line.take(
                connection, queue="system", queues=QUEUES, limit=9, share=0.1
            )
            outbox.mark_sent(connection, ids=[message.id for message in taken])
        assert {message.attempt for message in taken} == self.model.dispatch()

    @precondition(lambda self: not self.model.overdue)
    @rule()
    def pass_deadline(self):
        self.model.pass_deadline()
        rows.change(
            self.database,
            "UPDATE jobs SET deadline = now() WHERE id = :i",
            i=self.job_id,
        )

    @rule()
    def fail_overdue(self):
        expected = self.model.fail_overdue()
        with self.database.system() as connection:
            assert outbox.fail_overdue(connection, error="{}") == expected

    @invariant()
    def row_and_model_agree(self):
        with self.database.tenant(self.tenant_id) as connection:
            whose = {"tenant_id": self.tenant_id, "job_id": self.job_id}
            job = jobs.find(connection, **whose)
            told = events.after(connection, **whose, event_id=0)
            messages, results = connection.execute(_ATTEMPTS, {"id": self.job_id}).one()
        self._is_as_the_model_says(job, messages)
        assert [event.kind for event in told] == self.model.history
        assert [event.id for event in told] == sorted({event.id for event in told})
        self._holds_whatever_the_model_says(replace(job, deadline=None), results)

    def _is_as_the_model_says(self, job: Job, messages: list[int]) -> None:
        assert (job.state, job.attempt, job.version, job.reason) == (
            self.model.state,
            self.model.attempt,
            self.model.version,
            self.model.reason,
        )
        assert (job.cancel_requested_at is not None) == self.model.cancel_requested
        assert (job.finished_at is not None) == (job.state in FINAL)
        assert (job.lease_until is not None) == (job.state == "running")
        assert set(messages) == self.model.messages

    def _holds_whatever_the_model_says(self, job: Job, results: list[int]) -> None:
        assert job.attempt <= job.max_attempts
        assert job.version >= self.version
        assert results == ([job.attempt] if job.state == "succeeded" else [])
        assert self.ended_as in (None, job)
        self.version = job.version
        if job.state in FINAL:
            self.ended_as = job

    def _give_back(self, attempt: int) -> str | None:
        with self.database.system() as connection:
            return attempts.give_back(
                connection,
                job_id=self.job_id,
                attempt=attempt,
                end=attempts.End("failed", "lost", {"title": "lost"}),
                pause=attempts.Pause(delay_s=0),
            )


@pytest.mark.slow
def test_a_job_lives_as_the_model_does(database, tenant_id):
    JobLife.database, JobLife.tenant_id = database, tenant_id

    class Emptied(JobLife):
        def teardown(self):
            # Another job's message or lease must not turn up in the next example.
            with database.system() as connection:
                connection.execute(text("DELETE FROM outbox"))
                connection.execute(text("UPDATE jobs SET state = 'failed'"))

    run_state_machine_as_test(
        Emptied,
        settings=settings(
            max_examples=50,
            stateful_step_count=15,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
