"""Bodies and answers of the calls about recommendations and feedback."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StringConstraints

from tasks.inputs import Instant
from web.schemas.jobs import Body, Page

TEMPLATE_NAME = r"^[a-z0-9][a-z0-9._-]{0,79}$"
Outcome = Literal["helped", "did_not_help", "unknown"]
LabelName = Literal["true", "false", "expected"]
Kind = Annotated[str, StringConstraints(pattern=r"^(\*|[a-z][a-z_]{0,49})$")]
Note = Annotated[str, Field(max_length=2_000)]


class PutTemplate(Body):
    """A version of a template; what it replaces stays as an earlier version."""

    kind: Kind = Field(description="A kind of anomaly, or * for those without others.")
    tag: str | None = Field(
        default=None, max_length=200, description="Only for series with this tag."
    )
    text: str = Field(
        min_length=1,
        max_length=2_000,
        examples=["Ask the desk why {series} read {value} at {start}."],
    )
    enabled: bool = True


class TemplateOut(BaseModel):
    """A template; version 0 comes with Forebay. The best score goes first."""

    name: str
    version: int
    kind: str
    tag: str | None
    text: str
    enabled: bool
    key_id: str | None
    created_at: str | None
    placeholders: list[str]
    score: float
    helped: int
    did_not_help: int
    unknown: int
    links: dict[str, str]


class TemplateList(BaseModel):
    """The templates of a tenant, by kind and then the best first."""

    items: list[TemplateOut]
    next_cursor: str | None


class RecommendationQuery(Page):
    """Which recommendations to list, newest first."""

    incident: str | None = Field(default=None, max_length=200)
    template: str | None = Field(default=None, max_length=200)
    applied: bool | None = None


class NoteOutcome(Body):
    """What came of a recommendation; unknown leaves its template where it is."""

    outcome: Outcome
    note: Note | None = None


class RecommendationOut(BaseModel):
    """A recommendation, what it was made of, and what came of it."""

    id: str
    incident_id: str
    kind: str
    template: str
    template_version: int
    rank: int
    score: float = Field(description="Of the template, when this was recommended.")
    template_score: float = Field(description="Of the template now.")
    series: str | None = Field(description="Which series it is about.")
    text: str
    evidence: dict[str, Any]
    given_at: str
    applied_at: str | None
    applied_by: str | None
    outcome: Outcome | None
    outcome_at: str | None
    outcome_by: str | None
    note: str | None
    links: dict[str, str]


class RecommendationList(BaseModel):
    """A page of recommendations."""

    items: list[RecommendationOut]
    next_cursor: str | None


class GiveFeedback(Body):
    """What a stretch of a series was: an anomaly, none, or one that was expected."""

    series: str = Field(min_length=1, max_length=200)
    start: Instant = Field(alias="from")
    end: Instant = Field(alias="to", description="Not including it.")
    label: LabelName
    kind: Kind | None = Field(
        default=None, description="Of which kind of anomaly; by default of any."
    )
    note: Note = ""


class FeedbackQuery(Page):
    """Which labels to list, newest first."""

    series: str | None = Field(default=None, max_length=200)
    label: LabelName | None = None
    revoked: bool = Field(default=False, description="Show those too.")


class FeedbackOut(BaseModel):
    """A label; one that was revoked counts no more."""

    id: str
    unique_id: str
    start_at: str
    end_at: str
    label: LabelName
    kind: str | None
    note: str
    key_id: str | None
    created_at: str
    revoked_at: str | None
    revoked_by: str | None
    links: dict[str, str]


class FeedbackList(BaseModel):
    """A page of labels."""

    items: list[FeedbackOut]
    next_cursor: str | None
