"""Uploaded files as rows; their bytes lie in the artifacts folder."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import TypedDict, Unpack

from sqlalchemy import func, select

from db.session import Connection
from db.tables import uploads as table


class FileFacts(TypedDict):
    """What is known of a file once it has been received."""

    filename: str
    content_type: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Upload:
    """One uploaded file."""

    id: str
    filename: str
    content_type: str
    bytes: int
    sha256: str
    created_at: datetime


def create(
    connection: Connection,
    *,
    tenant_id: int,
    upload_id: str,
    **facts: Unpack[FileFacts],
) -> None:
    """Insert the row of a file that has been received whole."""
    connection.execute(
        table.insert().values(
            id=upload_id,
            tenant_id=tenant_id,
            filename=facts["filename"],
            content_type=facts["content_type"],
            bytes=facts["size"],
            sha256=facts["sha256"],
            created_at=func.now(),
        )
    )


def find(connection: Connection, *, tenant_id: int, upload_id: str) -> Upload | None:
    """Return a tenant's upload, or None."""
    columns = [table.c[field.name] for field in fields(Upload)]
    query = select(*columns).where(
        table.c.tenant_id == tenant_id, table.c.id == upload_id
    )
    row = connection.execute(query).one_or_none()
    return Upload(**row._asdict()) if row else None


def names(
    connection: Connection, *, tenant_id: int, ids: Iterable[str]
) -> dict[str, str]:
    """Return the file names of some of a tenant's uploads, by their ids."""
    query = select(table.c.id, table.c.filename).where(
        table.c.tenant_id == tenant_id, table.c.id == func.any(list(ids))
    )
    return {row.id: row.filename for row in connection.execute(query)}
