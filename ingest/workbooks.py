"""Excel workbooks: the first sheet as texts, whatever its cells are."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any, BinaryIO
from zipfile import BadZipFile, ZipFile

import pyarrow as pa

from ingest.cells import Cells
from ingest.errors import InvalidFile
from ingest.exchange import Answer
from ingest.settlements import canonical

BROKEN = (BadZipFile, NotImplementedError, OSError, ValueError)
"""What a damaged workbook raises beside what its reader does."""

_ZIP = b"PK\x03\x04"
_MOST_UNPACKED = 256 * 1024 * 1024
_DAY_ZERO = date(1899, 12, 30)
_SERIALS = (20_000, 80_000)  # days from 1954 to 2119 as Excel counts them


def is_workbook(answer: Answer) -> bool:
    """Return whether a body is an Excel workbook."""
    with answer.open() as stream:
        return stream.read(len(_ZIP)) == _ZIP


def workbook_cells(answer: Answer) -> tuple[list[str], Iterator[Cells]]:
    """Return the header and the cells of a workbook's first sheet.

    The header is the first row with more than one cell; dates come as numbers, texts
    or dates, and become texts; empty cells are empty texts.

    Raises:
        InvalidFile: it is no workbook, or has no header.
    """
    from python_calamine import (  # noqa: PLC0415 - few files are workbooks
        CalamineError,
        CalamineWorkbook,
    )

    try:
        with answer.open() as stream:
            check_size(stream)
            book = CalamineWorkbook.from_filelike(stream)
            rows = book.get_sheet_by_index(0).to_python(skip_empty_area=False)
    except (CalamineError, *BROKEN) as error:
        message = f"the workbook cannot be read: {error}"
        raise InvalidFile(message) from error
    filled = (
        number
        for number, row in enumerate(rows)
        if sum(cell not in ("", None) for cell in row) > 1
    )
    top = next(filled, None)
    if top is None:
        message = "the workbook has no header"
        raise InvalidFile(message)
    header = [str(cell) for cell in rows[top]]
    body = [
        (number, row)
        for number, row in enumerate(rows[top + 1 :], 1)
        if any(cell not in ("", None) for cell in row)
    ]
    return header, _cells_of(header, body, top)


def check_size(stream: BinaryIO) -> None:
    """Refuse a workbook that would fill the memory: sheets are unpacked into it.

    Raises:
        ValueError: it would; or it is damaged, as of ``BROKEN``.
    """
    packed = stream.read(len(_ZIP)) == _ZIP
    stream.seek(0)
    if not packed:
        return  # an older kind, which is as large as it is
    with ZipFile(stream) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
    if size > _MOST_UNPACKED:
        message = f"unpacked it has {size} bytes, more than {_MOST_UNPACKED}"
        raise ValueError(message)
    stream.seek(0)


def _cells_of(
    header: list[str], body: list[tuple[int, list[Any]]], top: int
) -> Iterator[Cells]:
    if not body:
        return
    columns = {
        canonical(name): pa.array(
            [_text(row[at], canonical(name)) for _, row in body], pa.string()
        )
        for at, name in enumerate(header)
        if name
    }
    numbers = pa.array([number for number, _ in body], pa.int64())
    yield Cells(columns, numbers, offset=top + 1)


def _text(cell: Any, column: str) -> str:
    if cell is None or cell == "":
        return ""
    if hasattr(cell, "isoformat"):
        return str(cell.isoformat())
    if isinstance(cell, int | float):
        dated = column == "STRIP" or "DATE" in column
        if dated and _SERIALS[0] <= cell < _SERIALS[1]:
            return (_DAY_ZERO + timedelta(days=int(cell))).isoformat()
        return str(int(cell)) if float(cell).is_integer() else repr(cell)
    return str(cell)
