"""Bodies and queries of the source calls."""

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    StringConstraints,
    model_validator,
)

from tasks.grid import CalendarName
from tasks.inputs import Instant, SeriesKey
from tasks.source_plan import SourceName
from web.schemas.credentials import CredentialName
from web.schemas.jobs import Body, Page
from web.schemas.schedules import Cron, Zone
from web.schemas.series import Tag

_MOST_KEYS = 10_000
PartitionId = Annotated[str, Field(min_length=1, max_length=400)]
Prefix = Annotated[str, StringConstraints(pattern=r"^([a-z0-9][a-z0-9._:-]{0,79})?$")]
LocalKey = Annotated[str, Field(min_length=1, max_length=200)]
Share = Annotated[float, Field(ge=0, le=1)]
WindowState = Literal["done", "empty", "not_available", "failed", "held"]
HeldState = Literal["held", "replayed", "superseded", "discarded"]
Freshness = Literal["fresh", "late", "stale", "dead"]


def _unlike(keys: dict[str, str]) -> dict[str, str]:
    if len(set(keys.values())) < len(keys):
        message = "two series of the source cannot have one key"
        raise ValueError(message)
    return keys


class Mapping(Body):
    """What the source's series are called here, and what is said of them."""

    prefix: Prefix | None = Field(
        default=None,
        description="Stands before the source's own key; by default its name and a "
        "dot.",
    )
    keys: Annotated[
        dict[LocalKey, SeriesKey], Field(max_length=_MOST_KEYS), AfterValidator(_unlike)
    ] = Field(default={}, description="By the source's own key, one of yours.")
    unit: str | None = Field(
        default=None,
        max_length=50,
        description="Of series whose unit neither the source nor you have told.",
    )
    tags: Annotated[list[Tag], Field(max_length=50)] = Field(
        default=[], description="Of series that have none; a job selects by tag."
    )


class SourceSchedule(Body):
    """When to read the source."""

    cron: Cron
    timezone: Zone = "UTC"


class Quality(Body):
    """From where on nothing of a partition is published."""

    max_rejected: int | None = Field(
        default=None, ge=0, description="So many bad rows are always let pass; 20."
    )
    max_rejected_share: Share | None = Field(
        default=None, description="Of all rows; the larger of both counts; 0.001."
    )
    min_score: Share | None = Field(default=None, description="The lowest score; 0.")
    max_withdrawn_share: Share | None = Field(
        default=None, description="Of the stored values of the window; 0.2."
    )


class Expected(Body):
    """By when which data must be there; a series is late afterwards."""

    cron: Cron
    timezone: Zone = "UTC"
    calendar: CalendarName | None = Field(
        default=None, description="Days on which data comes: XNYS, DE, DE-BE."
    )
    reach_h: float = Field(
        default=24,
        ge=0,
        le=87_600,
        description="How far back from the fire time the latest value may lie.",
    )
    grace_s: float = Field(
        default=7_200, ge=0, le=31_536_000, description="How late is not yet late."
    )


class Watched(Body):
    """How what a read brings is scored afterwards, by `analysis.watch`."""

    name: str = Field(default="watch", pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")
    sensitivity: int = Field(
        default=50, ge=0, le=100, description="The budget of false alarms."
    )


class Options(Body):
    """What is the same for every connector."""

    mapping: Mapping = Mapping()
    schedule: SourceSchedule | None = None
    since: Instant | None = Field(
        default=None,
        description="Where the first read begins; 30 days back. A table that cannot be "
        "asked for a window is read whole.",
    )
    lookback_h: float | None = Field(
        default=None,
        ge=0,
        le=87_600,
        description="How far back from the watermark each run reads; by default the "
        "tiers of the connector.",
    )
    withdraw: bool = Field(
        default=True,
        description="Whether a value that a whole answer no longer holds is withdrawn.",
    )
    quality: Quality = Quality()
    expected: Expected | None = None
    watch: Watched | None = Field(
        default=None,
        description="Score what each read brings: a scheduled one, or `run`.",
    )


class CreateSource(Options):
    """A source: a connector with its config, read under a name."""

    name: SourceName = Field(description="Fixed; series keys begin with it.")
    connector: str = Field(max_length=100, examples=["eia"])
    config: dict[str, Any] = Field(
        default={}, description="As the connector's JSON Schema says."
    )
    credential: CredentialName | None = None
    enabled: bool = True


class ChangeSource(Body):
    """What to change, each field as a whole; null takes an optional one away."""

    config: dict[str, Any] = Field(default={})
    credential: CredentialName | None = None
    mapping: Mapping = Mapping()
    schedule: SourceSchedule | None = None
    since: Instant | None = None
    lookback_h: float | None = Field(default=None, ge=0, le=87_600)
    withdraw: bool = True
    quality: Quality = Quality()
    expected: Expected | None = None
    watch: Watched | None = None


class PreviewSource(Body):
    """How many rows to show, and whether to list the source's series."""

    rows: int = Field(default=20, ge=1, le=1_000)
    discover: bool = False


class RunQuery(Body):
    """How much to read."""

    mode: Literal["incremental", "full"] = Field(
        default="incremental",
        description="From the watermark back by the lookback, or all since its "
        "beginning.",
    )


class Backfill(Body):
    """A half-open window to read, whatever was read before."""

    start: Instant
    end: Instant | None = Field(default=None, description="By default now.")

    @model_validator(mode="after")
    def _not_empty(self) -> "Backfill":
        if self.end is not None and self.start >= self.end:
            message = "the window is half-open: end must lie after start"
            raise ValueError(message)
        return self


class Replay(Body):
    """What to parse again from the raw archive."""

    partition: PartitionId | None = Field(default=None, description="By default all.")


class Discard(Body):
    """Which held rows to give up: by id, or all of a partition."""

    ids: Annotated[list[int], Field(min_length=1, max_length=10_000)] | None = None
    partition: PartitionId | None = None

    @model_validator(mode="after")
    def _says_which(self) -> "Discard":
        if self.ids is None and self.partition is None:
            message = "give ids, or a partition"
            raise ValueError(message)
        return self


class WindowQuery(Page):
    """Which windows to list, the latest stretch first."""

    cursor: str | None = Field(default=None, max_length=400)
    state: WindowState | None = None


class SeriesQuery(Page):
    """Which series to list, by the source's own key."""

    freshness: Freshness | None = None


class HeldQuery(Page):
    """Which rows of the quarantine to list, newest first."""

    state: HeldState | None = None
    partition: PartitionId | None = None


class SourceOut(BaseModel):
    """A source as it was given."""

    id: str
    name: str
    connector: str
    config: dict[str, Any]
    credential: str | None
    mapping: dict[str, Any]
    schedule: dict[str, Any] | None
    since: str | None
    lookback_h: float | None
    withdraw: bool
    quality: dict[str, Any]
    expected: dict[str, Any] | None
    watch: dict[str, Any] | None
    enabled: bool
    failures: int
    open_until: str | None
    warnings: list[str]
    created_at: str
    updated_at: str
    links: dict[str, str]


class SourceNow(SourceOut):
    """A source, when it is read next, and what is wrong with its schedule."""

    next_fire_at: str | None
    fault: str | None


class SourceDetail(SourceNow):
    """A source and how it fares; the counts are by state, and by code."""

    freshness: dict[str, int]
    windows: dict[str, int]
    quarantined: dict[str, int]


class SourceList(BaseModel):
    """A page of sources, by name."""

    items: list[SourceOut]
    next_cursor: str | None


class RunOut(BaseModel):
    """A load of the source."""

    id: str
    job_id: str | None
    partition_id: str | None
    state: Literal["succeeded", "partial", "failed"]
    counts: dict[str, Any]
    detail: dict[str, Any] | None
    sha256: str | None
    created_at: str


class RunList(BaseModel):
    """A page of runs, newest first."""

    items: list[RunOut]
    next_cursor: str | None


class WindowOut(BaseModel):
    """What became of a partition when it was last read."""

    partition_id: str
    start_at: str | None
    end_at: str | None
    part: dict[str, Any]
    state: WindowState
    reason: str | None
    detail: str | None
    run_id: str
    job_id: str | None
    counts: dict[str, Any]
    finished_at: str


class WindowList(BaseModel):
    """A page of windows, the latest stretch first."""

    items: list[WindowOut]
    next_cursor: str | None


class SourceSeriesOut(BaseModel):
    """A series of the source: both keys, how far it has come, how fresh it is."""

    local_key: str
    key: str
    unit: str | None
    watermark: str | None
    loaded_at: str | None
    freshness: Freshness | None
    freshness_since: str | None
    links: dict[str, str]


class SourceSeriesList(BaseModel):
    """A page of series, by the source's own key."""

    items: list[SourceSeriesOut]
    next_cursor: str | None


class HeldOut(BaseModel):
    """A row that was not published, and why."""

    id: int
    partition_id: str
    run_id: str
    raw_sha256: str | None
    row_no: int
    code: str
    detail: str
    row: str | None
    series_key: str | None
    ts: str | None
    contract_version: int
    first_seen: str
    last_seen: str
    seen: int
    state: HeldState
    resolved_by: str | None


class HeldList(BaseModel):
    """A page of the quarantine, newest first."""

    items: list[HeldOut]
    next_cursor: str | None


class DiscardOut(BaseModel):
    """How many rows were given up."""

    discarded: int
