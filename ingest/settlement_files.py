"""Settlement files as they come: of either delimiter, with a header that varies."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ingest.cells import Cells, csv_cells, header_of
from ingest.contract import Page
from ingest.errors import InvalidFile
from ingest.exchange import Answer
from ingest.refusals import refusal
from ingest.settlements import Settlements, Shape, canonical, shape_of
from ingest.stream import TextBytes
from ingest.table_rows import ends, ends_short, header_cut, opened, unended
from ingest.verdicts import OK, Verdict, drift
from ingest.workbooks import workbook_cells

_PIPE = "|"
_END_OF_ZIP = b"PK\x05\x06"


@dataclass(frozen=True)
class SettlementText:
    """The body of an answer as a settlement file."""

    answer: Answer
    shapes: Sequence[Shape]
    zone: str
    values: frozenset[str] = frozenset()

    def page(self) -> Page:
        """Say what the file is, from its header, its end and its first rows."""
        try:
            with opened(self.answer, text=True) as stream:
                text = TextBytes(stream)
                first = text.look(1 << 12).split(b"\n", 1)[0]
                delimiter = _PIPE if _PIPE.encode() in first else ","
                header = header_of(text, delimiter)
                has_rows = bool(text.look(1).strip() or text.look(1 << 12).strip())
        except InvalidFile as error:
            return Page(_unreadable(self.answer, error))
        shape = shape_of(header, self.shapes)
        if shape is None:
            cut_off = refusal(self.answer) or header_cut(self.answer)
            return Page(cut_off or unknown(header, self.shapes))
        # Quotes tell whether a last cell is whole; pipes and headers do not.
        plain = delimiter == _PIPE or not has_rows
        if (plain and unended(self.answer)) or ends_short(self.answer, delimiter):
            return Page(Verdict("transient", "the last line is cut off"))
        if not has_rows:
            return Page(Verdict("empty", "a header without rows"))
        if not shape.stored:
            return Page(Verdict("ignored", "the rows of this file are no series"))
        return self._rows(header, shape, delimiter)

    def _rows(self, header: list[str], shape: Shape, delimiter: str) -> Page:
        names = [canonical(name) for name in header]
        news, _ = drift(names, required=shape.required, known=shape.optional)
        read = shape.required | (shape.optional - shape.known)
        chosen = {name: at for at, name in enumerate(names) if name in read}
        rows = Settlements(
            lambda: self._pieces(chosen, delimiter), shape, self.zone, self.values
        )
        try:
            next(iter(rows), None)
        except InvalidFile as error:
            return Page(Verdict("malformed", error.detail))
        return Page(OK, rows, drift=news)

    def _pieces(self, chosen: Mapping[str, int], delimiter: str) -> Iterator[Cells]:
        with opened(self.answer, text=True) as stream:
            yield from csv_cells(
                stream,
                delimiter=delimiter,
                choose=lambda _header: chosen,
                quoted=delimiter != _PIPE,
            )


def _unreadable(answer: Answer, error: InvalidFile) -> Verdict:
    """Return whether what is no text is cut off or empty, or another kind of file."""
    passing = isinstance(error.__cause__, EOFError) or not ends(answer)[2]
    return Verdict("transient" if passing else "malformed", error.detail)


def unknown(header: Sequence[str], shapes: Sequence[Shape]) -> Verdict:
    """Return the verdict on a header of no shape: what the closest one lacks."""
    names = [canonical(name) for name in header]
    closest = max(shapes, key=lambda one: len(one.required & set(names)))
    _, found = drift(names, required=closest.required, known=frozenset())
    return found or Verdict("schema_drift", "the header is not known")


def workbook_page(
    answer: Answer, shapes: Sequence[Shape], zone: str, values: frozenset[str]
) -> Page:
    """Say what an Excel workbook is, and return its rows."""
    if _END_OF_ZIP not in ends(answer)[1]:
        return Page(Verdict("transient", "the end of the workbook is missing"))
    try:
        header, pieces = workbook_cells(answer)
    except InvalidFile as error:
        return Page(Verdict("malformed", error.detail))
    shape = shape_of(header, shapes)
    if shape is None:
        return Page(unknown(header, shapes))
    cells = tuple(pieces)
    if not cells:
        return Page(Verdict("empty", "a header without rows"))
    if not shape.stored:
        return Page(Verdict("ignored", "the rows of this file are no series"))
    return Page(OK, Settlements(lambda: cells, shape, zone, values))
