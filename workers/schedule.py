"""celery beat with rows for a schedule: each fire time becomes one job, once.

Beat here never publishes: it submits through the outbox like any client, and the
unique key on (schedule, fire time) lets two beats run side by side.
"""

import logging
import os
import socket
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from celery.beat import Scheduler
from croniter import croniter

from db import processes, schedules
from db.schedules import Schedule
from db.session import Database
from tasks.submit import Submission, submit
from workers.app import settings

_log = logging.getLogger(__name__)

_TICK_S = 5.0


def next_fire(cron: str, timezone: str, after: datetime) -> datetime:
    """Return the first instant after ``after`` that a cron rule names in its zone.

    Raises:
        croniter.CroniterBadCronError: the rule is not a cron rule.
        zoneinfo.ZoneInfoNotFoundError: the zone does not exist.
    """
    local = after.astimezone(ZoneInfo(timezone))
    found: datetime = croniter(cron, local).get_next(datetime)
    return found.astimezone(UTC)


def fire_due(database: Database, *, now: datetime) -> list[str]:
    """Submit a job for each schedule whose time has come; return their ids.

    After a pause of the beat a schedule fires once for all the times it missed.
    """
    with database.system() as connection:
        due = schedules.due(connection, now=now)
    fired = []
    for item in due:
        try:
            job_id = _fire(database, item, now)
        except Exception:  # noqa: BLE001 - one bad schedule must not stop the others
            _log.exception("schedule cannot fire", extra={"schedule": item.id})
            continue
        if job_id is not None:
            fired.append(job_id)
    return fired


def _fire(database: Database, schedule: Schedule, now: datetime) -> str | None:
    following = next_fire(schedule.cron, schedule.timezone, now)
    with database.tenant(schedule.tenant_id) as connection:
        if not schedules.begin_firing(connection, schedule=schedule):
            return None
        job, _ = submit(
            connection,
            tenant_id=schedule.tenant_id,
            submission=Submission(
                type=schedule.job_type,
                params=schedule.params,
                labels={"schedule": schedule.name},
            ),
        )
        schedules.record_firing(
            connection, schedule=schedule, job_id=job.id, next_fire_at=following
        )
    _log.info(
        "schedule fired",
        extra={"schedule": schedule.name, "job_id": job.id, "next": str(following)},
    )
    return job.id


class RowScheduler(Scheduler):
    """Celery's beat service calls tick(); the rows say what is due."""

    def setup_schedule(self) -> None:
        """Open a connection of its own; there are no entries in memory."""
        self._database = Database(settings.database_url, pool_size=1, name="beat")
        self._name = f"beat-{socket.gethostname()}-{os.getpid()}"

    def tick(self, *_args: object, **_kwargs: object) -> float:
        """Fire what is due; return seconds until the next look."""
        try:
            with self._database.system() as connection:
                processes.seen(connection, name=self._name, role="beat")
            fire_due(self._database, now=datetime.now(UTC))
        except Exception:  # noqa: BLE001 - a database away must not end the beat
            _log.exception("tick failed; next try in %s s", _TICK_S)
        return _TICK_S

    def close(self) -> None:
        """Sign off."""
        with self._database.system() as connection:
            processes.gone(connection, name=self._name)
        self._database.close()
