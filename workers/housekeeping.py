"""Finds what fell by the wayside: dead workers' jobs, lost messages, old rows.

Runs beside the dispatcher. Each look is one transaction that any number of
dispatchers may take: the rows are locked, or an advisory lock is held.
"""

import logging
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import orjson
from celery import Celery
from kombu import Connection
from kombu.exceptions import OperationalError

from db import attempts, idempotency, incidents, outbox, pace, processes, schedules
from db.attempts import Pause
from db.session import Database
from tasks import incident_acts
from tasks.catalog import QUEUES, job_types
from tasks.settings import Settings
from workers.outcomes import failed, lost

_log = logging.getLogger(__name__)

_BATCH = 500
_PACE_EVERY_S = 15.0
_QUIET_EVERY_S = 600.0
_NEVER_STARTED = failed(
    "never_started", "Never started", "the deadline to start by passed while queued"
)


class Housekeeping:
    """Looks around every few seconds in a thread of its own."""

    def __init__(
        self,
        app: Celery,
        database: Database,
        settings: Settings,
        *,
        name: str,
        broker_state: Callable[[], dict[str, Any]],
    ) -> None:
        self._app = app
        self._database = database
        self._settings = settings
        self._name = name
        self._broker_state = broker_state
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="housekeeping")
        self._trust_leases_at = 0.0
        self._pace_at = 0.0
        self._quiet_at = 0.0

    def start(self) -> None:
        """Begin to look around."""
        self._thread.start()

    def stop(self) -> None:
        """End after the look at hand, and sign off."""
        self._over.set()
        self._thread.join()
        try:
            with self._database.system() as connection:
                processes.gone(connection, name=self._name)
        except Exception as error:  # noqa: BLE001 - the row goes stale by itself
            _log.warning("could not sign off: %s", error)

    def _run(self) -> None:
        while not self._over.wait(self._settings.housekeeping_s):
            try:
                self.look()
            except Exception as error:  # noqa: BLE001 - tried again in a moment
                _log.warning("housekeeping interrupted: %s", error)
                # Workers could not renew their leases either: give them the time to.
                self._trust_leases_at = time.monotonic() + self._settings.lease_s

    def look(self) -> None:
        """Repair what can be repaired now, and say that the dispatcher lives."""
        if time.monotonic() >= self._trust_leases_at:
            self._free_expired()
        with self._database.system() as connection:
            error = orjson.dumps(_NEVER_STARTED.error).decode()
            overdue = outbox.fail_overdue(connection, error=error)
            idempotency.forget_old(connection)
            processes.forget_old(connection)
            if time.monotonic() >= self._pace_at:
                pace.compute(connection, types=list(job_types()))
                outbox.forget_ended(connection)
                self._pace_at = time.monotonic() + _PACE_EVERY_S
        if overdue:
            _log.warning("jobs never started by their deadline", extra={"n": overdue})
        if time.monotonic() >= self._quiet_at:
            self._end_quiet()
            self._quiet_at = time.monotonic() + _QUIET_EVERY_S
        depths = self._resend_lost()
        with self._database.system() as connection:
            processes.seen(
                connection,
                name=self._name,
                role="dispatcher",
                detail={"broker": self._broker_state(), "ready": depths},
            )

    def _end_quiet(self) -> None:
        """End incidents of which nobody has heard anything for long."""
        if not self._settings.quiet_days:
            return
        quiet = timedelta(days=self._settings.quiet_days)
        with self._database.system() as connection:
            now = schedules.clock(connection)
            found = incidents.quiet_tenants(connection, before=now - quiet)
        for tenant_id in found:
            with self._database.tenant(tenant_id) as connection:
                ended = incident_acts.end_quiet(
                    connection, tenant_id=tenant_id, quiet=quiet, now=now
                )
            _log.info("quiet incidents ended", extra={"n": ended, "tenant": tenant_id})

    def _free_expired(self) -> None:
        with self._database.system() as connection:
            for job_id, attempt in outbox.expired(connection, limit=_BATCH):
                state = attempts.give_back(
                    connection,
                    job_id=job_id,
                    attempt=attempt,
                    end=lost("the worker fell silent and its lease ran out"),
                    pause=Pause(self._settings.retry_delay_s),
                )
                _log.warning(
                    "lease ran out",
                    extra={"job_id": job_id, "attempt": attempt, "now": state},
                )

    def _resend_lost(self) -> dict[str, int]:
        """Publish again what the broker no longer has; return the queues' depths.

        A published job that nobody claimed and that is not among the ready messages
        was lost, or is just being claimed: a copy too many is refused at the claim.
        """
        try:
            depths = self._depths()
        except (OperationalError, OSError):
            return {}
        for queue, ready in depths.items():
            with self._database.system() as connection:
                age = self._settings.lost_after_s
                old = outbox.unclaimed(connection, queue=queue, older_than_s=age)
                if old <= ready:
                    continue
                again = outbox.publish_again(
                    connection, queue=queue, older_than_s=age, limit=old - ready
                )
                _log.warning("messages lost, sent again", extra={"n": again})
        return depths

    def _depths(self) -> dict[str, int]:
        with self._app.connection_for_read() as connection:
            connection.ensure_connection(max_retries=1, timeout=5)
            return {queue: _depth(connection, queue) for queue in QUEUES}


def _depth(connection: Connection, queue: str) -> int:
    """Return how many messages wait; a queue that is gone holds none."""
    # The broker closes the channel on which it was asked for a queue that is gone.
    channel: Any = connection.channel()
    try:
        ready: int = channel.queue_declare(queue, passive=True).message_count
    except connection.channel_errors:
        return 0
    finally:
        channel.close()
    return ready
