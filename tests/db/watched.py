"""Stored forecasts and what came, for tests of monitoring: hourly, from ``START``."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import text

from db import forecasts, scores, series
from db.scores import Scored, Window
from db.session import Database
from tests.db import rows
from tests.tasks.series import HOUR, START

NOW = START + timedelta(days=90)
STATED = {"mae": 1.0, "mase": 0.5}
_ISSUE = text("UPDATE forecasts SET issued_at = :at WHERE id = :id")


def series_id(database: Database, tenant_id: int, key: str = "load") -> int:
    """The number of a series that exists."""
    with database.tenant(tenant_id) as connection:
        found = series.find(connection, tenant_id=tenant_id, key=key)
    assert found is not None
    return found.id


def forecast(
    database: Database,
    tenant_id: int,
    *,
    first: int,
    means: Sequence[float],
    key: str = "load",
    asked: Any = "auto",
    **changes: Any,
) -> str:
    """Store a forecast of the hours from ``first`` on, issued at its cutoff.

    ``asked`` is the model asked for; ``changes`` are fields of ``NewForecast``.
    """
    job_id = rows.queued(database, tenant_id, params={"model": asked})
    width = changes.pop("width", 1.0)
    new = forecasts.NewForecast(
        **{
            "series_id": series_id(database, tenant_id, key),
            "cutoff": START + (first - 1) * HOUR,
            "model": "theta",
            "quantiles": (0.1, 0.5, 0.9),
            "points": [
                (
                    START + (first + step) * HOUR,
                    mean,
                    (mean - width, mean, mean + width),
                )
                for step, mean in enumerate(means)
            ],
            "evaluation": STATED,
            "warnings": [],
            **changes,
        }
    )
    with database.tenant(tenant_id) as connection:
        made = forecasts.store(connection, tenant_id=tenant_id, job_id=job_id, new=new)
        connection.execute(
            _ISSUE, {"id": made, "at": new.cutoff + timedelta(minutes=1)}
        )
    return made


def nights(
    database: Database,
    tenant_id: int,
    *,
    actual: Sequence[float],
    errors: Sequence[float],
    key: str = "load",
    **changes: Any,
) -> list[str]:
    """Store a forecast of 24 hours for each error, the last one up to the last value.

    Each misses every actual value by its error.
    """
    start = len(actual) - 24 * len(errors)
    return [
        forecast(
            database,
            tenant_id,
            first=start + 24 * night,
            means=[
                value + error
                for value in actual[start + 24 * night : start + 24 * night + 24]
            ],
            key=key,
            **changes,
        )
        for night, error in enumerate(errors)
    ]


def scored(
    database: Database, tenant_id: int, key: str, *, days: int = 28, **window: Any
) -> Scored:
    """Match the forecasts of a series."""
    with database.tenant(tenant_id) as connection:
        return scores.score(
            connection,
            tenant_id=tenant_id,
            series_ids=[series_id(database, tenant_id, key)],
            window=Window(**{"days": days, "now": NOW, **window}),
        )
