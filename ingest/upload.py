"""Files that people upload: CSV, NDJSON, Parquet and Arrow with declared columns."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import BinaryIO

from ingest.batch import Batch
from ingest.columns import RawRows
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
        >>> import io
        >>> text = b"ts,value\n2026-03-01T06:00:00Z,1.5\n2026-03-01T07:00:00,2\n"
        >>> layout = UploadLayout("csv", series_key="load")
        >>> batch = next(read_batches(io.BytesIO(text), layout=layout))
        >>> batch.rows.num_rows, batch.rejected[0].row, batch.rejected[0].code
        (1, 2, 'time_without_offset')
    """
    return parse(FORMATS[layout.format](stream, layout), layout=layout)
