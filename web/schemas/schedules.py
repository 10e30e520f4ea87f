"""Bodies and answers of the schedule calls."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, field_validator

from tasks.inputs import Instant
from web.schemas.jobs import Body, SubmitJob

Name = Annotated[str, Field(min_length=1, max_length=200)]
Cron = Annotated[
    str,
    Field(
        max_length=200,
        description="Minute, hour, day of the month, month, day of the week.",
        examples=["0 6 * * 1-5"],
    ),
]
EveryS = Annotated[
    int,
    Field(
        ge=10,
        le=31_536_000,
        description="Instead of cron: seconds, counted from the creation.",
    ),
]
Zone = Annotated[
    str,
    Field(
        max_length=100,
        description="The IANA time zone in which cron is read.",
        examples=["Europe/Berlin"],
    ),
]
CatchUpS = Annotated[
    int,
    Field(
        ge=10,
        le=2_678_400,
        description="How late a fire time may still be fired, after the beat was away.",
    ),
]
Overlap = Annotated[
    Literal["skip", "queue", "cancel"],
    Field(
        description="While the jobs of the last firing have not ended: skip this fire "
        "time, queue its jobs all the same, or cancel the old jobs first."
    ),
]


class ScheduledJob(SubmitJob):
    """A job to submit at each fire time."""

    @field_validator("deadline")
    @classmethod
    def _no_deadline(cls, deadline: Any) -> Any:
        if deadline is not None:
            message = "the second firing would be too late for it; use timeout_s"
            raise ValueError(message)
        return deadline


Jobs = Annotated[list[ScheduledJob], Field(min_length=1, max_length=100)]


class CreateSchedule(Body):
    """When to submit which jobs: give either cron or every_s."""

    name: Name
    cron: Cron | None = None
    every_s: EveryS | None = None
    timezone: Zone = "UTC"
    jobs: Jobs
    enabled: bool = True
    catch_up_s: CatchUpS = 3_600
    overlap: Overlap = "queue"


class ChangeSchedule(Body):
    """What to change; fields left out, or null, stay. cron replaces every_s."""

    name: Name | None = None
    cron: Cron | None = None
    every_s: EveryS | None = None
    timezone: Zone | None = None
    jobs: Jobs | None = None
    catch_up_s: CatchUpS | None = None
    overlap: Overlap | None = None


class FiringQuery(Body):
    """Which firings to list; the cursor is the fire time of the last one shown."""

    limit: int = Field(default=50, ge=1, le=200)
    cursor: Instant | None = None


class FireTime(BaseModel):
    """An instant in UTC, and what the clock of the schedule's zone shows then."""

    at: str
    local: str


class FiringOut(BaseModel):
    """What became of a fire time."""

    fire_at: str
    fired_at: str
    outcome: Literal["fired", "skipped", "missed"]
    job_ids: list[str]


class ScheduleOut(BaseModel):
    """A schedule; fault says why its last fire time could not be fired."""

    id: str
    name: str
    cron: str | None
    every_s: int | None
    timezone: str
    jobs: list[dict[str, Any]]
    enabled: bool
    catch_up_s: int
    overlap: Literal["skip", "queue", "cancel"]
    fault: str | None
    next_fire_at: str
    next_fires: list[FireTime]
    last_firing: FiringOut | None
    created_at: str
    updated_at: str
    links: dict[str, str]


class ScheduleList(BaseModel):
    """A page of schedules."""

    items: list[ScheduleOut]
    next_cursor: str | None


class FiringList(BaseModel):
    """A page of firings."""

    items: list[FiringOut]
    next_cursor: str | None
