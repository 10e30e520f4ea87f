"""Channels: where alerts go. Each has a webhook of its own as the line to it.

The deliveries, their retries and their log are those of that webhook, whatever the
kind of the channel; see docs/adr/0023-incidents.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text

from db.ids import new_id
from db.session import Connection


@dataclass(frozen=True)
class Channel:
    """A channel; its secrets are in the credential it names."""

    id: str
    name: str
    kind: str
    config: dict[str, Any]
    credential: str | None
    webhook_id: str
    enabled: bool
    disabled_reason: str | None
    generation: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class NewChannel:
    """What a tenant decides about a channel; ``url`` is empty but for webhooks."""

    name: str
    kind: str
    config: Mapping[str, Any]
    credential: str | None
    url: str = ""


_CHANNEL = """
SELECT channels.id, name, kind, config, credential, webhook_id, enabled,
    disabled_reason, generation, channels.created_at, channels.updated_at
FROM channels JOIN webhooks ON webhooks.id = webhook_id
WHERE channels.tenant_id = :tenant_id"""
_FIND = text(f"{_CHANNEL} AND channels.id = :id")
_PAGE = text(f"""{_CHANNEL} AND (CAST(:before AS text) IS NULL OR channels.id < :before)
ORDER BY channels.id DESC LIMIT :limit""")
_BY_IDS = text(f"{_CHANNEL} AND channels.id = ANY(:ids) ORDER BY channels.id")
_LOCK = text(
    "SELECT pg_advisory_xact_lock(hashtextextended('channels', "
    "CAST(:tenant_id AS bigint)))"
)
_REFUSED = text("""
SELECT (SELECT count(*) FROM channels WHERE tenant_id = :tenant_id) >= :most AS full,
    EXISTS (SELECT FROM channels WHERE tenant_id = :tenant_id AND name = :name
        AND id <> :id) AS taken
""")
_CREATE = text("""
WITH line AS (
    INSERT INTO webhooks (id, tenant_id, url, events, description, enabled,
        generation, created_at, updated_at, channel)
    VALUES (:webhook_id, :tenant_id, :url, '{}', '', true, 1, :now, :now, :kind)
)
INSERT INTO channels (id, tenant_id, name, kind, config, credential, webhook_id,
    created_at, updated_at)
VALUES (:id, :tenant_id, :name, :kind, CAST(:config AS jsonb), :credential,
    :webhook_id, :now, :now)
""")
_CHANGE = text("""
WITH line AS (
    UPDATE webhooks SET url = coalesce(:url, url),
        enabled = coalesce(:enabled, enabled),
        disabled_reason = CASE WHEN :enabled IS NULL THEN disabled_reason
            WHEN NOT :enabled THEN coalesce(disabled_reason, 'disabled by request') END,
        updated_at = :now
    WHERE id = (SELECT webhook_id FROM channels
        WHERE id = :id AND tenant_id = :tenant_id)
)
UPDATE channels SET name = coalesce(:name, name),
    config = coalesce(CAST(:config AS jsonb), config),
    credential = coalesce(:credential, credential), updated_at = :now
WHERE id = :id AND tenant_id = :tenant_id
""")
_DELETE = text("""
DELETE FROM channels WHERE id = :id AND tenant_id = :tenant_id RETURNING webhook_id
""")
_UNPLUG = text("DELETE FROM webhooks WHERE id = :id AND tenant_id = :tenant_id")
_USING = text("""
SELECT name FROM channels WHERE tenant_id = :tenant_id AND credential = :credential
ORDER BY name
""")


class ChannelRefused(Exception):
    """The tenant has as many channels as it may (``full``), or one of this name."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def create(
    connection: Connection,
    *,
    tenant_id: int,
    new: NewChannel,
    most: int,
    now: datetime,
) -> str:
    """Insert a channel with the webhook that leads to it; return its id.

    Raises:
        ChannelRefused: there are ``most`` already, or one has the name.
    """
    channel_id = new_id("chn")
    _check(connection, tenant_id, channel_id, new.name, most)
    given = {
        **vars(new),
        "id": channel_id,
        "tenant_id": tenant_id,
        "webhook_id": new_id("whk"),
        "config": orjson.dumps(new.config).decode(),
        "now": now,
    }
    connection.execute(_CREATE, given)
    return channel_id


def _check(
    connection: Connection, tenant_id: int, channel_id: str, name: str, most: int
) -> None:
    connection.execute(_LOCK, {"tenant_id": tenant_id})
    given = {"tenant_id": tenant_id, "id": channel_id, "name": name, "most": most}
    refused = connection.execute(_REFUSED, given).one()
    if refused.taken or refused.full:
        raise ChannelRefused("taken" if refused.taken else "full")


def find(connection: Connection, *, tenant_id: int, channel_id: str) -> Channel | None:
    """Return a channel, or None."""
    given = {"tenant_id": tenant_id, "id": channel_id}
    row = connection.execute(_FIND, given).first()
    return None if row is None else Channel(**row._mapping)


def by_ids(connection: Connection, *, tenant_id: int, ids: list[str]) -> list[Channel]:
    """Return those of some channels that there are."""
    rows = connection.execute(_BY_IDS, {"tenant_id": tenant_id, "ids": ids})
    return [Channel(**row._mapping) for row in rows]


def page(
    connection: Connection, *, tenant_id: int, before: str | None, limit: int
) -> list[Channel]:
    """Return up to ``limit`` channels older than the id ``before``, newest first."""
    given = {"tenant_id": tenant_id, "before": before, "limit": limit}
    return [Channel(**row._mapping) for row in connection.execute(_PAGE, given)]


def change(
    connection: Connection,
    *,
    tenant_id: int,
    channel_id: str,
    fields: Mapping[str, Any],
    now: datetime,
) -> bool:
    """Set any of ``name``, ``config``, ``credential``, ``url`` and ``enabled``.

    Returns:
        Whether there is such a channel.

    Raises:
        ChannelRefused: another channel has the name.
    """
    if fields.get("name"):
        _check(connection, tenant_id, channel_id, fields["name"], 1_000_000)
    given = dict.fromkeys(("name", "config", "credential", "url", "enabled"))
    given |= dict(fields)
    if given["config"] is not None:
        given["config"] = orjson.dumps(given["config"]).decode()
    named = {"tenant_id": tenant_id, "id": channel_id, "now": now}
    return bool(connection.execute(_CHANGE, {**given, **named}).rowcount)


def delete(connection: Connection, *, tenant_id: int, channel_id: str) -> bool:
    """Delete a channel with its deliveries; return whether there was one."""
    given = {"tenant_id": tenant_id, "id": channel_id}
    line = connection.scalar(_DELETE, given)
    if line is not None:
        connection.execute(_UNPLUG, {"tenant_id": tenant_id, "id": line})
    return line is not None


def using(connection: Connection, *, tenant_id: int, credential: str) -> list[str]:
    """Return the names of the channels that use a credential."""
    given = {"tenant_id": tenant_id, "credential": credential}
    return list(connection.scalars(_USING, given))
