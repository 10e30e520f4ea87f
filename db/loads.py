"""Loading observations: stage a file's rows, then write what they change.

Only changed values are written, so a load that is run again writes nothing (adr/0007).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

import psycopg
from sqlalchemy import text

from db import copy_binary, series
from db.session import Connection

if TYPE_CHECKING:
    import pyarrow as pa

LISTED = 1_000
"""Conflicting rows, and windows, that a load names at most."""

_STAGE = """
DROP TABLE IF EXISTS pg_temp.obs_stage, pg_temp.obs_stage_series, pg_temp.obs_load,
    pg_temp.obs_change;
CREATE TEMP TABLE obs_stage (
    series_no integer, ts timestamptz, value double precision, row_no bigint
) ON COMMIT DROP;
CREATE TEMP TABLE obs_stage_series (series_no integer, series_id integer)
    ON COMMIT DROP;
SET LOCAL work_mem = '128MB';
SET LOCAL jit = off
"""

_LOAD = """
CREATE TEMP TABLE obs_load ON COMMIT DROP AS
SELECT series_no, ts, min(value) AS value, count(*)::integer AS copies,
    min(value) <> max(value) AS conflicting
FROM obs_stage GROUP BY series_no, ts;
ANALYZE obs_load
"""

_WINDOWS = text("""
SELECT series_no, min(ts) AS first, max(ts) AS last, count(*) AS rows,
    sum(copies) - count(*) AS duplicates
FROM obs_load WHERE NOT conflicting GROUP BY series_no
""")

_CONFLICTS = text("""
SELECT series_no, ts, row_no, copies, count(*) OVER () AS total
FROM obs_stage JOIN obs_load USING (series_no, ts)
WHERE conflicting ORDER BY row_no LIMIT :limit
""")

_MAP = text("""
INSERT INTO obs_stage_series
SELECT * FROM unnest(CAST(:numbers AS integer[]), CAST(:ids AS integer[]))
""")
_ANALYZE = text("ANALYZE obs_stage_series")

# A version is never older than the one it follows, even if clocks disagree.
_CHANGE = text("""
CREATE TEMP TABLE obs_change ON COMMIT DROP AS
SELECT m.series_id, l.ts, l.value, c.series_id IS NOT NULL AS revised,
    greatest(CAST(:now AS timestamptz), c.known_from + interval '1 microsecond')
        AS known_from
FROM obs_load AS l
JOIN obs_stage_series AS m USING (series_no)
LEFT JOIN obs_current AS c ON c.series_id = m.series_id AND c.ts = l.ts
    AND c.tenant_id = :tenant_id AND c.ts BETWEEN :first AND :last
WHERE NOT l.conflicting AND c.value IS DISTINCT FROM l.value
ORDER BY m.series_id, l.ts
""")

_VERSIONS = text("""
INSERT INTO obs_version (tenant_id, series_id, ts, known_from, ingested_at, value,
    basis, run_id)
SELECT :tenant_id, series_id, ts, known_from, :now, value, :basis, :run_id
FROM obs_change
""")

# The series are locked, so no other load can have written a new row meanwhile: a plain
# INSERT takes two thirds of the time of one that is ready for a conflict.
_NEW = text("""
INSERT INTO obs_current (tenant_id, series_id, ts, value, known_from, run_id)
SELECT :tenant_id, series_id, ts, value, known_from, :run_id
FROM obs_change WHERE NOT revised
""")

_REVISED = text("""
UPDATE obs_current AS c SET value = n.value, status = NULL,
    known_from = n.known_from, run_id = :run_id
FROM obs_change AS n
WHERE n.revised AND c.tenant_id = :tenant_id
    AND c.series_id = n.series_id AND c.ts = n.ts
""")

_EFFECT = text("""
SELECT count(*) FILTER (WHERE NOT revised), count(*) FILTER (WHERE revised)
FROM obs_change
""")


@dataclass(frozen=True)
class Staged:
    """Rows that lie in the transaction's stage; keys in the order of their numbers."""

    keys: tuple[str, ...]
    rows: int


@dataclass(frozen=True)
class Conflict:
    """A row of a load whose series and time came again with another value."""

    row: int
    key: str
    ts: datetime
    copies: int


@dataclass(frozen=True)
class Window:
    """The observations of one series in a load, both times inclusive."""

    key: str
    first: datetime
    last: datetime
    rows: int


@dataclass(frozen=True)
class Loaded:
    """What a load did: each staged row is in exactly one of the first five counts."""

    written: int
    revised: int
    unchanged: int
    duplicates: int
    conflicting: int
    conflicts: tuple[Conflict, ...]
    windows: tuple[Window, ...]


def stage(connection: Connection, batches: Iterable["pa.RecordBatch"]) -> Staged:
    """Copy rows into a table of this transaction, a batch at a time.

    The connection can do nothing else until the batches end; an error raised by them
    leaves the transaction to be rolled back.

    Args:
        connection: of the tenant.
        batches: columns series_key, ts (microseconds, UTC), value and row_no, without
            nulls.
    """
    numbers: dict[str, int] = {}
    rows = 0
    driver = cast("psycopg.Connection[Any]", connection.connection.driver_connection)
    with driver.cursor() as cursor:
        cursor.execute(_STAGE)
        with cursor.copy("COPY obs_stage FROM STDIN (FORMAT binary)") as copy:
            copy.write(copy_binary.HEADER)
            for batch in batches:
                copy.write(_packed(batch, numbers))
                rows += batch.num_rows
            copy.write(copy_binary.TRAILER)
        cursor.execute(_LOAD)
    return Staged(tuple(numbers), rows)


def merge(
    connection: Connection,
    *,
    staged: Staged,
    tenant_id: int,
    run_id: str,
    now: datetime,
    basis: str = "observed",
) -> Loaded:
    """Write what is new or changed among the staged rows; loading again writes nothing.

    Identical copies of a row are dropped. Copies with different values are all left
    out and named: which of them is right is for the owner to say.
    """
    found = {row.series_no: row for row in connection.execute(_WINDOWS)}
    conflicts, conflicting = _conflicts(connection, staged)
    written = revised = 0
    if found:
        keys = {staged.keys[number]: number for number in found}
        ids = series.ids(connection, tenant_id=tenant_id, keys=[*keys], now=now)
        series.lock(connection, tenant_id=tenant_id, series_ids=[*ids.values()])
        connection.execute(
            _MAP, {"numbers": [*keys.values()], "ids": [ids[key] for key in keys]}
        )
        load = {"tenant_id": tenant_id, "run_id": run_id, "now": now, "basis": basis}
        connection.execute(_ANALYZE)
        first = min(row.first for row in found.values())
        last = max(row.last for row in found.values())
        connection.execute(_CHANGE, {**load, "first": first, "last": last})
        for statement in (_VERSIONS, _NEW, _REVISED):
            connection.execute(statement, load)
        written, revised = connection.execute(_EFFECT).one()
    windows = (
        Window(staged.keys[number], row.first, row.last, row.rows)
        for number, row in found.items()
    )
    return Loaded(
        written=written,
        revised=revised,
        unchanged=sum(row.rows for row in found.values()) - written - revised,
        duplicates=int(sum(row.duplicates for row in found.values())),
        conflicting=conflicting,
        conflicts=conflicts,
        windows=tuple(sorted(windows, key=lambda window: window.key)),
    )


def _packed(batch: "pa.RecordBatch", numbers: dict[str, int]) -> bytearray:
    import pyarrow as pa  # noqa: PLC0415 - loaded only where something is stored
    import pyarrow.compute as pc  # noqa: PLC0415 - same

    encoded = batch["series_key"].dictionary_encode()
    known = [
        numbers.setdefault(key, len(numbers)) for key in encoded.dictionary.to_pylist()
    ]
    ts = batch["ts"].cast(pa.timestamp("us", "UTC")).cast(pa.int64())
    columns = (
        (4, pa.array(known, pa.int32()).take(encoded.indices)),
        (8, pc.subtract(ts, copy_binary.EPOCH_US)),
        (8, batch["value"].cast(pa.float64())),
        (8, batch["row_no"].cast(pa.int64())),
    )
    return copy_binary.weave([(width, _native(width, it)) for width, it in columns])


def _native(width: int, column: "pa.Array") -> memoryview:
    """Return the values of a column without nulls, as they lie in memory."""
    if column.null_count:
        message = "a row to be stored holds a null"
        raise ValueError(message)
    start = column.offset * width
    return memoryview(column.buffers()[1])[start : start + len(column) * width]


def _conflicts(
    connection: Connection, staged: Staged
) -> tuple[tuple[Conflict, ...], int]:
    rows = connection.execute(_CONFLICTS, {"limit": LISTED}).all()
    return tuple(
        Conflict(row.row_no, staged.keys[row.series_no], row.ts, row.copies)
        for row in rows
    ), (rows[0].total if rows else 0)
