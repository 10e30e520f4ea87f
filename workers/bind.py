"""Gives every job type a Celery task of the same name, and hears of dead children."""

import logging
import os
import socket
import threading
import uuid
from functools import cache
from typing import Any

from billiard.exceptions import WorkerLostError
from celery import signals
from kombu.exceptions import OperationalError

from db import attempts, processes
from db.attempts import Pause
from db.session import Database
from tasks import telemetry, traces
from tasks.catalog import JobType, job_types
from workers.app import app, settings
from workers.outcomes import lost
from workers.runner import Runtime, run
from workers.settings import declare_queues

_log = logging.getLogger(__name__)

_SEEN_EVERY_S = 1.0
# A worker that is stopped in a transaction must not keep its rows for ever.
_PATIENCE = {"idle_in_transaction_session_timeout": "60s"}
_NAME = "NODE_OF_FOREBAY_WORKER"
WORKER = os.environ.setdefault(
    _NAME, f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:6]}"
)
"""Unique for each worker, and known to its children, who inherit the variable."""


@cache
def runtime(pid: int) -> Runtime:
    """Return this process's runtime; keyed by pid, so no fork shares connections."""
    name = f"forebay-worker-{pid}"
    database = Database(
        settings.database_url, pool_size=3, name=name, patience=_PATIENCE
    )
    # A child names its worker, which gives its jobs back when both are stopped.
    return Runtime(database, settings, f"{WORKER}/{pid}")


def bind(kind: JobType) -> None:
    """Register a Celery task for a job type."""

    @app.task(name=kind.name, ignore_result=True, bind=True)
    def task(self: Any, /, *, job_id: str, attempt: int, **_later_fields: Any) -> str:
        return run(
            runtime(os.getpid()),
            job_id=job_id,
            attempt=attempt,
            traceparent=(self.request.headers or {}).get("traceparent"),
        )

    del task


for _kind in job_types().values():
    bind(_kind)


@signals.setup_logging.connect
def _configure_logging(**_details: Any) -> None:
    telemetry.configure(settings.log_level)


@signals.worker_init.connect
def _declare_queues(**_details: Any) -> None:
    """Let a worker start before the dispatcher: Celery binds to all queues at once."""
    try:
        with app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=3, timeout=10)
            declare_queues(app, connection)
    except OperationalError as error:
        _log.warning("the broker is away: %s", error)


@signals.worker_process_init.connect
def _configure_child(**_details: Any) -> None:
    telemetry.configure(settings.log_level)
    traces.configure(settings.traces_url, service="forebay-worker")


@signals.worker_process_shutdown.connect
def _finish_child(**_details: Any) -> None:
    traces.finish()


@signals.task_failure.connect
def _child_died(
    exception: BaseException | None = None,
    kwargs: dict[str, Any] | None = None,
    **_details: Any,
) -> None:
    """Give a job back at once when its child process died.

    Celery fires this in the parent about three seconds after the death. If the
    database is away the reaper does the same when the lease runs out.
    """
    if not isinstance(exception, WorkerLostError) or not kwargs:
        return
    database = Database(settings.database_url, pool_size=0)
    try:
        with database.system() as connection:
            state = attempts.give_back(
                connection,
                job_id=kwargs["job_id"],
                attempt=kwargs["attempt"],
                end=lost("the worker process died while it ran this job"),
                pause=Pause(settings.retry_delay_s),
            )
        _log.warning(
            "child process died", extra={"job_id": kwargs["job_id"], "now": state}
        )
    except Exception:  # noqa: BLE001 - the reaper is the second net
        _log.exception("could not give back a job of a dead child")
    finally:
        database.close()


class _Presence:
    """Says every few seconds that this worker lives, and which queues it reads."""

    def __init__(self) -> None:
        self._over = threading.Event()

    def start(self, sender: Any, **_details: Any) -> None:
        queues = [queue.name for queue in sender.task_consumer.queues]
        slots = sender.pool.num_processes
        thread = threading.Thread(
            target=self._run, args=(queues, slots), name="presence", daemon=True
        )
        thread.start()

    def _run(self, queues: list[str], slots: int) -> None:
        database = Database(settings.database_url, pool_size=0)
        while True:
            try:
                with database.system() as connection:
                    processes.seen(
                        connection,
                        name=WORKER,
                        role="worker",
                        queues=queues,
                        detail={"slots": slots},
                    )
            except Exception:  # noqa: BLE001 - a database away is no reason to stop working
                _log.exception("could not say that this worker lives")
            if self._over.wait(_SEEN_EVERY_S):
                return

    def stop(self, **_details: Any) -> None:
        self._over.set()
        try:
            with Database(settings.database_url, pool_size=0).system() as connection:
                processes.gone(connection, name=WORKER)
        except Exception:  # noqa: BLE001 - it goes stale by itself
            _log.exception("could not sign off")


def give_back_all() -> None:
    """Give back what the children had not finished when this worker was stopped.

    To be called when they are gone; without it the jobs would wait for their leases
    to run out. Celery sends no signal at the end of a cold shutdown.
    """
    database = Database(settings.database_url, pool_size=0)
    try:
        with database.system() as connection:
            left = attempts.of_worker(connection, worker=WORKER)
            for job_id, attempt in left:
                attempts.give_back(
                    connection,
                    job_id=job_id,
                    attempt=attempt,
                    end=lost("the worker was stopped while it ran this job"),
                    pause=Pause(delay_s=0.0),
                    forgiven=True,
                )
                _log.info("job given back", extra={"job_id": job_id})
    except Exception:  # noqa: BLE001 - the reaper is the second net
        _log.exception("could not give back the jobs at hand")
    finally:
        database.close()


_presence = _Presence()
signals.worker_ready.connect(_presence.start, weak=False)
signals.worker_shutting_down.connect(_presence.stop, weak=False)
