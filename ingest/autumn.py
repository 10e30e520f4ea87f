"""The hour that comes twice: two rows with one wall-clock time become two instants.

The rows are held until the end of the file, because partners may be far apart.
"""

from datetime import timedelta

import pyarrow as pa
import pyarrow.compute as pc

from ingest.batch import INSTANT, ROWS, WALL, Batch, Rejected
from ingest.errors import InvalidFile

HELD = pa.schema(
    [
        ("series_key", pa.string()),
        ("wall", WALL),
        ("earlier", INSTANT),
        ("later", INSTANT),
        ("value", pa.float64()),
        ("missing", pa.bool_()),
        ("faulty", pa.bool_()),
        ("row_no", pa.int64()),
    ]
)
_MOST = 1_000_000  # rows held; some 100 bytes each


class Autumn:
    """The ambiguous rows of one file, and which way the file runs."""

    def __init__(self, *, back: timedelta) -> None:
        """Begin a file whose times were moved back by ``back`` already."""
        self._back = back
        self._pieces: list[pa.RecordBatch] = []
        self._count = 0
        self._rising = 0

    @property
    def holds_any(self) -> bool:
        """Whether there is anything to resolve."""
        return bool(self._pieces)

    def watch(self, keys: pa.Array, wall: pa.Array) -> None:
        """Count steps forward and back in time, series by series."""
        # The sort is stable, so each series keeps the order of the file.
        order = pc.sort_indices(keys)
        key, time = keys.take(order), wall.take(order)
        same = pc.equal(key[1:], key[:-1])
        sign = pc.sign(pc.subtract(time[1:], time[:-1]).cast(pa.int64()))
        self._rising += pc.sum(pc.if_else(same, sign, 0), min_count=0).as_py()

    def hold(self, rows: pa.RecordBatch) -> None:
        """Keep rows of the schema ``HELD``.

        Raises:
            InvalidFile: there are more of them than memory allows.
        """
        self._pieces.append(rows)
        self._count += rows.num_rows
        if self._count > _MOST:
            message = (
                f"more than {_MOST} times came twice when the clocks went back: "
                "write the times with their offset"
            )
            raise InvalidFile(message)

    def resolve(self) -> Batch:
        """Return pairs as two instants, in file order, and the others as rejected."""
        rows = pa.Table.from_batches(self._pieces).combine_chunks().to_batches()[0]
        rows = rows.sort_by(
            [
                ("series_key", "ascending"),
                ("wall", "ascending"),
                ("row_no", "ascending"),
            ]
        )
        first, second = _pairs(rows)
        if self._rising < 0:  # newest first: standard time comes before summer time
            first, second = second, first
        instants = pc.if_else(first, rows["earlier"], rows["later"])
        paired = pc.or_(first, second)
        usable = pc.and_not(paired, rows["faulty"])
        good = pc.and_not(usable, rows["missing"])
        columns = [rows["series_key"], instants, rows["value"], rows["row_no"]]
        table = pa.RecordBatch.from_arrays(columns, names=ROWS.names).filter(good)
        lone = rows.filter(pc.and_not(pc.invert(paired), rows["faulty"]))
        return Batch(
            table.sort_by("row_no").cast(ROWS),
            tuple(sorted(self._rejected(row) for row in lone.to_pylist())),
            pc.sum(pc.and_(usable, rows["missing"]), min_count=0).as_py(),
        )

    def _rejected(self, row: dict[str, object]) -> Rejected:
        wall, number = row["wall"], row["row_no"]
        return Rejected(
            number,  # type: ignore[arg-type]  # the schema says int64
            "ambiguous_time",
            f"time {wall + self._back} of {row['series_key']} came twice when the "  # type: ignore[operator]  # a datetime
            "clocks went back, and the file does not hold exactly two rows for it: "
            "write the offset",
            f"{row['series_key']} at {wall + self._back}: {row['value']}",  # type: ignore[operator]  # a datetime
        )


def _pairs(rows: pa.RecordBatch) -> tuple[pa.BooleanArray, pa.BooleanArray]:
    """Return masks of the first and the second of exactly two equal neighbours."""
    key, wall = rows["series_key"], rows["wall"]
    same = pc.and_(pc.equal(key[1:], key[:-1]), pc.equal(wall[1:], wall[:-1]))
    edge = pa.array([False])
    before = pa.concat_arrays([edge, same])
    after = pa.concat_arrays([same, edge])
    opens = pc.and_not(after, before)
    closes = pc.and_not(before, after)
    first = pc.and_(opens, pa.concat_arrays([closes[1:], edge]))
    second = pc.and_(closes, pa.concat_arrays([edge, opens[:-1]]))
    return first, second
