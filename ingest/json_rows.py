"""Rows in JSON: where they lie in a document, and what their columns are."""

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO

import orjson
import pyarrow as pa

from ingest.batch import Rejected
from ingest.cells import Cells
from ingest.charsets import whole_letters
from ingest.errors import InvalidFile, InvalidLayout
from ingest.layout import UploadLayout
from ingest.records import raw_records
from ingest.stream import TextBytes

_CHUNK = 1 << 20
_QUOTED = 300  # bytes of a bad line that are kept
_LONGEST_LINE = 1 << 24
_SAMPLE = 100  # rows of which one must have each column

Kinds = Mapping[frozenset[type], pa.DataType]

_TEXTS: Kinds = {frozenset({str}): pa.string()}
_VALUES: Kinds = {
    frozenset({int, float}): pa.float64(),
    frozenset({str}): pa.string(),
}
_NO_COLUMN = "\0"  # a name that no member has
_ABSENT = object()


def at(document: Any, path: str) -> Any:
    """Return what lies at a dotted path, or None.

    A member whose own name has dots is found, too.

    Example:
        >>> at({"page": {"next": "x"}}, "page.next"), at({"@o.next": 1}, "@o.next")
        ('x', 1)
    """
    found = _at(document, path)
    return None if found is _ABSENT else found


def _at(document: Any, path: str) -> Any:
    if not path:
        return document
    if isinstance(document, Mapping):
        if path in document:
            return document[path]
        name, _, rest = path.partition(".")
        return _at(document[name], rest) if rest and name in document else _ABSENT
    if isinstance(document, list):
        name, _, rest = path.partition(".")
        if name.isdecimal() and int(name) < len(document):
            return _at(document[int(name)], rest)
    return _ABSENT


def rows_at(document: Any, path: str) -> list[Any]:
    """Return the rows at a dotted path in which ``*`` stands for all members.

    Plain members of the objects passed on the way are seen in the rows below them, and
    the name of a member passed by ``*`` is seen as ``key``; a row's own come first. A
    row that is a list has columns 0, 1, 2, ...; one that is a plain value, ``value``.

    Args:
        document: decoded JSON.
        path: such as ``response.data`` or ``series.*.points``; empty for the document.

    Raises:
        InvalidLayout: there is nothing at the path.

    Example:
        >>> rows_at({"s": [{"id": "a", "p": [[1, 2]]}]}, "s.*.p")
        [{'id': 'a', '0': 1, '1': 2}]
        >>> rows_at({"days": {"2026-01-01": 5}}, "days.*")
        [{'key': '2026-01-01', 'value': 5}]
    """
    steps = [step for step in path.split(".") if step]
    if steps and steps[-1] == "*":
        del steps[-1]
    return list(_descended(document, steps, {}, path))


def _descended(
    found: Any, steps: Sequence[str], above: Mapping[str, Any], path: str
) -> Iterator[Any]:
    if not steps:
        yield from _rows(found, above, path)
        return
    step, rest = steps[0], steps[1:]
    if step == "*":
        for extra, member in _members(found, path):
            yield from _descended(member, rest, {**above, **extra}, path)
        return
    if not isinstance(found, Mapping) or step not in found:
        names = list(found)[:20] if isinstance(found, dict | list) else []
        there = ", ".join(map(repr, names)) or "nothing"
        message = f"there is no {step!r} of {path!r} in the answer, but {there}"
        raise InvalidLayout(message)
    plain = {
        name: value
        for name, value in found.items()
        if name != step and not isinstance(value, dict | list)
    }
    yield from _descended(found[step], rest, {**above, **plain}, path)


def _members(found: Any, path: str) -> Iterator[tuple[Mapping[str, Any], Any]]:
    if isinstance(found, Mapping):
        yield from (({"key": name}, member) for name, member in found.items())
    elif isinstance(found, list):
        yield from (({}, member) for member in found)
    elif found is not None:
        message = f"{path!r} leads to a single value, not to rows"
        raise InvalidLayout(message)


def _rows(found: Any, above: Mapping[str, Any], path: str) -> Iterator[Any]:
    for extra, member in _members(found, path):
        if isinstance(member, dict) and not above and not extra:
            yield member
        elif isinstance(member, dict):
            yield {**above, **extra, **member}
        elif isinstance(member, list):
            named = {str(number): value for number, value in enumerate(member)}
            yield {**above, **extra, **named}
        elif extra:
            yield {**above, **extra, "value": member}
        else:
            yield member


def record_cells(
    records: Sequence[Any],
    *,
    texts: Sequence[str],
    values: Sequence[str],
    numbers: Sequence[int] | None = None,
    offset: int | None = None,
) -> Cells:
    """Return columns of decoded objects; names with dots may lead into them.

    Args:
        records: objects; others are rejected, a ``Rejected`` is passed on.
        texts: columns of keys and times; whatever a cell is, it becomes text.
        values: columns that stay numbers where all of their cells are.
        numbers: the numbers of the records; by default 1, 2, 3, ...
        offset: line minus row, where the rows are lines.
    """
    dotted = [name for name in (*texts, *values) if "." in name]
    if dotted:
        records = [_flat(record, dotted) for record in records]
    if set(map(type, records)) <= {dict}:
        plain = [(name, _plain(records, name, _TEXTS)) for name in texts]
        plain += [(name, _plain(records, name, _VALUES)) for name in values]
        if all(column is not None for _, column in plain):
            numbers = numbers or range(1, len(records) + 1)
            return Cells(dict(plain), pa.array(numbers, pa.int64()), (), offset)
    return _slowly(records, texts, values, numbers, offset)


def _plain(records: Sequence[Any], name: str, kinds: Kinds) -> pa.Array | None:
    """Return a column whose cells are all of one kind, else None."""
    cells = [record.get(name) for record in records]
    found = frozenset(map(type, cells)) - {type(None)}
    kind = next((kind for ours, kind in kinds.items() if found <= ours), None)
    try:
        return None if kind is None else pa.array(cells, kind)
    except pa.ArrowInvalid:
        return None  # an integer beyond 64 bits


def _slowly(
    records: Sequence[Any],
    texts: Sequence[str],
    values: Sequence[str],
    numbers: Sequence[int] | None,
    offset: int | None,
) -> Cells:
    """Return columns whose cells are of many kinds, or whose rows are no objects."""
    columns: dict[str, pa.Array] = {}
    for text, value in itertools.zip_longest(texts, values):
        layout = UploadLayout(
            "ndjson",
            series_key=_NO_COLUMN,
            ts_column=_NO_COLUMN if text is None else text,
            value_column=_NO_COLUMN * 2 if value is None else value,
        )
        raw = raw_records(records, layout=layout, numbers=numbers, offset=offset)
        columns |= {} if text is None else {text: raw.ts}
        columns |= {} if value is None else {value: raw.value}
    return Cells(columns, raw.row_no, raw.rejected, offset)


def _flat(record: Any, dotted: Sequence[str]) -> Any:
    if not isinstance(record, Mapping):
        return record
    return {**record, **{name: at(record, name) for name in dotted}}


def check_names(records: Sequence[Any], wanted: Sequence[str]) -> None:
    """Raise unless each column is in one of the first records at least.

    Raises:
        InvalidLayout: a column is in none of them.
    """
    sample = [record for record in records[:_SAMPLE] if isinstance(record, Mapping)]
    for name in wanted:
        if sample and all(_at(record, name) is _ABSENT for record in sample):
            there = ", ".join(sorted({repr(key) for one in sample for key in one})[:50])
            message = f"column {name!r} is missing; there is: {there}"
            raise InvalidLayout(message)


def line_cells(
    stream: BinaryIO, *, texts: Sequence[str], values: Sequence[str]
) -> Iterator[Cells]:
    """Yield columns of NDJSON, about a mebibyte of lines at a time.

    Raises:
        InvalidFile: not UTF-8, or an endless line.
        InvalidLayout: the first lines have no member of a wanted name.
    """
    first = 1
    for lines in lines_of(TextBytes(stream)):
        numbers, records = records_of(lines, first)
        if first == 1:
            check_names(records, (*texts, *values))
        if records:
            yield record_cells(
                records, texts=texts, values=values, numbers=numbers, offset=0
            )
        first += len(lines)


def lines_of(text: TextBytes) -> Iterator[list[bytes]]:
    """Yield the lines of a text, about a mebibyte of them at a time.

    Raises:
        InvalidFile: one does not end.
    """
    rest = b""
    while piece := text.read(_CHUNK):
        body, end, tail = piece.rpartition(b"\n")
        if not end:
            rest += piece
            if len(rest) > _LONGEST_LINE:
                message = f"a line does not end within {_LONGEST_LINE} bytes"
                raise InvalidFile(message)
            continue
        yield (rest + body).split(b"\n")
        rest = tail
    if rest:
        yield [rest]


def records_of(lines: Sequence[bytes], first: int) -> tuple[Sequence[int], list[Any]]:
    """Return the records of lines and their numbers; `first` is that of the first line.

    Blank lines are passed over where there is a line that is none.
    """
    try:
        return range(first, first + len(lines)), list(map(orjson.loads, lines))
    except orjson.JSONDecodeError:
        filled = [(at, line) for at, line in enumerate(lines, first) if line.strip()]
        return [at for at, _ in filled], [decoded(at, line) for at, line in filled]


def decoded(number: int, line: bytes) -> Any:
    """Return the decoded line, which may say NaN, or why it is none as a `Rejected`."""
    try:
        return whole_letters(json.loads(line))
    except (ValueError, RecursionError) as error:
        stood = line[:_QUOTED].decode(errors="replace").strip()
        return Rejected(number, "malformed_row", f"line {number}: {error}", stood)
