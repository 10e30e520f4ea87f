"""Forecasts that jobs stored: one header a series, one row a step."""

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import chain, groupby, islice
from typing import Any, cast

import orjson
import psycopg
from sqlalchemy import select, text

from db import copy_binary
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


# One statement however many there are; JSON brings arrays, nulls and text alike.
_HEADERS = text("""
INSERT INTO forecasts (id, tenant_id, job_id, series_id, cutoff, issued_at, model,
    quantiles, evaluation, warnings)
SELECT id, :tenant_id, :job_id, series_id, cutoff, now(), model, quantiles,
    coalesce(evaluation, 'null'), warnings
FROM json_to_recordset(CAST(:headers AS json)) AS new (id text, series_id integer,
    cutoff timestamptz, model text, quantiles double precision[], evaluation json,
    warnings json)
""")

# Row-level security lets nobody copy into the table itself.
_STAGE = """
DROP TABLE IF EXISTS pg_temp.forecast_stage;
CREATE TEMP TABLE forecast_stage (
    forecast_id text, ts timestamptz, mean double precision, q double precision[]
) ON COMMIT DROP
"""
_COPY = "COPY forecast_stage (forecast_id, ts, mean, q) FROM STDIN (FORMAT binary)"
_FROM_STAGE = text("""
INSERT INTO forecast_points (tenant_id, forecast_id, ts, mean, q)
SELECT :tenant_id, forecast_id, ts, mean, q FROM forecast_stage
""")

_FEW = 100
"""Points that one INSERT takes in less time than making a table to copy into."""
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FLOAT8 = 701  # PostgreSQL's number of the type of an array's elements
_HEADERS_AT_ONCE = 1_000


def store(
    connection: Connection, *, tenant_id: int, job_id: str, new: NewForecast
) -> str:
    """Insert a forecast with its points and return its id."""
    (found,) = store_many(connection, tenant_id=tenant_id, job_id=job_id, new=[new])
    return found


def store_many(
    connection: Connection,
    *,
    tenant_id: int,
    job_id: str,
    new: Iterable[NewForecast],
) -> list[str]:
    """Insert forecasts with their points and return their ids, in their order.

    The forecasts are taken one by one, and no more than their headers are kept: points
    are copied as they come.
    """
    coming = iter(new)
    first = list(islice(coming, 2))
    if len(first) == 1 and len(first[0].points) <= _FEW:
        return _store_one(connection, tenant_id, job_id, first[0])
    if not first:
        return []
    headers: list[dict[str, Any]] = []
    driver = cast("psycopg.Connection[Any]", connection.connection.driver_connection)
    with driver.cursor() as cursor:
        cursor.execute(_STAGE)
        with cursor.copy(_COPY) as copy:
            copy.write(copy_binary.HEADER)
            for one in chain(first, coming):
                headers.append(_header(one))
                copy.write(_packed(headers[-1]["id"], one))
            copy.write(copy_binary.TRAILER)
    _insert_headers(connection, tenant_id, job_id, headers)
    connection.execute(_FROM_STAGE, {"tenant_id": tenant_id})
    return [header["id"] for header in headers]


def _store_one(
    connection: Connection, tenant_id: int, job_id: str, new: NewForecast
) -> list[str]:
    header = _header(new)
    _insert_headers(connection, tenant_id, job_id, [header])
    same = {"tenant_id": tenant_id, "forecast_id": header["id"]}
    if new.points:
        connection.execute(
            forecast_points.insert(),
            [{**same, "ts": ts, "mean": mean, "q": [*q]} for ts, mean, q in new.points],
        )
    return [header["id"]]


def _header(new: NewForecast) -> dict[str, Any]:
    return {
        "id": new_id("fc"),
        "series_id": new.series_id,
        "cutoff": new.cutoff,
        "model": new.model,
        "quantiles": list(new.quantiles),
        "evaluation": new.evaluation,
        "warnings": list(new.warnings),
    }


def _insert_headers(
    connection: Connection, tenant_id: int, job_id: str, headers: list[dict[str, Any]]
) -> None:
    for first in range(0, len(headers), _HEADERS_AT_ONCE):
        some = headers[first : first + _HEADERS_AT_ONCE]
        connection.execute(
            _HEADERS,
            {
                "tenant_id": tenant_id,
                "job_id": job_id,
                "headers": orjson.dumps(some).decode(),
            },
        )


def _packed(forecast_id: str, new: NewForecast) -> bytes:
    """Return the rows of a forecast's points as binary COPY takes them."""
    name = forecast_id.encode()
    return b"".join(
        _row(len(name), len(q)).pack(
            *(4, len(name), name, 8, (ts - _EPOCH) // _MICROSECOND, 8, mean),
            *_array_head(len(q)),
            *(part for value in q for part in (8, value)),
        )
        for ts, mean, q in new.points
    )


@lru_cache(maxsize=64)
def _row(name: int, levels: int) -> struct.Struct:
    array = "5i" + "id" * levels if levels else "3i"
    return struct.Struct(f">hi{name}siqidi{array}")


@lru_cache(maxsize=64)
def _array_head(levels: int) -> tuple[int, ...]:
    """Return length, dimensions, flags, type, and the bounds of one dimension."""
    if not levels:
        return (12, 0, 0, _FLOAT8)
    return (20 + 12 * levels, 1, 0, _FLOAT8, levels, 1)


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
    points = dict(_points(connection, [forecast["id"] for forecast in found]))
    for forecast in found:
        forecast["points"] = points.get(forecast["id"], [])
    return found


def _points(
    connection: Connection, forecast_ids: list[str]
) -> Iterator[tuple[str, list[tuple[datetime, float, list[float]]]]]:
    columns = forecast_points.c
    rows = connection.execute(
        select(columns.forecast_id, columns.ts, columns.mean, columns.q)
        .where(columns.forecast_id.in_(forecast_ids))
        .order_by(columns.forecast_id, columns.ts)
    )
    for forecast_id, some in groupby(rows, key=lambda row: row.forecast_id):
        yield forecast_id, [(row.ts, row.mean, row.q) for row in some]
