"""What a client asks for when it submits a job."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Submission:
    """A request for a job; None leaves a choice to the job type."""

    type: str
    params: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    priority: int = 5
    timeout_s: int | None = None
    deadline: datetime | None = None
    traceparent: str | None = None
    retry_of: str | None = None
    lane: str = "normal"
    max_attempts: int | None = None
    retry: Mapping[str, float] = field(default_factory=dict)
    concurrency_key: str | None = None
    concurrency_limit: int = 1
    starts_per_minute: int | None = None
    after: Sequence[str] = ()
    """Ids of jobs to wait for; in a batch also refs of items further up."""
    on_failure: str = "cancel"
    ref: str | None = None
    delay_s: float = 0.0
