"""Rows of EIA's API to batches: codes to keys, stamps to starts, faults by row."""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ingest.batch import INSTANT, Batch, Rejected
from ingest.columns import RawRows, any_true
from ingest.contract import local_key
from ingest.eia_periods import Form, rule_of, start_us
from ingest.json_columns import text_column, value_column
from ingest.layout import UploadLayout
from ingest.parse import parse

_DESCRIBES = re.compile(
    r".*(-name|-units|-description|-alias|Name|Description|Units)|units?"
)
UNITS = ("units", "unit")
"""Columns of a unit where there is but one column of values."""

_MARKS = ("NA", "N/A", "W", "NM", "D", "Q", "-", "--", "- -", "*", "(s)", "(S)", ".")
"""Withheld, not meaningful, not available, less than half of what is shown."""

_LAYOUT = UploadLayout("ndjson", missing=_MARKS)
_UNFILLED = pa.array([1.0 - 10.0**digits for digits in range(5, 13)])
_GRID_LIMIT = {"PT1H": 1e6, "P1D": 2.4e7}
_QUOTED = 80

Row = Mapping[str, Any]
Codes = tuple[str | None, ...]


@dataclass(frozen=True)
class Contract:
    """What the rows of an answer hold.

    Attributes:
        route: such as electricity/rto/region-data.
        facets: the columns of codes that tell series apart.
        data: the columns of values.
        form: how periods are written.
        step: of the series, ISO 8601.
        corrected: whether stamps that are known to be wrong are put right.
        window: [first, last) in microseconds since 1970, where more was asked for than
            is wanted; None for an open side.
    """

    route: str
    facets: tuple[str, ...]
    data: tuple[str, ...]
    form: Form
    step: str
    corrected: bool = True
    window: tuple[int | None, int | None] = (None, None)


@dataclass(frozen=True)
class Columns:
    """The rows of one page, cut into columns of one length.

    Attributes:
        rows: those that can be placed, without copies.
        key: of each row's series, as a number of ``series``.
        starts: in microseconds since 1970.
        numbers: 1-based.
        rejected: rows that are none, or have no period or no key.
        lost: how many rows are copies of others, or lie outside the window.
        distinct: how many of all rows differ in more than their values.
        series: key, codes and first row of each series.
        first: the earliest period, as text; empty if there is none.
        last: the latest one.
        whole: all rows that are objects, in order, with their periods.
    """

    rows: Sequence[Row]
    key: pa.Array
    starts: pa.Array
    numbers: pa.Array
    rejected: tuple[Rejected, ...]
    lost: int
    distinct: int
    series: tuple[tuple[str, Codes, Row], ...]
    first: str
    last: str
    whole: tuple[Sequence[Row], pa.DictionaryArray]


def describes(name: str) -> bool:
    """Return whether a column only describes another one, going by its name."""
    return bool(_DESCRIBES.fullmatch(name))


def columns(records: Sequence[Any], contract: Contract) -> Columns:
    """Cut the rows of a page into columns.

    Args:
        records: what stood in ``response.data``.
        contract: what they hold.

    Returns:
        The rows, sorted out; no value has been looked at yet.
    """
    rows, numbers, rejected = _objects(records)
    period, *facets = _encoded(rows, ("period", *contract.facets))
    series = _series(rows, facets)
    starts = _starts(period, series, contract)
    keyless = pa.array([not key for key, _, _ in series.named], pa.bool_())
    nameless = keyless.take(series.number)
    placed = pc.and_not(starts.is_valid(), nameless)
    if not pc.all(placed, min_count=0).as_py():
        rejected += _faults(numbers, period, nameless, placed, contract)
    kept = _kept(
        rows, series.number, starts, pc.and_(placed, _wanted(starts, contract))
    )
    distinct = len(rows)
    if len(kept) < len(rows):
        distinct = len(set(map(_identity(contract), rows)))
    seen = period.indices.filter(placed).unique()
    times = period.dictionary.take(seen).to_pylist()
    return Columns(
        rows=rows if len(kept) == len(rows) else [rows[i] for i in kept.to_pylist()],
        key=series.number.take(kept),
        starts=starts.take(kept),
        numbers=numbers.take(kept),
        rejected=tuple(sorted(rejected)),
        lost=len(records) - len(rejected) - len(kept),
        distinct=distinct,
        series=series.named,
        first=min(times, default=""),
        last=max(times, default=""),
        whole=(rows, period),
    )


def batches(cut: Columns, contract: Contract) -> Iterator[Batch]:
    """Yield one batch for each column of values; the first lists what was rejected."""
    rejected = cut.rejected
    for name in contract.data:
        named = pa.array(
            [series_key(key, name) for key, _, _ in cut.series], pa.string()
        )
        raw = RawRows(
            series=named.take(cut.key),
            ts=cut.starts.cast(INSTANT),
            value=value_column([row.get(name) for row in cut.rows]),
            row_no=cut.numbers,
            rejected=rejected,
        )
        for batch in parse((raw,), layout=_LAYOUT):
            yield _in_range(batch, contract)
        rejected = ()


def marks(cut: Columns, text: str, contract: Contract) -> frozenset[str]:
    """Return fingerprints of the rows of one period, whatever their values are."""
    rows, period = cut.whole
    if text not in (texts := period.dictionary.to_pylist()):
        return frozenset()
    identity = _identity(contract)
    where = pc.indices_nonzero(pc.equal(period.indices, texts.index(text)))
    return frozenset(
        hashlib.blake2b(
            identity(rows[i]).encode(errors="replace"), digest_size=8
        ).hexdigest()
        for i in where.to_pylist()
    )


def series_key(codes: str, name: str) -> str:
    """Return the key of one column of values; the plain ``value`` goes without name."""
    return codes if name == "value" else f"{codes}.{local_key(name)}"


@dataclass(frozen=True)
class _Series:
    """The series of a page: each row's number, and what the numbers stand for."""

    number: pa.Array
    named: tuple[tuple[str, Codes, Row], ...]


@lru_cache(maxsize=1 << 16)
def _key(codes: Codes) -> str:
    return local_key(*codes)


def _encoded(rows: Sequence[Row], names: Sequence[str]) -> list[pa.DictionaryArray]:
    """Return columns of texts, each distinct text once; null where there is none."""
    return [
        text_column([row.get(name) for row in rows]).dictionary_encode("encode")
        for name in names
    ]


def _series(rows: Sequence[Row], facets: Sequence[pa.DictionaryArray]) -> _Series:
    """Number the series of a page in the order in which they come."""
    number = pa.repeat(pa.scalar(0, pa.int64()), len(rows)).dictionary_encode()
    for facet in facets:
        folded = pc.multiply(number.indices.cast(pa.int64()), len(facet.dictionary))
        number = pc.add(folded, facet.indices.cast(pa.int64())).dictionary_encode()
    places = number.indices.to_pylist()
    found = dict(zip(reversed(places), reversed(range(len(rows))), strict=True))
    firsts = pa.array([found[i] for i in range(len(number.dictionary))], pa.int64())
    cells = [
        facet.dictionary.take(facet.indices.take(firsts)).to_pylist()
        for facet in facets
    ]
    codes = list(zip(*cells, strict=True)) if cells else [()] * len(firsts)
    named = (
        (_key(code), code, rows[first])
        for code, first in zip(codes, firsts.to_pylist(), strict=True)
    )
    return _Series(number.indices, tuple(named))


def _starts(
    period: pa.DictionaryArray, series: _Series, contract: Contract
) -> pa.Array:
    """Return the starts in microseconds; each distinct stamp is read once."""
    texts = [text or "" for text in period.dictionary.to_pylist()]
    rules = [
        rule_of(
            contract.route,
            dict(zip(contract.facets, codes, strict=True)),
            corrected=contract.corrected,
        )
        for _, codes, _ in series.named
    ]
    kinds = list(dict.fromkeys(rules)) or [None]
    kind = pa.array([kinds.index(rule) for rule in rules], pa.int64())
    stamps = [start_us(text, contract.form, rule) for rule in kinds for text in texts]
    offset = pc.multiply(kind.take(series.number), len(texts))
    return pa.array(stamps, pa.int64()).take(pc.add(period.indices, offset))


def _wanted(starts: pa.Array, contract: Contract) -> pa.Array:
    first, last = contract.window
    wanted = starts.is_valid()
    if first is not None:
        wanted = pc.and_(wanted, pc.greater_equal(starts, first))
    if last is not None:
        wanted = pc.and_(wanted, pc.less(starts, last))
    return pc.fill_null(wanted, fill_value=False)


def _faults(
    numbers: pa.Array,
    period: pa.DictionaryArray,
    nameless: pa.Array,
    placed: pa.Array,
    contract: Contract,
) -> list[Rejected]:
    """Name the rows that cannot be placed."""
    where = pc.indices_nonzero(pc.invert(placed))
    none = f"the row has none of the codes {', '.join(contract.facets)}"
    rejected = []
    for number, text, keyless in zip(
        *(column.take(where).to_pylist() for column in (numbers, period, nameless)),
        strict=True,
    ):
        if keyless:
            rejected.append(Rejected(number, "bad_key", none))
            continue
        told = f"period {(text or '')[:_QUOTED]!r} is not {contract.form.shown}"
        rejected.append(Rejected(number, "bad_time", f"{told}, or of no known zone"))
    return rejected


def _kept(
    rows: Sequence[Row], series: pa.Array, starts: pa.Array, good: pa.Array
) -> pa.Array:
    """Return which rows go on: good ones that are no copies of earlier ones."""
    places = pc.indices_nonzero(good)
    when = starts.take(places).dictionary_encode()
    which = pc.multiply(series.take(places).cast(pa.int64()), len(when.dictionary))
    cells = pc.add(which, when.indices)
    if pc.count_distinct(cells).as_py() == len(cells):
        return places
    names = sorted(name for name in names_of(rows) if not describes(name))
    seen: set[str] = set()
    fresh = []
    for place in places.to_pylist():
        text = json.dumps([rows[place].get(name) for name in names])
        if text not in seen:
            fresh.append(place)
        seen.add(text)
    return pa.array(fresh, pa.uint64())


def _objects(
    records: Sequence[Any],
) -> tuple[Sequence[Row], pa.Array, list[Rejected]]:
    """Return the rows, their numbers, and what is no row."""
    if set(map(type, records)) <= {dict}:
        return records, pa.arange(1, len(records) + 1), []
    rows, numbers, rejected = [], [], []
    for number, record in enumerate(records, 1):
        if isinstance(record, dict):
            rows.append(record)
            numbers.append(number)
        else:
            rejected.append(Rejected(number, "malformed_row", "not a JSON object"))
    return rows, pa.array(numbers, pa.int64()), rejected


def names_of(records: Sequence[Any]) -> set[str]:
    """Return the names of all columns that any row has."""
    return set().union(*_objects(records)[0])


def _identity(contract: Contract) -> Callable[[Row], str]:
    """Return what tells a row from others, whatever its values are."""
    measured = {*contract.data, *UNITS, *(f"{name}-units" for name in contract.data)}

    def identity(row: Row) -> str:
        return repr(sorted((k, cell) for k, cell in row.items() if k not in measured))

    return identity


def _in_range(batch: Batch, contract: Contract) -> Batch:
    """Reject what stands for no value, and what the grid of a country cannot reach."""
    values = batch.rows["value"]
    wrong = pc.is_in(values, value_set=_UNFILLED)
    if contract.route.startswith("electricity/rto/") and contract.data == ("value",):
        limit = _GRID_LIMIT.get(contract.step, float("inf"))
        wrong = pc.or_(wrong, pc.greater(pc.abs(values), limit))
    if not any_true(wrong):
        return batch
    bad = batch.rows.filter(wrong)
    faults = (
        Rejected(
            row["row_no"],
            "out_of_range",
            f"value {row['value']:g} cannot be: no such amount",
            f"{row['series_key']} at {row['ts'].isoformat()}: {row['value']:g}",
            (row["series_key"], row["ts"]),
        )
        for row in bad.to_pylist()
    )
    return Batch(
        batch.rows.filter(pc.invert(wrong)),
        tuple(sorted((*batch.rejected, *faults))),
        batch.missing,
    )
