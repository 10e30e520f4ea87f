"""What the tests of the line do to it: one turn at a time, as the dispatcher does."""

from typing import Any

from sqlalchemy import text

from db import keys, limits, line, outbox
from db.limits import Limits
from db.line import Message
from db.session import Database
from tasks.catalog import QUEUES

SHARE = 0.25


def tenants(database: Database, *weights: float) -> list[int]:
    """Make a tenant for each weight."""
    made = []
    with database.system() as connection:
        for number, weight in enumerate(weights):
            tenant = keys.ensure_tenant(connection, name=f"of weight {number}")
            limits.put(connection, tenant_id=tenant, limits=Limits(weight=weight))
            made.append(tenant)
    return made


def limit(database: Database, tenant_id: int, **given: Any) -> None:
    """Set the limits of a tenant."""
    with database.system() as connection:
        limits.put(connection, tenant_id=tenant_id, limits=Limits(**given))


def costs(database: Database, **mean_s: float) -> None:
    """Say how long the jobs of each type take."""
    with database.system() as connection:
        for kind, cost in mean_s.items():
            connection.execute(
                text(
                    "INSERT INTO pace (type, jobs, mean_s, sd_s, computed_at) "
                    "VALUES (:type, 1, :cost, 0, now())"
                ),
                {"type": kind, "cost": cost},
            )


def turn(
    database: Database, *, most: int = 1, queue: str = "system", share: float = SHARE
) -> list[Message]:
    """Let up to ``most`` messages go; return them."""
    with database.system() as connection:
        taken = line.take(
            connection, queue=queue, queues=QUEUES, limit=most, share=share
        )
        outbox.mark_sent(connection, ids=[one.id for one in taken])
        line.paid(connection, queue=queue, sent=taken)
    return taken


def admit(database: Database) -> tuple[set[str], bool]:
    """Let keyed jobs into the line."""
    with database.system() as connection:
        return line.admit(connection)
