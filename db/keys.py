"""Tenants and their API keys: shown once, stored as a hash."""

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, text

from db.ids import new_id
from db.session import Connection
from db.tables import api_keys, tenants

ROLES = ("admin", "member", "viewer")
_PREFIX = "fbk_"


@dataclass(frozen=True)
class Identity:
    """Who a key speaks for."""

    key_id: str
    tenant_id: int
    tenant: str
    role: str


_IDENTIFY = text("""
SELECT api_keys.id AS key_id, tenant_id, tenants.name AS tenant, role,
    coalesce(last_used_at < now() - interval '1 minute', true) AS stale
FROM api_keys JOIN tenants ON tenants.id = tenant_id
WHERE (hash = :hash OR api_keys.id = :id) AND revoked_at IS NULL
    AND (expires_at IS NULL OR expires_at > now())
""")
_TOUCH = text("UPDATE api_keys SET last_used_at = now() WHERE id = :id")


_KNOWN = text("""
SELECT name, NOT EXISTS (SELECT FROM tenants WHERE id <> :tenant_id) AS alone
FROM tenants WHERE id = :tenant_id
""")
_NAMES = text("""
SELECT id, name FROM api_keys WHERE tenant_id = :tenant_id AND id = ANY(:ids)
""")
_REVOKE = text("""
UPDATE api_keys SET revoked_at = now() WHERE id = :id AND revoked_at IS NULL
""")


def ensure_tenant(connection: Connection, *, name: str) -> int:
    """Return the id of the tenant of this name, created if need be."""
    connection.execute(
        text(
            "INSERT INTO tenants (name, created_at) VALUES (:name, now()) "
            "ON CONFLICT (name) DO NOTHING"
        ),
        {"name": name},
    )
    found: int = connection.execute(
        select(tenants.c.id).where(tenants.c.name == name)
    ).scalar_one()
    return found


def find_tenant(connection: Connection, *, name: str) -> int | None:
    """Return the id of the tenant of this name, or None."""
    found: int | None = connection.scalar(
        select(tenants.c.id).where(tenants.c.name == name)
    )
    return found


def known(connection: Connection, *, tenant_id: int) -> tuple[str, bool]:
    """Return a tenant's name, and whether there is no other; needs a system connection.

    Example:
        ``("acme", True)`` where acme is the only tenant.
    """
    row = connection.execute(_KNOWN, {"tenant_id": tenant_id}).one()
    return row.name, row.alone


def issue(
    connection: Connection,
    *,
    tenant_id: int,
    name: str,
    role: str,
    expires_at: datetime | None = None,
) -> str:
    """Create a key and return its secret, which nothing can show again."""
    secret = _PREFIX + secrets.token_urlsafe(32)
    connection.execute(
        api_keys.insert(),
        {
            "id": new_id("key"),
            "tenant_id": tenant_id,
            "name": name,
            "role": role,
            "hash": _hash(secret),
            "created_at": connection.scalar(text("SELECT now()")),
            "expires_at": expires_at,
        },
    )
    return secret


def identify(
    connection: Connection, *, secret: str | None = None, key_id: str | None = None
) -> Identity | None:
    """Return whom a secret, or a signed-in key's id, speaks for; None if nobody."""
    row = connection.execute(
        _IDENTIFY, {"hash": _hash(secret) if secret else None, "id": key_id}
    ).first()
    if row is None:
        return None
    if row.stale:
        connection.execute(_TOUCH, {"id": row.key_id})
    return Identity(row.key_id, row.tenant_id, row.tenant, row.role)


def names(
    connection: Connection, *, tenant_id: int, ids: Iterable[str]
) -> dict[str, str]:
    """Return what a tenant called some of its keys, by their ids; revoked ones too."""
    given = {"tenant_id": tenant_id, "ids": list(ids)}
    return {row.id: row.name for row in connection.execute(_NAMES, given)}


def revoke(connection: Connection, *, key_id: str) -> bool:
    """End a key for good; return whether there was one to end."""
    return connection.execute(_REVOKE, {"id": key_id}).rowcount == 1


def _hash(secret: str) -> bytes:
    # The secret has 256 random bits, so one round is as good as many.
    return hashlib.sha256(secret.encode()).digest()
