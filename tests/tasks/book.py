"""The schedules of a tenant; the clock is told by the test."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from db import schedules as table
from db.schedules import Firing, Plan, Schedule
from db.session import Database
from tasks import firing, schedules
from tests.db import rows

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
ECHO = {"type": "system.echo", "params": {"payload": {}}}


@dataclass
class Book:
    """The schedules of one tenant."""

    database: Database
    tenant_id: int

    def do(self, act: Callable, *given, **named):
        with self.database.tenant(self.tenant_id) as connection:
            return act(connection, *given, tenant_id=self.tenant_id, **named)

    def make(self, *, now: datetime = NOON, **plan) -> Schedule:
        if "every_s" not in plan:
            plan.setdefault("cron", "0 * * * *")
        wanted = Plan(**{"name": "hourly", "jobs": [ECHO], **plan})
        return self.do(schedules.create, plan=wanted, now=now)

    def change(self, schedule: Schedule, now: datetime = NOON, **changes) -> Schedule:
        return self.do(
            schedules.change, schedule_id=schedule.id, changes=changes, now=now
        )

    def fire(self, schedule: Schedule, now: datetime) -> Firing | None:
        return self.do(firing.fire, schedule_id=schedule.id, now=now)

    def switch(self, schedule: Schedule, *, enabled: bool, now: datetime) -> Schedule:
        return self.do(
            schedules.switch, schedule_id=schedule.id, enabled=enabled, now=now
        )

    def find(self, schedule: Schedule) -> Schedule:
        return self.do(schedules.find, schedule_id=schedule.id)

    def firings(self, schedule: Schedule) -> list[tuple[datetime, str]]:
        found = self.do(
            table.firings, schedule_id=schedule.id, before=None, limit=1_000
        )
        return [(one.fire_at, one.outcome) for one in reversed(found)]

    def state(self, job_id: str) -> str:
        return rows.job(self.database, self.tenant_id, job_id).state


def spoil(book: Book, **columns) -> None:
    for column, value in columns.items():
        rows.change(
            book.database, f"UPDATE schedules SET {column} = :value", value=value
        )
