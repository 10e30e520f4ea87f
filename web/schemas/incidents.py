"""Bodies and answers of the incident calls."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from tasks.inputs import Instant
from web.schemas.jobs import Body, Page

Severity = Literal["low", "medium", "high", "critical"]
IncidentState = Literal["open", "acknowledged", "resolved"]


class IncidentQuery(Page):
    """Which incidents to list, newest first."""

    state: IncidentState | None = None
    open: bool | None = Field(default=None, description="Those not resolved, or are.")
    min_severity: Severity | None = None
    kind: str | None = Field(default=None, max_length=100)
    tag: str | None = Field(default=None, max_length=200)
    series: str | None = Field(default=None, max_length=200)
    start: Instant | None = Field(default=None, alias="from")
    end: Instant | None = Field(default=None, alias="to")


class Comment(Body):
    """What there is to say of an incident."""

    text: str = Field(min_length=1, max_length=4_000)


class StayOut(BaseModel):
    """A series of an incident: its first and last anomaly, and how far it was seen."""

    unique_id: str
    start_at: str
    last_seen_at: str
    seen_until: str


class AdviceOut(BaseModel):
    """What is recommended; its id is that of /v1/recommendations."""

    id: str
    kind: str
    series: str | None
    text: str


class IncidentOut(BaseModel):
    """Anomalies that belong together; version grows with each change."""

    id: str
    state: IncidentState
    reason: str | None
    severity: Severity
    headline: str
    dedup_key: str
    scope: str
    tags: list[str]
    kinds: list[str]
    anomalies: int
    reopened: int
    grouping: dict[str, Any]
    start_at: str
    last_seen_at: str
    opened_at: str
    updated_at: str
    acknowledged_at: str | None
    acknowledged_by: str | None
    closed_at: str | None
    merged_into: str | None
    version: int
    series: list[StayOut]
    recommendations: list[AdviceOut]
    links: dict[str, str]


class IncidentList(BaseModel):
    """A page of incidents."""

    items: list[IncidentOut]
    next_cursor: str | None


class JoinedOut(BaseModel):
    """An anomaly of an incident, with its evidence."""

    id: int
    unique_id: str
    kind: str
    severity: Severity
    score: float
    start_at: str
    end_at: str
    explanation: str
    evidence: dict[str, Any]
    dedup_key: str
    joined_at: str


class JoinedList(BaseModel):
    """A page of the anomalies of an incident, the last that joined first."""

    items: list[JoinedOut]
    next_cursor: str | None


class EntryOut(BaseModel):
    """One thing that happened to an incident, or that somebody said of it."""

    id: int
    at: str
    kind: str
    key_id: str | None
    body: dict[str, Any]


class EntryList(BaseModel):
    """A page of the history of an incident, the latest first."""

    items: list[EntryOut]
    next_cursor: str | None
