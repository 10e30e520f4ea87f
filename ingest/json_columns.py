"""Cells of decoded JSON to Arrow columns, whatever a source put into them."""

import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa


def text_column(cells: Sequence[Any]) -> pa.Array:
    """Return cells as texts; what is none is written as JSON.

    Example:
        >>> text_column(["a", None, 7]).to_pylist()
        ['a', None, '7']
    """
    try:
        return pa.array(cells, pa.string())
    except (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeError):
        return pa.array(list(map(_text, cells)), pa.string())


def value_column(cells: Sequence[Any]) -> pa.Array:
    """Return a column of numbers where all cells are such, else of texts.

    Example:
        >>> value_column([1, 2.5]).type, value_column([1, True]).to_pylist()
        (DataType(double), ['1', 'true'])
    """
    kinds = set(map(type, cells)) - {type(None)}
    if not kinds <= {int, float}:
        return text_column(cells)
    try:
        return pa.array(cells, pa.float64())
    except pa.ArrowInvalid:
        return text_column(list(map(_text, cells)))  # an integer beyond float64


def _text(cell: Any) -> str | None:
    if cell is None:
        return None
    text = cell if isinstance(cell, str) else json.dumps(cell)
    return text.encode(errors="replace").decode()
