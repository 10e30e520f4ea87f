"""What the health calls answer."""

from typing import Literal

from pydantic import BaseModel


class HealthOut(BaseModel):
    """The process answers."""

    status: Literal["ok"]


class Check(BaseModel):
    """One part of the platform, and what is wrong with it."""

    ok: bool
    detail: str | None = None


class ReadyOut(BaseModel):
    """Whether jobs can be taken and run, part by part."""

    status: Literal["ready", "not ready"]
    checks: dict[str, Check]
