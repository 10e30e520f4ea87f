"""All points that the forecasts of a job hold, as a stream in constant memory."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import psycopg
from sqlalchemy import text

from db import copy_binary
from db.session import Connection

if TYPE_CHECKING:
    import pyarrow as pa

CHUNK_ROWS = 16_384
_MOST_HEADERS = 5_000
_WIDTH = 8  # bytes of an instant or a number

_LEVELS = text("""
SELECT DISTINCT unnest(quantiles) AS level FROM forecasts
WHERE tenant_id = :tenant_id AND job_id = :job_id ORDER BY level
""")
_HEADERS = """
SELECT forecasts.id, series.key, forecasts.model
FROM forecasts JOIN series ON series.id = forecasts.series_id
WHERE forecasts.tenant_id = %(tenant_id)s AND job_id = %(job_id)s ORDER BY series.key
"""

# A row for each forecast crosses the wire, and not one for each point. Where a level
# lies in a forecast's array is looked up once for all its points.
_POINTS = """
WITH wanted AS MATERIALIZED (
    SELECT forecasts.id, number{places}
    FROM unnest(%(ids)s::text[]) WITH ORDINALITY AS one (id, number)
    JOIN forecasts USING (id)
)
SELECT packed.* FROM wanted CROSS JOIN LATERAL (
    SELECT coalesce(string_agg(timestamptz_send(ts), ''), ''),
        coalesce(string_agg(float8send(mean), ''), ''){values}
    FROM (
        SELECT ts, mean, q FROM forecast_points
        WHERE forecast_id = wanted.id ORDER BY ts
    ) AS point
) AS packed
ORDER BY number
"""
_VALUES = """,
        coalesce(string_agg(float8send(coalesce(q[at{at}], 'NaN')), ''), '')"""
# Workers that gather beside each other would mix the times of a forecast.
_IN_ORDER = "SET LOCAL max_parallel_workers_per_gather = 0"


def levels(connection: Connection, *, tenant_id: int, job_id: str) -> list[float]:
    """Return the quantile levels that the forecasts of a job have, ascending."""
    asked = {"tenant_id": tenant_id, "job_id": job_id}
    return [float(one) for one in connection.scalars(_LEVELS, asked)]


def count(connection: Connection, *, tenant_id: int, job_id: str) -> int:
    """Return how many forecasts a job stored."""
    return int(
        connection.execute(
            text(
                "SELECT count(*) FROM forecasts "
                "WHERE tenant_id = :tenant_id AND job_id = :job_id"
            ),
            {"tenant_id": tenant_id, "job_id": job_id},
        ).scalar_one()
    )


def stream(
    connection: Connection,
    *,
    tenant_id: int,
    job_id: str,
    named: Sequence[float],
    chunk_rows: int = CHUNK_ROWS,
) -> Iterator["pa.RecordBatch"]:
    """Yield the points of a job's forecasts, by series and then by time.

    A cursor of the server gives the headers, and each handful of them its points: no
    sort holds more than a batch, and the first one comes at once.

    Args:
        connection: of the tenant; it can do nothing else until the last batch.
        tenant_id: whose job.
        job_id: the job; what its parts stored is stored under it.
        named: the levels to give, each a column; null where a forecast has it not.
        chunk_rows: points that a batch has, more or less; a forecast is not cut.

    Yields:
        Batches of unique_id, ds, model, mean, and a column for each level.
    """
    driver = cast("psycopg.Connection[Any]", connection.connection.driver_connection)
    asked = {"tenant_id": tenant_id, "job_id": job_id}
    size = 1
    driver.execute(_IN_ORDER)
    with driver.cursor(name="forecast_headers") as headers:
        headers.execute(_HEADERS, asked)
        while page := headers.fetchmany(size):
            batch = _batch(page, _packed(driver, page, named), named)
            yield batch
            each = max(1, batch.num_rows // len(page))
            size = max(1, min(_MOST_HEADERS, chunk_rows // each))


Header: TypeAlias = tuple[str, str, str]
"""Id, key of the series, and model of a forecast."""


def _packed(
    driver: psycopg.Connection[Any], page: Sequence[Header], named: Sequence[float]
) -> list[tuple[bytes, ...]]:
    """Return times, means and values of each level, packed, of each forecast."""
    places = "".join(
        f", array_position(quantiles, %(level{at})s::double precision) AS at{at}"
        for at in range(len(named))
    )
    values = "".join(_VALUES.format(at=at) for at in range(len(named)))
    given: dict[str, Any] = {f"level{at}": level for at, level in enumerate(named)}
    given["ids"] = [forecast_id for forecast_id, _, _ in page]
    with driver.cursor(binary=True) as cursor:
        query = _POINTS.format(places=places, values=values)
        return cursor.execute(query, given).fetchall()


def _batch(
    page: Sequence[Header], packed: Sequence[tuple[bytes, ...]], named: Sequence[float]
) -> "pa.RecordBatch":
    import pyarrow as pa  # noqa: PLC0415 - loaded only where something is exported
    import pyarrow.compute as pc  # noqa: PLC0415 - same

    counts = [len(times) // _WIDTH for times, *_ in packed]
    at = pa.array([n for n, count in enumerate(counts) for _ in range(count)], "int32")
    times, *values = (b"".join(column) for column in zip(*packed, strict=True))
    instants = pc.add(_column(pa.int64(), times), copy_binary.EPOCH_US)
    mean, *quantiles = (_column(pa.float64(), one) for one in values)
    absent = pa.scalar(None, pa.float64())
    return pa.RecordBatch.from_arrays(
        [
            pa.array([key for _, key, _ in page], pa.string()).take(at),
            instants.cast(pa.timestamp("us", "UTC")),
            pa.array([model for _, _, model in page], pa.string()).take(at),
            mean,
            *(pc.if_else(pc.is_nan(one), absent, one) for one in quantiles),
        ],
        names=columns(named),
    )


def _column(kind: Any, packed: bytes) -> Any:
    import pyarrow as pa  # noqa: PLC0415 - loaded only where something is exported

    values = copy_binary.native(_WIDTH, packed)
    return pa.Array.from_buffers(
        kind, len(packed) // _WIDTH, [None, pa.py_buffer(values)]
    )


def columns(named: Sequence[float]) -> list[str]:
    """Name the columns of a stream with these levels."""
    return ["unique_id", "ds", "model", "mean", *(f"q{level}" for level in named)]
