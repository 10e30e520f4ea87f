"""All points that the forecasts of a job hold, as a stream in constant memory."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

import psycopg
from sqlalchemy import text

from db import copy_binary
from db.session import Connection

if TYPE_CHECKING:
    import pyarrow as pa

CHUNK_ROWS = 65_536
_MOST_HEADERS = 5_000

_LEVELS = text("""
SELECT DISTINCT unnest(quantiles) AS level FROM forecasts
WHERE tenant_id = :tenant_id AND job_id = :job_id ORDER BY level
""")
_HEADERS = """
SELECT forecasts.id, series.key, forecasts.model
FROM forecasts JOIN series ON series.id = forecasts.series_id
WHERE forecasts.tenant_id = %(tenant_id)s AND job_id = %(job_id)s ORDER BY series.key
"""

# Where a level lies in a forecast's array is looked up once for all its points.
_POINTS = """
COPY (
    WITH wanted AS MATERIALIZED (
        SELECT forecasts.id, number{places}
        FROM unnest(%(ids)s::text[]) WITH ORDINALITY AS one (id, number)
        JOIN forecasts USING (id)
    )
    SELECT number::integer, ts, mean{values}
    FROM wanted JOIN forecast_points ON forecast_id = wanted.id
    ORDER BY number, ts
) TO STDOUT (FORMAT binary)
"""


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
    with driver.cursor(name="forecast_headers") as headers:
        headers.execute(_HEADERS, asked)
        while page := headers.fetchmany(size):
            batch = _batch(page, _copied(driver, page, named), named)
            yield batch
            each = max(1, batch.num_rows // len(page))
            size = max(1, min(_MOST_HEADERS, chunk_rows // each))


def _copied(
    driver: psycopg.Connection[Any],
    page: Sequence[tuple[str, str, str]],
    named: Sequence[float],
) -> bytes:
    """Return the rows of a page of forecasts, without header and trailer."""
    query = _POINTS.format(
        places="".join(
            f", array_position(quantiles, %(level{at})s::double precision) AS at{at}"
            for at in range(len(named))
        ),
        values="".join(f", coalesce(q[at{at}], 'NaN')" for at in range(len(named))),
    )
    given = {f"level{at}": level for at, level in enumerate(named)}
    given["ids"] = [forecast_id for forecast_id, _, _ in page]  # type: ignore[assignment]  # a list among floats
    with driver.cursor() as cursor, cursor.copy(query, given) as copy:
        whole = b"".join(copy)
    return whole[len(copy_binary.HEADER) : -len(copy_binary.TRAILER)]


def _batch(
    page: Sequence[tuple[str, str, str]], rows: bytes, named: Sequence[float]
) -> "pa.RecordBatch":
    import pyarrow as pa  # noqa: PLC0415 - loaded only where something is exported
    import pyarrow.compute as pc  # noqa: PLC0415 - same

    numbers, times, *values = copy_binary.unweave(
        rows, widths=(4, 8, 8, *(8 for _ in named))
    )
    at = pc.subtract(_column(pa.int32(), numbers), pa.scalar(1, pa.int32()))
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


def _column(kind: Any, values: Any) -> Any:
    import pyarrow as pa  # noqa: PLC0415 - loaded only where something is exported

    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(values)])


def columns(named: Sequence[float]) -> list[str]:
    """Name the columns of a stream with these levels."""
    return ["unique_id", "ds", "model", "mean", *(f"q{level}" for level in named)]
