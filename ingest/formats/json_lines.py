"""NDJSON: one JSON object a line; row n stands in line n.

Arrow has a reader of its own, but in version 26.0.1 a line that is just ``null`` ends
the process, and an uploaded file must not be able to do that.
"""

import json
from collections.abc import Iterator
from typing import Any, BinaryIO

import orjson

from ingest.batch import Rejected
from ingest.columns import RawRows
from ingest.errors import InvalidFile
from ingest.layout import UploadLayout, check_columns
from ingest.records import raw_records
from ingest.stream import TextBytes

_CHUNK = 1 << 20
_QUOTED = 300  # bytes of a bad line that are kept
_LONGEST_LINE = 1 << 24
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
        yield _read(lines, row, layout)
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


def _read(lines: list[bytes], row: int, layout: UploadLayout) -> RawRows:
    numbers = list(range(row, row + len(lines)))
    try:
        records: list[Any] = list(map(orjson.loads, lines))
    except orjson.JSONDecodeError:
        filled = [(at, line) for at, line in enumerate(lines, row) if line.strip()]
        numbers = [at for at, _ in filled]
        records = [_rejected_or_record(at, line) for at, line in filled]
    return raw_records(records, layout=layout, numbers=numbers, offset=0)


def _rejected_or_record(row: int, line: bytes) -> Any:
    record = _decoded(line)
    if isinstance(record, json.JSONDecodeError):
        return Rejected(row, "malformed_row", f"line {row}: {record}", _start(line))
    return record


def _start(line: bytes) -> str:
    """Return the beginning of a line, for people who look for what is wrong with it."""
    return line[:_QUOTED].decode(errors="replace").strip()


def _decoded(line: bytes) -> Any:
    """Return the decoded line, which may say NaN, or the reason why it is none."""
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        return error
