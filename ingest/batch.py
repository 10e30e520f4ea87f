"""What a connector yields: good rows as columns, bad rows one by one with a reason."""

from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa

INSTANT = pa.timestamp("us", "UTC")
WALL = pa.timestamp("us")
"""Wall-clock time of a place, before it is known which instant that was."""

ROWS = pa.schema(
    [
        pa.field("series_key", pa.string(), nullable=False),
        pa.field("ts", INSTANT, nullable=False),
        pa.field("value", pa.float64(), nullable=False),
        pa.field("row_no", pa.int64(), nullable=False),
    ]
)
"""Good rows: the start of the interval, a finite value, the 1-based row in the file."""

PUBLISHED = pa.field("published_at", INSTANT)
"""Since when the row is known, where the source says; null where it does not."""

ISSUED = pa.field("issued_at", INSTANT)
"""When the row was forecast; null for observations."""


@dataclass(frozen=True, order=True)
class Rejected:
    """A row that is not loaded: its 1-based number, a stable code, and what to do.

    ``text`` is the row as it stood, as far as it is known; ``place`` the series and the
    time that it is of, where both can be read and it is no forecast.
    """

    row: int
    code: str
    detail: str
    text: str = field(default="", compare=False)
    place: tuple[str, datetime] | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Batch:
    """A piece of a file, at most some ten thousand rows.

    Attributes:
        rows: the good rows: the columns of ``ROWS``, then ``PUBLISHED`` and ``ISSUED``
            where the source says either.
        rejected: the bad rows, in the order of the file.
        missing: how many rows carry a good key and time, but no value.
    """

    rows: pa.RecordBatch
    rejected: tuple[Rejected, ...] = ()
    missing: int = 0
