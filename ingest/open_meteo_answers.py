"""Answers of Open-Meteo: tables of each place, in JSON or CSV, and its own errors.

Both connectors read the same tables; what differs is whether a value was forecast, and
when.
"""

import csv
import re
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import orjson

from ingest.exchange import Answer
from ingest.layout import UploadLayout
from ingest.refusals import refused
from ingest.table_rows import unended
from ingest.verdicts import Verdict, decoded, drift, general, markup, retry_after_s

BLOCKS: Mapping[str, str] = {"minutely_15": "PT15M", "hourly": "PT1H", "daily": "P1D"}
"""Names of tables in the order in which they come, with the step of their times."""

_ENVELOPE = 4_096  # bytes; an error message is much shorter
_STREAM_ERROR = b"Unexpected error while streaming"
_LIMIT = re.compile(r"limit exceeded|too many (concurrent )?requests", re.IGNORECASE)
_PASSING = re.compile(r"overload|timeout|timed out|unavailable", re.IGNORECASE)
_KEY = re.compile(r"api.?key", re.IGNORECASE)
_WAITS = (
    (re.compile("concurrent", re.IGNORECASE), 2.0),
    (re.compile("minute", re.IGNORECASE), 60.0),
    (re.compile("hour", re.IGNORECASE), 3_600.0),
    (re.compile("tomorrow|daily", re.IGNORECASE), 86_400.0),
)
_HEADER = re.compile(r"(.+?) \((.*)\)")
_FIRST_S, _LAST_S = -62_135_596_800, 253_402_300_799
"""The years 1 to 9999 in seconds since 1970."""
_JSON = UploadLayout("ndjson", timezone="UTC")
_CSV = UploadLayout("csv", timezone="UTC", missing=("NaN", "nan"))


@dataclass(frozen=True)
class Table:
    """The values of one place at times of one step.

    Attributes:
        block: of ``BLOCKS``.
        place: the number of the place in the request, from 0.
        times: epoch seconds, or wall-clock texts.
        columns: as many cells as times, by the name of the variable.
        units: of the variables.
        offset_s: how far the texts of times are ahead of UTC.
        layout: what the cells look like.
    """

    block: str
    place: int
    times: Sequence[Any]
    columns: Mapping[str, Sequence[Any]]
    units: Mapping[str, str]
    offset_s: int = 0
    layout: UploadLayout = _JSON


@dataclass(frozen=True)
class Issue:
    """The run of a forecast: since when it counts, and since when it can be had."""

    issued_at: datetime
    published_at: datetime | None = None


def refusal(answer: Answer) -> Verdict | None:
    """Return the verdict on an answer that holds no tables, else None.

    A limit has no Retry-After: how long to wait stands in the text only.
    """
    reason = _reason(answer)
    if answer.status == 429 or _LIMIT.search(reason):  # noqa: PLR2004 - HTTP's number
        detail = reason or "too many requests"
        return Verdict("rate_limited", detail, _wait_s(answer, reason))
    if (verdict := general(answer)) is not None:
        told = replace(verdict, detail=reason or verdict.detail)
        lacks_key = verdict.cls == "config" and _KEY.search(reason)
        return replace(told, cls="auth") if lacks_key else told
    if _broke_off(answer):
        return Verdict("transient", "the source failed while it wrote the answer")
    if reason:
        return Verdict("transient" if _PASSING.search(reason) else "config", reason)
    return markup(answer)


def run_of(answer: Answer) -> Issue | Verdict:
    """Return which run of a model is the newest, from its ``meta.json``."""
    found = decoded(answer)
    if isinstance(found, Verdict):
        return found
    names = ("last_run_initialisation_time", "last_run_availability_time")
    if not isinstance(found, dict):
        return Verdict("malformed", "the metadata of the model are no object")
    _, gone = drift(found, required=frozenset(names), known=frozenset(found))
    if gone is not None:
        return gone
    stamps = [found[name] for name in names]
    if not all(map(is_stamp, stamps)):
        return Verdict("malformed", f"no times of a run: {stamps}")
    issued_at, published_at = (datetime.fromtimestamp(one, UTC) for one in stamps)
    return Issue(issued_at, published_at)


def tables(
    answer: Answer, *, places: int, asked: Mapping[str, Sequence[str]]
) -> tuple[tuple[Table, ...], tuple[str, ...]] | Verdict:
    """Return the tables of an answer that is no refusal.

    Args:
        answer: of status 200.
        places: how many were asked for.
        asked: the variables of each block that were asked for.

    Returns:
        The tables with names that are new, or the verdict on an answer of another
        shape.
    """
    with answer.open() as body:
        head = body.read(16).removeprefix(BOM_UTF8)
    if head.startswith((b"latitude,", b"location_id,")):
        if unended(answer):
            return Verdict("transient", "the last line is cut off")
        text = answer.body.decode("utf-8-sig", errors="replace")
        found = _csv_tables(text, list(asked))
    else:
        found = _json_tables(decoded(answer), list(asked))
    if isinstance(found, Verdict):
        return found
    count = len({table.place for table in found})
    if count != places:
        return Verdict("malformed", f"{places} places were asked for, {count} came")
    return _checked(found, asked)


def says_anything(found: Sequence[Table]) -> bool:
    """Return whether any value is given; an archive answers nulls for the future."""
    return any(
        cell is not None and cell not in table.layout.missing
        for table in found
        for column in table.columns.values()
        for cell in column
    )


def _reason(answer: Answer) -> str:
    """Return what an error says for itself, or "" where the answer is none."""
    with answer.open() as body:
        head = body.read(_ENVELOPE)
    if b'"error"' not in head:
        return ""
    try:
        found = orjson.loads(head)
    except orjson.JSONDecodeError:
        return ""
    failed = isinstance(found, dict) and found.get("error") is True
    return str(found.get("reason") or "no reason given")[:300] if failed else ""


def _wait_s(answer: Answer, reason: str) -> float:
    said = retry_after_s(answer)
    if said is not None:
        return said
    waits = (wait_s for word, wait_s in _WAITS if word.search(reason))
    return next(waits, 60.0)


def _broke_off(answer: Answer) -> bool:
    with answer.open() as body:
        size = body.seek(0, 2)
        body.seek(max(0, size - _ENVELOPE))
        return _STREAM_ERROR in body.read()


def is_stamp(cell: Any) -> bool:
    """Return whether a cell is seconds since 1970, of the years 1 to 9999."""
    return type(cell) is int and _FIRST_S <= cell <= _LAST_S


def _json_tables(found: Any, blocks: list[str]) -> list[Table] | Verdict:
    if isinstance(found, Verdict):
        return found
    each = found if isinstance(found, list) else [found]
    if not each or not all(isinstance(one, dict) for one in each):
        return Verdict("malformed", "the answer is neither a place nor a list of them")
    read: list[Table] = []
    for number, one in enumerate(each):
        for block in blocks:
            if block not in one:
                said = ", ".join(sorted(map(str, one))[:20])
                drifted = f"{block} is missing; there is: {said}"
                return refused(one) or Verdict("schema_drift", drifted)
            table = _json_table(one, block, number)
            if isinstance(table, str):
                return Verdict("malformed", f"{block} of place {number}: {table}")
            read.append(table)
    return read


def _json_table(one: Mapping[str, Any], block: str, number: int) -> Table | str:
    """Return a table, or what keeps it from being one."""
    columns, units = one[block], one.get(f"{block}_units")
    if not isinstance(columns, dict) or not isinstance(columns.get("time", []), list):
        return "it is no table"
    times = columns.get("time", [])
    # A model without a variable has null for all of it.
    columns = {n: [None] * len(times) if c is None else c for n, c in columns.items()}
    if not all(isinstance(column, list) for column in columns.values()):
        return "it is no table"
    offset_s = _offset_s(one.get("utc_offset_seconds", 0))
    if offset_s is None:
        return f"utc_offset_seconds is {one['utc_offset_seconds']!r}"[:200]
    known = units if isinstance(units, dict) else {}
    return Table(block, number, times, columns, _units(known), offset_s)


def _offset_s(cell: Any) -> int | None:
    """Return by how much local times are ahead, or None: nobody then knows them."""
    whole = type(cell) in {int, float} and abs(cell) <= 86_400 and cell == int(cell)  # noqa: PLR2004
    return int(cell) if whole else None


def _units(known: Mapping[Any, Any]) -> dict[str, str]:
    """Return units by variable; a variable without values has an undefined one."""
    return {name: str(u) for name, u in known.items() if u and u != "undefined"}


def _csv_tables(text: str, blocks: list[str]) -> list[Table] | Verdict:
    """Read a table of places and one of values for each block, blank lines between."""
    parts = re.split(r"\n\s*\n", text.replace("\r\n", "\n").strip())
    try:
        places, *rest = [_rows(part) for part in parts]
        headers = [next(csv.reader(part.splitlines()), []) for part in parts[1:]]
    except csv.Error as error:
        return Verdict("malformed", f"the CSV cannot be read: {error}")
    if len(rest) != len(blocks):
        detail = f"{len(blocks)} tables of values were asked for, {len(rest)} came"
        return Verdict("malformed", detail)
    offsets = [_whole(place.get("utc_offset_seconds")) for place in places]
    return [
        table
        for block, header, rows in zip(blocks, headers, rest, strict=True)
        for table in _csv_block(block, header, rows, offsets)
    ]


def _rows(part: str) -> list[dict[str | Any, Any]]:
    # A row that ends early is damaged; its cells are not such as were left empty.
    return list(csv.DictReader(part.splitlines(), restval="the row ends before"))


def _csv_block(
    block: str,
    header: list[str],
    rows: list[dict[str | Any, Any]],
    offsets: list[int],
) -> Iterator[Table]:
    names = [(named[1], named[2]) for title in header if (named := _named(title))]
    titles = [title for title in header if _named(title)]
    for number, offset_s in enumerate(offsets):
        mine = [row for row in rows if _whole(row.get("location_id")) == number]
        columns = {
            name: [row.get(title) for row in mine]
            for (name, _), title in zip(names, titles, strict=True)
        }
        times = [row.get("time") for row in mine]
        if "time" in header:
            columns["time"] = times
        stamps = [int(at) if at and at.isdecimal() else at for at in times]
        yield Table(block, number, stamps, columns, _units(dict(names)), offset_s, _CSV)


def _named(title: str) -> re.Match[str] | None:
    if title in {"time", "location_id"}:
        return None
    return _HEADER.fullmatch(title) or re.fullmatch(r"(.+?)()", title)


def _whole(text: Any) -> int:
    return int(text) if isinstance(text, str) and text.lstrip("-").isdecimal() else 0


def _checked(
    found: list[Table], asked: Mapping[str, Sequence[str]]
) -> tuple[tuple[Table, ...], tuple[str, ...]] | Verdict:
    news: dict[str, None] = {}
    for table in found:
        required = frozenset({"time", *asked[table.block]})
        more, gone = drift(
            table.columns, required=required, known=frozenset({"location_id"})
        )
        if gone is not None:
            return gone
        news.update(dict.fromkeys(more))
        sizes = {name: len(column) for name, column in table.columns.items()}
        if len(set(sizes.values())) > 1:
            return Verdict("malformed", f"columns of different lengths: {sizes}")
    trimmed = (replace(table, columns=_without_time(table)) for table in found)
    return tuple(trimmed), tuple(news)


def _without_time(table: Table) -> Mapping[str, Sequence[Any]]:
    return {name: cells for name, cells in table.columns.items() if name != "time"}
