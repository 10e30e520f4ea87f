"""CSV: a header line, then rows of cells; row n stands in line n + 1.

A blank line, and a row that is empty in all declared columns, says nothing: it keeps
its number and is passed over. A row with a line break inside quotes counts as one line.
"""

import csv
import re
from collections import deque
from collections.abc import Iterator
from functools import reduce
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv

from ingest.batch import Rejected
from ingest.columns import RawRows
from ingest.errors import InvalidFile
from ingest.layout import UploadLayout, check_columns
from ingest.stream import TextBytes

_BLOCK = 1 << 20
_QUOTED = 300  # characters of a bad line that are kept
_HEADER_LIMIT = 1 << 20
_LINE_END = re.compile(rb"\r\n|\n|\r(?!$)")
_LOOKS_LIKE_DATA = re.compile(r"[+-]?\d+([.,]\d+)?|\d{4}-\d{2}-\d{2}.*")


def read_delimited(stream: BinaryIO, layout: UploadLayout) -> Iterator[RawRows]:
    """Yield the declared columns as texts, some ten thousand rows at a time.

    Raises:
        InvalidFile: empty, not UTF-8, or not to be cut into rows.
        InvalidLayout: a declared column is not in the header.
    """
    text = TextBytes(stream)
    header = _read_header(text, layout)
    check_columns(header, layout, hint=_hint(header, layout))
    if not text.look(1):
        return
    names = [str(number) for number in range(len(header))]
    wanted = [names[header.index(column)] for column in layout.columns]
    malformed: deque[arrow_csv.InvalidRow] = deque()
    rows = _Numbering()
    try:
        for batch in _open(text, names, wanted, malformed, layout):
            yield rows.numbered(batch, wanted, malformed)
    except pa.ArrowInvalid as error:
        message = f"the CSV cannot be cut into rows after row {rows.done}: {error}"
        raise InvalidFile(message) from error
    if malformed:
        empty = pa.RecordBatch.from_pydict({name: [] for name in wanted}).cast(
            pa.schema([(name, pa.string()) for name in wanted])
        )
        yield rows.numbered(empty, wanted, malformed)


def _read_header(text: TextBytes, layout: UploadLayout) -> list[str]:
    size = 1 << 12
    while True:
        head = text.look(size)
        for end in _LINE_END.finditer(head):
            if head[: end.start()].count(b'"') % 2 == 0:
                line = text.read(end.end())
                return _cells(line, layout)
        if len(head) < size:
            return _cells(text.read(), layout)
        if size > _HEADER_LIMIT:
            message = f"the header line does not end within {_HEADER_LIMIT} bytes"
            raise InvalidFile(message)
        size *= 2


def _cells(line: bytes, layout: UploadLayout) -> list[str]:
    lines = line.decode().splitlines(keepends=True)
    row = next(csv.reader(lines, delimiter=layout.delimiter), [])
    return [cell.strip() for cell in row]


def _hint(header: list[str], layout: UploadLayout) -> str:
    if any(_LOOKS_LIKE_DATA.fullmatch(cell) for cell in header):
        return "; is there no header line? The first line must name the columns"
    if len(header) == 1:
        for other in ";\t|,":
            if other != layout.delimiter and other in header[0]:
                return f"; is the delimiter {other!r}?"
    return ""


def _open(
    text: TextBytes,
    names: list[str],
    wanted: list[str],
    malformed: "deque[arrow_csv.InvalidRow]",
    layout: UploadLayout,
) -> arrow_csv.CSVStreamingReader:
    def skip(row: arrow_csv.InvalidRow) -> str:
        malformed.append(row)
        return "skip"

    return arrow_csv.open_csv(
        text,
        # One thread: only then does Arrow know the numbers of malformed rows.
        read_options=arrow_csv.ReadOptions(
            use_threads=False, block_size=_BLOCK, column_names=names
        ),
        parse_options=arrow_csv.ParseOptions(
            delimiter=layout.delimiter,
            newlines_in_values=True,
            ignore_empty_lines=False,
            invalid_row_handler=skip,
        ),
        convert_options=arrow_csv.ConvertOptions(
            include_columns=wanted,
            column_types=dict.fromkeys(wanted, pa.string()),
            strings_can_be_null=False,
            check_utf8=False,
        ),
    )


class _Numbering:
    """Gives rows their numbers, stepping over the malformed ones."""

    def __init__(self) -> None:
        self.done = 0
        self._skipped: deque[int] = deque()

    def numbered(
        self,
        batch: pa.RecordBatch,
        wanted: list[str],
        malformed: "deque[arrow_csv.InvalidRow]",
    ) -> RawRows:
        rejected = tuple(_rejected(row) for row in malformed)
        # Arrow parses ahead, so some of these may belong to a later batch.
        self._skipped.extend(row.number for row in malformed)
        malformed.clear()
        numbers = self._take(batch.num_rows)
        columns = [batch.column(name) for name in wanted]
        blank = reduce(pc.and_, (pc.equal(column, "") for column in columns))
        if pc.any(blank, min_count=0).as_py():
            filled = pc.invert(blank)
            columns = [column.filter(filled) for column in columns]
            numbers = numbers.filter(filled)
        *key, ts, value = columns
        return RawRows(key[0] if key else None, ts, value, numbers, rejected, offset=1)

    def _take(self, count: int) -> pa.Array:
        pieces = [pa.array([], pa.int64())]
        while count:
            while self._skipped and self._skipped[0] == self.done + 1:
                self.done = self._skipped.popleft()
            room = self._skipped[0] - self.done - 1 if self._skipped else count
            size = min(count, room)
            pieces.append(pa.arange(self.done + 1, self.done + 1 + size))
            self.done += size
            count -= size
        return pa.concat_arrays(pieces)


def _rejected(row: arrow_csv.InvalidRow) -> Rejected:
    open_quote = "\n" in row.text and row.text.count('"') % 2
    hint = "; is a quote left open?" if open_quote else ""
    return Rejected(
        row.number,
        "malformed_row",
        f"line {row.number + 1}: {row.actual_columns} cells where the header has "
        f"{row.expected_columns}{hint}",
        row.text[:_QUOTED],
    )
