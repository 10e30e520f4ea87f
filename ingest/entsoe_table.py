"""Reads the files of ENTSO-E's library: tab-separated text, alone or in a ZIP.

Columns of values carry their unit in brackets; all columns of codes together name a
series. ``UpdateTime(UTC)`` is when a row was published.
"""

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import BinaryIO, cast

import pyarrow as pa
import pyarrow.compute as pc

from ingest.batch import INSTANT, Batch
from ingest.cells import Cells, csv_cells, header_of
from ingest.columns import RawRows, cast_or_null
from ingest.contract import (
    Partition,
    local_key,
)
from ingest.entsoe_zip import Refusal, members
from ingest.exchange import Answer
from ingest.layout import UploadLayout
from ingest.parse import parse
from ingest.stream import TextBytes
from ingest.verdicts import Verdict, drift

_TS, _UPDATED, _AREA = "DateTime(UTC)", "UpdateTime(UTC)", "AreaCode"
_RESOLUTION = "ResolutionCode"
_VALUE = re.compile(r"(\w+)\s*\[(.+)\]")
_KEYS = (
    "AreaCode",
    "AreaTypeCode",
    "OutAreaCode",
    "OutAreaTypeCode",
    "InAreaCode",
    "InAreaTypeCode",
    "ProductionType",
    "GenerationUnitCode",
    "ContractType",
    "Sequence",
    "ForecastType",
    "Direction",
    "Currency",
    _RESOLUTION,
)
_SAID = frozenset(
    {
        "InstanceCode",
        "AreaDisplayName",
        "AreaMapCode",
        "MapCode",
        "OutAreaDisplayName",
        "OutAreaMapCode",
        "OutMapCode",
        "InAreaDisplayName",
        "InAreaMapCode",
        "InMapCode",
        "GenerationUnitName",
        "GenerationUnitType",
    }
)
_LAYOUT = UploadLayout(
    "csv",
    delimiter="\t",
    ts_column=_TS,
    value_column="value",
    timezone="UTC",
    missing=("-", "n/e", "N/A", "NULL"),
)
_ZIP = b"PK"
_HEAD = 4_096
_AHEAD = ("Forecast", "DayAheadAggregatedGeneration")


def header_names(answer: Answer) -> list[str]:
    """Return the names of the columns, having read a ZIP to its end.

    Raises:
        Refusal: the ZIP is damaged, unsafe, or has not exactly one file.
        InvalidFile: there is no text.
    """
    with _text(answer, check=True) as stream:
        return header_of(TextBytes(stream), "\t")


def has_rows(answer: Answer) -> bool:
    """Return whether anything stands below the header.

    Raises:
        InvalidFile: there is no text.
    """
    with _text(answer, check=False) as stream:
        text = TextBytes(stream)
        header_of(text, "\t")
        return bool(text.look(_HEAD).strip())


def contract(header: Sequence[str]) -> tuple[tuple[str, ...], Verdict | None]:
    """Return what changed in a header, and a verdict if it cannot be read."""
    values = {name for name in header if _VALUE.fullmatch(name)}
    known = frozenset({*_KEYS, *_SAID, *values})
    required = frozenset({_TS, _RESOLUTION, _UPDATED})
    changes, verdict = drift(list(header), required=required, known=known)
    if verdict is None and not values:
        verdict = Verdict("schema_drift", f"no column of values among {header}")
    return changes, verdict


class Rows:
    """Reads the rows of one file.

    Args:
        dataset: the name of its folder; forecasts are told by it.
        header: its columns.
        areas: whose rows are kept; () keeps all.
        partition: rows outside of its window are passed over.
    """

    def __init__(
        self,
        header: Sequence[str],
        *,
        dataset: str,
        areas: Sequence[str],
        partition: Partition,
    ) -> None:
        self._areas = pa.array(areas, pa.string())
        self._partition = partition
        self._keys = [name for name in _KEYS if name in header]
        self._values = [name for name in header if _VALUE.fullmatch(name)]
        self._ahead = any(word in dataset for word in _AHEAD)
        names = (*self._keys, *self._values, _TS, _UPDATED)
        self._chosen = {name: header.index(name) for name in names}
        self._named: dict[tuple[str, str], str] = {}

    def batches(self, answer: Answer) -> Iterator[Batch]:
        """Yield the rows, in constant memory.

        Raises:
            InvalidFile: the text is not UTF-8 or cannot be cut into rows.
        """
        with _text(answer, check=False) as stream:
            pieces = csv_cells(
                stream, delimiter="\t", choose=lambda _: self._chosen, quoted=False
            )
            yield from parse(
                (raw for piece in pieces for raw in self._raws(piece)), layout=_LAYOUT
            )

    def _raws(self, piece: Cells) -> Iterator[RawRows]:
        """Yield the rows of a piece, once for each column of values."""
        columns, mask = piece.columns, self._wanted(piece.columns)
        numbers = piece.row_no.filter(mask)
        columns = {name: column.filter(mask) for name, column in columns.items()}
        updated = columns[_UPDATED]
        published = cast_or_null(updated, pa.timestamp("us")).cast(INSTANT)
        rejected = piece.rejected
        for name in self._values:
            yield RawRows(
                series=self._named_keys(columns, name),
                ts=columns[_TS],
                value=columns[name],
                row_no=numbers,
                rejected=rejected,
                offset=piece.offset,
                published_at=published,
                issued_at=published if self._ahead else None,
            )
            rejected = ()

    def _wanted(self, columns: Mapping[str, pa.Array]) -> pa.BooleanArray:
        """Choose the areas and the window; a time that cannot be read stays in."""
        times = cast_or_null(columns[_TS], pa.timestamp("us")).cast(INSTANT)
        mask = pa.repeat(pa.scalar(value=True), len(times))
        if self._partition.start is not None:
            mask = pc.and_(mask, pc.greater_equal(times, self._partition.start))
        if self._partition.end is not None:
            mask = pc.and_(mask, pc.less(times, self._partition.end))
        mask = pc.fill_null(mask, fill_value=True)
        if len(self._areas) and _AREA in columns:
            mask = pc.and_(mask, pc.is_in(columns[_AREA], value_set=self._areas))
        return mask

    def _named_keys(self, columns: Mapping[str, pa.Array], name: str) -> pa.Array:
        parts = [columns[key] for key in self._keys]
        joined = pc.binary_join_element_wise(*parts, "\t").dictionary_encode()
        match = _VALUE.fullmatch(name)
        what = match[1] if match else name
        keys = [self._name(text, what) for text in joined.dictionary.to_pylist()]
        return pa.array(keys, pa.string()).take(joined.indices)

    def _name(self, text: str, what: str) -> str:
        found = self._named.get((text, what))
        if found is None:
            *parts, resolution = text.split("\t")
            found = local_key(what, *parts, resolution)
            self._named[text, what] = found
        return found


@contextmanager
def _text(answer: Answer, *, check: bool) -> Iterator[BinaryIO]:
    """Open the text of an answer; of a ZIP, its only file, if asked once to its end.

    Raises:
        Refusal: the ZIP is damaged, unsafe, or has not exactly one file.
    """
    with answer.open() as body:
        if body.read(len(_ZIP)) != _ZIP:
            body.seek(0)
            yield body
            return
        opened = members(body)
        first = next(opened, None)
        if first is None:
            raise Refusal(Verdict("malformed", "the ZIP is empty"))
        if check:
            head = first.read(1 << 20)
            while first.read(1 << 20):
                pass  # the checksum stands at the end
            if next(opened, None) is not None:
                raise Refusal(Verdict("malformed", "the ZIP has more than one file"))
            yield io.BytesIO(head)
        else:
            yield cast("BinaryIO", first)
