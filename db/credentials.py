"""Credentials: a name, the names of its secrets, and bytes that only a key opens."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from db.ids import new_id
from db.session import Connection


@dataclass(frozen=True)
class Credential:
    """A credential without what is sealed in it; ``fields`` are in order."""

    id: str
    tenant_id: int
    name: str
    fields: list[str]
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class NewCredential:
    """A credential to store: ``sealed`` is what ``tasks.credentials`` made of it."""

    name: str
    fields: list[str]
    sealed: bytes


_SHOWN = "id, tenant_id, name, fields, created_at, updated_at"
_PUT = text(f"""
INSERT INTO credentials (id, tenant_id, name, fields, sealed, created_at, updated_at)
VALUES (:id, :tenant_id, :name, :fields, :sealed, :now, :now)
ON CONFLICT (tenant_id, name) DO UPDATE SET fields = excluded.fields,
    sealed = excluded.sealed, updated_at = excluded.updated_at
RETURNING {_SHOWN}
""")  # noqa: S608 - only our own list of columns is spliced in
_FIND = (
    f"SELECT {_SHOWN} FROM credentials WHERE tenant_id = :tenant_id AND name = :name"  # noqa: S608 - see above
)
_SEALED = text(
    "SELECT sealed FROM credentials WHERE tenant_id = :tenant_id AND name = :name"
)
_PAGE = text(f"""
SELECT {_SHOWN} FROM credentials
WHERE tenant_id = :tenant_id AND (CAST(:after AS text) IS NULL OR name > :after)
ORDER BY name LIMIT :limit
""")  # noqa: S608 - see above
_DELETE = text("DELETE FROM credentials WHERE tenant_id = :tenant_id AND name = :name")


def put(
    connection: Connection, *, tenant_id: int, new: NewCredential, now: datetime
) -> Credential:
    """Store a credential in place of the one of its name, whose id it keeps."""
    row = connection.execute(
        _PUT,
        {**vars(new), "id": new_id("crd"), "tenant_id": tenant_id, "now": now},
    ).one()
    return Credential(**row._mapping)


def find(
    connection: Connection, *, tenant_id: int, name: str, lock: str = ""
) -> Credential | None:
    """Return the tenant's credential, or None; ``lock`` is for the two below."""
    row = connection.execute(
        text(f"{_FIND} {lock}"), {"tenant_id": tenant_id, "name": name}
    ).first()
    return None if row is None else Credential(**row._mapping)


def keep(connection: Connection, *, tenant_id: int, name: str) -> Credential | None:
    """Return the credential and keep it from being deleted until the commit."""
    return find(connection, tenant_id=tenant_id, name=name, lock="FOR KEY SHARE")


def hold(connection: Connection, *, tenant_id: int, name: str) -> Credential | None:
    """Return the credential; until the commit nobody else may begin to use it."""
    return find(connection, tenant_id=tenant_id, name=name, lock="FOR UPDATE")


def sealed(connection: Connection, *, tenant_id: int, name: str) -> bytes | None:
    """Return the sealed bytes of a credential, or None where there is none."""
    found = connection.scalar(_SEALED, {"tenant_id": tenant_id, "name": name})
    return None if found is None else bytes(found)


def page(
    connection: Connection, *, tenant_id: int, after: str | None, limit: int
) -> list[Credential]:
    """Return up to ``limit`` credentials by name, after the name ``after``."""
    rows = connection.execute(
        _PAGE, {"tenant_id": tenant_id, "after": after, "limit": limit}
    )
    return [Credential(**row._mapping) for row in rows]


def delete(connection: Connection, *, tenant_id: int, name: str) -> bool:
    """Delete a credential; return whether there was one."""
    named = {"tenant_id": tenant_id, "name": name}
    return connection.execute(_DELETE, named).rowcount == 1
