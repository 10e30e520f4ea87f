"""Queries and answers of the calls about drift and what came of forecasts."""

from typing import Any, Literal

from pydantic import BaseModel

from web.schemas.jobs import Page

FindingKind = Literal["performance", "input"]
FindingState = Literal["open", "closed"]


class FindingQuery(Page):
    """Which findings to list, newest first."""

    state: FindingState | None = None
    series: str | None = None
    kind: FindingKind | None = None


class FindingOut(BaseModel):
    """Drift of a series; ``detail`` has the numbers of the latest look at it."""

    id: str
    unique_id: str
    kind: FindingKind
    state: FindingState
    forecaster: str | None
    detail: dict[str, Any]
    opened_at: str
    updated_at: str
    closed_at: str | None
    job_id: str
    retrain_job_id: str | None
    links: dict[str, str]


class FindingList(BaseModel):
    """A page of findings."""

    items: list[FindingOut]
    next_cursor: str | None


class ScoreOut(BaseModel):
    """What came of one stored forecast; null where nothing was matched yet."""

    forecast_id: str
    issued_at: str
    cutoff: str
    model: str
    forecaster: str
    last_at: str
    matched_until: str | None
    steps: int
    points: int
    mae: float | None
    scaled: float | None
    pinball: float | None
    wql: float | None
    coverage: float | None
    nominal_coverage: float | None
    baseline_mae: float | None
    scored_at: str


class ScoreList(BaseModel):
    """A page of the scores of a series, of the newest forecast first."""

    items: list[ScoreOut]
    next_cursor: str | None
