"""Analyses that jobs stored, and the anomalies they found."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select, text

from db.ids import new_id
from db.session import Connection
from db.tables import analyses, anomalies


@dataclass(frozen=True)
class FoundAnomaly:
    """A stretch of a series, half-open, that is not as expected."""

    start_at: datetime
    end_at: datetime
    kind: str
    severity: str
    score: float
    explanation: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class NewAnalysis:
    """The analysis of one series over a half-open stretch of time."""

    series_id: int
    mode: str
    start_at: datetime
    end_at: datetime
    anomalies: Sequence[FoundAnomaly]


def store(
    connection: Connection, *, tenant_id: int, job_id: str, new: NewAnalysis
) -> str:
    """Insert an analysis with its anomalies and return its id."""
    analysis_id = new_id("an")
    connection.execute(
        analyses.insert(),
        {
            "id": analysis_id,
            "tenant_id": tenant_id,
            "job_id": job_id,
            "series_id": new.series_id,
            "mode": new.mode,
            "start_at": new.start_at,
            "end_at": new.end_at,
            "created_at": connection.scalar(text("SELECT now()")),
        },
    )
    if new.anomalies:
        connection.execute(
            anomalies.insert(),
            [
                {
                    **asdict(found),
                    "tenant_id": tenant_id,
                    "analysis_id": analysis_id,
                    "series_id": new.series_id,
                }
                for found in new.anomalies
            ],
        )
    return analysis_id


def of_series(
    connection: Connection,
    *,
    tenant_id: int,
    series_id: int,
    before: int | None,
    limit: int,
) -> list[dict[str, Any]]:
    """Return anomalies of a series, the last found first, older than id ``before``."""
    query = select(anomalies).where(
        anomalies.c.tenant_id == tenant_id, anomalies.c.series_id == series_id
    )
    if before is not None:
        query = query.where(anomalies.c.id < before)
    query = query.order_by(anomalies.c.id.desc()).limit(limit)
    return [dict(row._mapping) for row in connection.execute(query)]
