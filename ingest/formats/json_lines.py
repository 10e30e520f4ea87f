"""NDJSON: one JSON object a line; row n stands in line n."""

import io
import json
from collections.abc import Iterator
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.json as arrow_json

from ingest.batch import Rejected
from ingest.columns import RawRows
from ingest.errors import InvalidFile
from ingest.layout import UploadLayout, check_columns
from ingest.records import raw_records
from ingest.stream import TextBytes

_CHUNK = 1 << 20
_LONGEST_LINE = 1 << 24
_FEW = 64  # lines that are cheaper to read one by one than to halve again
_SAMPLE = 100  # lines in which each declared column must occur


def read_json_lines(stream: BinaryIO, layout: UploadLayout) -> Iterator[RawRows]:
    """Yield the declared members of the objects, about a mebibyte of lines at a time.

    Raises:
        InvalidFile: empty, not UTF-8, or an endless line.
        InvalidLayout: the first lines hold no member of a declared name.
    """
    row = 1
    for lines in _chunks(TextBytes(stream)):
        if row == 1:
            _check_members(lines[:_SAMPLE], layout)
        yield from _read(lines, row, layout)
        row += len(lines)


def _chunks(text: TextBytes) -> Iterator[list[bytes]]:
    rest = b""
    while data := text.read(_CHUNK):
        body, end, tail = data.rpartition(b"\n")
        if not end:
            rest += data
            if len(rest) > _LONGEST_LINE:
                message = f"a line does not end within {_LONGEST_LINE} bytes"
                raise InvalidFile(message)
            continue
        yield (rest + body).split(b"\n")
        rest = tail
    if rest:
        yield [rest]


def _check_members(lines: list[bytes], layout: UploadLayout) -> None:
    first = next((line for line in lines if line.strip()), b"")
    present: dict[str, None] = {}
    for record in map(_decoded, lines):
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


def _read(lines: list[bytes], row: int, layout: UploadLayout) -> Iterator[RawRows]:
    """Read lines as columns; where that fails, narrow down on the lines to blame."""
    try:
        table = _columns(lines, layout)
    except (pa.ArrowInvalid, UnicodeDecodeError):
        table = None
    if table is not None and table.num_rows == len(lines):
        *key, ts, value = (
            table.column(name).combine_chunks() for name in layout.columns
        )
        numbers = pa.arange(row, row + len(lines))
        yield RawRows(key[0] if key else None, ts, value, numbers, offset=0)
    elif len(lines) <= _FEW:
        yield _one_by_one(lines, row, layout)
    else:
        half = len(lines) // 2
        yield from _read(lines[:half], row, layout)
        yield from _read(lines[half:], row + half, layout)


def _columns(lines: list[bytes], layout: UploadLayout) -> pa.Table:
    *key, ts, value = layout.columns
    schema = pa.schema(
        [(name, pa.string()) for name in (*key, ts)] + [(value, pa.float64())]
    )
    body = b"\n".join(lines)
    return arrow_json.read_json(
        io.BytesIO(body),
        read_options=arrow_json.ReadOptions(
            use_threads=False, block_size=len(body) + 1
        ),
        parse_options=arrow_json.ParseOptions(
            explicit_schema=schema, unexpected_field_behavior="ignore"
        ),
    )


def _one_by_one(lines: list[bytes], row: int, layout: UploadLayout) -> RawRows:
    pairs = [
        (number, _decoded(line))
        for number, line in enumerate(lines, row)
        if line.strip()
    ]
    records = [
        Rejected(number, "malformed_row", f"line {number}: {record}")
        if isinstance(record, json.JSONDecodeError)
        else record
        for number, record in pairs
    ]
    numbers = [number for number, _ in pairs]
    return raw_records(records, layout=layout, numbers=numbers, offset=0)


def _decoded(line: bytes) -> Any:
    """Return the decoded line, or the reason why it is none."""
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        return error
