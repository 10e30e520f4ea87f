"""What the catalogue answers."""

from typing import Any

from pydantic import BaseModel


class JobTypeOut(BaseModel):
    """A kind of job; ``params`` is a JSON Schema."""

    type: str
    summary: str
    queue: str
    timeout_s: int
    max_attempts: int
    params: dict[str, Any]


class JobTypeList(BaseModel):
    """All job types; there is always one page."""

    items: list[JobTypeOut]
    next_cursor: None
