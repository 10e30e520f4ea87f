"""Settlement files: rows of contracts become series, one for each contract.

The time of a row is the first instant of its trade date where the exchange is. What
names a contract becomes its key, so that files with other columns beside say the same.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import lru_cache, reduce
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from ingest.batch import INSTANT, ROWS, Batch, Rejected
from ingest.cells import Cells
from ingest.columns import Fault, any_true
from ingest.keys import joined, part, slug
from ingest.layout import UploadLayout
from ingest.numbers import Numbers, parse_values

_LONGEST_KEY = 180  # and the name of a further price fits behind it
_TEXT_LIMIT, _ROW_LIMIT = 80, 500
_DATES = (
    re.compile(r"(?P<y>\d{4})-(?P<m>\d{1,2})-(?P<d>\d{1,2})(?:[T ].*)?"),
    re.compile(r"(?P<m>\d{1,2})/(?P<d>\d{1,2})/(?P<y>\d{4})(?: .*)?"),
    re.compile(r"(?P<y>\d{4})(?P<m>\d{2})(?P<d>\d{2})"),
)

Columns = Mapping[str, pa.Array]


@dataclass(frozen=True)
class KeyPart:
    """A column of a contract's name; of an optional one, cells may be empty."""

    column: str
    say: Callable[[str], str | None] = slug
    required: bool = False


@dataclass(frozen=True)
class Shape:
    """One kind of settlement file, told by its header.

    Attributes:
        prefix: what all keys begin with.
        day: the column of trade dates.
        prices: columns of values; the first one has the contract's key, each other the
            key and its own name.
        parts: what names a contract.
        needs: further columns without which nothing can be read.
        helps: further columns that are read where they are, for ``plain``.
        known: further columns that are not read.
        missing: texts that mean "no price".
        plain: makes texts of columns simpler before they are read.
        stored: whether its rows are series at all.
    """

    prefix: tuple[str, ...]
    day: str
    prices: tuple[str, ...]
    parts: tuple[KeyPart, ...]
    needs: frozenset[str] = frozenset()
    helps: frozenset[str] = frozenset()
    known: frozenset[str] = frozenset()
    missing: tuple[str, ...] = ()
    plain: Callable[[dict[str, pa.Array]], None] | None = None
    stored: bool = True

    @property
    def required(self) -> frozenset[str]:
        """Columns without which nothing can be read."""
        names = (part.column for part in self.parts if part.required)
        return frozenset({self.day, self.prices[0], *names}) | self.needs

    @property
    def optional(self) -> frozenset[str]:
        """Columns that are read where they are."""
        names = (part.column for part in self.parts)
        return frozenset({*names, *self.prices}) | self.helps | self.known


def canonical(name: str) -> str:
    """Return a column's name as all files would write it.

    Example:
        >>> canonical("SETTLEMENT PRICE"), canonical("EST. VOL")
        ('SETTLEMENT_PRICE', 'EST_VOL')
    """
    return re.sub(r"[^A-Z0-9]+", "_", name.strip().upper()).strip("_")


def shape_of(header: Sequence[str], shapes: Sequence[Shape]) -> Shape | None:
    """Return the first shape whose required columns are all in a header."""
    names = {canonical(name) for name in header}
    return next((shape for shape in shapes if shape.required <= names), None)


@lru_cache(maxsize=4_096)
def trade_day(text: str) -> date | None:
    """Return a date of any of the ways these files write one, or None.

    Example:
        >>> trade_day("8/28/2026") == trade_day("2026-08-28") == trade_day("20260828")
        True
    """
    for form in _DATES:
        if found := form.fullmatch(text.strip()):
            try:
                return date(int(found["y"]), int(found["m"]), int(found["d"]))
            except ValueError:
                return None
    return None


@lru_cache(maxsize=4_096)
def month_slug(text: str) -> str | None:
    """Return a contract's month, week or day as a part of its key.

    Example:
        >>> month_slug("201809"), month_slug("20180902"), month_slug("9/1/2026")
        ('2018-09', '2018-09-02', '2026-09-01')
        >>> month_slug("BH26 Apr27 FH26"), month_slug("201809W2")
        ('bh26-apr27-fh26', '201809w2')
    """
    if found := re.fullmatch(r"(\d{4})(0[1-9]|1[0-2])(?:00)?", text.strip()):
        return f"{found[1]}-{found[2]}"
    day = trade_day(text)
    return slug(text) if day is None else day.isoformat()


@dataclass(frozen=True)
class Settlements:
    """Rows of settlement cells; iterable as often as ``pieces`` can be asked for.

    Attributes:
        pieces: returns the cells, under canonical names.
        shape: of the file.
        zone: of the exchange.
        values: which of the shape's prices are wanted, by canonical name; the first
            one always is.
    """

    pieces: Callable[[], Iterable[Cells]]
    shape: Shape
    zone: str
    values: frozenset[str] = field(default_factory=frozenset)

    def __iter__(self) -> Iterator[Batch]:
        for cells in self.pieces():
            yield from self._batches(cells)

    def _batches(self, cells: Cells) -> Iterator[Batch]:
        shape, columns = self.shape, dict(cells.columns)
        if shape.plain is not None:
            shape.plain(columns)
        keys = self._keys(columns, len(cells.row_no))
        days = _instants(columns[shape.day], self.zone)
        layout = UploadLayout("csv", missing=shape.missing)
        for number, name in enumerate(shape.prices):
            if name not in columns or (number and name not in self.values):
                continue
            own = _of_price(keys, name) if number else keys
            numbers = parse_values(columns[name], layout)
            said: tuple[Iterable[Rejected], list[Told]]
            if number:
                # What is wrong with day and name has been said with the first price.
                said = (), list(_named(numbers, columns[name], name))
            else:
                mine = _of(numbers, columns[name])
                told = [*_faults(columns[shape.day], days, keys), *mine]
                said = cells.rejected, told
            yield _batch(cells, own, days, numbers, said)

    def _keys(self, columns: Columns, count: int) -> pa.StringArray:
        parts: list[pa.Array | str] = list(self.shape.prefix)
        named = pa.repeat(pa.scalar(value=True), count)
        for one in self.shape.parts:
            if one.column not in columns:
                continue
            found = part(columns[one.column], one.say)
            parts.append(found)
            if one.required:
                named = pc.and_(named, found.is_valid())
        keys = joined(parts)
        fits = pc.less_equal(pc.utf8_length(keys), _LONGEST_KEY)
        return pc.if_else(pc.and_(named, fits), keys, pa.scalar(None, pa.string()))


def _of_price(keys: pa.StringArray, name: str) -> pa.StringArray:
    """Return the keys of a further price; a contract without a name has none either."""
    named = joined([keys, slug(name) or name])
    return pc.if_else(keys.is_valid(), named, pa.scalar(None, pa.string()))


def _instants(column: pa.Array, zone: str) -> pa.TimestampArray:
    encoded = column.dictionary_encode()
    place = ZoneInfo(zone)
    days = [trade_day(text or "") for text in encoded.dictionary.to_pylist()]
    starts = [
        None
        if day is None
        else datetime(day.year, day.month, day.day, tzinfo=place).astimezone(UTC)
        for day in days
    ]
    return pa.array(starts, INSTANT).take(encoded.indices)


Told = tuple[pa.Array | None, Fault]


def _faults(day: pa.Array, days: pa.Array, keys: pa.Array) -> Iterator[Told]:
    yield day, Fault(days.is_null(), "bad_time", _explain_day)
    yield None, Fault(keys.is_null(), "bad_key", _explain_key)


def _of(numbers: Numbers, column: pa.Array) -> Iterator[Told]:
    yield from ((column, fault) for fault in numbers.faults)


def _named(numbers: Numbers, column: pa.Array, name: str) -> Iterator[Told]:
    """Yield the faults of a further column, which say its name."""
    for fault in numbers.faults:
        yield column, replace(fault, explain=_of_column(fault, name))


def _of_column(fault: Fault, name: str) -> Callable[[str], str]:
    return lambda text: f"{fault.explain(text)} (column {name})"


def _explain_day(text: str) -> str:
    return f"trade date {text!r} is no date"


def _explain_key(_text: str) -> str:
    return f"the contract has no name, or one of more than {_LONGEST_KEY} characters"


def _batch(
    cells: Cells,
    keys: pa.Array,
    days: pa.Array,
    numbers: Numbers,
    bad: tuple[Iterable[Rejected], Sequence[Told]],
) -> Batch:
    placed = pc.and_(keys.is_valid(), days.is_valid())
    good = pc.and_(placed, numbers.values.is_valid())
    rows = pa.RecordBatch.from_arrays(
        [keys, days, numbers.values, cells.row_no], names=ROWS.names
    )
    rejected, faults = bad
    return Batch(
        rows.filter(good).cast(ROWS),
        tuple(sorted((*rejected, *_rejections(cells, faults)))),
        pc.sum(pc.and_(placed, numbers.missing), min_count=0).as_py(),
    )


def _rejections(cells: Cells, faults: Sequence[Told]) -> Iterator[Rejected]:
    """Name each bad row once, by the first thing that is wrong with it."""
    faults = [(column, fault) for column, fault in faults if any_true(fault.mask)]
    if not faults:
        return
    seen = reduce(pc.or_, (fault.mask for _, fault in faults))
    for index in pc.indices_nonzero(seen).to_pylist():
        column, fault = next(one for one in faults if one[1].mask[index].as_py())
        row = cells.row_no[index].as_py()
        text = "" if column is None else str(column[index].as_py() or "")[:_TEXT_LIMIT]
        line = "" if cells.offset is None else f"line {row + cells.offset}: "
        detail = line + fault.explain(text)
        yield Rejected(row, fault.code, detail, _stood(cells, index))


def _stood(cells: Cells, index: int) -> str:
    """Return a row as it stood, as JSON."""
    texts = {name: column[index].as_py() for name, column in cells.columns.items()}
    return json.dumps(texts, ensure_ascii=False, default=str)[:_ROW_LIMIT]
