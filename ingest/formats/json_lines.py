"""NDJSON: one JSON object a line; row n stands in line n.

Arrow has a reader of its own, but in version 26.0.1 a line that is just ``null`` ends
the process, and an uploaded file must not be able to do that.
"""

from collections.abc import Iterator
from typing import BinaryIO

from ingest.columns import RawRows
from ingest.errors import InvalidFile
from ingest.json_rows import decoded, lines_of, records_of
from ingest.layout import UploadLayout, check_columns
from ingest.records import raw_records
from ingest.stream import TextBytes

_SAMPLE = 100  # lines in which each declared column must occur


def read_json_lines(stream: BinaryIO, layout: UploadLayout) -> Iterator[RawRows]:
    """Yield the declared members of the objects, about a mebibyte of lines at a time.

    Raises:
        InvalidFile: empty, not UTF-8, or an endless line.
        InvalidLayout: the first lines hold no member of a declared name.
    """
    row = 1
    for lines in lines_of(TextBytes(stream)):
        if row == 1:
            _check_members(lines[:_SAMPLE], layout)
        numbers, records = records_of(lines, row)
        yield raw_records(records, layout=layout, numbers=numbers, offset=0)
        row += len(lines)


def _check_members(lines: list[bytes], layout: UploadLayout) -> None:
    first = next((line for line in lines if line.strip()), b"")
    present: dict[str, None] = {}
    for line in lines:
        record = decoded(0, line)
        if isinstance(record, dict):
            present.update(dict.fromkeys(record))
    if not present and first:
        message = (
            "the first lines are not JSON objects, one in each line: "
            f"{first[:80].decode(errors='replace')!r}"
        )
        raise InvalidFile(message)
    if present:
        check_columns(list(present), layout)
