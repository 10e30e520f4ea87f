"""Grid-India's daily report of the power supply position: rows found by their labels.

Sections move and rows come and go each year, so nothing is read by its number.
"""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ingest.contract import local_key
from ingest.exchange import Answer
from ingest.indian_texts import plain, ungrouped
from ingest.packed import unpacked
from ingest.table_rows import unended
from ingest.verdicts import Verdict, drift
from ingest.workbooks import BROKEN, check_size

REGIONS: Mapping[str, str] = {
    "nr": "nr",
    "wr": "wr",
    "sr": "sr",
    "er": "er",
    "ner": "ner",
    "total": "total",
    "all india": "total",
}
_FEWEST = 3  # regions that make a row the header of a section
_WORKBOOKS = (b"\xd0\xcf\x11\xe0", b"PK\x03\x04")
_SECTION = re.compile(r"[a-z]\.\s*(.*)")
_SUPPLY = (
    ("demand-met-evening-peak", "MW", re.compile("demand met during evening peak")),
    ("peak-shortage", "MW", re.compile("peak shortage")),
    ("energy-met", "MU", re.compile("energy met")),
    ("hydro-generation", "MU", re.compile("hydro gen")),
    ("wind-generation", "MU", re.compile("wind gen")),
    ("solar-generation", "MU", re.compile("solar gen")),
    ("energy-shortage", "MU", re.compile("energy shortage")),
    ("maximum-demand-met", "MW", re.compile("maximum demand met during the day")),
)
_SOURCES = tuple(
    (f"gross-{name}", "MU", re.compile(rf"{name}\b"))
    for name in ("coal", "lignite", "hydro", "nuclear", "gas", "res", "total")
)
_SECTIONS = (("power supply position at all india", _SUPPLY),)
_GENERATION = "sourcewise generation"
_REQUIRED = frozenset({"energy-met"})
_HOURS_A_DAY = 24
_MISSING = ("-", "", "NA")


@dataclass(frozen=True)
class Figure:
    """A cell of the report.

    Attributes:
        key: of the series: the region and what is measured.
        title: the label as it stands, with the region.
        unit: MW or MU, which is a gigawatt-hour.
        text: the number, or a mark of none.
        row: of the sheet, from 1.
    """

    key: str
    title: str
    unit: str
    text: str
    row: int


def sheets(answer: Answer) -> list[list[list[str]]] | Verdict:
    """Return the rows of all sheets of a workbook, or of a CSV file as texts."""
    answer = unpacked(answer)
    if not answer.whole:
        return Verdict("transient", "the answer was cut off")
    with answer.open() as body:
        head = body.read(4)
    if not head:
        return Verdict("transient", "there is nothing in the body")
    if head in _WORKBOOKS:
        return _workbook(answer)
    text = answer.body.decode("utf-8-sig", errors="replace").replace("\0", "")
    try:
        rows = list(csv.reader(text.splitlines()))
    except csv.Error as error:
        return Verdict("malformed", f"the CSV cannot be read: {error}")
    if unended(answer):
        return Verdict("transient", "the last line is cut off")
    return [[[plain(cell) for cell in row] for row in rows]]


def figures(answer: Answer, *, mean_mw: bool) -> list[Figure] | Verdict:
    """Return the figures of the sheet that holds the report.

    Args:
        answer: a workbook, or a sheet of it as CSV.
        mean_mw: whether energies of a day become the mean power of the day.
    """
    found = sheets(answer)
    if isinstance(found, Verdict):
        return found
    read = max((list(_figures(rows)) for rows in found), key=len, default=[])
    there = sorted({one.key.partition(".")[2] for one in read})
    _, gone = drift(there, required=_REQUIRED, known=frozenset(there))
    if gone is not None:
        return gone
    return [_as_power(one) for one in read] if mean_mw else read


def is_missing(text: str) -> bool:
    """Return whether a cell says that there is nothing."""
    return text in _MISSING


def _workbook(answer: Answer) -> list[list[list[str]]] | Verdict:
    from python_calamine import (  # noqa: PLC0415 - few files are workbooks
        CalamineError,
        CalamineWorkbook,
    )

    try:
        with answer.open() as stream:
            check_size(stream)
            book = CalamineWorkbook.from_filelike(stream)
            grids = [
                book.get_sheet_by_name(name).to_python(skip_empty_area=False)
                for name in book.sheet_names
            ]
    except (CalamineError, *BROKEN) as error:
        return Verdict("malformed", f"the workbook cannot be read: {error}")
    return [[[_text(cell) for cell in row] for row in grid] for grid in grids]


def _text(cell: Any) -> str:
    whole = isinstance(cell, float) and cell.is_integer()
    return plain(int(cell) if whole else cell)


def _figures(rows: Sequence[Sequence[str]]) -> Iterator[Figure]:
    """Yield the figures below headers of regions, in the sections that are known."""
    regions: Mapping[int, str] = {}
    labels = _SUPPLY
    for number, row in enumerate(rows, 1):
        label = next((cell for cell in row if cell), "")
        labels = _labels_of(label, labels)
        header = _regions(row)
        if len(set(header.values())) >= _FEWEST:
            regions = header
            continue
        named = _named(label, labels)
        if named is None:
            continue
        name, unit = named
        for at, region in regions.items():
            text = row[at] if at < len(row) else ""
            title = f"{region.upper()} {label}"
            yield Figure(local_key(region, name), title, unit, ungrouped(text), number)


def _labels_of(label: str, current: Any) -> Any:
    """Return the labels of the section that a row opens, else those of before."""
    opened = _SECTION.fullmatch(label.lower())
    if opened is None:
        return current
    if _GENERATION in opened[1]:
        return _SOURCES
    known = (labels for words, labels in _SECTIONS if words in opened[1])
    return next(known, ())


def _regions(row: Sequence[str]) -> Mapping[int, str]:
    named = ((at, REGIONS.get(cell.lower())) for at, cell in enumerate(row))
    return {at: region for at, region in named if region is not None}


def _named(label: str, labels: Any) -> tuple[str, str] | None:
    lowered = label.lower()
    found = ((n, unit) for n, unit, pattern in labels if pattern.match(lowered))
    return next(found, None)


def _as_power(one: Figure) -> Figure:
    if one.unit != "MU" or is_missing(one.text):
        return one
    try:
        mean = float(one.text) * 1_000 / _HOURS_A_DAY
    except ValueError:
        return one
    return Figure(one.key, one.title, "MW", repr(mean), one.row)
