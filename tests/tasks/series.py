"""Params and stored series for the tests of the series job types."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from db import loads, series
from db.ids import new_id
from db.session import Database

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def data(
    values: list[float | None], *, unique_id: str = "a", step: timedelta = HOUR
) -> list[dict[str, Any]]:
    """Rows of a request, one for each value."""
    return [
        {"unique_id": unique_id, "ds": (START + at * step).isoformat(), "y": value}
        for at, value in enumerate(values)
    ]


def daily(days: int) -> list[float]:
    """Hourly values with a clear daily cycle and a little that nobody can foresee."""
    return [float(at % 24) + 0.1 * (at % 7) for at in range(24 * days)]


def warm(count: int, **more: Any) -> list[dict[str, Any]]:
    """Rows of a covariate that nothing else tells, one for each hour."""
    return [
        {"ds": (START + at * HOUR).isoformat(), "value": float(at * 7 % 5), **more}
        for at in range(count)
    ]


def moved(days: int) -> list[float]:
    """The daily cycle, three units higher for each unit of the covariate."""
    rows = warm(24 * days)
    return [
        value + 3.0 * row["value"] for value, row in zip(daily(days), rows, strict=True)
    ]


def store(
    database: Database,
    tenant_id: int,
    key: str,
    values: list[float],
    *,
    first: int = 0,
    now: datetime = START + timedelta(days=365),
    **fields: Any,
) -> None:
    """Store hourly observations from the hour ``first``; the series may have tags."""
    batch = pa.RecordBatch.from_arrays(
        [
            pa.array([key] * len(values), pa.string()),
            pa.array(
                [START + (first + at) * HOUR for at in range(len(values))],
                pa.timestamp("us", "UTC"),
            ),
            pa.array(values, pa.float64()),
            pa.array(range(1, len(values) + 1), pa.int64()),
        ],
        names=["series_key", "ts", "value", "row_no"],
    )
    with database.tenant(tenant_id) as connection:
        series.upsert(connection, tenant_id=tenant_id, key=key, fields=fields, now=now)
        staged = loads.stage(connection, [batch])
        loads.merge(
            connection,
            staged=staged,
            tenant_id=tenant_id,
            run_id=new_id("run"),
            now=now,
        )
