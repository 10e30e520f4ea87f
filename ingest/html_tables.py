"""Tables of web pages as grids of plain texts: spans filled, blanks made one."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ingest.charsets import charset
from ingest.exchange import Answer
from ingest.verdicts import Verdict

if TYPE_CHECKING:
    from lxml.html import HtmlElement

_LARGEST = 32 << 20
_MOST_CELLS = 1_000_000
_WIDEST_SPAN = 1_000  # browsers stop there as well
_SECTIONS = "./tr|./thead/tr|./tbody/tr"
_CELLS = ("td", "th")
_HEADINGS = "h1|h2|h3|h4|h5|h6"
_BLANK = re.compile(r"[\s\u00a0\u2007\u202f\u200b\ufeff]+")
_MINUS = re.compile(r"^[\u2212\u2012\u2013](?=[\d.,])")
_AWAY = re.compile(
    r"right back|maintenance|unavailable|try again|too many requests|overloaded",
    re.IGNORECASE,
)
_SHORT = 600  # characters of a page that has nothing but a notice


@dataclass(frozen=True)
class Row:
    """A row below the header.

    Attributes:
        number: of the rows below the header, from 1.
        cells: texts; a cell that spans columns or rows stands in all of them.
        note: whether a single cell fills the row.
    """

    number: int
    cells: tuple[str, ...]
    note: bool = False


@dataclass(frozen=True)
class Grid:
    """A table.

    Attributes:
        captions: its caption and the heading before it, as far as there are any.
        headers: one text a column; of several header rows, joined.
        rows: below the header; a table's foot is not among them.
    """

    captions: tuple[str, ...]
    headers: tuple[str, ...]
    rows: tuple[Row, ...]

    @property
    def fingerprint(self) -> str:
        """What changes when the header does."""
        return hashlib.sha256("\x1f".join(self.headers).encode()).hexdigest()[:16]


def plain_text(text: str) -> str:
    """Return text with single plain blanks, and a minus that is one.

    Example:
        >>> plain_text(" 1\u00a0234 "), plain_text("\u22123.5"), plain_text("- ")
        ('1 234', '-3.5', '-')
    """
    return _MINUS.sub("-", _BLANK.sub(" ", text).strip())


def grids(answer: Answer) -> tuple[Grid, ...] | Verdict:
    """Return all tables of a page, or the verdict on what is no page."""
    root = _parsed(answer)
    if isinstance(root, Verdict):
        return root
    found: list[Grid] = []
    budget = _MOST_CELLS
    for table in root.iter("table"):
        grid = _grid(table, budget)
        if grid is None:
            return Verdict("malformed", f"a table has more than {_MOST_CELLS} cells")
        budget -= sum(len(row.cells) for row in grid.rows)
        found.append(grid)
    notice = plain_text(root.text_content())
    if not found and len(notice) < _SHORT and _AWAY.search(notice):
        return Verdict("transient", notice[:300])
    return tuple(found)


def chosen(
    found: Sequence[Grid], *, caption: str | None, columns: Sequence[str]
) -> Grid | Verdict:
    """Return the one table that has the caption and the columns.

    Args:
        found: the tables of a page.
        caption: text in the caption or the heading before it, or None for any.
        columns: texts of headers, each of which has to be there once.

    Returns:
        The table; or ``schema_drift`` with what is there, if none or several fit.
    """
    titled = [
        grid
        for grid in found
        if caption is None
        or any(plain_text(caption).lower() in text.lower() for text in grid.captions)
    ]
    fitting = [
        grid
        for grid in titled
        if all(grid.headers.count(plain_text(name)) == 1 for name in columns)
    ]
    if len(fitting) == 1:
        return fitting[0]
    fault = f"{len(fitting)} tables fit" if fitting else "no table fits"
    there = "; ".join(", ".join(grid.headers[:20]) for grid in (titled or found)[:5])
    return Verdict("schema_drift", f"{fault}; there is: {there or 'no table'}"[:1_000])


def _parsed(answer: Answer) -> Any:
    """Return the root of a page, or the verdict on what cannot be read as one."""
    from lxml import etree, html  # noqa: PLC0415 - few sources are pages

    body = answer.body
    if len(body) > _LARGEST:
        return Verdict("malformed", f"the page has more than {_LARGEST} bytes")
    lowered = body.lower()
    if (
        lowered.rfind(b"<table") > lowered.rfind(b"</table")
        and b"</html" not in lowered
    ):
        return Verdict("transient", "the page is cut off inside a table")
    parser = html.HTMLParser(
        encoding=_encoding(answer, body), remove_comments=True, remove_pis=True
    )
    try:
        root = html.document_fromstring(body, parser=parser)
    except (etree.ParserError, etree.XMLSyntaxError, ValueError) as error:
        return Verdict("malformed", f"the page cannot be read: {error}")
    etree.strip_elements(root, "script", "style", "template", with_tail=False)
    _set_notes_apart(root)
    for line_break in root.iter("br"):
        line_break.tail = f" {line_break.tail or ''}"
    return root


def _set_notes_apart(root: Any) -> None:
    """Part raised marks from the numbers before them, which would be other numbers."""
    from lxml import etree  # noqa: PLC0415 - few sources are pages

    before = ""
    for event, element in etree.iterwalk(root, events=("start", "end")):
        if event == "start" and element.tag in _CELLS:
            before = ""
        if event == "start" and element.tag == "sup" and before.isdigit():
            element.text = f" {element.text or ''}"
        text = element.text if event == "start" else element.tail
        before = (text or "").rstrip()[-1:] or before


def _encoding(answer: Answer, body: bytes) -> str | None:
    """Return the declared charset, else UTF-8 if that is what the bytes are."""
    declared = charset(answer)
    if declared is not None:
        return declared
    try:
        body.decode()
    except UnicodeDecodeError:
        return None
    return "utf-8"


def _grid(table: "HtmlElement", most: int) -> Grid | None:
    """Return a table with its spans filled, or None if it is too large."""
    rows = table.xpath(_SECTIONS)
    lines = list(_filled(rows, most))
    if len(lines) < len(rows):
        return None
    tops = _header_rows(rows)
    headers = _headers([cells for cells, _ in lines[:tops]])
    below = (
        Row(number, tuple(cells), single)
        for number, (cells, single) in enumerate(lines[tops:], 1)
    )
    again = {tuple(cells) for cells, _ in lines[:tops]}
    kept = tuple(row for row in below if any(row.cells) and row.cells not in again)
    return Grid(tuple(_captions(table)), headers, kept)


def _filled(rows: Sequence[Any], most: int) -> Iterator[tuple[list[str], bool]]:
    """Yield the texts of each row, and whether one cell fills it; stops when full."""
    hanging: dict[int, tuple[str, int]] = {}
    total = 0
    for number, row in enumerate(rows):
        cells = row.xpath("./td|./th")
        line: list[str] = []
        for cell in cells:
            _hung(line, hanging)
            text = plain_text(cell.text_content())
            down = _span(cell, "rowspan", len(rows) - number)
            for _ in range(_span(cell, "colspan", _WIDEST_SPAN)):
                if down > 1:
                    hanging[len(line)] = (text, down - 1)
                line.append(text)
            if total + len(line) > most:
                return
        _hung(line, hanging)
        total += len(line)
        yield line, len(cells) == 1 and len(line) > 1


def _hung(line: list[str], hanging: dict[int, tuple[str, int]]) -> None:
    """Add the cells that hang down from rows above, where the line has come to."""
    while len(line) in hanging:
        at = len(line)
        text, left = hanging.pop(at)
        if left > 1:
            hanging[at] = (text, left - 1)
        line.append(text)


def _span(cell: Any, name: str, most: int) -> int:
    text = (cell.get(name) or "1").strip()
    if not re.fullmatch(r"\d{1,6}", text):
        return 1
    # A rowspan of 0 reaches down to the end of the table.
    wanted = int(text) or (most if name == "rowspan" else 1)
    return max(1, min(wanted, most))


def _header_rows(rows: Sequence[Any]) -> int:
    """Return how many rows are the header: the head, else those of header cells."""
    for kind in (_in_head, _of_headers):
        count = next((n for n, row in enumerate(rows) if not kind(row)), len(rows))
        if count:
            return count
    return 1 if rows else 0


def _in_head(row: Any) -> bool:
    return bool(row.getparent().tag == "thead")


def _of_headers(row: Any) -> bool:
    return bool(row.xpath("./th")) and not row.xpath("./td")


def _headers(lines: Sequence[Sequence[str]]) -> tuple[str, ...]:
    width = max(map(len, lines), default=0)
    columns = ([line[at] for line in lines if at < len(line)] for at in range(width))
    # A header that spans all its rows says the same in each of them.
    return tuple(" ".join(filter(None, dict.fromkeys(column))) for column in columns)


def _captions(table: "HtmlElement") -> Iterator[str]:
    headings = " or ".join(f"self::{name}" for name in _HEADINGS.split("|"))
    nearest = table.xpath(f"preceding::*[{headings}][1]")
    for one in (*table.xpath("./caption"), *nearest):
        yield plain_text(one.text_content())
