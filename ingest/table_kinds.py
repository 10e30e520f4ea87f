"""What a body that was declared as JSON plainly is instead."""

import csv
import re

import orjson

from ingest.exchange import Answer
from ingest.packed import unpacked
from ingest.table_layout import TableFormat
from ingest.verdicts import Verdict, words

_HEAD = 65_536
_MAGIC: dict[bytes, TableFormat] = {b"PAR1": "parquet", b"ARROW1": "arrow"}
_TYPES: dict[str, TableFormat] = {
    "text/csv": "csv",
    "application/csv": "csv",
    "text/tab-separated-values": "csv",
    "application/x-ndjson": "ndjson",
    "application/ndjson": "ndjson",
    "application/jsonl": "ndjson",
    "application/x-jsonlines": "ndjson",
}
_MARKS = ",;\t|"
_NUMBER = re.compile(r"[+-]?\d+([.,]\d+)*([eE][+-]?\d+)?|\d{4}-\d\d-\d\d.{0,30}")
_SAMPLE = 20


def misdeclared(answer: Answer) -> Verdict | None:
    r"""Return the verdict on a table that came where JSON was declared, else None.

    Its first bytes tell, or its media type if it does not begin as JSON or a page.

    Example:
        >>> from datetime import UTC, datetime
        >>> answer = Answer(200, {}, datetime.now(UTC), b"t,v\n2026-01-01,5\n")
        >>> misdeclared(answer).cls
        'config'
    """
    with unpacked(answer).open() as stream:
        head = stream.read(_HEAD)
    found = _kind(head) or _typed(answer.media_type, head)
    if found is None:
        return None
    detail = f"the answer is {found}, not json: set format: {found} in the config"
    first = head.strip().partition(b"\n")[0]
    begins = "" if found in _MAGIC.values() else words(first)
    return Verdict("config", f"{detail}; it begins: {begins}" if begins else detail)


def _kind(head: bytes) -> TableFormat | None:
    for magic, name in _MAGIC.items():
        if head.startswith(magic):
            return name
    lines = head.decode("utf-8-sig", errors="replace").splitlines()
    # The last line may be cut off by the end of what is looked at.
    if len(head) == _HEAD:
        lines = lines[:-1]
    first = [line for line in lines if line.strip()][:_SAMPLE]
    if len(first) < 2:  # noqa: PLR2004 - a header and a row
        return None
    if all(_is_object(line) for line in first[:2]):
        return "ndjson"
    return "csv" if any(_is_csv(first, mark) for mark in _MARKS) else None


def _typed(media_type: str, head: bytes) -> TableFormat | None:
    found = _TYPES.get(media_type)
    begin = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if found == "ndjson":
        return found if begin == b"{" and b"\n{" in head else None
    return None if begin in (b"[", b"{", b"<", b"") else found


def _is_object(line: str) -> bool:
    try:
        return isinstance(orjson.loads(line), dict)
    except orjson.JSONDecodeError:
        return False


def _is_csv(lines: list[str], mark: str) -> bool:
    """Return whether names stand over a row of as many cells with a number or day."""
    try:
        header, *rows = csv.reader(lines, delimiter=mark)
    except (csv.Error, ValueError):
        return False
    told = [row for row in rows if len(row) == len(header) and _has_number(row)]
    return len(header) > 1 and bool(told) and not _has_number(header)


def _has_number(row: list[str]) -> bool:
    return any(_NUMBER.fullmatch(cell.strip()) for cell in row)
