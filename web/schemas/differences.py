"""Query and answer of the list of series that differ."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from web.schemas.jobs import Page

DifferenceState = Literal["open", "closed"]


class DifferenceQuery(Page):
    """Which pairs to list, the one that changed last first."""

    state: DifferenceState | None = None
    group: Annotated[str, Field(min_length=1, max_length=200)] | None = None


class DifferenceOut(BaseModel):
    """A pair as it was last told, with the numbers of that time."""

    group: str
    preferred: str
    other: str
    state: DifferenceState
    tolerance: float
    beyond: int
    compared: int
    median_difference: float | None
    max_difference: float | None
    max_at: str | None
    since: str
    job_id: str
    links: dict[str, str]


class DifferenceList(BaseModel):
    """A page of pairs."""

    items: list[DifferenceOut]
    next_cursor: str | None
