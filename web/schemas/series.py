"""Bodies and queries of the series calls."""

import zoneinfo
from typing import Annotated, Any

from pydantic import BaseModel, Field, field_validator

from tasks.inputs import Frequency, Instant
from web.schemas.jobs import Body, Page

Tag = Annotated[str, Field(min_length=1, max_length=200)]


class SeriesBody(Body):
    """What to change about a series; fields left out stay as they are."""

    title: str | None = Field(default=None, min_length=1, max_length=300)
    unit: str | None = Field(default=None, max_length=50)
    frequency: Frequency | None = Field(default=None, examples=["1h"])
    timezone: str | None = Field(default=None, examples=["America/New_York"])
    tags: list[Tag] | None = Field(default=None, max_length=50)

    @field_validator("timezone")
    @classmethod
    def _exists(cls, name: str | None) -> str | None:
        if name is not None and name not in zoneinfo.available_timezones():
            message = "not an IANA time zone such as Europe/Vienna"
            raise ValueError(message)
        return name


class SeriesQuery(Page):
    """Which series to list, by key."""

    tag: str | None = None
    q: str | None = Field(default=None, description="Part of a key or title.")


class Stretch(Body):
    """A half-open stretch of a series, as known at an instant."""

    start: Instant | None = Field(default=None, alias="from")
    end: Instant | None = Field(default=None, alias="to")
    as_of: Instant | None = None


class ForecastQuery(Body):
    """Which stored forecasts to show, the newest first."""

    as_of: Instant | None = None
    limit: int = Field(default=1, ge=1, le=50)


class SeriesOut(BaseModel):
    """A series with how far it reaches."""

    key: str
    title: str
    unit: str | None
    frequency: str | None
    timezone: str
    tags: list[str]
    count: int
    first: str | None
    last: str | None
    freshness_s: float | None
    created_at: str
    updated_at: str
    links: dict[str, str]


class SeriesList(BaseModel):
    """A page of series."""

    items: list[SeriesOut]
    next_cursor: str | None


class Rejected(BaseModel):
    """A row that was not stored, and why."""

    row: int
    code: str
    detail: str


class LoadOut(BaseModel):
    """What became of the observations of a body."""

    written: int
    revised: int
    unchanged: int
    missing: int
    duplicates: int
    rejected: list[Rejected]
    rejected_total: int


class Observation(BaseModel):
    """A value at an instant."""

    ts: str
    value: float | None


class ObservationsOut(BaseModel):
    """A stretch of a series, ascending."""

    key: str
    observations: list[Observation]


class ForecastPoint(BaseModel):
    """One step of a forecast; ``q`` holds the quantiles by level."""

    ds: str
    mean: float
    q: dict[str, float]


class ForecastOut(BaseModel):
    """A stored forecast."""

    id: str
    unique_id: str
    job_id: str
    cutoff: str
    issued_at: str
    model: str
    points: list[ForecastPoint]
    evaluation: dict[str, Any] | None
    warnings: list[str]


class ForecastList(BaseModel):
    """Stored forecasts of a series, the newest first."""

    items: list[ForecastOut]
    next_cursor: None


class AnomalyOut(BaseModel):
    """A stretch that an analysis found unusual."""

    id: int
    analysis_id: str
    start: str
    end: str
    kind: str
    severity: str
    score: float
    explanation: str


class AnomalyList(BaseModel):
    """A page of the anomalies of a series, the newest find first."""

    items: list[AnomalyOut]
    next_cursor: str | None
