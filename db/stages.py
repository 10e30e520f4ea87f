"""Staging: the rows of a load in a temporary table, and what was seen of them.

While the rows go by, it is watched whether a time of a series can have come twice. If
it cannot, the load needs no search for copies, which would take longer than all else.
"""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import psycopg

from db import copy_binary
from db.session import Connection

if TYPE_CHECKING:
    import pyarrow as pa

UNSAID = "-infinity"
"""What the stage holds where a row does not say when it was published or issued."""

_UNSAID_BITS = -(2**63)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SAID = ("published_at", "issued_at")

# Four bytes are enough for the number of a row, and keep a staged row at 48 bytes. Hash
# tables that stay in the processor's cache beat larger ones that hold everything.
_STAGE = """
DROP TABLE IF EXISTS pg_temp.obs_stage, pg_temp.obs_stage_series, pg_temp.obs_load,
    pg_temp.obs_change, pg_temp.obs_arrival, pg_temp.obs_vintage,
    pg_temp.obs_vintage_change;
CREATE TEMP TABLE obs_stage (
    series_no integer, row_no integer, ts timestamptz, value double precision
) ON COMMIT DROP;
CREATE TEMP TABLE obs_stage_series (
    series_no integer, series_id integer, first timestamptz, last timestamptz,
    rows integer
) ON COMMIT DROP;
SET LOCAL work_mem = '32MB';
SET LOCAL jit = off
"""
# Rows that lie there already are not touched by this: it is noted once for all of them.
_SAYING = """
ALTER TABLE obs_stage ADD published timestamptz DEFAULT '-infinity',
    ADD issued timestamptz DEFAULT '-infinity'
"""
_COPY = "COPY obs_stage ({}) FROM STDIN (FORMAT binary)"
_PLAIN = "series_no, row_no, ts, value"


@dataclass(frozen=True)
class Window:
    """The observations of one series in a load, both times inclusive."""

    key: str
    first: datetime
    last: datetime
    rows: int


@dataclass(frozen=True)
class Staged:
    """Rows that lie in the transaction's stage; keys in the order of their numbers.

    Attributes:
        keys: of the series.
        rows: how many there are.
        windows: of each series, in the order of the keys, if each of its times is in
            one row only; None if that is not known.
        ordered: whether the rows lie in the order of series and time.
        vintages: whether a row says when it was published or issued.
    """

    keys: tuple[str, ...]
    rows: int
    windows: tuple[Window, ...] | None = None
    ordered: bool = False
    vintages: bool = False


def stage(connection: Connection, batches: Iterable["pa.RecordBatch"]) -> Staged:
    """Copy rows into a table of this transaction, a batch at a time.

    The connection can do nothing else until the batches end; an error raised by them
    leaves the transaction to be rolled back.

    Args:
        connection: of the tenant.
        batches: columns series_key, ts (microseconds, UTC), value and row_no (below
            2**31), without nulls; perhaps published_at and issued_at, with nulls.
    """
    watch = _Watch()
    driver = cast("psycopg.Connection[Any]", connection.connection.driver_connection)
    with driver.cursor() as cursor:
        cursor.execute(_STAGE)
        for says, group in itertools.groupby(batches, key=_says):
            if says and not watch.vintages:
                cursor.execute(_SAYING)
                watch.vintages = True
            columns = f"{_PLAIN}, published, issued" if says else _PLAIN
            with cursor.copy(_COPY.format(columns)) as copy:
                copy.write(copy_binary.HEADER)
                for batch in group:
                    copy.write(_woven(watch.columns(batch, says=says)))
                copy.write(copy_binary.TRAILER)
    return watch.staged()


def _says(batch: "pa.RecordBatch") -> bool:
    """Tell whether a row of the batch says when it was published or issued."""
    return any(
        name in batch.schema.names and batch[name].null_count < len(batch)
        for name in _SAID
    )


class _Watch:
    """Numbers the series of batches, and sees what can be said of their rows."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._rows = 0
        self._reach: list[list[int]] = []
        self._last = (-1, 0)
        self._single = True
        self._ordered = True
        self.vintages = False

    def columns(self, batch: "pa.RecordBatch", *, says: bool) -> "list[pa.Array]":
        """Return the columns of the stage; in order, if copies can be ruled out."""
        import pyarrow as pa  # noqa: PLC0415 - loaded only where something is stored

        encoded = batch["series_key"].dictionary_encode()
        known = [
            self._numbers.setdefault(key, len(self._numbers))
            for key in encoded.dictionary.to_pylist()
        ]
        columns = [
            pa.array(known, pa.int32()).take(encoded.indices),
            batch["row_no"].cast(pa.int32()),
            _since_2000(batch["ts"]),
            batch["value"].cast(pa.float64()),
        ]
        self._rows += len(batch)
        if says:
            columns += _said(batch)
            self._single = False
        return self._watched(columns) if self._single and len(batch) else columns

    def _watched(self, columns: "list[pa.Array]") -> "list[pa.Array]":
        if not _rises(columns):
            columns = _sorted(columns)
            if not _rises(columns):
                self._single = False
                return columns
        number, _, ts, _ = columns
        firsts, lasts = _runs(number)
        numbers = number.take(firsts).to_pylist()
        starts, ends = ts.take(firsts).to_pylist(), ts.take(lasts).to_pylist()
        self._ordered = self._ordered and (numbers[0], starts[0]) > self._last
        self._last = (numbers[-1], ends[-1])
        counts = [last - first + 1 for first, last in _pairs(firsts, lasts)]
        self._single = all(
            map(self._extend, numbers, zip(starts, ends, counts, strict=True))
        )
        return columns

    def _extend(self, number: int, run: tuple[int, int, int]) -> bool:
        """Add rows of a series; return False if they may repeat a time of it."""
        start, end, count = run
        while len(self._reach) <= number:
            self._reach.append([])
        reach = self._reach[number]
        if not reach:
            reach.extend(run)
            return True
        apart = start > reach[1] or end < reach[0]
        reach[:] = [min(reach[0], start), max(reach[1], end), reach[2] + count]
        return apart

    def staged(self) -> Staged:
        """Return what was seen."""
        keys = tuple(self._numbers)
        windows = None
        if self._single:
            windows = tuple(
                Window(key, _instant(first), _instant(last), rows)
                for key, (first, last, rows) in zip(keys, self._reach, strict=True)
            )
        ordered = self._single and self._ordered
        return Staged(keys, self._rows, windows, ordered, self.vintages)


def _pairs(firsts: "pa.Array", lasts: "pa.Array") -> Iterator[tuple[int, int]]:
    return zip(firsts.to_pylist(), lasts.to_pylist(), strict=True)


def _instant(since_2000: int) -> datetime:
    return _EPOCH + timedelta(microseconds=since_2000 + copy_binary.EPOCH_US)


def _since_2000(column: "pa.Array") -> "pa.Array":
    import pyarrow as pa  # noqa: PLC0415 - loaded only where something is stored
    import pyarrow.compute as pc  # noqa: PLC0415 - same

    microseconds = column.cast(pa.timestamp("us", "UTC")).cast(pa.int64())
    return pc.subtract(microseconds, copy_binary.EPOCH_US)


def _said(batch: "pa.RecordBatch") -> "list[pa.Array]":
    """Return when rows were published and issued.

    Publications are told apart by the millisecond, so that the microseconds after one
    are free for its corrections (adr/0007); none is known before it was published.
    """
    import pyarrow as pa  # noqa: PLC0415 - loaded only where something is stored
    import pyarrow.compute as pc  # noqa: PLC0415 - same

    found = []
    for name in _SAID:
        if name not in batch.schema.names:
            found.append(pa.array([_UNSAID_BITS] * len(batch), pa.int64()))
            continue
        said = batch[name].cast(pa.timestamp("us", "UTC"))
        if name == "published_at":
            said = pc.ceil_temporal(said, unit="millisecond")
        found.append(pc.fill_null(_since_2000(said), _UNSAID_BITS))
    return found


def _rises(columns: "list[pa.Array]") -> bool:
    """Tell whether rows strictly rise in the order of series and time."""
    import pyarrow.compute as pc  # noqa: PLC0415 - loaded only where needed

    number, _, ts, _ = columns
    before, after = number[:-1], number[1:]
    later = pc.and_(pc.equal(after, before), pc.greater(ts[1:], ts[:-1]))
    rising = pc.or_(pc.greater(after, before), later)
    return pc.all(rising, min_count=0).as_py() is True


def _sorted(columns: "list[pa.Array]") -> "list[pa.Array]":
    import pyarrow as pa  # noqa: PLC0415 - loaded only where something is stored
    import pyarrow.compute as pc  # noqa: PLC0415 - same

    keys = pa.table([columns[0], columns[2]], names=["number", "ts"])
    by = [("number", "ascending"), ("ts", "ascending")]
    order = pc.sort_indices(keys, sort_keys=by)
    return [column.take(order) for column in columns]


def _runs(number: "pa.Array") -> "tuple[pa.Array, pa.Array]":
    """Return where the rows of each series begin and where they end."""
    import pyarrow as pa  # noqa: PLC0415 - loaded only where something is stored
    import pyarrow.compute as pc  # noqa: PLC0415 - same

    ends = pc.indices_nonzero(pc.not_equal(number[1:], number[:-1]))
    begins = pc.add(ends, pa.scalar(1, pa.uint64()))
    edge = pa.array([0], pa.uint64()), pa.array([len(number) - 1], pa.uint64())
    return pa.concat_arrays([edge[0], begins]), pa.concat_arrays([ends, edge[1]])


def _woven(columns: "list[pa.Array]") -> bytearray:
    widths = (4, 4, 8, 8, 8, 8)
    return copy_binary.weave(
        [
            (width, _native(width, column))
            for width, column in zip(widths, columns, strict=False)
        ]
    )


def _native(width: int, column: "pa.Array") -> memoryview:
    """Return the values of a column without nulls, as they lie in memory."""
    if column.null_count:
        message = "a row to be stored holds a null"
        raise ValueError(message)
    start = column.offset * width
    return memoryview(column.buffers()[1])[start : start + len(column) * width]
