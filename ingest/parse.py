"""From raw columns to batches: keys, times and values together, faults row by row."""

import json
import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

from ingest.autumn import HELD, Autumn
from ingest.batch import INSTANT, ISSUED, PUBLISHED, ROWS, Batch, Rejected
from ingest.columns import Fault, RawRows, any_true, false
from ingest.layout import UploadLayout
from ingest.numbers import Numbers, parse_values
from ingest.times import Times, parse_times

KEY = re.compile(r"[a-z0-9][a-z0-9._:-]{0,199}")
_TEXT_LIMIT = 80  # characters of a bad cell that are quoted back


def parse(raws: Iterable[RawRows], *, layout: UploadLayout) -> Iterator[Batch]:
    """Parse raw rows in constant memory.

    Args:
        raws: consecutive pieces of one file; where it is cut makes no difference.
        layout: what the owner declared.

    Returns:
        One batch for each piece, and a last one for the times that the clocks ran
        through twice: whether such a row has a partner is known at the end only.

    Raises:
        InvalidLayout: a column holds something that is neither times nor numbers.
        InvalidFile: more ambiguous times than can be held in memory.

    Example:
        >>> from ingest.records import raw_records
        >>> rows = [{"ts": "2026-03-01T06:00:00Z", "value": 1.5}]
        >>> layout = UploadLayout("ndjson", series_key="load")
        >>> [batch.rows.num_rows for batch in parse([raw_records(rows)], layout=layout)]
        [1]
    """
    autumn = Autumn(back=layout.back)
    for raw in raws:
        yield _parse_piece(raw, layout, autumn)
    if autumn.holds_any:
        yield autumn.resolve()


def _parse_piece(raw: RawRows, layout: UploadLayout, autumn: Autumn) -> Batch:
    keys, key_faults = _parse_keys(raw, layout)
    times = parse_times(raw.ts, layout)
    numbers = parse_values(raw.value, layout)
    faults = [
        *((raw.series, fault) for fault in key_faults),
        *((raw.ts, fault) for fault in _time_faults(times, layout)),
        *((raw.value, fault) for fault in numbers.faults),
    ]
    placed = pc.and_(keys.is_valid(), times.instants.is_valid())
    if layout.ambiguous == "infer" and times.wall is not None:
        held = pc.and_(times.ambiguous, placed)
        _hold(raw, keys, times, numbers, mask=held, autumn=autumn)
    else:
        held = times.ambiguous
    placed = pc.and_not(placed, held)
    good = pc.and_(placed, numbers.values.is_valid())
    said = ((PUBLISHED, raw.published_at), (ISSUED, raw.issued_at))
    more = [(field, column) for field, column in said if column is not None]
    schema = pa.schema([*ROWS, *(field for field, _ in more)])
    columns = [keys, times.instants, numbers.values, raw.row_no]
    everything = pa.RecordBatch.from_arrays(
        [*columns, *(column for _, column in more)], names=schema.names
    )
    return Batch(
        everything.filter(good).cast(schema),
        tuple(sorted((*raw.rejected, *_rejections(raw, faults, (keys, times))))),
        pc.sum(pc.and_(placed, numbers.missing), min_count=0).as_py(),
    )


def _parse_keys(raw: RawRows, layout: UploadLayout) -> tuple[pa.Array, list[Fault]]:
    if raw.series is None:
        return pa.repeat(pa.scalar(layout.series_key, pa.string()), len(raw.ts)), []
    encoded = raw.series.dictionary_encode()
    valid = [bool(KEY.fullmatch(key)) for key in encoded.dictionary.to_pylist()]
    if all(valid) and not raw.series.null_count:
        return raw.series, []
    known = pa.array(valid, pa.bool_()).take(encoded.indices)
    known = pc.fill_null(known, fill_value=False)
    keys = pc.if_else(known, raw.series, pa.scalar(None, pa.string()))
    return keys, [Fault(pc.invert(known), "bad_key", _explain_key)]


def _time_faults(times: Times, layout: UploadLayout) -> list[Fault]:
    if layout.ambiguous == "infer" or not any_true(times.ambiguous):
        return list(times.faults)
    return [*times.faults, Fault(times.ambiguous, "ambiguous_time", _explain_ambiguous)]


def _hold(
    raw: RawRows,
    keys: pa.Array,
    times: Times,
    numbers: Numbers,
    *,
    mask: pa.BooleanArray,
    autumn: Autumn,
) -> None:
    autumn.watch(keys, times.wall)
    if not any_true(mask):
        return
    faulty = reduce(
        pc.or_, (fault.mask for fault in numbers.faults), false(len(raw.ts))
    )
    columns = [
        keys,
        times.wall,
        times.instants,
        times.later,
        numbers.values,
        numbers.missing,
        faulty,
        raw.row_no,
    ]
    held = pa.RecordBatch.from_arrays(columns, names=HELD.names)
    autumn.hold(held.filter(mask).cast(HELD))


def _rejections(
    raw: RawRows,
    faults: list[tuple[pa.Array | None, Fault]],
    read: tuple[pa.Array, Times],
) -> Iterator[Rejected]:
    """Name each bad row once, by the first thing that is wrong with it."""
    seen = false(len(raw.ts))
    for column, fault in faults:
        fresh = pc.and_not(fault.mask, seen)
        seen = pc.or_(seen, fault.mask)
        where = pc.indices_nonzero(fresh)
        cells = pa.nulls(len(where)) if column is None else column.take(where)
        for row, cell, stood, place in zip(
            raw.row_no.take(where).to_pylist(),
            cells.to_pylist(),
            _stood(raw, where),
            _places(raw, *read, where),
            strict=True,
        ):
            line = "" if raw.offset is None else f"line {row + raw.offset}: "
            text = "" if cell is None else str(cell)[:_TEXT_LIMIT]
            yield Rejected(row, fault.code, line + fault.explain(text), stood, place)


def _places(
    raw: RawRows, keys: pa.Array, times: Times, where: pa.Array
) -> Iterator[tuple[str, datetime] | None]:
    """Yield key and time of rows; of a forecast they do not say which row it is."""
    none = pa.scalar(None, INSTANT)
    instants = pc.if_else(times.ambiguous.take(where), none, times.instants.take(where))
    if raw.issued_at is not None:
        instants = pc.if_else(raw.issued_at.take(where).is_null(), instants, none)
    for key, at in zip(keys.take(where).to_pylist(), instants.to_pylist(), strict=True):
        yield None if key is None or at is None else (key, at)


def _stood(raw: RawRows, where: pa.Array) -> Iterator[str]:
    """Yield key, time and value of rows as they stood, each as a line of JSON."""
    named = {"series": raw.series, "ts": raw.ts, "value": raw.value}
    columns = {
        name: column.take(where).to_pylist()
        for name, column in named.items()
        if column is not None
    }
    for cells in zip(*columns.values(), strict=True):
        texts = ("" if one is None else str(one)[:_TEXT_LIMIT] for one in cells)
        yield json.dumps(dict(zip(columns, texts, strict=True)), ensure_ascii=False)


def _explain_key(text: str) -> str:
    if not text:
        return "the series key is empty"
    return (
        f"series key {text!r}: a key begins with a-z or 0-9 and goes on with a-z, "
        "0-9 and . _ : - , at most 200 characters"
    )


def _explain_ambiguous(text: str) -> str:
    return (
        f"time {text!r} came twice when the clocks went back; write the offset, or "
        "declare ambiguous: infer"
    )
