"""Bodies and queries of the webhook calls."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from tasks.addresses import LONGEST_URL
from tasks.webhooks import FINAL_KINDS, event_name
from web.schemas.jobs import Body, Page

JobEventName = Literal[
    "job.running", "job.retrying", "job.succeeded", "job.failed", "job.cancelled"
]
FoundEventName = Literal[
    "drift.opened",
    "drift.closed",
    "freshness.changed",
    "difference.opened",
    "difference.closed",
    "ingest.succeeded",
    "ingest.partial",
    "ingest.failed",
]
IncidentEventName = Literal["incident.opened", "incident.updated", "incident.resolved"]
EventName = JobEventName | FoundEventName | IncidentEventName
Url = Annotated[str, Field(max_length=LONGEST_URL)]
Events = Annotated[list[EventName], Field(min_length=1, max_length=20)]
Description = Annotated[str, Field(max_length=500)]
DeliveryState = Literal["pending", "delivered", "failed"]
FINAL_EVENTS = [event_name(kind) for kind in FINAL_KINDS]


class CreateWebhook(Body):
    """Where to tell of which events; by default of the ends of jobs."""

    url: Url
    events: Events = Field(default=FINAL_EVENTS, validate_default=True)
    description: Description = ""


class ChangeWebhook(Body):
    """What to change; fields left out stay. Disabling gives up what is pending."""

    url: Url | None = None
    events: Events | None = None
    description: Description | None = None
    enabled: bool | None = None


class DeliveryQuery(Page):
    """Which deliveries to list, newest first."""

    state: DeliveryState | None = None


class WebhookOut(BaseModel):
    """A webhook, without its secret."""

    id: str
    url: str
    events: list[EventName]
    description: str
    enabled: bool
    disabled_reason: str | None
    rotated_at: str | None
    created_at: str
    updated_at: str
    warning: str | None
    links: dict[str, str]


class WebhookSecretOut(WebhookOut):
    """A webhook with its secret, which no other call shows."""

    secret: str | None


class WebhookList(BaseModel):
    """A page of webhooks."""

    items: list[WebhookOut]
    next_cursor: str | None


class DeliveryOut(BaseModel):
    """One event on its way to a webhook."""

    id: str
    webhook_id: str
    type: str
    job_id: str | None
    state: DeliveryState
    attempts: int
    next_attempt_at: str | None
    last_status: int | None
    last_error: str | None
    created_at: str
    ended_at: str | None
    links: dict[str, str]


class AttemptOut(BaseModel):
    """One try: what was answered, or why nothing was."""

    at: str
    status: int | None
    error: str | None
    duration_ms: int


class DeliveryLog(DeliveryOut):
    """A delivery with what was sent, once it was, and every attempt that ended."""

    body: dict[str, Any] | None
    log: list[AttemptOut]


class DeliveryList(BaseModel):
    """A page of deliveries."""

    items: list[DeliveryOut]
    next_cursor: str | None
