"""Webhooks: where a tenant wants to be told of its jobs. Their secrets are not kept."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text

from db.session import Connection


@dataclass(frozen=True)
class Webhook:
    """A webhook; ``events`` are kinds of job events, ``generation`` counts secrets.

    One with a ``channel`` is the line to that channel: it is shown, listed, changed and
    deleted with the channel only.
    """

    id: str
    tenant_id: int
    url: str
    events: list[str]
    description: str
    enabled: bool
    disabled_reason: str | None
    generation: int
    rotated_at: datetime | None
    created_at: datetime
    updated_at: datetime
    channel: str | None = None


_LOCK = text(
    "SELECT pg_advisory_xact_lock(hashtextextended('webhooks', "
    "CAST(:tenant_id AS bigint)))"
)
_CREATE = text("""
INSERT INTO webhooks (id, tenant_id, url, events, description, enabled, generation,
    created_at, updated_at)
SELECT :id, :tenant_id, :url, :events, :description, true, 1, now(), now()
WHERE (SELECT count(*) FROM webhooks
    WHERE tenant_id = :tenant_id AND channel IS NULL) < :most
RETURNING *
""")
_FIND = text("SELECT * FROM webhooks WHERE id = :id AND tenant_id = :tenant_id")
_PAGE = text("""
SELECT * FROM webhooks WHERE tenant_id = :tenant_id AND channel IS NULL
    AND (CAST(:before AS text) IS NULL OR id < :before)
ORDER BY id DESC LIMIT :limit
""")
_CHANGE = text("""
UPDATE webhooks SET url = coalesce(:url, url),
    events = coalesce(CAST(:events AS text[]), events),
    description = coalesce(:description, description),
    enabled = coalesce(:enabled, enabled),
    disabled_reason = CASE WHEN :enabled IS NULL THEN disabled_reason
        WHEN NOT :enabled THEN coalesce(disabled_reason, 'disabled by request') END,
    updated_at = now()
WHERE id = :id AND tenant_id = :tenant_id AND channel IS NULL
RETURNING *
""")
# A statement of its own: it must come after the webhook is locked, and see what was
# made for it until then.
_END = text("""
UPDATE webhook_deliveries SET state = 'failed', next_attempt_at = NULL,
    last_error = 'the webhook was disabled', ended_at = now()
WHERE webhook_id = :id AND tenant_id = :tenant_id AND state = 'pending'
""")
_ROTATE = text("""
UPDATE webhooks SET generation = generation + 1, rotated_at = now(), updated_at = now()
WHERE id = :id AND tenant_id = :tenant_id
RETURNING *
""")
_DELETE = text("""
DELETE FROM webhooks WHERE id = :id AND tenant_id = :tenant_id AND channel IS NULL
""")


@dataclass(frozen=True)
class NewWebhook:
    """What a tenant decides about a webhook."""

    id: str
    url: str
    events: list[str]
    description: str


def create(
    connection: Connection, *, tenant_id: int, new: NewWebhook, most: int
) -> Webhook | None:
    """Insert a webhook; None where the tenant has ``most`` of them already."""
    connection.execute(_LOCK, {"tenant_id": tenant_id})
    return _first(
        connection, _CREATE, {**vars(new), "tenant_id": tenant_id, "most": most}
    )


def find(connection: Connection, *, tenant_id: int, webhook_id: str) -> Webhook | None:
    """Return the tenant's webhook, or None."""
    return _first(connection, _FIND, {"id": webhook_id, "tenant_id": tenant_id})


def page(
    connection: Connection, *, tenant_id: int, before: str | None, limit: int
) -> list[Webhook]:
    """Return up to ``limit`` webhooks older than the id ``before``, newest first."""
    rows = connection.execute(
        _PAGE, {"tenant_id": tenant_id, "before": before, "limit": limit}
    )
    return [Webhook(**row._mapping) for row in rows]


def change(
    connection: Connection, *, tenant_id: int, webhook_id: str, fields: dict[str, Any]
) -> Webhook | None:
    """Set the given fields; one that is disabled fails what was on its way to it.

    Args:
        connection: a transaction of the tenant.
        tenant_id: whose webhook it is.
        webhook_id: which one.
        fields: any of ``url``, ``events``, ``description``, ``enabled``.
    """
    given = dict.fromkeys(("url", "events", "description", "enabled"))
    named = {"id": webhook_id, "tenant_id": tenant_id}
    found = _first(connection, _CHANGE, {**given, **fields, **named})
    if found is not None and not found.enabled:
        connection.execute(_END, named)
    return found


def rotate(
    connection: Connection, *, tenant_id: int, webhook_id: str
) -> Webhook | None:
    """Give the webhook its next secret; None where there is no such webhook."""
    return _first(connection, _ROTATE, {"id": webhook_id, "tenant_id": tenant_id})


def delete(connection: Connection, *, tenant_id: int, webhook_id: str) -> bool:
    """Delete a webhook with its deliveries; return whether there was one."""
    named = {"id": webhook_id, "tenant_id": tenant_id}
    return bool(connection.execute(_DELETE, named).rowcount)


def _first(connection: Connection, query: Any, given: dict[str, Any]) -> Webhook | None:
    row = connection.execute(query, given).first()
    return None if row is None else Webhook(**row._mapping)
