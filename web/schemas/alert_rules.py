"""Bodies and answers of the calls about channels, alert rules and notifications."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from web.schemas.credentials import CredentialName
from web.schemas.incidents import Severity
from web.schemas.jobs import Body, Page

Name = Annotated[str, Field(min_length=1, max_length=200)]
Text = Annotated[str, Field(min_length=1, max_length=200)]
Filter = Annotated[list[Text], Field(max_length=100)]
ChannelKind = Literal["webhook", "email", "slack"]
DeliveryState = Literal["pending", "delivered", "failed"]
Seconds = Annotated[int, Field(ge=0, le=2_678_400)]
Config = Annotated[
    dict[str, Any],
    Field(
        description="webhook: url. email: host, port, security (starttls, tls or "
        "none), from, to. slack: nothing.",
        examples=[
            {"host": "mail.example.com", "from": "a@b.example", "to": ["c@d.example"]}
        ],
    ),
]


class CreateChannel(Body):
    """Where alerts can go; secrets are in the credential, never in the config."""

    name: Name
    kind: ChannelKind
    config: Config = Field(default_factory=dict)
    credential: CredentialName | None = Field(
        default=None,
        description="slack: one with the field url; email: with username and password.",
    )


class ChangeChannel(Body):
    """What to change; fields left out, or null, stay."""

    name: Name | None = None
    config: Config | None = None
    credential: CredentialName | None = None
    enabled: bool | None = None


class ChannelOut(BaseModel):
    """A channel; its deliveries are those of the webhook it has."""

    id: str
    name: str
    kind: ChannelKind
    config: dict[str, Any]
    credential: str | None
    enabled: bool
    disabled_reason: str | None
    created_at: str
    updated_at: str
    links: dict[str, str]


class ChannelSecretOut(ChannelOut):
    """A channel with the secret that signs what it sends, if it is a webhook."""

    secret: str | None


class ChannelList(BaseModel):
    """A page of channels."""

    items: list[ChannelOut]
    next_cursor: str | None


class CreateRule(Body):
    """Which incidents to tell of, and through which channels."""

    name: Name
    tags: Filter = Field(default=[], description="Any of them; none given means all.")
    series: Filter = Field(default=[], description="Keys; any of them.")
    kinds: Filter = Field(default=[], description="Kinds of anomalies; any of them.")
    min_severity: Severity = "low"
    cooldown_s: Seconds = Field(
        default=3_600, description="Silence about one scope after the rule fired."
    )
    max_age_s: Seconds = Field(
        default=172_800, description="What was last seen before that is no news."
    )
    channels: list[Name] = Field(min_length=1, max_length=20)
    tell_resolved: bool = True
    enabled: bool = True


class ChangeRule(Body):
    """What to change; fields left out, or null, stay."""

    name: Name | None = None
    tags: Filter | None = None
    series: Filter | None = None
    kinds: Filter | None = None
    min_severity: Severity | None = None
    cooldown_s: Seconds | None = None
    max_age_s: Seconds | None = None
    channels: list[Name] | None = Field(default=None, min_length=1, max_length=20)
    tell_resolved: bool | None = None
    enabled: bool | None = None


class RuleOut(BaseModel):
    """An alert rule."""

    id: str
    name: str
    tags: list[str]
    series: list[str]
    kinds: list[str]
    min_severity: Severity
    cooldown_s: int
    max_age_s: int
    channels: list[str]
    tell_resolved: bool
    enabled: bool
    created_at: str
    updated_at: str
    links: dict[str, str]


class RuleList(BaseModel):
    """A page of alert rules."""

    items: list[RuleOut]
    next_cursor: str | None


class NotificationQuery(Page):
    """Which notifications to list, newest first."""

    incident: str | None = Field(default=None, max_length=200)
    rule: str | None = Field(default=None, max_length=200)
    channel: str | None = Field(default=None, max_length=200)
    state: DeliveryState | None = None


class NotificationOut(BaseModel):
    """What a rule told through a channel, and whether it arrived.

    One that was held back by the rule's cooldown has no channel and no state.
    """

    id: str
    rule_id: str | None
    rule: str
    incident_id: str | None
    channel_id: str | None
    channel: str | None
    occasion: Literal["opened", "worse", "resolved", "held", "test"]
    severity: Severity | None
    created_at: str
    state: DeliveryState | None
    attempts: int | None
    next_attempt_at: str | None
    last_error: str | None
    ended_at: str | None
    links: dict[str, str]


class NotificationList(BaseModel):
    """A page of notifications."""

    items: list[NotificationOut]
    next_cursor: str | None
