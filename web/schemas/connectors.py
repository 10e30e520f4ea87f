"""What the connector calls answer."""

from typing import Any, Literal

from pydantic import BaseModel


class SecretOut(BaseModel):
    """A secret that the credential of a source has to hold."""

    name: str
    title: str
    required: bool


class LimitsOut(BaseModel):
    """How fast a source is asked; shared by all workers."""

    per_second: float
    burst: float
    per_day: float | None


class TierOut(BaseModel):
    """How far back is read again, and how often, because sources revise."""

    name: str
    back_h: float
    every_h: float


class ConnectorOut(BaseModel):
    """A connector; config is a JSON Schema from which a form can be made."""

    name: str
    title: str
    licence: str
    documentation: str | None
    enabled: bool
    version: int
    secrets: list[SecretOut]
    limits: LimitsOut
    tiers: list[TierOut]
    lag_h: float
    completeness: Literal["declared_total", "document", "none"]
    publication: Literal["published", "observed"]
    config: dict[str, Any]
    links: dict[str, str]


class ConnectorList(BaseModel):
    """All connectors, by name."""

    items: list[ConnectorOut]
