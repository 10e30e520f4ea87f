"""Bodies and queries of the series calls."""

import zoneinfo
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, field_validator, model_validator

from db.observations import KnownBy
from tasks.inputs import Frequency, Instant
from web.observation_formats import Format
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


class Known(Body):
    """As known at an instant."""

    as_of: Instant | None = Field(
        default=None, description="Only what was known at this instant."
    )
    known_by: KnownBy = Field(
        default="published",
        description="published: a value was known since it was published. received: "
        "only once it was stored here as well.",
    )


class Span(Known):
    """A half-open stretch, as known at an instant."""

    start: Instant | None = Field(default=None, alias="from")
    end: Instant | None = Field(default=None, alias="to")


class View(Span):
    """What of a series to show."""

    versions: Literal["newest", "all"] | None = Field(
        default=None,
        description="newest: with since when each value was known, received and, if "
        "it is a forecast, issued. all: every version, null where it was withdrawn.",
    )
    issue: Literal["latest"] | Instant | None = Field(
        default=None,
        description="Of a forecast from outside: the latest issue, or the one issued "
        "at this instant.",
    )
    lead_h: float | None = Field(
        default=None,
        ge=0,
        le=24 * 366,
        description="Of a forecast from outside: for each time the newest issue that "
        "was issued at least so many hours before it.",
    )

    @model_validator(mode="after")
    def _one_view(self) -> "View":
        if self.issue is not None and self.lead_h is not None:
            message = "give issue or lead_h, not both"
            raise ValueError(message)
        return self


class Stretch(View):
    """A stretch of one series, and the format it comes in."""

    format: Literal["json", "csv", "ndjson", "arrow", "parquet"] | None = Field(
        default=None, description="Before Accept; by default json."
    )


class ExportQuery(View):
    """Which series to export, and what of them."""

    series: str | None = Field(
        default=None, max_length=200_000, description="Keys, with commas between."
    )
    prefix: str | None = Field(
        default=None, max_length=200, description="Keys that begin with this."
    )
    tag: str | None = Field(default=None, max_length=200)
    format: Format | None = Field(
        default=None, description="Before Accept; by default ndjson."
    )


class IssueQuery(Span):
    """Which issues of a forecast from outside to list, the newest first."""

    limit: int = Field(default=50, ge=1, le=200)
    cursor: Instant | None = None


class HistoryQuery(Known):
    """Of which time to list the versions."""

    ts: Instant


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
    """A value at an instant; where versions are asked for, with whence it is."""

    ts: str
    value: float | None
    known_from: str | None = None
    received_at: str | None = None
    issued_at: str | None = None


class ObservationsOut(BaseModel):
    """A stretch of a series, ascending."""

    key: str
    observations: list[Observation]


class IssueOut(BaseModel):
    """An issue of a forecast from outside, and the times it says something of."""

    issued_at: str
    known_from: str
    received_at: str
    first: str
    last: str
    count: int


class IssueList(BaseModel):
    """A page of issues, the newest first."""

    items: list[IssueOut]
    next_cursor: str | None


class VersionOut(BaseModel):
    """A version of an observation; its value is null where it was withdrawn."""

    value: float | None
    known_from: str
    received_at: str
    issued_at: str | None
    status: str | None
    basis: str
    run_id: str


class HistoryOut(BaseModel):
    """All versions of an observation, the first known first."""

    key: str
    ts: str
    versions: list[VersionOut]


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
    evidence: dict[str, Any]


class AnomalyList(BaseModel):
    """A page of the anomalies of a series, the newest find first."""

    items: list[AnomalyOut]
    next_cursor: str | None
