"""Notifications: what a rule told of an incident through a channel, and if it arrived.

Each goes through a delivery of the channel's webhook. One that was held back, by a
cooldown or because it is no news, has none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from db.ids import new_id
from db.session import Connection

FIRED = ("opened", "worse")


@dataclass(frozen=True)
class NewNotification:
    """What is to be told; without ``webhook_id`` it was held back.

    ``body`` is the text that is sent, ``kind`` the kind of the delivery.
    """

    rule_id: str | None
    rule: str
    incident_id: str | None
    occasion: str
    severity: str | None
    scope: str
    channel_id: str | None = None
    webhook_id: str | None = None
    kind: str = ""
    body: str = "{}"


@dataclass(frozen=True)
class Notification:
    """A notification with the state of its delivery; None where there is none."""

    id: str
    rule_id: str | None
    rule: str
    incident_id: str | None
    channel_id: str | None
    channel: str | None
    occasion: str
    severity: str | None
    created_at: datetime
    webhook_id: str | None
    delivery_id: str | None
    state: str | None
    attempts: int | None
    next_attempt_at: datetime | None
    last_error: str | None
    ended_at: datetime | None


@dataclass(frozen=True)
class Told:
    """What a rule told of last: of an incident, or of any of a scope."""

    rule_id: str
    key: str
    occasion: str
    severity: str | None
    at: datetime


@dataclass(frozen=True)
class Wanted:
    """Which notifications a list shows; None means any."""

    incident: str | None = None
    rule: str | None = None
    channel: str | None = None
    state: str | None = None


_SEND = text("""
INSERT INTO webhook_deliveries (id, tenant_id, webhook_id, kind, body, state,
    attempts, next_attempt_at, created_at)
VALUES (:delivery_id, :tenant_id, :webhook_id, :kind, CAST(:body AS json), 'pending',
    0, :now, :now)
""")
_KEEP = text("""
INSERT INTO notifications (id, tenant_id, rule_id, rule, incident_id, channel_id,
    occasion, severity, scope, delivery_id, created_at)
VALUES (:id, :tenant_id, :rule_id, :rule, :incident_id, :channel_id, :occasion,
    :severity, :scope, :delivery_id, :now)
""")
_WAKE = text("SELECT pg_notify('forebay_webhooks', '')")
_LAST_OF_INCIDENTS = text("""
SELECT DISTINCT ON (rule_id, incident_id) rule_id, incident_id AS key, occasion,
    severity, created_at AS at
FROM notifications
WHERE tenant_id = :tenant_id AND incident_id = ANY(:keys) AND rule_id IS NOT NULL
    AND occasion = ANY(:occasions)
ORDER BY rule_id, incident_id, id DESC
""")
_LAST_OF_SCOPES = text("""
SELECT DISTINCT ON (rule_id, scope) rule_id, scope AS key, occasion, severity,
    created_at AS at
FROM notifications
WHERE tenant_id = :tenant_id AND rule_id = ANY(:rules) AND scope = ANY(:keys)
    AND occasion = ANY(:occasions)
ORDER BY rule_id, scope, id DESC
""")
_NOTIFICATION = """
SELECT one.id, rule_id, rule, incident_id, channel_id, channels.name AS channel,
    occasion, severity, one.created_at, delivery.webhook_id, delivery_id,
    delivery.state, attempts, next_attempt_at, last_error, ended_at
FROM notifications AS one
LEFT JOIN channels ON channels.id = channel_id
LEFT JOIN webhook_deliveries AS delivery ON delivery.id = delivery_id
WHERE one.tenant_id = :tenant_id"""
_FIND = text(f"{_NOTIFICATION} AND one.id = ANY(:ids) ORDER BY one.id")
_PAGE = text(f"""{_NOTIFICATION}
    AND (CAST(:incident AS text) IS NULL OR incident_id = :incident)
    AND (CAST(:rule AS text) IS NULL OR rule_id = :rule)
    AND (CAST(:channel AS text) IS NULL OR channel_id = :channel)
    AND (CAST(:state AS text) IS NULL OR delivery.state = :state)
    AND (CAST(:before AS text) IS NULL OR one.id < :before)
ORDER BY one.id DESC LIMIT :limit""")


def add(
    connection: Connection,
    *,
    tenant_id: int,
    items: Sequence[NewNotification],
    now: datetime,
) -> list[str]:
    """Keep notifications and put their deliveries into the line; return their ids."""
    rows = [
        {
            **vars(one),
            "id": new_id("ntf"),
            "tenant_id": tenant_id,
            "delivery_id": new_id("whd") if one.webhook_id else None,
            "now": now,
        }
        for one in items
    ]
    sent = [row for row in rows if row["delivery_id"]]
    if sent:
        connection.execute(_SEND, sent)
        connection.execute(_WAKE)
    if rows:
        connection.execute(_KEEP, rows)
    return [str(row["id"]) for row in rows]


def last_of_incidents(
    connection: Connection,
    *,
    tenant_id: int,
    ids: Sequence[str],
    occasions: Sequence[str],
) -> dict[tuple[str, str], Told]:
    """Return the last of these occasions, by rule and incident."""
    given = {"tenant_id": tenant_id, "keys": list(ids), "occasions": list(occasions)}
    rows = connection.execute(_LAST_OF_INCIDENTS, given)
    return {(row.rule_id, row.key): Told(**row._mapping) for row in rows}


def last_of_scopes(
    connection: Connection,
    *,
    tenant_id: int,
    rules: Sequence[str],
    scopes: Sequence[str],
) -> dict[tuple[str, str], Told]:
    """Return when rules last fired about scopes, by rule and scope."""
    given = {"tenant_id": tenant_id, "keys": list(scopes), "occasions": list(FIRED)}
    rows = connection.execute(_LAST_OF_SCOPES, {**given, "rules": list(rules)})
    return {(row.rule_id, row.key): Told(**row._mapping) for row in rows}


def by_ids(
    connection: Connection, *, tenant_id: int, ids: Sequence[str]
) -> list[Notification]:
    """Return notifications with these ids, the oldest first."""
    rows = connection.execute(_FIND, {"tenant_id": tenant_id, "ids": list(ids)})
    return [Notification(**row._mapping) for row in rows]


def page(
    connection: Connection,
    *,
    tenant_id: int,
    wanted: Wanted,
    before: str | None,
    limit: int,
) -> list[Notification]:
    """Return up to ``limit`` notifications older than the id ``before``."""
    given = {"tenant_id": tenant_id, **vars(wanted), "before": before, "limit": limit}
    return [Notification(**row._mapping) for row in connection.execute(_PAGE, given)]
