"""CSV: a header line, then rows of cells; row n stands in line n + 1.

A blank line, and a row that is empty in all declared columns, says nothing: it keeps
its number and is passed over. A row with a line break inside quotes counts as one line.
"""

import re
from collections.abc import Iterator, Mapping
from typing import BinaryIO

from ingest.cells import csv_cells
from ingest.columns import RawRows
from ingest.layout import UploadLayout, check_columns

_LOOKS_LIKE_DATA = re.compile(r"[+-]?\d+([.,]\d+)?|\d{4}-\d{2}-\d{2}.*")


def read_delimited(stream: BinaryIO, layout: UploadLayout) -> Iterator[RawRows]:
    """Yield the declared columns as texts, some ten thousand rows at a time.

    Raises:
        InvalidFile: empty, not UTF-8, or not to be cut into rows.
        InvalidLayout: a declared column is not in the header.
    """

    def choose(header: list[str]) -> Mapping[str, int]:
        check_columns(header, layout, hint=_hint(header, layout))
        return {name: header.index(name) for name in layout.columns}

    for piece in csv_cells(stream, delimiter=layout.delimiter, choose=choose):
        *key, ts, value = (piece.columns[name] for name in layout.columns)
        series = key[0] if key else None
        yield RawRows(series, ts, value, piece.row_no, piece.rejected, piece.offset)


def _hint(header: list[str], layout: UploadLayout) -> str:
    if any(_LOOKS_LIKE_DATA.fullmatch(cell) for cell in header):
        return "; is there no header line? The first line must name the columns"
    if len(header) == 1:
        for other in ";\t|,":
            if other != layout.delimiter and other in header[0]:
                return f"; is the delimiter {other!r}?"
    return ""
