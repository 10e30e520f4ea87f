"""What an operator allows a tenant, and the queues that a tenant has paused."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from db.session import Connection


@dataclass(frozen=True)
class Limits:
    """A tenant's weight in the fair line, and its limits; None is without limit."""

    weight: float = 1.0
    max_running: int | None = None
    max_queued: int | None = None
    starts_per_minute: int | None = None


@dataclass(frozen=True)
class Pause:
    """A queue that a tenant has paused: its jobs wait, other tenants' go on."""

    queue: str
    paused_at: datetime
    paused_by: str


_GET = text("""
SELECT weight, max_running, max_queued, starts_per_minute FROM tenant_limits
WHERE tenant_id = :tenant_id
""")
_PUT = text("""
INSERT INTO tenant_limits (tenant_id, weight, max_running, max_queued,
    starts_per_minute)
VALUES (:tenant_id, :weight, :max_running, :max_queued, :starts_per_minute)
ON CONFLICT (tenant_id) DO UPDATE SET weight = excluded.weight,
    max_running = excluded.max_running, max_queued = excluded.max_queued,
    starts_per_minute = excluded.starts_per_minute, tokens = NULL, tokens_at = NULL
""")
_MOST_QUEUED = text("""
SELECT max_queued FROM tenant_limits WHERE tenant_id = :tenant_id
""")
_ALONE = text(
    "SELECT pg_advisory_xact_lock(hashtext('forebay_quota'), CAST(:tenant_id AS int))"
)
_QUEUED = text("""
SELECT count(*) FROM jobs WHERE tenant_id = :tenant_id AND state = 'queued'
""")
_PAUSES = text("""
SELECT queue, paused_at, paused_by FROM queue_pauses
WHERE tenant_id = :tenant_id ORDER BY queue
""")
_PAUSE = text("""
INSERT INTO queue_pauses (tenant_id, queue, paused_at, paused_by)
VALUES (:tenant_id, :queue, now(), :paused_by) ON CONFLICT DO NOTHING
""")
_RESUME = text("""
WITH gone AS (
    DELETE FROM queue_pauses WHERE tenant_id = :tenant_id AND queue = :queue
    RETURNING queue)
SELECT pg_notify('forebay_outbox', queue) FROM gone
""")


def of_tenant(connection: Connection, *, tenant_id: int) -> Limits:
    """Return a tenant's limits; the defaults where none were set."""
    row = connection.execute(_GET, {"tenant_id": tenant_id}).first()
    return Limits() if row is None else Limits(**row._mapping)


def put(connection: Connection, *, tenant_id: int, limits: Limits) -> None:
    """Set all limits of a tenant; needs a system connection."""
    connection.execute(_PUT, {"tenant_id": tenant_id, **vars(limits)})


def queue_room(connection: Connection, *, tenant_id: int) -> int | None:
    """Return how many more jobs the tenant may queue; None is without limit.

    Where there is a limit, other submissions of the tenant wait until the commit.
    """
    most: int | None = connection.scalar(_MOST_QUEUED, {"tenant_id": tenant_id})
    if most is None:
        return None
    connection.execute(_ALONE, {"tenant_id": tenant_id})
    queued: int = connection.execute(_QUEUED, {"tenant_id": tenant_id}).scalar_one()
    return most - queued


def pauses(connection: Connection, *, tenant_id: int) -> list[Pause]:
    """Return the queues the tenant has paused."""
    rows = connection.execute(_PAUSES, {"tenant_id": tenant_id})
    return [Pause(**row._mapping) for row in rows]


def pause(
    connection: Connection, *, tenant_id: int, queue: str, paused_by: str
) -> None:
    """Keep the tenant's jobs of a queue from starting; running ones go on."""
    connection.execute(
        _PAUSE, {"tenant_id": tenant_id, "queue": queue, "paused_by": paused_by}
    )


def resume(connection: Connection, *, tenant_id: int, queue: str) -> None:
    """Let the tenant's jobs of a queue start again."""
    connection.execute(_RESUME, {"tenant_id": tenant_id, "queue": queue})
