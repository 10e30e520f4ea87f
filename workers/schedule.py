"""celery beat with rows for a schedule: each fire time fires once, whoever beats.

Beat here never publishes: it submits through the outbox like any client. A beat holds
the row of the schedule that it fires, so two beats can run side by side.
"""

import logging
import os
import socket
from collections.abc import Iterator
from datetime import datetime

from celery.beat import Scheduler

from db import processes
from db import schedules as rows
from db.schedules import Due
from db.session import Database
from tasks import firing
from workers.app import settings

_log = logging.getLogger(__name__)

_TICK_S = 1.0


def fire_due(database: Database, *, now: datetime) -> list[str]:
    """Fire each schedule whose time has come; return the ids of the jobs submitted."""
    submitted: list[str] = []
    for item in _due(database, now):
        try:
            submitted += _fire(database, item, now)
        except Exception:  # noqa: BLE001 - one bad schedule must not stop the others
            _log.exception("schedule not fired", extra={"schedule": item.id})
    return submitted


def _due(database: Database, now: datetime) -> Iterator[Due]:
    last = None
    while True:
        with database.system() as connection:
            found = rows.due(connection, now=now, after=last)
        if not found:
            return
        yield from found
        last = found[-1]


def _fire(database: Database, item: Due, now: datetime) -> list[str]:
    tenant_id, schedule_id = item.tenant_id, item.id
    try:
        with database.tenant(tenant_id) as connection:
            found = firing.fire(
                connection, tenant_id=tenant_id, schedule_id=schedule_id, now=now
            )
    except firing.REFUSALS as refusal:
        _log.warning(
            "schedule cannot fire: %s", refusal, extra={"schedule": schedule_id}
        )
        with database.tenant(tenant_id) as connection:
            firing.give_up(
                connection,
                tenant_id=tenant_id,
                schedule_id=schedule_id,
                refusal=refusal,
                now=now,
            )
        return []
    if found is None:
        return []
    _log.info("schedule %s", found.outcome, extra={"schedule": item.name})
    return found.job_ids


class RowScheduler(Scheduler):
    """Celery's beat service calls tick(); the rows say what is due."""

    def setup_schedule(self) -> None:
        """Open a connection of its own; there are no entries in memory."""
        self._database = Database(
            settings.database_url,
            pool_size=1,
            name="beat",
            patience={"idle_in_transaction_session_timeout": "20s"},
        )
        self._name = f"beat-{socket.gethostname()}-{os.getpid()}"

    def tick(self, *_args: object, **_kwargs: object) -> float:
        """Fire what is due; return seconds until the next look."""
        try:
            with self._database.system(durable=False) as connection:
                processes.seen(connection, name=self._name, role="beat")
                now = rows.clock(connection)
            fire_due(self._database, now=now)
        except Exception:  # noqa: BLE001 - a database away must not end the beat
            _log.exception("tick failed; next try in %s s", _TICK_S)
        return _TICK_S

    def close(self) -> None:
        """Sign off, if there is a database to tell."""
        try:
            with self._database.system() as connection:
                processes.gone(connection, name=self._name)
        except Exception:  # noqa: BLE001 - a beat ends also without its database
            _log.warning("cannot sign off: the database is away", exc_info=True)
        self._database.close()
