"""Answers of the queue calls."""

from pydantic import BaseModel


class QueueOut(BaseModel):
    """One class of work, as the tenant sees it."""

    name: str
    queued: int
    running: int
    slots: int
    paused_at: str | None
    paused_by: str | None


class LimitsOut(BaseModel):
    """What the operator allows the tenant; null is without limit."""

    weight: float
    max_running: int | None
    max_queued: int | None
    starts_per_minute: int | None


class QueueList(BaseModel):
    """All queues, and the tenant's limits."""

    queues: list[QueueOut]
    limits: LimitsOut
