"""Idempotency keys: the same request twice makes one thing."""

from sqlalchemy import text

from db.errors import KeyInFlight, KeyReused
from db.session import Connection

_LOCK = text(
    "SELECT pg_try_advisory_xact_lock("
    "hashtextextended(:key, CAST(:tenant_id AS bigint)))"
)
_FIND = text("""
SELECT fingerprint, resource_id FROM idempotency_keys
WHERE tenant_id = :tenant_id AND key = :key
""")
_REMEMBER = text("""
INSERT INTO idempotency_keys (tenant_id, key, fingerprint, resource_id, created_at)
VALUES (:tenant_id, :key, :fingerprint, :resource_id, now())
""")
_FORGET = text("""
DELETE FROM idempotency_keys WHERE created_at < now() - interval '48 hours'
""")


def recall(
    connection: Connection, *, tenant_id: int, key: str, fingerprint: bytes
) -> str | None:
    """Return what the key made before, or None and hold the key until the commit.

    Raises:
        KeyReused: the key was used with another fingerprint.
        KeyInFlight: another transaction is using the key right now.
    """
    name = {"tenant_id": tenant_id, "key": key}
    if not connection.scalar(_LOCK, name):
        raise KeyInFlight(key)
    row = connection.execute(_FIND, name).first()
    if row is None:
        return None
    if bytes(row.fingerprint) != fingerprint:
        raise KeyReused(key)
    found: str = row.resource_id
    return found


def remember(
    connection: Connection,
    *,
    tenant_id: int,
    key: str,
    fingerprint: bytes,
    resource_id: str,
) -> None:
    """Bind the key to what it made, in the same transaction."""
    connection.execute(
        _REMEMBER,
        {
            "tenant_id": tenant_id,
            "key": key,
            "fingerprint": fingerprint,
            "resource_id": resource_id,
        },
    )


def forget_old(connection: Connection) -> int:
    """Delete keys older than the promised 48 hours; return how many."""
    return connection.execute(_FORGET).rowcount
