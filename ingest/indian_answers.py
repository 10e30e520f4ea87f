"""What India's load despatch centres answer: numbers as texts, times with gaps in them.

None of it is documented. Where an answer leaves open what a time is, it is refused.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import orjson

from ingest.batch import Rejected
from ingest.contract import local_key
from ingest.indian_texts import plain, ungrouped
from ingest.verdicts import Verdict, drift

Row = tuple[int, Any]
"""The number of a record, and what is stored of it or why nothing is."""

_YEAR_DAY_MONTH = re.compile(r"(\d{4})-(\d{2})-(\d{2}) (\d{1,2}):(\d{2}):(\d{2})")
_NOON = timedelta(hours=12)
_FIRST_HOUR = timedelta(hours=1)
_FILE = re.compile(r"(\d{2})\.(\d{2})\.(\d{2})_[^/]*$")


def western(found: Any) -> list[Row] | Verdict:
    """Return demands of states by wall-clock time, from WRLDC's wrapped JSON.

    Its clock shows twelve hours and no AM or PM, so only the order of the records of
    a state tells morning from afternoon: they begin in the hour after midnight.
    """
    inner = found.get("d") if isinstance(found, dict) else None
    if not isinstance(inner, str):
        return Verdict("schema_drift", "the wrapping d is missing")
    try:
        records = orjson.loads(inner)
    except orjson.JSONDecodeError as error:
        return Verdict("malformed", f"what d holds is no JSON: {error}")
    checked = _checked(records, ("StateName", "Demand", "current_datetime"))
    if isinstance(checked, Verdict):
        return checked
    clocks: dict[str, _Clock] = {}
    rows: list[Row] = []
    for number, record in enumerate(checked, 1):
        state = plain(record.get("StateName"))
        clock = clocks.setdefault(state, _Clock())
        told = plain(record.get("current_datetime"))
        at = clock.next(told)
        if isinstance(at, Verdict):
            return at
        key, ts = local_key(state, "demand"), at or f"no time: {told}"
        rows.append((number, _record(key, ts, record.get("Demand"))))
    return rows


def eastern(found: Any, *, fields: Sequence[str]) -> list[Row] | Verdict:
    """Return exchanges of lines by day, from ERLDC's report."""
    checked = _checked(found, ("Element", "Date", *fields))
    if isinstance(checked, Verdict):
        return checked
    return [
        (
            number,
            _record(
                local_key(plain(record.get("Element")), field),
                plain(record.get("Date")),
                record.get(field),
            ),
        )
        for number, record in enumerate(checked, 1)
        for field in fields
    ]


def current(found: Any, *, state: str, at: datetime) -> list[Row] | Verdict:
    """Return what a state's page shows now: it tells no time, so it is that of asking.

    Args:
        found: the decoded answer.
        state: whose page it is.
        at: when it was asked.
    """
    checked = _checked(found, ("Demand",))
    if isinstance(checked, Verdict):
        return checked
    ts = at.replace(second=0, microsecond=0).isoformat()
    return [
        (number, _record(local_key(state, name), ts, cell))
        for number, record in enumerate(checked, 1)
        for name, cell in record.items()
    ]


def reports(found: Any) -> Mapping[date, str] | Verdict:
    """Return the paths of workbooks by their day, from Grid-India's list of files.

    A report has a twin in PDF, which is not read; its title may be that of the day
    before, so the day is that of the path.
    """
    files = found.get("retData") if isinstance(found, dict) else None
    checked = _checked(files, ("FilePath", "MimeType"))
    if isinstance(checked, Verdict):
        return checked
    return dict(_paths(checked))


def _paths(files: Sequence[Mapping[str, Any]]) -> Iterator[tuple[date, str]]:
    for one in files:
        path = plain(one.get("FilePath"))
        dated = _FILE.search(path)
        if dated is None or "excel" not in plain(one.get("MimeType")).lower():
            continue
        day, month, year = map(int, dated.groups())
        try:
            yield date(2_000 + year, month, day), path
        except ValueError:
            continue  # no date after all


def _checked(found: Any, names: Sequence[str]) -> Sequence[Mapping[str, Any]] | Verdict:
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        return Verdict("malformed", "the answer is no list of records")
    for record in found:
        _, gone = drift(record, required=frozenset(names), known=frozenset(record))
        if gone is not None:
            return gone
    return found


def _record(key: str, ts: str, cell: Any) -> Mapping[str, str] | Rejected:
    return {"series": key, "ts": ts, "value": ungrouped(plain(cell))}


class _Clock:
    """A clock of twelve hours, made whole by the order of what it shows."""

    def __init__(self) -> None:
        self._day: date | None = None
        self._latest = timedelta(0)
        self._afternoon = False

    def next(self, told: str) -> str | Verdict | None:
        """Return a time as ISO text, None if it is none, or why it stays open."""
        read = _face(told)
        if read is None:
            return None
        day, face = read
        if day != self._day:
            if face >= _FIRST_HOUR:
                detail = f"{told}: nothing says whether that is morning or afternoon"
                return Verdict("malformed", detail)
            self._day, self._latest, self._afternoon = day, face, False
        elif face <= self._latest:
            if self._afternoon:
                detail = f"{told}: the order of the times breaks"
                return Verdict("malformed", detail)
            self._afternoon = True
        self._latest = face
        clock = face + (_NOON if self._afternoon else timedelta(0))
        return (datetime.combine(day, datetime.min.time()) + clock).isoformat()


def _face(told: str) -> tuple[date, timedelta] | None:
    """Return the day and what the clock's face shows, from year, day, month, time."""
    found = _YEAR_DAY_MONTH.fullmatch(told)
    if found is None:
        return None
    year, day, month, hour, minute, second = map(int, found.groups())
    try:
        shown = datetime(year, month, day, hour % 12, minute, second)  # noqa: DTZ001 - of a wall
    except ValueError:
        return None
    if hour > 12:  # noqa: PLR2004 - hours of a face
        return None
    midnight = datetime.combine(shown.date(), datetime.min.time())
    return shown.date(), shown - midnight
