"""Queries and answers of the calls about trained versions."""

from typing import Any, Literal

from pydantic import BaseModel

Stage = Literal["champion", "challenger", "archived"]


class ModelOut(BaseModel):
    """A name under which versions are kept."""

    name: str
    latest: int
    champion: int | None
    created_at: str
    updated_at: str
    links: dict[str, str]


class ModelList(BaseModel):
    """A page of names."""

    items: list[ModelOut]
    next_cursor: str | None


class ArtifactOut(BaseModel):
    """Where the bytes of a version are."""

    sha256: str
    bytes: int
    store: str


class ComparedOut(BaseModel):
    """What the champion of that time scored on the same evaluation."""

    version: int
    metrics: dict[str, float | None]


class VersionOut(BaseModel):
    """A trained version; nothing of it but its stage ever changes."""

    name: str
    version: int
    stage: Stage
    created_at: str
    job_id: str | None
    model: str
    members: list[str]
    window_start: str
    window_end: str
    series_count: int
    horizon: int
    frequency: str
    quantiles: list[float]
    code_revision: str
    seed: int
    libraries: dict[str, str]
    metrics: dict[str, float | None]
    evaluation: dict[str, Any]
    compared: ComparedOut | None
    params: dict[str, Any]
    artifact: ArtifactOut
    links: dict[str, str]


class VersionList(BaseModel):
    """A page of versions."""

    items: list[VersionOut]
    next_cursor: str | None


class CheckOut(BaseModel):
    """One question of the gate."""

    name: str
    passed: bool
    detail: str


class GateOut(BaseModel):
    """What the gate found."""

    passed: bool
    checks: list[CheckOut]


class MoveOut(BaseModel):
    """A promotion or a rollback, done or refused by the gate."""

    id: int
    at: str
    act: Literal["promote", "rollback"]
    done: bool
    forced: bool
    from_version: int | None
    to_version: int
    reason: str
    gate: GateOut | None
    job_id: str | None
    key_id: str | None


class MoveList(BaseModel):
    """A page of the history."""

    items: list[MoveOut]
    next_cursor: str | None
