"""The body of an answer as a declared table: judged at once, read row by row later."""

import codecs
import csv
import io
import itertools
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO, cast

from ingest.batch import Batch
from ingest.cells import (
    ROWS_AT_ONCE,
    Cells,
    arrow_cells,
    by_name,
    csv_cells,
    header_of,
    parquet_cells,
)
from ingest.charsets import charset
from ingest.errors import InvalidFile, InvalidLayout
from ingest.exchange import Answer
from ingest.json_rows import check_names, line_cells, record_cells, rows_at
from ingest.refusals import refusal, refused
from ingest.stream import TextBytes
from ingest.table_cells import batches
from ingest.table_layout import TableFormat, TableLayout
from ingest.verdicts import OK, Class, Verdict, decoded, general, markup

_TAIL = 1 << 16
_SAMPLE = 100
_GZIP = b"\x1f\x8b"
_PARQUET = (b"PAR1", b"PARE")


@dataclass(frozen=True)
class TableBody:
    """One body; iterating it reads its rows, as often as one likes.

    Attributes:
        answer: that carries it.
        format: how it is written.
        layout: what its columns are.
        moment: the time of rows without a time of their own.
        rows_path: where the rows lie in JSON.
        document: the JSON decoded already, or None.
    """

    answer: Answer
    format: TableFormat
    layout: TableLayout
    moment: datetime
    rows_path: str = ""
    document: Any = None

    def __iter__(self) -> Iterator[Batch]:
        return batches(self.pieces(), layout=self.layout, moment=self.moment)

    def pieces(self) -> Iterator[Cells]:
        """Yield the table as cells.

        Raises:
            InvalidFile: the body cannot be read on.
            InvalidLayout: it is not the declared table.
        """
        if self.format == "json":
            yield from self._from_records()
            return
        layout = self.layout
        with opened(self.answer, text=self.format in ("csv", "ndjson")) as stream:
            if self.format == "csv":
                choose = by_name(layout.columns)
                yield from csv_cells(stream, delimiter=layout.delimiter, choose=choose)
            elif self.format == "ndjson":
                yield from line_cells(
                    stream, texts=layout.texts, values=layout.value_columns
                )
            elif self.format == "parquet":
                yield from parquet_cells(stream, choose=by_name(layout.columns))
            else:
                yield from arrow_cells(stream, choose=by_name(layout.columns))

    def _records(self) -> list[Any]:
        found = self.document
        if found is None:
            found = decoded(self.answer)
        if isinstance(found, Verdict):
            raise InvalidFile(found.detail)
        return rows_at(found, self.rows_path)

    def _from_records(self) -> Iterator[Cells]:
        records = self._records()
        check_names(records, self.layout.columns)
        texts, values = self.layout.texts, self.layout.value_columns
        # A short piece first: that is all it takes to judge the body.
        edges = [0, *range(_SAMPLE, len(records), ROWS_AT_ONCE), len(records)]
        for first, end in itertools.pairwise(edges):
            if piece := records[first:end]:
                numbers = range(first + 1, end + 1)
                yield record_cells(piece, texts=texts, values=values, numbers=numbers)

    @property
    def count(self) -> int:
        """How many rows the body holds, good and bad."""
        if self.format == "json":
            return len(self._records())
        return sum(cells.count for cells in self.pieces())

    def verdict(self) -> Verdict:
        """Say what the body is, from its status, its end and its first rows."""
        if (found := general(self.answer) or markup(self.answer)) is not None:
            return found
        return self._cut_off() or self._first_rows()

    def _first_rows(self) -> Verdict:
        try:
            first = next(self.pieces(), None)
            if first is not None:
                next(batches([first], layout=self.layout, moment=self.moment), None)
        except InvalidLayout as error:
            cut_off = header_cut(self.answer) if self.format == "csv" else None
            drifted = cut_off or Verdict("schema_drift", error.detail)
            return self._refused() or drifted
        except InvalidFile as error:
            cut_short = isinstance(error.__cause__, EOFError)
            cls: Class = "transient" if cut_short else "malformed"
            return self._refused() or Verdict(cls, error.detail)
        return OK if first is not None else self._without_rows()

    def _without_rows(self) -> Verdict:
        """Return the verdict on no rows: there are none, or there is an error."""
        bad = self._refused() if self.format == "json" else None
        return bad or Verdict("empty", "a table without rows")

    def _refused(self) -> Verdict | None:
        """Return what an error says that came instead of the table."""
        if self.format != "json":
            return refusal(self.answer)
        found = self.document
        return refused(decoded(self.answer) if found is None else found)

    def _cut_off(self) -> Verdict | None:
        head, tail, size = ends(self.answer)
        if size == 0:
            return _nothing(self.format)
        if self.format == "json":
            found = self.document
            found = decoded(self.answer) if found is None else found
            return found if isinstance(found, Verdict) else None
        if self.format == "parquet" and not tail.endswith(_PARQUET):
            missing = Verdict("transient", "the end of the Parquet file is missing")
            return refusal(self.answer) or missing
        if self.format == "csv" and ends_short(self.answer, self.layout.delimiter):
            return Verdict("transient", "the last line is cut off")
        if self.format == "ndjson" and head != _GZIP:
            last = tail[tail.rfind(b"\n") + 1 :]
            if isinstance(_line(last), Verdict):
                return Verdict("transient", "the last line is cut off")
        return None


def ends_short(answer: Answer, delimiter: str) -> bool:
    """Return whether a CSV file's last line has no end and lacks cells.

    A source that declares the length of a body sent all of it: then a short last line
    is the file's own, and only that row is bad.
    """
    head, tail, size = ends(answer)
    wide = (charset(answer) or "").startswith("utf-")  # its line ends are no bytes
    if head == _GZIP or wide or tail.endswith((b"\n", b"\r")):
        return False
    last = re.split(rb"[\r\n]", tail)[-1]
    if "content-length" in answer.headers or len(last) == size:
        return False
    if last.count(b'"') % 2:
        return _ends_in_quotes(answer)
    try:
        with opened(answer, text=True) as stream:
            header = header_of(TextBytes(stream), delimiter)
        line = last.decode(charset(answer) or "utf-8", errors="replace")
        cells = next(csv.reader([line], delimiter=delimiter), [])
    except (InvalidFile, csv.Error):
        return False  # what is wrong with it is said by who reads it
    return len(cells) < len(header)


def unended(answer: Answer) -> bool:
    """Return whether the last line of a text has no end, and no length was declared.

    For files that programs write, which end every line.
    """
    head, tail, _ = ends(answer)
    if head in (_GZIP, b"PK") or "content-length" in answer.headers:
        return False
    return not tail.rstrip(b"\0").endswith((b"\n", b"\r"))


def header_cut(answer: Answer) -> Verdict | None:
    """Return the verdict on a text of one line that has no end, else None.

    For headers that lack something: they may have broken off before it.
    """
    head, _, size = ends(answer)
    if head == _GZIP or size > _TAIL or "content-length" in answer.headers:
        return None
    ended = re.search(rb"[\r\n]", answer.body)
    return None if ended else Verdict("transient", "the header is cut off")


def _ends_in_quotes(answer: Answer) -> bool:
    """Return whether the last quote of a text opens a cell that nothing closes."""
    with answer.open() as stream:
        pieces = iter(lambda: stream.read(_TAIL), b"")
        return sum(piece.count(b'"') for piece in pieces) % 2 == 1


def _nothing(form: TableFormat) -> Verdict:
    if form == "ndjson":
        return Verdict("empty", "no lines")
    return Verdict("transient", "there is nothing in the body")


def _line(line: bytes) -> Any:
    try:
        return json.loads(line) if line.strip() else None
    except (ValueError, RecursionError):
        return Verdict("transient")


def ends(answer: Answer) -> tuple[bytes, bytes, int]:
    """Return the first two bytes of a body, its last 64 KiB, and its size."""
    with answer.open() as stream:
        head = stream.read(2)
        size = stream.seek(0, io.SEEK_END)
        stream.seek(max(0, size - _TAIL))
        return head, stream.read(), size


@contextmanager
def opened(answer: Answer, *, text: bool) -> Iterator[BinaryIO]:
    """Open a body; text of another charset is read as UTF-8."""
    name = charset(answer) if text else None
    with answer.open() as stream:
        packed = stream.read(2) == _GZIP
        stream.seek(0)
        if name is None or packed:
            yield stream
        else:
            yield cast("BinaryIO", _Utf8(stream, name))


class _Utf8(io.RawIOBase):
    """A reader that turns text of another charset into UTF-8."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        super().__init__()
        self._stream = stream
        self._name = name
        self._decoder = codecs.getincrementaldecoder(name)()
        self._ahead = b""

    def read(self, size: int = -1) -> bytes:
        """Return up to ``size`` bytes; fewer only at the end.

        Raises:
            InvalidFile: the bytes are not text of the charset.
        """
        while size < 0 or len(self._ahead) < size:
            piece = self._stream.read(_TAIL)
            try:
                text = self._decoder.decode(piece, final=not piece)
            except UnicodeError as error:
                message = f"the body is not {self._name} text: {error}"
                raise InvalidFile(message) from error
            self._ahead += text.encode()
            if not piece:
                break
        cut = len(self._ahead) if size < 0 else size
        found, self._ahead = self._ahead[:cut], self._ahead[cut:]
        return found
