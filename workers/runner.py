"""Runs one attempt of one job: claim, call the handler, store, finish.

Every step may be repeated or overtaken: the database lets one attempt win, and a lost
race is a normal return value. A watch thread keeps the lease, and stops a handler
that does not look at its clock.
"""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import structlog

from db import attempts, parts
from db.attempts import Pause
from db.errors import Fenced
from db.jobs import Job
from db.session import Connection, Database
from tasks import storage, traces
from tasks.artifacts import ArtifactStore
from tasks.catalog import JobType, Parts, job_types
from tasks.errors import InvalidParams, JobCancelled, JobTimedOut
from tasks.settings import Settings
from workers.outcomes import verdict
from workers.pieces import children

_log = logging.getLogger(__name__)

_PROGRESS_EVERY_S = 0.5
# A thread that is kept costs a short job less than a new one. A process runs one job
# at a time and so has one; more are for those that call the runner from threads.
_watches = ThreadPoolExecutor(max_workers=64, thread_name_prefix="watch")


@dataclass(frozen=True)
class Runtime:
    """What a worker process needs to run jobs."""

    database: Database
    settings: Settings
    worker: str


def run(
    runtime: Runtime, *, job_id: str, attempt: int, traceparent: str | None = None
) -> str:
    """Run an attempt if it may still be run; return what became of it.

    Args:
        runtime: the process's connections and settings.
        job_id: the job.
        attempt: which of its attempts the message is for.
        traceparent: the span that sent the message, by default the job's own.
    """
    with runtime.database.system() as connection:
        job = attempts.claim(
            connection,
            job_id=job_id,
            attempt=attempt,
            worker=runtime.worker,
            lease_s=runtime.settings.lease_s,
        )
    if job is None:
        _log.info("job not to be had", extra={"job_id": job_id, "attempt": attempt})
        return "refused"
    span = traces.span(
        f"run {job.type}",
        "consumer",
        parent=traceparent or job.traceparent,
        link=job.traceparent,
        attributes=_told(job),
    )
    with (
        span as now,
        structlog.contextvars.bound_contextvars(
            job_id=job.id,
            attempt=job.attempt,
            tenant_id=job.tenant_id,
            type=job.type,
            trace_id=now.trace_id,
        ),
    ):
        outcome = _Attempt(runtime, job).run()
        now.failed = outcome in ("queued", "failed", "fenced")
        now.tell({"forebay.outcome": outcome})
        return outcome


def _told(job: Job) -> traces.Attributes:
    return traces.of_job(
        job_id=job.id, attempt=job.attempt, tenant_id=job.tenant_id, queue=job.queue
    )


class _Attempt:
    """One claimed attempt; it is also the handler's JobContext."""

    def __init__(self, runtime: Runtime, job: Job) -> None:
        # What a part stores belongs to the whole job.
        self.job_id = job.parent_id or job.id
        self.tenant_id = job.tenant_id
        self.attempt = job.attempt
        self.part = job.part
        self.now = job.started_at or datetime.now(UTC)
        self.artifacts: Path = runtime.settings.artifacts_path
        self.settings = runtime.settings
        self.final = job.attempt - job.forgiven >= job.max_attempts
        self._job = job
        self._runtime = runtime
        self._began = time.monotonic()
        self._progress: dict[str, Any] | None = None
        self._told: dict[str, Any] | None = None
        self._told_at = 0.0
        self._beat_lock = threading.Lock()
        self._stop: Exception | None = None
        self._over = threading.Event()
        self._exit_lock = threading.Lock()

    def run(self) -> str:
        """Run the handler under the watch; return the state the job is in after."""
        watch = _watches.submit(self._watch)
        try:
            return self._handle()
        except Fenced:
            _log.warning("fenced off: another attempt has the job")
            return "fenced"
        finally:
            with self._exit_lock:
                self._over.set()
            watch.result()

    @property
    def artifact_store(self) -> ArtifactStore:
        """See JobContext.artifact_store."""
        return storage.opened(self._runtime.settings, tenant_id=self.tenant_id)

    def progress(self, done: int, total: int, unit: str, message: str) -> None:
        """See JobContext.progress."""
        self.look()
        self._progress = {
            "done": done,
            "total": total,
            "unit": unit,
            "message": message,
        }
        if time.monotonic() - self._told_at >= _PROGRESS_EVERY_S:
            self._beat()
            if self._stop is not None:
                raise self._stop

    def look(self) -> None:
        """See JobContext.look."""
        if self._stop is not None:
            raise self._stop
        self._check_time()

    def shared(self) -> AbstractContextManager[Connection]:
        """See JobContext.shared."""
        return self._runtime.database.system()

    def read(self) -> AbstractContextManager[Connection]:
        """See JobContext.read."""
        return self._runtime.database.tenant(self.tenant_id)

    def note(self) -> AbstractContextManager[Connection]:
        """See JobContext.note."""
        return self._runtime.database.tenant(self.tenant_id)

    def _handle(self) -> str:
        try:
            kind = _kind(self._job.type)
            params = kind.params.model_validate(self._job.params)
            if kind.parts and self._job.step != "part":
                return self._in_parts(kind, kind.parts, params)
            outcome = kind.handler(params, self)
            return self._succeed(outcome.result, outcome.store)
        except Fenced:
            raise
        except Exception as error:  # noqa: BLE001 - the one place; see outcomes.py
            return self._fail(error)

    def _in_parts(self, kind: JobType, how: Parts, params: Any) -> str:
        """Split the job, or put it together when it is the finish of one."""
        if self._job.step == "finish":
            with self.read() as connection:
                done = parts.results(connection, parent_id=self.job_id)
                outcome = how.merge(params, done, self)
            return self._succeed(outcome.result, outcome.store)
        planned = how.split(params, self)
        if len(planned) <= 1:
            outcome = kind.handler(params, self)
            return self._succeed(outcome.result, outcome.store)
        pieces, finish = children(self._job, kind, planned)
        with self._runtime.database.tenant(self.tenant_id) as connection:
            parts.split(connection, job=self._job, parts=pieces, finish=finish)
        _log.info("job split", extra={"parts": len(pieces)})
        return "parts"

    def _succeed(self, result: Any, store: Callable[[Connection], Any] | None) -> str:
        with self._runtime.database.tenant(self.tenant_id) as connection:
            added = store(connection) if store else {}
            whole = {**result, **added}
            if self._job.step == "finish":
                text = orjson.dumps(whole).decode()
                parts.close(connection, parent_id=self.job_id, result=text)
                whole = {}
            attempts.finish(
                connection,
                job_id=self._job.id,
                attempt=self.attempt,
                end=attempts.End("succeeded", result=whole, progress=self._whole()),
            )
        _log.info("job succeeded", extra={"run_s": time.monotonic() - self._began})
        return "succeeded"

    def _fail(self, error: Exception) -> str:
        judged = verdict(error)
        tries = self.attempt - self._job.forgiven
        retried = judged.retry and tries < self._job.max_attempts
        _log.log(
            logging.WARNING if judged.end.reason != "internal_error" else logging.ERROR,
            "attempt ended: %s",
            judged.end.reason,
            exc_info=error if judged.end.reason == "internal_error" else None,
            extra={"retried": retried},
        )
        with self._runtime.database.system() as connection:
            if judged.retry:
                state = attempts.give_back(
                    connection,
                    job_id=self._job.id,
                    attempt=self.attempt,
                    end=judged.end,
                    pause=Pause(
                        self._runtime.settings.retry_delay_s,
                        retry_after_s=judged.retry_after_s or 0.0,
                    ),
                )
                return state or "fenced"
            attempts.finish(
                connection, job_id=self._job.id, attempt=self.attempt, end=judged.end
            )
            return judged.end.state

    def _whole(self) -> dict[str, Any] | None:
        """The last progress, full: the job is done."""
        if self._progress is None:
            return None
        return {**self._progress, "done": self._progress["total"], "message": "done"}

    def _check_time(self) -> None:
        if time.monotonic() - self._began > self._job.timeout_s:
            self._stop = JobTimedOut(f"ran longer than {self._job.timeout_s} s")
            raise self._stop

    def _beat(self) -> None:
        """Renew the lease, tell new progress if there is any, note whether to stop."""
        # One at a time: handler and watch must not tell their news in the wrong order.
        with self._beat_lock, self._runtime.database.system() as connection:
            latest = self._progress
            cancel = attempts.heartbeat(
                connection,
                job_id=self._job.id,
                attempt=self.attempt,
                lease_s=self._runtime.settings.lease_s,
                progress=None if latest is self._told else latest,
            )
            self._told, self._told_at = latest, time.monotonic()
        if cancel:
            self._stop = JobCancelled()

    def _watch(self) -> None:
        """Keep the lease; ask a handler to stop, and after a grace make it."""
        asked_at: float | None = None
        while not self._over.wait(self._runtime.settings.heartbeat_s):
            try:
                self._look()
                if self._stop is None:
                    continue
                asked_at = asked_at or time.monotonic()
                if time.monotonic() - asked_at >= self._runtime.settings.grace_s:
                    self._make_stop(self._stop)
            except Exception:  # noqa: BLE001 - a lost database must not end the watch
                _log.exception("the watch looks again in a moment")

    def _look(self) -> None:
        """Renew the lease and look at the clock; note why to stop, if at all."""
        try:
            self._beat()
            if self._stop is None:
                self._check_time()
        except Fenced as error:
            self._stop = error
        except JobTimedOut:
            pass

    def _make_stop(self, why: Exception) -> None:
        """End the job's row, then this process: the handler would not listen."""
        if not isinstance(why, Fenced):
            try:
                with self._runtime.database.system() as connection:
                    attempts.finish(
                        connection,
                        job_id=self._job.id,
                        attempt=self.attempt,
                        end=verdict(why).end,
                    )
            except Fenced:
                return  # the handler was quicker and has ended the job itself
        with self._exit_lock:
            if not self._over.is_set():
                _log.error("handler does not stop; ending the process")
                os.kill(os.getpid(), signal.SIGKILL)


def _kind(name: str) -> JobType:
    found = job_types().get(name)
    if found is None:
        raise InvalidParams(f"this worker knows no job type {name}")
    return found
