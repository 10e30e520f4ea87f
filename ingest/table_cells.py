"""From the cells of a declared table to raw rows: keys made, times plain."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

from ingest.batch import INSTANT, WALL, Batch, Rejected
from ingest.cells import Cells
from ingest.columns import RawRows, cast_or_null, is_text
from ingest.errors import InvalidLayout
from ingest.keys import joined, part, slug
from ingest.parse import parse
from ingest.table_layout import TableLayout
from ingest.times import parse_times

_EPOCHS = {"epoch_s": 1_000_000.0, "epoch_ms": 1_000.0}
_LATEST_US = 253_402_300_800_000_000  # the year 10000
_GROUPS = {" ": "[ \u00a0\u2007\u2009\u202f]", "'": "['\u2019]"}
"""Blanks that keep a line together, and apostrophes as they are printed."""

_OF_VALUES = frozenset({"bad_value", "not_finite"})


def batches(
    pieces: Iterable[Cells], *, layout: TableLayout, moment: datetime
) -> Iterator[Batch]:
    """Read pieces of a table in constant memory.

    Args:
        pieces: consecutive pieces of one table.
        layout: what its owner declared.
        moment: the time of all rows where no column holds times.

    Raises:
        InvalidLayout: a column holds what cannot be what it was declared to be.
        InvalidFile: the rest of the file cannot be read.
    """
    wide = len(layout.value_columns)
    raws = (raw for cells in pieces for raw in _raws(cells, layout, moment))
    said: set[Rejected] = set()
    for number, batch in enumerate(parse(raws, layout=layout.upload())):
        if wide == 1 or not batch.rejected:
            yield batch
            continue
        if number % wide == 0:
            said = set()
        # What is wrong with a row's time is wrong once, not once for each value.
        name = layout.value_columns[number % wide]
        named = [_naming(bad, name) for bad in batch.rejected]
        fresh = tuple(bad for bad in named if bad not in said)
        said.update(fresh)
        yield replace(batch, rejected=fresh)


def _naming(bad: Rejected, column: str) -> Rejected:
    if bad.code not in _OF_VALUES:
        return bad
    return replace(bad, detail=f"{bad.detail} (column {column!r})")


def _raws(cells: Cells, layout: TableLayout, moment: datetime) -> Iterator[RawRows]:
    _check_kinds(cells, layout)
    ts = _times(cells, layout, moment)
    published = _instants(cells, layout.published_column, layout)
    issued = _instants(cells, layout.issued_column, layout)
    rejected = cells.rejected
    keep = None
    if issued is not None and issued.null_count:
        keep = issued.is_valid()
        rejected = (*rejected, *_without_issue(cells, keep))
    for number, name in enumerate(layout.value_columns):
        raw = RawRows(
            _keys(cells, layout, name),
            ts,
            _values(cells.columns[name], layout),
            cells.row_no,
            () if number else tuple(sorted(rejected)),
            cells.offset,
            published,
            issued,
        )
        yield raw if keep is None else _filtered(raw, keep)


def _keys(cells: Cells, layout: TableLayout, value_column: str) -> pa.Array:
    many = len(layout.value_columns) > 1
    named = [part(cells.columns[name]) for name in layout.series_columns]
    parts: list[pa.Array | str] = list(named)
    if layout.series_key is not None:
        parts.insert(0, layout.series_key)
    if many or not parts:
        parts.append(slug(value_column) or "value")
    if not named:
        return pa.repeat(pa.scalar(".".join(parts), pa.string()), len(cells.row_no))
    # Without a name, the rest of a key would be that of another series.
    there = reduce(pc.or_, (column.is_valid() for column in named))
    return pc.if_else(there, joined(parts), pa.scalar(None, pa.string()))


def _times(cells: Cells, layout: TableLayout, moment: datetime) -> pa.Array:
    if layout.ts_column is None:
        return pa.repeat(pa.scalar(moment.astimezone(UTC), INSTANT), len(cells.row_no))
    column = cells.columns[layout.ts_column]
    return plain_times(column, layout.time_format)


def _values(column: pa.Array, layout: TableLayout) -> pa.Array:
    if not layout.thousands or not is_text(column.type):
        return column
    # Only whole groups of three: anything else is a slip and stays a bad value.
    mark = _GROUPS.get(layout.thousands, re.escape(layout.thousands))
    decimal = re.escape(layout.decimal)
    grouped = rf"^\s*[+-]?\d{{1,3}}({mark}\d{{3}})+({decimal}\d*)?\s*$"
    is_grouped = pc.fill_null(
        pc.match_substring_regex(column, grouped), fill_value=False
    )
    bare = pc.replace_substring_regex(column, mark, "")
    return pc.if_else(is_grouped, bare, column)


def _check_kinds(cells: Cells, layout: TableLayout) -> None:
    """Raise where a typed format says text, and that was not declared.

    Raises:
        InvalidLayout: so it is.
    """
    if not cells.typed or layout.typed_as_text:
        return
    times = () if layout.ts_column is None else (layout.ts_column,)
    for name in (*times, *layout.value_columns):
        if is_text(cells.columns[name].type):
            message = f"column {name!r} holds text, not times or numbers"
            raise InvalidLayout(message)


def _instants(
    cells: Cells, name: str | None, layout: TableLayout
) -> pa.TimestampArray | None:
    """Return a column of publication or issue times, null where none can be read."""
    if name is None:
        return None
    column = plain_times(cells.columns[name], layout.time_format)
    declared = replace(layout.upload(), stamp="start", ts_column=name)
    return parse_times(column, declared).instants


def _without_issue(cells: Cells, keep: pa.BooleanArray) -> Iterator[Rejected]:
    for row in cells.row_no.filter(pc.invert(keep)).to_pylist():
        yield Rejected(row, "bad_issue_time", "no time at which the row was forecast")


def _filtered(raw: RawRows, keep: pa.BooleanArray) -> RawRows:
    columns = ("series", "ts", "value", "row_no", "published_at", "issued_at")
    found = {name: getattr(raw, name) for name in columns}
    return replace(
        raw,
        **{
            name: column.filter(keep)
            for name, column in found.items()
            if column is not None
        },
    )


def plain_times(column: pa.Array, form: str) -> pa.Array:
    """Return times as timestamps or as ISO 8601; what does not fit stays as it was.

    Args:
        column: texts, numbers or timestamps.
        form: iso, epoch_s, epoch_ms or a pattern of ``strptime``.

    Example:
        >>> plain_times(pa.array(["1.3.2026", "Sum"]), "%d.%m.%Y").to_pylist()
        ['2026-03-01T00:00:00.000000', 'Sum']
    """
    if form in _EPOCHS:
        found = _from_epoch(column, _EPOCHS[form])
        pattern = "%Y-%m-%dT%H:%M:%SZ"
    elif form == "iso" or not is_text(column.type):
        return column
    else:
        found = _from_pattern(column, form)
        pattern = "%Y-%m-%dT%H:%M:%S" + ("Z" if "%z" in form else "")
    if found.null_count == column.null_count:
        return found
    texts = column.cast(pa.string())
    return pc.coalesce(pc.strftime(found, format=pattern, locale="C"), texts)


def _from_epoch(column: pa.Array, scale: float) -> pa.Array:
    numbers = cast_or_null(column, pa.float64())
    micros = pc.round(pc.multiply(numbers, scale))
    inside = pc.less(pc.abs(micros), float(_LATEST_US))
    micros = pc.if_else(inside, micros, pa.scalar(None, pa.float64()))
    return micros.cast(pa.int64()).cast(pa.timestamp("us")).cast(INSTANT)


def _from_pattern(column: pa.Array, form: str) -> pa.Array:
    zoned = "%z" in form
    trimmed = pc.utf8_trim_whitespace(column)
    found = pa.nulls(len(column), pa.timestamp("s"))
    if not zoned:
        found = pc.strptime(trimmed, format=form, unit="s", error_is_null=True)
        # Arrow takes 30 February for 1 March: said again, such a date differs.
        again = pc.strftime(found, format=form, locale="C")
        same = pc.equal(_unpadded(again), _unpadded(trimmed))
        found = pc.if_else(same, found, pa.scalar(None, found.type))
    kind = INSTANT if zoned else WALL
    found = found.cast(pa.timestamp("us")).cast(kind)
    if found.null_count == column.null_count:
        return found
    rest = pc.if_else(found.is_null(), trimmed, pa.scalar(None, pa.string()))
    encoded = rest.dictionary_encode()
    read = [_strptime(text, form) for text in encoded.dictionary.to_pylist()]
    return pc.coalesce(found, pa.array(read, kind).take(encoded.indices))


def _unpadded(text: pa.Array) -> pa.Array:
    return pc.replace_substring_regex(text, r"\b0+(\d)", r"\1")


def _strptime(text: str | None, form: str) -> datetime | None:
    if text is None:
        return None
    try:
        at = datetime.strptime(text, form)  # noqa: DTZ007 - the layout says the zone
    except ValueError:
        return None
    return at.astimezone(UTC) if at.tzinfo else at
