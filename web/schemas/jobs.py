"""Bodies and queries of the job calls."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from tasks.inputs import Instant

Label = Annotated[str, Field(max_length=200)]
State = Literal["queued", "running", "succeeded", "failed", "cancelled"]
LARGEST_BATCH = 1_000
BatchEntry = Annotated[Any, WithJsonSchema({"$ref": "#/components/schemas/SubmitJob"})]
"""Anything, so that one bad item does not refuse the others; meant is SubmitJob."""


class Body(BaseModel):
    """A body without unknown fields."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class SubmitJob(Body):
    """A job to run; see /v1/job-types for the params of each type."""

    type: str = Field(max_length=100, examples=["forecast.run"])
    params: dict[str, Any] = Field(default_factory=dict)
    priority: int = Field(default=5, ge=0, le=9, description="9 is the most urgent.")
    timeout_s: int | None = Field(default=None, ge=1, le=86_400)
    deadline: Instant | None = Field(
        default=None, description="The job must start before this instant."
    )
    labels: dict[Label, Label] = Field(default_factory=dict, max_length=20)


class SubmitBatch(Body):
    """Up to 1,000 jobs in one transaction; each item is judged by itself."""

    jobs: list[BatchEntry] = Field(min_length=1, max_length=LARGEST_BATCH)


class Page(Body):
    """Which stretch of a list to show."""

    limit: int = Field(default=50, ge=1, le=200)
    cursor: str | None = Field(default=None, max_length=200)


class JobQuery(Page):
    """Which jobs to list, newest first."""

    state: State | None = None
    type: str | None = None
    label: str | None = Field(default=None, description="name:value")


class JobProgress(BaseModel):
    """How far a job is."""

    done: int
    total: int
    unit: str
    message: str


class QueuePlace(BaseModel):
    """Where a queued job stands: how many go before it, and what holds it up."""

    position: int | None
    blocked_by: str | None


class JobOut(BaseModel):
    """A job."""

    id: str
    type: str
    state: State
    reason: str | None
    progress: JobProgress | None
    eta_s: float | None
    queue: QueuePlace
    attempt: int
    max_attempts: int
    priority: int
    timeout_s: int
    deadline: str | None
    labels: dict[str, str]
    retry_of: str | None
    created_at: str
    started_at: str | None
    finished_at: str | None
    params: dict[str, Any]
    error: dict[str, Any] | None
    links: dict[str, str]
    result: dict[str, Any] | None = None


class JobList(BaseModel):
    """A page of jobs."""

    items: list[JobOut]
    next_cursor: str | None


class BatchItem(BaseModel):
    """What became of one item: its job's id and link, or a problem document."""

    id: str | None = None
    link: str | None = None
    problem: dict[str, Any] | None = None


class BatchOut(BaseModel):
    """What became of a batch, in the order of its items."""

    accepted: int
    rejected: int
    items: list[BatchItem]


class Problem(BaseModel):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    trace_id: str
    errors: list[dict[str, str]] | None = None
