"""Observations of many series as a stream in constant memory."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Unpack

from sqlalchemy import func, select

from db import copy_binary
from db.observation_views import View, detailed, parameters
from db.observation_views import rows as query_of
from db.observations import copied, driver
from db.session import Connection
from db.tables import series as table

if TYPE_CHECKING:
    from array import array

    import pyarrow as pa

CHUNK_ROWS = 65_536
PLAIN = ("series", "ts", "value")
DETAILED = (*PLAIN, "known_from", "received_at", "issued_at")
"""The columns of a stream, without and with where the values come from."""

_NEVER = -(2**63)  # minus infinity on the wire: the row was not issued
_NAMED = "wanted.place::integer, ts, value"

# Each series is read by the index in the order of its times, one after the other.
_MANY = """
SELECT {columns}
FROM unnest(%(series_ids)s::integer[]) WITH ORDINALITY AS wanted (id, place)
CROSS JOIN LATERAL ({rows}) AS found
"""
# Workers that gather beside each other would mix the times of a series. The versions
# come by the index, read backwards, and are turned round in memory.
_IN_ORDER = """
SET LOCAL max_parallel_workers_per_gather = 0;
SET LOCAL random_page_cost = 1.1;
SET LOCAL work_mem = '32MB'
"""


def named_series(
    connection: Connection,
    *,
    tenant_id: int,
    keys: Sequence[str] | None = None,
    prefix: str | None = None,
    tag: str | None = None,
) -> dict[int, str]:
    """Return the keys of a tenant's series by their ids, in the order of the keys.

    Args:
        connection: of the tenant.
        tenant_id: whose series.
        keys: which; None for all.
        prefix: only keys that begin with it.
        tag: only series that carry it.
    """
    query = select(table.c.id, table.c.key).where(table.c.tenant_id == tenant_id)
    if keys is not None:
        query = query.where(table.c.key == func.any(list(keys)))
    if prefix:
        query = query.where(table.c.key.startswith(prefix, autoescape=True))
    if tag is not None:
        query = query.where(table.c.tags.contains([tag]))
    rows = connection.execute(query.order_by(table.c.key))
    return {row.id: row.key for row in rows}


def stream_many(
    connection: Connection, *, series: Mapping[int, str], **view: Unpack[View]
) -> Iterator["pa.RecordBatch"]:
    """Yield the observations of series as they are given, by time within each.

    All of it is one statement, so it shows one state of the tables.

    Args:
        connection: of the tenant; it can do nothing else until the last batch.
        series: the keys of the series by their ids.
        view: what of each series, see ``View``.

    Yields:
        Batches of ``PLAIN`` or, with ``versions`` other than "none", of ``DETAILED``
        columns. A value is null where a version withdrew it, ``issued_at`` where the
        row is no forecast.
    """
    asked = parameters(view, series_ids=[*series])
    more = detailed(view)
    columns = f"{_NAMED}, known_from, received_at, issued_at" if more else _NAMED
    order = "ts, known_from" if view.get("versions") == "all" else "ts"
    of_each = f"{query_of(view, wanted='wanted.id')} ORDER BY {order}"
    driver(connection).execute(_IN_ORDER)
    widths = (4, 8, 8, 8, 8, 8) if more else (4, 8, 8)
    keys = [*series.values()]
    for chunk in copied(
        connection,
        _MANY.format(columns=columns, rows=of_each),
        asked=asked,
        widths=widths,
        chunk_rows=CHUNK_ROWS,
    ):
        yield _batch(copy_binary.unweave(chunk, widths=widths), keys)


def _batch(columns: "list[array[int]]", keys: list[str]) -> "pa.RecordBatch":
    import pyarrow as pa  # noqa: PLC0415 - loaded only where something is exported
    import pyarrow.compute as pc  # noqa: PLC0415 - same

    places, ts, value, *said = columns
    numbers = _column(pa.float64(), value)
    made = [
        _names(places, keys),
        _instants(ts),
        pc.if_else(pc.is_nan(numbers), pa.scalar(None, pa.float64()), numbers),
        *map(_instants, said),
    ]
    names = DETAILED if said else PLAIN
    return pa.RecordBatch.from_arrays(made, names=list(names))


def _names(places: "array[int]", keys: list[str]) -> "pa.Array":
    """Return the key of each row; only those that occur are made Arrow's."""
    import pyarrow as pa  # noqa: PLC0415 - loaded only where something is exported
    import pyarrow.compute as pc  # noqa: PLC0415 - same

    first = places[0]
    some = pa.array(keys[first - 1 : places[-1]], pa.string())
    return some.take(pc.subtract(_column(pa.int32(), places), first))


def _instants(since_2000: "array[int]") -> "pa.Array":
    import pyarrow as pa  # noqa: PLC0415 - loaded only where something is exported
    import pyarrow.compute as pc  # noqa: PLC0415 - same

    column = _column(pa.int64(), since_2000)
    there = pc.if_else(pc.equal(column, _NEVER), pa.scalar(None, pa.int64()), column)
    return pc.add(there, copy_binary.EPOCH_US).cast(pa.timestamp("us", "UTC"))


def _column(kind: "pa.DataType", values: "array[int]") -> "pa.Array":
    import pyarrow as pa  # noqa: PLC0415 - loaded only where something is exported

    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(values)])
