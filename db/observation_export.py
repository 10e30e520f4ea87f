"""Observations of many series as a stream in constant memory."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Unpack

from db import copy_binary
from db.observations import Stretch, asking, copied, driver, every, known
from db.session import Connection

if TYPE_CHECKING:
    from array import array

    import pyarrow as pa

CHUNK_ROWS = 65_536

# Each series is read by the index in the order of its times, one after the other.
_MANY = """
SELECT wanted.place::integer, {columns}
FROM unnest(%(series_ids)s::integer[]) WITH ORDINALITY AS wanted (id, place)
CROSS JOIN LATERAL ({rows}) AS found
"""
# Workers that gather beside each other would mix the times of a series.
_IN_ORDER = "SET LOCAL max_parallel_workers_per_gather = 0"


def stream_many(
    connection: Connection,
    *,
    series: Mapping[int, str],
    with_versions: bool = False,
    **stretch: Unpack[Stretch],
) -> Iterator["pa.RecordBatch"]:
    """Yield the observations of series as they are given, by time within each.

    Args:
        connection: of the tenant; it can do nothing else until the last batch.
        series: the keys of the series by their ids.
        with_versions: give every version that is known, by since when, instead of the
            newest of each time.
        stretch: what of each series, as ``observations.read`` takes it.

    Yields:
        Batches of unique_id, ts and value; with versions also known_from, and a value
        is null where it was withdrawn.
    """
    asked = asking(stretch, series_ids=[*series])
    of_each = (every if with_versions else known)(stretch, wanted="wanted.id")
    order = "ts, known_from" if with_versions else "ts"
    driver(connection).execute(_IN_ORDER)
    query = _MANY.format(columns=f"{order}, value", rows=f"{of_each} ORDER BY {order}")
    widths = (4, 8, 8, 8) if with_versions else (4, 8, 8)
    for chunk in copied(
        connection, query, asked=asked, widths=widths, chunk_rows=CHUNK_ROWS
    ):
        yield _batch(copy_binary.unweave(chunk, widths=widths), [*series.values()])


def _batch(columns: "list[array[int]]", keys: list[str]) -> "pa.RecordBatch":
    import pyarrow as pa  # noqa: PLC0415 - loaded only where something is exported
    import pyarrow.compute as pc  # noqa: PLC0415 - same

    places, ts, *known_from, value = columns
    place = pc.subtract(_column(pa.int32(), places), 1)
    numbers = _column(pa.float64(), value)
    made = {
        "unique_id": pa.array(keys, pa.string()).take(place),
        "ts": _instants(ts),
        "value": pc.if_else(pc.is_nan(numbers), pa.scalar(None, pa.float64()), numbers),
    }
    if known_from:
        made["known_from"] = _instants(known_from[0])
    return pa.RecordBatch.from_arrays([*made.values()], names=[*made])


def _instants(since_2000: "array[int]") -> "pa.Array":
    import pyarrow as pa  # noqa: PLC0415 - loaded only where something is exported
    import pyarrow.compute as pc  # noqa: PLC0415 - same

    instants = pc.add(_column(pa.int64(), since_2000), copy_binary.EPOCH_US)
    return instants.cast(pa.timestamp("us", "UTC"))


def _column(kind: "pa.DataType", values: "array[int]") -> "pa.Array":
    import pyarrow as pa  # noqa: PLC0415 - loaded only where something is exported

    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(values)])
