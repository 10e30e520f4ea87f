"""Webhooks and their deliveries, made and sent as the other rooms do it.

The conftest of the folder imports the fixtures.
"""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from db import deliveries, webhooks
from db.deliveries import ENQUEUE, Due, Outcome, Room
from db.ids import new_id
from db.webhooks import NewWebhook, Webhook
from tests.db import rows

KINDS = ["succeeded", "failed", "cancelled"]
ROOM = Room(limit=8, tenant=4, each=2)
_TELL = text(f"""
WITH event AS (
    INSERT INTO job_events (tenant_id, job_id, at, kind, body)
    SELECT tenant_id, id, now(), :kind, '{{"state": "x", "attempt": 1}}' FROM jobs
    WHERE id = :job RETURNING id, tenant_id, job_id, kind
), moved AS (SELECT id, parent_id FROM jobs WHERE id = :job
), {ENQUEUE}
SELECT id FROM event
""")


@pytest.fixture
def made(database, tenant_id):
    """Make a webhook: ``made(tenant_id=..., kinds=...)``."""

    def make(*, kinds=KINDS, most=20, tenant_id=tenant_id) -> Webhook | None:
        new = NewWebhook(new_id("whk"), "https://a.example/", list(kinds), "mine")
        with database.tenant(tenant_id) as connection:
            return webhooks.create(connection, tenant_id=tenant_id, new=new, most=most)

    return make


@pytest.fixture
def tell(database, tenant_id):
    """Let a new job have an event; returns the event's id."""

    def run(kind="succeeded", *, tenant_id=tenant_id) -> int:
        job_id = rows.queued(database, tenant_id)
        with database.system() as connection:
            return connection.scalar(_TELL, {"kind": kind, "job": job_id})

    return run


@pytest.fixture
def change(database, tenant_id):
    """Change fields of a webhook."""

    def run(webhook_id: str, **fields) -> Webhook | None:
        with database.tenant(tenant_id) as connection:
            return webhooks.change(
                connection, tenant_id=tenant_id, webhook_id=webhook_id, fields=fields
            )

    return run


@pytest.fixture
def claim(database):
    """Claim as a sender would."""

    def run(*, later_s=0.0, room=ROOM, busy=()) -> list[Due]:
        now = datetime.now(UTC) + timedelta(seconds=later_s)
        with database.system() as connection:
            return deliveries.claim(
                connection, now=now, room=room, busy=busy, lease_s=60
            )

    return run


@pytest.fixture
def record(database):
    """Record what became of an attempt."""

    def run(due: Due, **outcome) -> None:
        at = datetime.now(UTC)
        given = {"delivered": False, "at": at, "duration_ms": 1, "body": '{"a":1}'}
        with database.system() as connection:
            deliveries.record(connection, due=due, outcome=Outcome(**given | outcome))

    return run


@pytest.fixture
def backlog(database):
    """Let a webhook have many deliveries that have been due for some seconds."""

    def fill(webhook: Webhook, *, count: int, age_s: int) -> None:
        rows.change(
            database,
            "INSERT INTO webhook_deliveries (id, tenant_id, webhook_id, kind, body, "
            "state, attempts, next_attempt_at, created_at) "
            "SELECT 'whd_' || :webhook_id || lpad(CAST(i AS text), 6, '0'), "
            ":tenant_id, :webhook_id, 'test', '{}', 'pending', 0, "
            "now() - :age_s * interval '1 second', now() "
            "FROM generate_series(1, :count) AS i",
            webhook_id=webhook.id,
            tenant_id=webhook.tenant_id,
            count=count,
            age_s=age_s,
        )

    return fill


@pytest.fixture
def disable(database):
    """Disable a webhook as if nobody had looked at its deliveries."""

    def run(webhook: Webhook) -> None:
        rows.change(
            database,
            "UPDATE webhooks SET enabled = false WHERE id = :id",
            id=webhook.id,
        )

    return run


def waits_for_a_lock(database) -> bool:
    """Tell whether a session of this database waits for another."""
    return rows.owners_value(
        database,
        "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
        "AND datname = current_database()",
    )


def states(database) -> list[tuple]:
    with database.system() as connection:
        found = connection.execute(
            text("SELECT state, attempts FROM webhook_deliveries ORDER BY id")
        )
        return [tuple(row) for row in found]
