"""Bodies and queries of the job calls."""

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)

from tasks.inputs import Instant

Label = Annotated[str, Field(max_length=200)]
State = Literal["queued", "running", "succeeded", "failed", "cancelled"]
LARGEST_BATCH = 1_000
MOST_WAITS = 100
BatchEntry = Annotated[Any, WithJsonSchema({"$ref": "#/components/schemas/SubmitJob"})]
"""Anything, so that one bad item does not refuse the others; meant is SubmitJob."""


class Body(BaseModel):
    """A body without unknown fields."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


Key = Annotated[str, Field(min_length=1, max_length=200)]


class SubmitRetry(Body):
    """When a failed attempt is tried again; what is left out, the job type decides."""

    delay_s: float | None = Field(
        default=None, ge=0, le=86_400, description="Pause before the second attempt."
    )
    factor: float | None = Field(
        default=None, ge=1, le=10, description="Each pause is so many times the last."
    )
    max_delay_s: float | None = Field(default=None, ge=0, le=86_400)
    jitter: float | None = Field(
        default=None, ge=0, le=1, description="Share of a pause that is left to chance."
    )


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
    lane: Literal["normal", "backfill"] = Field(
        default="normal", description="Backfills keep a minimum share of each queue."
    )
    max_attempts: int | None = Field(default=None, ge=1, le=50)
    retry: SubmitRetry = SubmitRetry()
    concurrency_key: Key | None = Field(
        default=None, description="Jobs with one key run at most so many at a time."
    )
    concurrency_limit: int = Field(default=1, ge=1, le=1_000)
    starts_per_minute: int | None = Field(
        default=None, ge=1, le=60_000, description="Of all jobs with the key."
    )
    after: list[Key] = Field(
        default=[],
        max_length=MOST_WAITS,
        description="Ids of jobs to wait for; in a batch also refs of earlier items.",
    )
    on_failure: Literal["cancel", "fail", "run"] = Field(
        default="cancel", description="What to do when one of them does not succeed."
    )
    ref: Key | None = Field(
        default=None, description="A name for later items of the same batch."
    )

    @model_validator(mode="after")
    def _rate_needs_a_key(self) -> "SubmitJob":
        if self.starts_per_minute is not None and self.concurrency_key is None:
            message = "starts_per_minute needs a concurrency_key to count by"
            raise ValueError(message)
        return self


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
    reason: str | None = Field(default=None, max_length=100)
    since: Instant | None = Field(default=None, description="Created then or later.")
    until: Instant | None = Field(default=None, description="Created before then.")


class PointQuery(Body):
    """In which format the points of a job come, and of which job."""

    format: Literal["csv", "ndjson", "arrow"] | None = Field(
        default=None, description="Before Accept; by default ndjson."
    )
    partial: bool = Field(
        default=False,
        description="Of a job that failed or was cancelled, what its parts stored.",
    )


class ReplayFilter(Body):
    """Which ended jobs to submit again."""

    state: Literal["failed", "cancelled"] = "failed"
    type: str | None = None
    reason: str | None = Field(default=None, max_length=100)
    labels: dict[Label, Label] = Field(default_factory=dict, max_length=20)
    since: Instant | None = None
    until: Instant | None = None


class ReplayJobs(Body):
    """Submit again the ended jobs that match and were not replayed yet."""

    filter: ReplayFilter = ReplayFilter()
    limit: int = Field(default=100, ge=1, le=1_000)
    per_minute: int | None = Field(
        default=None, ge=1, le=60_000, description="How many may start in a minute."
    )
    cursor: str | None = Field(
        default=None, max_length=200, description="The next_cursor of the call before."
    )


class ReplayOut(BaseModel):
    """What a bulk replay did."""

    replayed: list[dict[str, str]]
    refused: list[dict[str, str]]
    next_cursor: str | None


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
    waits_for: list[str]
    not_before: str | None
    estimated_start: str | None
    estimated_start_p90: str | None


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
    replayed_at: str | None
    lane: str
    retry: dict[str, float]
    concurrency_key: str | None
    concurrency_limit: int | None
    starts_per_minute: int | None
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
