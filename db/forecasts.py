"""Forecasts that jobs stored: one header a series, one row a step."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, text

from db.ids import new_id
from db.session import Connection
from db.tables import forecast_points, forecasts


@dataclass(frozen=True)
class NewForecast:
    """A forecast of one series; ``points`` holds (instant, mean, quantile values)."""

    series_id: int
    cutoff: datetime
    model: str
    quantiles: Sequence[float]
    points: Sequence[tuple[datetime, float, Sequence[float]]]
    evaluation: dict[str, Any] | None
    warnings: Sequence[str]


def store(
    connection: Connection, *, tenant_id: int, job_id: str, new: NewForecast
) -> str:
    """Insert a forecast with its points and return its id."""
    forecast_id = new_id("fc")
    connection.execute(
        forecasts.insert(),
        {
            "id": forecast_id,
            "tenant_id": tenant_id,
            "job_id": job_id,
            "series_id": new.series_id,
            "cutoff": new.cutoff,
            "issued_at": connection.scalar(text("SELECT now()")),
            "model": new.model,
            "quantiles": list(new.quantiles),
            "evaluation": new.evaluation,
            "warnings": list(new.warnings),
        },
    )
    connection.execute(
        forecast_points.insert(),
        [
            {
                "tenant_id": tenant_id,
                "forecast_id": forecast_id,
                "ts": ts,
                "mean": mean,
                "q": list(q),
            }
            for ts, mean, q in new.points
        ],
    )
    return forecast_id


def of_series(
    connection: Connection,
    *,
    tenant_id: int,
    series_id: int,
    as_of: datetime | None,
    limit: int,
) -> list[dict[str, Any]]:
    """Return the latest forecasts issued up to ``as_of``, newest first, with points."""
    query = select(forecasts).where(
        forecasts.c.tenant_id == tenant_id, forecasts.c.series_id == series_id
    )
    if as_of is not None:
        query = query.where(forecasts.c.issued_at <= as_of)
    query = query.order_by(forecasts.c.issued_at.desc(), forecasts.c.id.desc())
    found = [dict(row._mapping) for row in connection.execute(query.limit(limit))]
    for forecast in found:
        points = connection.execute(
            select(forecast_points.c.ts, forecast_points.c.mean, forecast_points.c.q)
            .where(forecast_points.c.forecast_id == forecast["id"])
            .order_by(forecast_points.c.ts)
        )
        forecast["points"] = [(row.ts, row.mean, row.q) for row in points]
    return found
