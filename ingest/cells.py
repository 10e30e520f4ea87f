"""Tables of any columns: cells as they stand, a piece at a time, without roles yet.

The readers of uploads know a key, a time and a value. Files of sources have keys of
many columns and many values a row, so here a piece is simply its columns by name.
"""

import csv
import itertools
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq

from ingest.batch import Rejected
from ingest.columns import is_text
from ingest.errors import InvalidFile, InvalidLayout
from ingest.stream import TextBytes

ROWS_AT_ONCE = 65_536
_BLOCK = 1 << 20
_QUOTED = 300  # characters of a bad line that are kept
_LONGEST_HEADER = 1 << 20


@dataclass(frozen=True)
class Cells:
    """A piece of a table.

    Attributes:
        columns: by name; texts, or what a typed format holds.
        row_no: 1-based rows of the file, ascending.
        rejected: rows that could not be cut into cells.
        offset: line minus row of a text file, None where there are no lines.
        typed: whether the format itself says which columns are texts.
    """

    columns: Mapping[str, pa.Array]
    row_no: pa.Array
    rejected: tuple[Rejected, ...] = ()
    offset: int | None = None
    typed: bool = False

    @property
    def count(self) -> int:
        """How many rows the source sent in this piece, good and bad."""
        return len(self.row_no) + len(self.rejected)


Choose = Callable[[list[str]], Mapping[str, int]]
"""Takes the names of a header and returns which columns to read, under which names."""


def by_name(wanted: Sequence[str]) -> Choose:
    """Return the choice of columns by their own names.

    Raises:
        InvalidLayout: one is missing or there twice; when the choice is made.
    """

    def choose(header: list[str]) -> Mapping[str, int]:
        for name in wanted:
            if header.count(name) != 1:
                fault = "is there more than once" if name in header else "is missing"
                there = ", ".join(map(repr, header[:50]))
                message = f"column {name!r} {fault}; there is: {there}"
                raise InvalidLayout(message)
        return {name: header.index(name) for name in wanted}

    return choose


def header_of(text: TextBytes, delimiter: str) -> list[str]:
    """Take the header off a text.

    Raises:
        InvalidFile: it does not end.
    """
    size = 1 << 12
    while True:
        head = text.look(size)
        for end in re.finditer(rb"\r\n|\n|\r(?!$)", head):
            if head[: end.start()].count(b'"') % 2 == 0:
                return _split(text.read(end.end()), delimiter)
        if len(head) < size:
            return _split(text.read(), delimiter)
        if size > _LONGEST_HEADER:
            message = f"the header line does not end within {_LONGEST_HEADER} bytes"
            raise InvalidFile(message)
        size *= 2


def _split(line: bytes, delimiter: str) -> list[str]:
    lines = line.decode().splitlines(keepends=True)
    try:
        cells = next(csv.reader(lines, delimiter=delimiter), [])
    except csv.Error as error:
        message = f"the header line cannot be cut into cells: {error}"
        raise InvalidFile(message) from error
    return [cell.strip() for cell in cells]


def csv_cells(
    stream: BinaryIO, *, delimiter: str, choose: Choose, quoted: bool = True
) -> Iterator[Cells]:
    """Yield chosen columns of a CSV file as texts, a mebibyte at a time.

    A row that is empty in all chosen columns says nothing: it keeps its number and is
    passed over.

    Args:
        stream: at its beginning; may be packed with gzip.
        delimiter: between cells.
        choose: picks the columns.
        quoted: whether cells may stand in quotes; where not, a quote is a letter.

    Raises:
        InvalidFile: empty, not UTF-8, or not to be cut into rows.
        InvalidLayout: a column is not there.
    """
    text = TextBytes(stream)
    header = header_of(text, delimiter)
    chosen = choose(header)
    if not text.look(1):
        return
    malformed: deque[arrow_csv.InvalidRow] = deque()

    def skip(row: arrow_csv.InvalidRow) -> str:
        malformed.append(row)
        return "skip"

    names = [str(number) for number in range(len(header))]
    numbers = _Numbers()
    try:
        reader = _open(
            text,
            names,
            sorted({names[number] for number in chosen.values()}),
            arrow_csv.ParseOptions(
                delimiter=delimiter,
                quote_char='"' if quoted else False,
                newlines_in_values=quoted,
                ignore_empty_lines=False,
                invalid_row_handler=skip,
            ),
        )
        for piece in itertools.chain(reader, [None]):
            if piece is not None or malformed:
                yield numbers.cells(piece, chosen, malformed)
    except pa.ArrowInvalid as error:
        message = f"the CSV cannot be cut into rows after row {numbers.done}: {error}"
        raise InvalidFile(message) from error


def _open(
    text: TextBytes,
    names: list[str],
    wanted: list[str],
    options: arrow_csv.ParseOptions,
) -> arrow_csv.CSVStreamingReader:
    return arrow_csv.open_csv(
        text,
        # One thread: only then does Arrow know the numbers of malformed rows.
        read_options=arrow_csv.ReadOptions(
            use_threads=False, block_size=_BLOCK, column_names=names
        ),
        parse_options=options,
        convert_options=arrow_csv.ConvertOptions(
            include_columns=wanted,
            column_types=dict.fromkeys(wanted, pa.string()),
            strings_can_be_null=False,
            check_utf8=False,
        ),
    )


class _Numbers:
    """Gives rows their numbers, stepping over the malformed ones."""

    def __init__(self) -> None:
        self.done = 0
        self._skipped: deque[int] = deque()

    def cells(
        self,
        piece: pa.RecordBatch | None,
        chosen: Mapping[str, int],
        malformed: "deque[arrow_csv.InvalidRow]",
    ) -> Cells:
        rejected = tuple(map(_rejected, malformed))
        # Arrow parses ahead, so some of these may belong to a later piece.
        self._skipped.extend(row.number for row in malformed)
        malformed.clear()
        if piece is None:
            none = pa.array([], pa.string())
            columns = dict.fromkeys(chosen, none)
            return Cells(columns, pa.array([], pa.int64()), rejected, offset=1)
        columns = {name: piece.column(str(number)) for name, number in chosen.items()}
        numbers = self._take(piece.num_rows)
        blank = reduce(pc.and_, (pc.equal(cells, "") for cells in columns.values()))
        if pc.any(blank, min_count=0).as_py():
            filled = pc.invert(blank)
            columns = {name: cells.filter(filled) for name, cells in columns.items()}
            numbers = numbers.filter(filled)
        return Cells(columns, numbers, rejected, offset=1)

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


def parquet_cells(stream: BinaryIO, *, choose: Choose) -> Iterator[Cells]:
    """Yield chosen columns of a Parquet file; the stream must be seekable.

    Raises:
        InvalidFile: not a Parquet file, or damaged.
        InvalidLayout: a column is not there.
    """
    try:
        table = pq.ParquetFile(stream, pre_buffer=False)
        chosen = choose(table.schema_arrow.names)
        pieces = table.iter_batches(
            ROWS_AT_ONCE, columns=list(chosen), use_threads=False
        )
        yield from _typed(pieces, chosen)
    except (pa.ArrowException, OSError, EOFError) as error:
        message = f"the file is not a whole Parquet file: {error}"
        raise InvalidFile(message) from error


def arrow_cells(stream: BinaryIO, *, choose: Choose) -> Iterator[Cells]:
    """Yield chosen columns of an Arrow IPC stream or file.

    Raises:
        InvalidFile: neither of the two, or damaged.
        InvalidLayout: a column is not there.
    """
    try:
        magic = stream.read(6)
        stream.seek(0)
        if magic == b"ARROW1":
            file = pa.ipc.open_file(stream)
            pieces = (file.get_batch(i) for i in range(file.num_record_batches))
            names = file.schema.names
        else:
            pieces = pa.ipc.open_stream(stream)
            names = pieces.schema.names
        yield from _typed(pieces, choose(names))
    except (pa.ArrowException, OSError, EOFError) as error:
        message = f"the file is not a whole Arrow stream: {error}"
        raise InvalidFile(message) from error


def _typed(
    pieces: Iterator[pa.RecordBatch], chosen: Mapping[str, int]
) -> Iterator[Cells]:
    row = 1
    for whole in pieces:
        for first in range(0, whole.num_rows, ROWS_AT_ONCE):
            piece = whole.slice(first, ROWS_AT_ONCE)
            columns = {name: _plain(piece.column(name)) for name in chosen}
            yield Cells(columns, pa.arange(row, row + piece.num_rows), typed=True)
            row += piece.num_rows


def _plain(column: pa.Array) -> pa.Array:
    # Arrow trusts the offsets in a file; a hostile one would read foreign memory.
    column.validate(full=True)
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column.cast(pa.string()) if is_text(column.type) else column
