"""The events of a job in order, and the notifications that say there are new ones."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from sqlalchemy import select

from db.session import Connection, Database, without_driver
from db.tables import job_events


@dataclass(frozen=True)
class Event:
    """One thing that happened, mostly to a job; ``id`` grows within the job."""

    id: int
    job_id: str | None
    at: datetime
    kind: str
    body: dict[str, Any]


def after(
    connection: Connection, *, tenant_id: int, job_id: str, event_id: int
) -> list[Event]:
    """Return the job's events younger than ``event_id``, oldest first."""
    columns = job_events.c
    query = (
        select(columns.id, columns.job_id, columns.at, columns.kind, columns.body)
        .where(
            columns.tenant_id == tenant_id,
            columns.job_id == job_id,
            columns.id > event_id,
        )
        .order_by(columns.id)
    )
    return [Event(**row._mapping) for row in connection.execute(query)]


def listen(
    database: Database, *, channels: tuple[str, ...], patience_s: float
) -> Iterator[str | None]:
    """Yield payloads of notifications as they come, None after each quiet while.

    The first value, always None, tells that listening has begun: whatever was
    committed before must be read from the tables. A lost connection raises.

    Raises:
        psycopg.OperationalError: the server went away; call again to go on.
    """
    with psycopg.connect(
        without_driver(database.url),
        autocommit=True,
        connect_timeout=5,
        application_name="listen",
    ) as connection:
        for channel in channels:
            connection.execute(f"LISTEN {channel}")
        yield None
        while True:
            for notice in connection.notifies(timeout=patience_s):
                yield notice.payload
            yield None
