"""Loads as the tests of the database room make them, and the tables they leave."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
from sqlalchemy import text

from db import loads

NOW = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
INSTANT = pa.timestamp("us", "UTC")

_TABLES = """
SELECT key, {columns} FROM {table} AS o JOIN series ON series.id = o.series_id
ORDER BY key, {order}
"""


def batch(rows, *, first: int = 1, said: bool = False) -> pa.RecordBatch:
    """Return rows of (key, hour, value) as a batch.

    With ``said``, rows are (key, hour, value, published, issued).
    """
    columns = [*zip(*rows, strict=True)] if rows else [()] * (5 if said else 3)
    made = {
        "series_key": pa.array(columns[0], pa.string()),
        "ts": pa.array([NOW + hour * HOUR for hour in columns[1]], INSTANT),
        "value": pa.array(columns[2], pa.float64()),
        "row_no": pa.array(range(first, first + len(rows)), pa.int64()),
    }
    if said:
        made["published_at"] = pa.array(columns[3], INSTANT)
        made["issued_at"] = pa.array(columns[4], INSTANT)
    return pa.RecordBatch.from_arrays([*made.values()], names=[*made])


def batches(rows, *, size: int, said: bool = False) -> list[pa.RecordBatch]:
    """Return rows in batches of a size."""
    return [
        batch(rows[at : at + size], first=at + 1, said=said)
        for at in range(0, len(rows), size)
    ]


def merge(connection, tenant_id, made, *, now=NOW, run="run_1", **knowing):
    """Stage and merge batches in a transaction that is open."""
    staged = loads.stage(connection, made)
    return loads.merge(
        connection, staged=staged, tenant_id=tenant_id, run_id=run, now=now, **knowing
    )


def load(database, tenant_id, rows, *, said=False, size=1_000, **more):
    """Load rows in a transaction of their own."""
    with database.tenant(tenant_id) as connection:
        made = batches(rows, size=size, said=said)
        return merge(connection, tenant_id, made, **more)


def effect(loaded) -> tuple[int, ...]:
    """Return the five counts of a load."""
    return (
        loaded.written,
        loaded.revised,
        loaded.unchanged,
        loaded.duplicates,
        loaded.conflicting,
    )


def emptied(database) -> None:
    """Forget all observations."""
    with database.system() as connection:
        for table in ("obs_current", "obs_version"):
            connection.execute(text(f"DELETE FROM {table}"))


def current(database) -> dict:
    """Return (value, status, known_from) by (key, hour)."""
    columns = "ts, value, o.status, known_from"
    found = _rows(database, table="obs_current", columns=columns, order="ts")
    return {(row[0], hours(row[1])): tuple(row[2:]) for row in found}


def versions(database) -> dict:
    """Return (value, status, issued_at, ingested_at, basis) by (key, hour, since)."""
    columns = "ts, known_from, value, o.status, issued_at, ingested_at, basis"
    order = "ts, known_from"
    found = _rows(database, table="obs_version", columns=columns, order=order)
    return {(row[0], hours(row[1]), row[2]): tuple(row[3:]) for row in found}


def hours(ts: datetime) -> int:
    """Return how many hours a time lies after ``NOW``."""
    return (ts - NOW) // HOUR


def _rows(database, *, table: str, columns: str, order: str) -> list:
    query = _TABLES.format(table=table, columns=columns, order=order)
    with database.system() as connection:
        return connection.execute(text(query)).all()


def rows_read(step: dict, table: str) -> int:
    """Return how many rows of a table a plan that was analysed has read."""
    rows = 0
    if step.get("Relation Name") == table:
        dropped = step.get("Rows Removed by Filter", 0)
        rows = round((step["Actual Rows"] + dropped) * step["Actual Loops"])
    return rows + sum(rows_read(one, table) for one in step.get("Plans", ()))
