"""Which of Forebay's own processes are alive: each one says so every few seconds."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text

from db.session import Connection

STALE_AFTER_S = 20.0


@dataclass(frozen=True)
class Process:
    """One living process of the platform."""

    name: str
    role: str
    queues: list[str]
    detail: dict[str, Any]
    started_at: datetime
    seen_at: datetime


_SEEN = text("""
INSERT INTO processes (name, role, queues, detail, started_at, seen_at)
VALUES (:name, :role, :queues, CAST(:detail AS jsonb), now(), now())
ON CONFLICT (name) DO UPDATE SET seen_at = now(), detail = excluded.detail,
    queues = excluded.queues
""")
_ALIVE = text("""
SELECT name, role, queues, detail, started_at, seen_at FROM processes
WHERE seen_at > now() - :stale * interval '1 second' ORDER BY name
""")
_FORGET = text("DELETE FROM processes WHERE seen_at < now() - interval '1 hour'")
_GONE = text("DELETE FROM processes WHERE name = :name")


def seen(
    connection: Connection,
    *,
    name: str,
    role: str,
    queues: Sequence[str] = (),
    detail: dict[str, Any] | None = None,
) -> None:
    """Say that a process is alive, and what it knows about its surroundings."""
    connection.execute(
        _SEEN,
        {
            "name": name,
            "role": role,
            "queues": list(queues),
            "detail": orjson.dumps(detail or {}).decode(),
        },
    )


def gone(connection: Connection, *, name: str) -> None:
    """Say that a process ends now, so that nobody waits for it."""
    connection.execute(_GONE, {"name": name})


def alive(
    connection: Connection, *, stale_after_s: float = STALE_AFTER_S
) -> list[Process]:
    """Return the processes that were seen lately."""
    rows = connection.execute(_ALIVE, {"stale": stale_after_s})
    return [Process(**row._mapping) for row in rows]


def forget_old(connection: Connection) -> None:
    """Delete the rows of processes that died long ago."""
    connection.execute(_FORGET)
