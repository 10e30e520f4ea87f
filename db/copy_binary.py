"""PostgreSQL's binary COPY format for rows of fixed-width columns without nulls.

Whole columns are woven into rows, and rows unwoven into columns, a byte position at a
time: that runs in C without numpy, which the web door does not have.
"""

import sys
from array import array
from collections.abc import Sequence

HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
TRAILER = b"\xff\xff"
EPOCH_US = 946_684_800_000_000
"""Microseconds from 1970 to 2000, where PostgreSQL's instants begin."""

_CODES = {4: "i", 8: "q"}  # array type codes of the widths; floats swap like integers


def weave(columns: Sequence[tuple[int, memoryview]]) -> bytearray:
    """Return rows from columns of (width in bytes, native values)."""
    count = len(columns[0][1]) // columns[0][0]
    lengths = [width.to_bytes(4) + bytes(width) for width, _ in columns]
    row = len(columns).to_bytes(2) + b"".join(lengths)
    rows = bytearray(row * count)
    at = 2
    for width, values in columns:
        at += 4
        swapped = native(width, values)
        for byte in range(width):
            rows[at + byte :: len(row)] = swapped[byte::width]
        at += width
    return rows


def unweave(rows: bytes, *, widths: Sequence[int]) -> "list[array[int]]":
    """Return native values of each column; floats as the integers of their bits."""
    stride = 2 + sum(4 + width for width in widths)
    count = len(rows) // stride
    columns = []
    at = 2
    for width in widths:
        at += 4
        column = bytearray(count * width)
        for byte in range(width):
            column[byte::width] = rows[at + byte :: stride]
        columns.append(array(_CODES[width], native(width, memoryview(column))))
        at += width
    return columns


def native(width: int, values: bytes | memoryview) -> bytes:
    """Return values as this machine has them from those of the wire, or back."""
    column = array(_CODES[width], bytes(values))
    if sys.byteorder == "little":
        column.byteswap()
    return column.tobytes()
