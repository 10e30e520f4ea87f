"""Observations as they are read: what is known now, or what was known then.

``obs_current`` holds the newest value of each time, ``obs_version`` every value there
was with the instant it became known (adr/0007); ``db/loads.py`` fills both.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

import psycopg

from db import copy_binary
from db.session import Connection

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

_MINE = "tenant_id = nullif(current_setting('forebay.tenant', true), '')::integer"

_KNOWN_NOW = f"""
SELECT ts, value FROM obs_current
WHERE {_MINE} AND series_id = %(series_id)s AND value IS NOT NULL
    AND ts >= %(start)s AND ts < %(end)s
ORDER BY ts
"""  # noqa: S608 - only the condition above is put in

_KNOWN_THEN = f"""
SELECT ts, value FROM (
    SELECT DISTINCT ON (ts) ts, value FROM obs_version
    WHERE {_MINE} AND series_id = %(series_id)s AND known_from <= %(as_of)s
        AND ts >= %(start)s AND ts < %(end)s
    ORDER BY ts, known_from DESC
) AS newest
WHERE value IS NOT NULL ORDER BY ts
"""  # noqa: S608 - only the condition above is put in

_MANY_NOW = f"""
SELECT ts, value FROM obs_current
WHERE {_MINE} AND series_id = {{wanted}} AND value IS NOT NULL
"""  # noqa: S608 - only the condition above is put in

_MANY_THEN = f"""
SELECT ts, value FROM (
    SELECT DISTINCT ON (series_id, ts) series_id, ts, value FROM obs_version
    WHERE {_MINE} AND series_id = {{wanted}} AND known_from <= %(as_of)s
    ORDER BY series_id, ts, known_from DESC
) AS newest
WHERE value IS NOT NULL
"""  # noqa: S608 - only the condition above is put in

# A value that was withdrawn is a version too.
_VERSIONS = f"""
SELECT ts, known_from, coalesce(value, 'NaN') AS value FROM obs_version
WHERE {_MINE} AND series_id = %(series_id)s
    AND known_from <= coalesce(%(as_of)s::timestamptz, 'infinity')
    AND ts >= %(start)s AND ts < %(end)s
"""  # noqa: S608 - only the condition above is put in

# Two values cross the wire instead of a million: seven times as fast as rows.
_PACKED = """
SELECT coalesce(string_agg(timestamptz_send(ts), ''), ''),
    coalesce(string_agg(float8send(value), ''), '')
FROM ({}) AS known
"""
# Series by series, so that whoever has read enough of them can stop.
_PACKED_MANY = """
SELECT wanted.id, coalesce(times, ''), coalesce(numbers, '')
FROM unnest(%(series_ids)s::integer[]) WITH ORDINALITY AS wanted (id, place)
CROSS JOIN LATERAL (
    SELECT string_agg(timestamptz_send(ts), '') AS times,
        string_agg(float8send(value), '') AS numbers
    FROM ({}) AS known
) AS packed
ORDER BY place
"""
_SPAN = "SELECT min(ts), max(ts) FROM ({}) AS known"
_PACKED_VERSIONS = f"""
SELECT coalesce(string_agg(timestamptz_send(ts), ''), ''),
    coalesce(string_agg(timestamptz_send(known_from), ''), ''),
    coalesce(string_agg(float8send(value), ''), '')
FROM ({_VERSIONS}) AS known
"""  # noqa: S608 - only the query above is put in

_PAGE = 100  # series that one trip to the server brings at most
_WIDTHS = (8, 8)  # ts, value
_ROW_BYTES = 2 + sum(4 + width for width in _WIDTHS)


def read(
    connection: Connection,
    *,
    series_id: int,
    start: datetime | None = None,
    end: datetime | None = None,
    as_of: datetime | None = None,
) -> tuple["NDArray[np.datetime64]", "NDArray[np.float64]"]:
    """Return times (UTC, microseconds) and values of [start, end), ascending.

    With ``as_of``, each time has the newest value that was known at that instant.
    """
    window = _window(series_id, start, end, as_of)
    packed = _PACKED.format(_query(window))
    with _driver(connection).cursor(binary=True) as cursor:
        times, values = cursor.execute(packed, window).fetchone() or (b"", b"")
    return _ascending(times, values)


def read_many(
    connection: Connection,
    *,
    series_ids: Sequence[int],
    as_of: datetime | None = None,
    most_rows: int = 500_000,
) -> dict[int, tuple["NDArray[np.datetime64]", "NDArray[np.float64]"]]:
    """Return what ``read`` returns for many series, in one query.

    A series without observations has empty arrays. The first ones of the series are
    read, until they have ``most_rows`` observations: the caller asks for the others
    again, and has never more than so many and one series in memory.
    """
    asked = {"series_ids": list(series_ids), "as_of": as_of}
    known = (_MANY_NOW if as_of is None else _MANY_THEN).format(wanted="wanted.id")
    found: dict[int, tuple[NDArray[np.datetime64], NDArray[np.float64]]] = {}
    rows, size = 0, 1
    with _driver(connection).cursor(name="read_many", binary=True) as cursor:
        cursor.execute(_PACKED_MANY.format(known), asked)
        while rows < most_rows and (page := cursor.fetchmany(size)):
            for series_id, times, values in page:
                found[series_id] = _ascending(times, values)
                rows += len(found[series_id][0])
            left = most_rows - rows
            size = max(1, min(_PAGE, left * len(found) // max(1, rows)))
    return found


def span(
    connection: Connection,
    *,
    series_ids: Sequence[int],
    as_of: datetime | None = None,
) -> tuple[datetime, datetime] | None:
    """Return the first and the latest time of all observations of some series.

    None if there are none at all.
    """
    asked = {"series_ids": list(series_ids), "as_of": as_of}
    known = _MANY_NOW if as_of is None else _MANY_THEN
    query = _SPAN.format(known.format(wanted="ANY(%(series_ids)s)"))
    with _driver(connection).cursor() as cursor:
        row = cursor.execute(query, asked).fetchone()
    return None if row is None or row[0] is None else (row[0], row[1])


def _ascending(
    times: bytes, values: bytes
) -> tuple["NDArray[np.datetime64]", "NDArray[np.float64]"]:
    import numpy as np  # noqa: PLC0415 - the web door imports this file without it

    instants = _instants(times)
    # A parallel plan may gather out of order; sorted times cost next to nothing here.
    order = np.argsort(instants, kind="stable")
    numbers = np.frombuffer(values, ">f8").astype(np.float64)
    return instants[order], numbers[order]


def versions(
    connection: Connection,
    *,
    series_id: int,
    start: datetime | None = None,
    end: datetime | None = None,
    as_of: datetime | None = None,
) -> tuple["NDArray[np.datetime64]", "NDArray[np.datetime64]", "NDArray[np.float64]"]:
    """Return times of [start, end), since when each value was known, and the values.

    All versions of all times, by time and then by since when they were known (both UTC,
    microseconds); NaN where a version withdrew the value. With ``as_of``, only what was
    known at that instant.
    """
    import numpy as np  # noqa: PLC0415 - the web door imports this file without it

    window = _window(series_id, start, end, as_of)
    with _driver(connection).cursor(binary=True) as cursor:
        row = cursor.execute(_PACKED_VERSIONS, window).fetchone() or (b"", b"", b"")
    times, known_from = _instants(row[0]), _instants(row[1])
    order = np.lexsort((known_from, times))
    numbers = np.frombuffer(row[2], ">f8").astype(np.float64)
    return times[order], known_from[order], numbers[order]


def _instants(packed: bytes) -> "NDArray[np.datetime64]":
    import numpy as np  # noqa: PLC0415 - the web door imports this file without it

    since_2000 = np.frombuffer(packed, ">i8").astype(np.int64)
    return (since_2000 + copy_binary.EPOCH_US).view("M8[us]")


def stream(
    connection: Connection,
    *,
    series_id: int,
    start: datetime | None = None,
    end: datetime | None = None,
    as_of: datetime | None = None,
    chunk_rows: int = 65_536,
) -> Iterator["pa.RecordBatch"]:
    """Yield what ``read`` returns as batches of (ts, value), in constant memory.

    The connection can do nothing else until the last batch has been taken.
    """
    waiting: list[bytes] = []
    for piece in _rows(connection, _window(series_id, start, end, as_of)):
        waiting.append(piece)
        if len(waiting) >= chunk_rows:
            yield _batch(b"".join(waiting))
            waiting.clear()
    if waiting:
        yield _batch(b"".join(waiting))


def _window(
    series_id: int,
    start: datetime | None,
    end: datetime | None,
    as_of: datetime | None,
) -> dict[str, Any]:
    return {
        "series_id": series_id,
        "start": start or "-infinity",
        "end": end or "infinity",
        "as_of": as_of,
    }


def _query(window: dict[str, Any]) -> str:
    return _KNOWN_NOW if window["as_of"] is None else _KNOWN_THEN


def _driver(connection: Connection) -> psycopg.Connection[Any]:
    return cast("psycopg.Connection[Any]", connection.connection.driver_connection)


def _rows(connection: Connection, window: dict[str, Any]) -> Iterator[bytes]:
    """Yield the rows of a query in binary one by one, without header and trailer."""
    query = _query(window)
    head = len(copy_binary.HEADER)
    with (
        _driver(connection).cursor() as cursor,
        cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT binary)", window) as copy,
    ):
        for piece in copy:
            row = bytes(piece[head:])
            head = 0
            if len(row) >= _ROW_BYTES:
                yield row


def _batch(rows: bytes) -> "pa.RecordBatch":
    import pyarrow as pa  # noqa: PLC0415 - loaded only where something is exported
    import pyarrow.compute as pc  # noqa: PLC0415 - same

    times, values = copy_binary.unweave(rows, widths=_WIDTHS)
    since_2000, value = (
        pa.Array.from_buffers(kind, len(column), [None, pa.py_buffer(column)])
        for kind, column in ((pa.int64(), times), (pa.float64(), values))
    )
    instants = pc.add(since_2000, copy_binary.EPOCH_US)
    ts = instants.cast(pa.timestamp("us", "UTC"))
    return pa.RecordBatch.from_arrays([ts, value], names=["ts", "value"])
