"""What ``ingest.reconcile`` is asked: which series say the same, and how closely."""

from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from db.observations import KnownBy, Then
from tasks.catalog import Params
from tasks.inputs import Instant, SeriesKey, TagSelection

_TOLERANCE = {"value": 0.05, "futures": 0.1}
_MOST_GROUPS, _MOST_MEMBERS = 200, 20


class Group(Params):
    """Series that say the same thing; each is held against the preferred one."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=100)] = Field(
        description="What they say, such as brent; findings carry it."
    )
    series: (
        Annotated[list[SeriesKey], Field(min_length=2, max_length=_MOST_MEMBERS)]
        | TagSelection
    ) = Field(description="Keys of stored series, or a tag.")
    preferred: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(
        default=None,
        description="The key, or the source, that is believed; by default the first.",
    )
    kind: Literal["value", "futures"] = Field(
        default="value", description="What says how large a difference is usual."
    )
    tolerance: float | None = Field(
        default=None,
        ge=0,
        le=2,
        description="Share of the larger value up to which two agree; by default 0.05, "
        "of futures 0.1.",
    )
    absolute: float = Field(
        default=0, ge=0, description="Up to so much, in the unit, two agree anyway."
    )
    align: Literal["exact", "mean", "date"] = Field(
        default="exact",
        description="Equal times; means over the coarser steps; or local dates.",
    )

    @property
    def allowed(self) -> float:
        """The tolerance that holds."""
        usual = _TOLERANCE[self.kind]
        return usual if self.tolerance is None else self.tolerance


class ReconcileParams(Params):
    """Groups of series to compare, and over which stretch of time."""

    groups: Annotated[list[Group], Field(min_length=1, max_length=_MOST_GROUPS)] = (
        Field(description="Series that say the same thing; names differ.")
    )
    start: Instant | None = Field(
        default=None, description="From here on; by default `days` before the end."
    )
    end: Instant | None = Field(
        default=None, description="Up to here, not including it; by default now."
    )
    days: int = Field(default=30, ge=1, le=3_650, description="How long a stretch.")
    as_of: Instant | None = Field(
        default=None, description="Use only what was known at this instant."
    )
    known_by: KnownBy = Field(
        default="published",
        description="By when a version was published, or only once it was received.",
    )
    report: Literal["all", "beyond"] = Field(
        default="all",
        description="Every time, or only those that differ or that one side lacks.",
    )
    tell: bool = Field(
        default=True, description="Whether changes become events and reach webhooks."
    )

    @field_validator("groups")
    @classmethod
    def _named_once(cls, groups: list[Group]) -> list[Group]:
        if len({one.name for one in groups}) < len(groups):
            message = "two groups cannot have one name"
            raise ValueError(message)
        return groups

    @model_validator(mode="after")
    def _forwards(self) -> "ReconcileParams":
        if self.start and self.end and self.start >= self.end:
            message = "start must lie before end"
            raise ValueError(message)
        return self

    @property
    def then(self) -> Then:
        """As known when, and by what."""
        return {"as_of": self.as_of, "known_by": self.known_by}

    def stretch(self, now: datetime) -> tuple[datetime, datetime]:
        """Return the half-open stretch that is compared."""
        end = self.end or now
        return self.start or end - timedelta(days=self.days), end
