"""Rows that are Python objects already: small JSON bodies, and bad JSON lines."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from ingest.batch import Rejected
from ingest.columns import RawRows
from ingest.layout import UploadLayout


def raw_records(
    records: Sequence[Any],
    *,
    layout: UploadLayout | None = None,
    numbers: Sequence[int] | None = None,
    offset: int | None = None,
) -> RawRows:
    """Return decoded JSON values as raw rows; columns of mixed cells become text again.

    Args:
        records: objects; anything else is rejected as ``malformed_row``. A
            ``Rejected`` among them is passed on.
        layout: the names of the columns; by default ts and value, no series.
        numbers: the rows' numbers; by default 1, 2, 3, ...
        offset: line minus row, where the rows are lines.

    Returns:
        Raw rows of the objects, in order.
    """
    layout = layout or UploadLayout("ndjson", series_key="series")
    numbers = numbers or range(1, len(records) + 1)
    good: list[tuple[int, Mapping[str, Any]]] = []
    rejected: list[Rejected] = []
    for number, record in zip(numbers, records, strict=True):
        if isinstance(record, Mapping):
            good.append((number, record))
        elif isinstance(record, Rejected):
            rejected.append(record)
        else:
            rejected.append(
                Rejected(number, "malformed_row", _not_object(number, offset))
            )

    def column(name: str, kind: pa.DataType) -> pa.Array:
        return _column([record.get(name) for _, record in good], kind)

    keyed = layout.series_key is None
    return RawRows(
        series=column(layout.series_column, pa.string()) if keyed else None,
        ts=column(layout.ts_column, pa.string()),
        value=column(layout.value_column, pa.float64()),
        row_no=pa.array([number for number, _ in good], pa.int64()),
        rejected=tuple(rejected),
        offset=offset,
    )


def _column(cells: list[Any], kind: pa.DataType) -> pa.Array:
    """Return a column of numbers or of texts where all cells are such, else texts."""
    kinds = set(map(type, cells)) - {type(None)}
    if kinds == {str} or (kinds <= {int, float} and pa.types.is_floating(kind)):
        try:
            return pa.array(cells, pa.string() if str in kinds else kind)
        except pa.ArrowInvalid:
            pass  # an integer beyond 64 bits
    return pa.array([_text(cell) for cell in cells], pa.string())


def _not_object(number: int, offset: int | None) -> str:
    line = "" if offset is None else f"line {number + offset}: "
    return f"{line}not a JSON object"


def _text(cell: Any) -> str | None:
    """Return a cell as the text that a CSV file would hold; floats keep all digits."""
    if cell is None or isinstance(cell, str):
        return cell
    return json.dumps(cell)
