"""Observations as they are read: what is known now, or what was known then.

``obs_current`` holds the newest value of each time, ``obs_version`` every value there
was with the instant it became known (adr/0007); ``db/loads.py`` fills both.

What was known at an instant is what the world could know, by when a version was
published, or what this system knew, by when it was received as well. The two differ
where vintages of the past were loaded later.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict, Unpack, cast

import psycopg

from db import copy_binary
from db.session import Connection

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

KnownBy: TypeAlias = Literal["published", "received"]

# In a query of its own the setting is looked up once, and not for every row.
_MINE = (
    "tenant_id = (SELECT nullif(current_setting('forebay.tenant', true), '')::integer)"
)
THEN: dict[KnownBy, str] = {
    "published": "known_from <= %(as_of)s",
    "received": "known_from <= %(as_of)s AND ingested_at <= %(as_of)s",
}
"""Which versions were known at an instant."""

_KNOWN_NOW = f"""
SELECT ts, value FROM obs_current
WHERE {_MINE} AND series_id = {{wanted}} AND value IS NOT NULL
    AND ts >= %(start)s AND ts < %(end)s
"""  # noqa: S608 - only conditions of ours are put in

_KNOWN_THEN = f"""
SELECT ts, value FROM (
    SELECT DISTINCT ON (series_id, ts) series_id, ts, value FROM obs_version
    WHERE {_MINE} AND series_id = {{wanted}} AND {{then}}
        AND ts >= %(start)s AND ts < %(end)s
    ORDER BY series_id DESC, ts DESC, known_from DESC
) AS newest
WHERE value IS NOT NULL
"""  # noqa: S608 - only conditions of ours are put in
# So the index, read backwards, gives the versions in order, and nothing is sorted. By
# default the planner takes a look into the table for four times what it costs.
_BY_INDEX = "SET LOCAL random_page_cost = 1.1"

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

_PAGE = 100  # series that one trip to the server brings at most
_WIDTHS = (8, 8)  # ts, value


class Then(TypedDict, total=False):
    """As it was known at an instant.

    Attributes:
        as_of: the instant; None for now.
        known_by: whether versions count from when they were published, or only once
            they were received too: "received" repeats what was read here at ``as_of``.
    """

    as_of: datetime | None
    known_by: KnownBy


class Stretch(Then, total=False):
    """What of a series to read: [start, end), as it was known at an instant.

    Attributes:
        start: the first time; None for the beginning.
        end: the time after the last; None for the end.
    """

    start: datetime | None
    end: datetime | None


def read(
    connection: Connection, *, series_id: int, **stretch: Unpack[Stretch]
) -> tuple["NDArray[np.datetime64]", "NDArray[np.float64]"]:
    """Return times (UTC, microseconds) and values of [start, end), ascending.

    With ``as_of``, each time has the newest value that was known at that instant.
    """
    asked = asking(stretch, series_id=series_id)
    packed = _PACKED.format(known(stretch, wanted="%(series_id)s"))
    _by_index(connection, stretch)
    with driver(connection).cursor(binary=True) as cursor:
        times, values = cursor.execute(packed, asked).fetchone() or (b"", b"")
    return ascending(times, values)


def read_many(
    connection: Connection,
    *,
    series_ids: Sequence[int],
    as_of: datetime | None = None,
    known_by: KnownBy = "published",
    most_rows: int = 500_000,
) -> dict[int, tuple["NDArray[np.datetime64]", "NDArray[np.float64]"]]:
    """Return what ``read`` returns for many series, in one query.

    A series without observations has empty arrays. The first ones of the series are
    read, until they have ``most_rows`` observations: the caller asks for the others
    again, and has never more than so many and one series in memory.
    """
    stretch: Stretch = {"as_of": as_of, "known_by": known_by}
    asked = asking(stretch, series_ids=list(series_ids))
    packed = _PACKED_MANY.format(known(stretch, wanted="wanted.id"))
    _by_index(connection, stretch)
    found: dict[int, tuple[NDArray[np.datetime64], NDArray[np.float64]]] = {}
    rows, size = 0, 1
    with driver(connection).cursor(name="read_many", binary=True) as cursor:
        cursor.execute(packed, asked)
        while rows < most_rows and (page := cursor.fetchmany(size)):
            for series_id, times, values in page:
                found[series_id] = ascending(times, values)
                rows += len(found[series_id][0])
            left = most_rows - rows
            size = max(1, min(_PAGE, left * len(found) // max(1, rows)))
    return found


def span(
    connection: Connection,
    *,
    series_ids: Sequence[int],
    as_of: datetime | None = None,
    known_by: KnownBy = "published",
) -> tuple[datetime, datetime] | None:
    """Return the first and the latest time of all observations of some series.

    None if there are none at all.
    """
    stretch: Stretch = {"as_of": as_of, "known_by": known_by}
    asked = asking(stretch, series_ids=list(series_ids))
    query = _SPAN.format(known(stretch, wanted="ANY(%(series_ids)s)"))
    with driver(connection).cursor() as cursor:
        row = cursor.execute(query, asked).fetchone()
    return None if row is None or row[0] is None else (row[0], row[1])


def _by_index(connection: Connection, stretch: Stretch) -> None:
    if stretch.get("as_of") is not None:
        driver(connection).execute(_BY_INDEX)


def ascending(
    times: bytes, values: bytes
) -> tuple["NDArray[np.datetime64]", "NDArray[np.float64]"]:
    """Return packed times and values as arrays, by time."""
    import numpy as np  # noqa: PLC0415 - the web door imports this file without it

    when = instants(times)
    # A parallel plan may gather out of order; sorted times cost next to nothing here.
    order = np.argsort(when, kind="stable")
    numbers = np.frombuffer(values, ">f8").astype(np.float64)
    return when[order], numbers[order]


def instants(packed: bytes) -> "NDArray[np.datetime64]":
    """Return packed instants as an array, in UTC and microseconds."""
    import numpy as np  # noqa: PLC0415 - the web door imports this file without it

    since_2000 = np.frombuffer(packed, ">i8").astype(np.int64)
    return (since_2000 + copy_binary.EPOCH_US).view("M8[us]")


def stream(
    connection: Connection,
    *,
    series_id: int,
    chunk_rows: int = 65_536,
    **stretch: Unpack[Stretch],
) -> Iterator["pa.RecordBatch"]:
    """Yield what ``read`` returns as batches of (ts, value), in constant memory.

    The connection can do nothing else until the last batch has been taken.
    """
    query = f"{known(stretch, wanted='%(series_id)s')} ORDER BY ts"
    asked = asking(stretch, series_id=series_id)
    for rows in copied(
        connection, query, asked=asked, widths=_WIDTHS, chunk_rows=chunk_rows
    ):
        yield _batch(rows)


def asking(stretch: Stretch, **series: Any) -> dict[str, Any]:
    """Return the parameters of a query of a stretch."""
    return {
        "start": stretch.get("start") or "-infinity",
        "end": stretch.get("end") or "infinity",
        "as_of": stretch.get("as_of"),
        **series,
    }


def known(stretch: Stretch, *, wanted: str) -> str:
    """Return the query of the (ts, value) that are known, of the wanted series."""
    if stretch.get("as_of") is None:
        return _KNOWN_NOW.format(wanted=wanted)
    then = THEN[stretch.get("known_by", "published")]
    return _KNOWN_THEN.format(wanted=wanted, then=then)


def driver(connection: Connection) -> psycopg.Connection[Any]:
    """Return the driver's own connection."""
    return cast("psycopg.Connection[Any]", connection.connection.driver_connection)


def copied(
    connection: Connection,
    query: str,
    *,
    asked: Mapping[str, Any],
    widths: Sequence[int],
    chunk_rows: int,
) -> Iterator[bytes]:
    """Yield the rows of a query as they are copied in binary, some at a time.

    Args:
        connection: of the tenant; it can do nothing else until the last row.
        query: of columns without nulls.
        asked: its parameters.
        widths: of the columns, in bytes.
        chunk_rows: how many rows at a time.
    """
    whole = 2 + sum(4 + width for width in widths)
    head = len(copy_binary.HEADER)
    waiting: list[bytes] = []
    with (
        driver(connection).cursor() as cursor,
        cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT binary)", asked) as copy,
    ):
        for piece in copy:
            row = bytes(piece[head:])
            head = 0
            if len(row) >= whole:
                waiting.append(row)
            if len(waiting) >= chunk_rows:
                yield b"".join(waiting)
                waiting.clear()
    if waiting:
        yield b"".join(waiting)


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
