"""Who did what: rows are added, and never changed."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text

from db.session import Connection


@dataclass(frozen=True)
class Entry:
    """One act of a key; ``detail`` holds no secret."""

    id: int
    at: datetime
    key_id: str | None
    action: str
    target: str | None
    detail: dict[str, Any]


_RECORD = text("""
INSERT INTO audit (tenant_id, at, key_id, action, target, detail)
VALUES (:tenant_id, now(), :key_id, :action, :target, CAST(:detail AS jsonb))
""")
_PAGE = text("""
SELECT id, at, key_id, action, target, detail FROM audit
WHERE tenant_id = :tenant_id AND (CAST(:before AS bigint) IS NULL OR id < :before)
ORDER BY id DESC LIMIT :limit
""")


def record(
    connection: Connection,
    *,
    tenant_id: int,
    key_id: str | None,
    action: str,
    target: str | None = None,
    detail: dict[str, Any] | None = None,
) -> None:
    """Note an act in the transaction that does it."""
    connection.execute(
        _RECORD,
        {
            "tenant_id": tenant_id,
            "key_id": key_id,
            "action": action,
            "target": target,
            "detail": orjson.dumps(detail or {}).decode(),
        },
    )


def page(
    connection: Connection, *, tenant_id: int, before: int | None, limit: int
) -> list[Entry]:
    """Return up to ``limit`` acts older than the id ``before``, newest first."""
    rows = connection.execute(
        _PAGE, {"tenant_id": tenant_id, "before": before, "limit": limit}
    )
    return [Entry(**row._mapping) for row in rows]
