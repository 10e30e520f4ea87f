"""Answers of the audit call."""

from typing import Any

from pydantic import BaseModel


class AuditEntry(BaseModel):
    """One act of a key."""

    id: int
    at: str
    key_id: str | None
    action: str
    target: str | None
    detail: dict[str, Any]


class AuditList(BaseModel):
    """A page of acts."""

    items: list[AuditEntry]
    next_cursor: str | None
