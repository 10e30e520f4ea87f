"""Files that people upload: CSV, NDJSON, Parquet and Arrow with declared columns."""

import io
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import BinaryIO, Self

from ingest.batch import Batch
from ingest.columns import RawRows
from ingest.connectors import Partition, connector
from ingest.formats.delimited import read_delimited
from ingest.formats.json_lines import read_json_lines
from ingest.formats.tables import read_arrow, read_parquet
from ingest.layout import UploadLayout
from ingest.parse import parse

FORMATS: Mapping[str, Callable[[BinaryIO, UploadLayout], Iterator[RawRows]]] = (
    MappingProxyType(
        {
            "csv": read_delimited,
            "ndjson": read_json_lines,
            "parquet": read_parquet,
            "arrow": read_arrow,
        }
    )
)


def read_batches(stream: BinaryIO, *, layout: UploadLayout) -> Iterator[Batch]:
    r"""Read a file in constant memory.

    Args:
        stream: the file at its beginning; Parquet and Arrow need it seekable. Text
            formats may be packed with gzip.
        layout: what its owner declared.

    Returns:
        Batches of good rows in UTC, with the bad rows by number and reason.

    Raises:
        InvalidFile: nothing of the file can be read.
        InvalidLayout: the declaration does not fit the file.

    Example:
        >>> text = b"ts,value\n2026-03-01T06:00:00Z,1.5\n2026-03-01T07:00:00,2\n"
        >>> layout = UploadLayout("csv", series_key="load")
        >>> batch = next(read_batches(io.BytesIO(text), layout=layout))
        >>> batch.rows.num_rows, batch.rejected[0].row, batch.rejected[0].code
        (1, 2, 'time_without_offset')
    """
    return parse(FORMATS[layout.format](stream, layout), layout=layout)


@connector("upload")
class Upload:
    """One uploaded file: a single partition without ends."""

    def __init__(self, stream: BinaryIO, *, layout: UploadLayout) -> None:
        """Take an open file at its beginning."""
        self._stream = stream
        self._layout = layout

    def plan(
        self, start: datetime | None, end: datetime | None
    ) -> tuple[Partition, ...]:
        """Return the whole file; a file has no index to read a stretch of it by."""
        return (Partition("file", start, end),)

    def fetch(self, partition: Partition) -> Iterator[Batch]:
        """Yield the rows of the file, all of them."""
        del partition
        self._stream.seek(0)
        return read_batches(self._stream, layout=self._layout)

    @classmethod
    def example(cls) -> Self:
        """Return a small CSV file with one bad row."""
        text = (
            b"series,ts,value\n"
            b"load,2026-03-01T06:00:00Z,1.5\n"
            b"load,2026-03-01T07:00:00Z,two\n"
        )
        return cls(io.BytesIO(text), layout=UploadLayout("csv"))
