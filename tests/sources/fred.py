"""FRED and ALFRED as they behave, over a table of truth."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from xml.sax.saxutils import quoteattr
from zoneinfo import ZoneInfo

from tests.sources.server import Call, Reply
from tests.sources.truth import Truth

KEY = "abcdefghijklmnopqrstuvwxyz012345"
MOST_VINTAGES = 2_000
MOST_ROWS = 100_000
CENTRAL = ZoneInfo("America/Chicago")
FOREVER = date(9999, 12, 31)
_DAY = timedelta(days=1)
_NO_KEY = "Variable api_key is not set."
_BAD_KEY = "The value for variable api_key is not registered."


@dataclass(frozen=True)
class Interval:
    """A value with the first and the last day on which it was told."""

    first: date
    last: date
    value: str


def vintage(at: datetime) -> date:
    """Return the day in Central time, which is all that FRED says of an instant."""
    return at.astimezone(CENTRAL).date()


def end_of(day: date) -> datetime:
    """Return the end of a day in Central time."""
    after = day + _DAY
    midnight = datetime(after.year, after.month, after.day, tzinfo=CENTRAL)
    return midnight.astimezone(UTC)


class Fred:
    """Answers as FRED does; series of the truth have FRED's names.

    Intervals are clipped to the real-time window that is asked for, too many vintages
    in it are refused, and so is a key it does not know, all with 400.

    Attributes:
        truth: what it tells of.
        now: today; only what was published by then is told.
        key: the only one that is let in.
    """

    def __init__(
        self,
        truth: Truth,
        *,
        now: datetime = datetime(2030, 1, 1, tzinfo=UTC),
        key: str = KEY,
    ) -> None:
        self.truth = truth
        self.now = now
        self.key = key

    def answer(self, call: Call) -> Reply:
        """Return series, vintage dates, observations, or an error."""
        asked = dict(call.query)
        path = call.path.removeprefix("/fred/")
        if path == "v2/release/observations":
            return self._release(call, asked)
        if asked.get("api_key") != self.key:
            return _refused(_BAD_KEY if "api_key" in asked else _NO_KEY, asked)
        if path == "release/series":
            series = [_described(name) for name in self.truth.series]
            return _reply({"seriess": series}, asked)
        name = asked.get("series_id")
        if name not in self.truth.series:
            return _refused("The series does not exist.", asked)
        return self._series(path, name, asked)

    def _series(self, path: str, name: str, asked: Mapping[str, str]) -> Reply:
        if path == "series":
            return _reply({"seriess": [_described(name)]}, asked)
        if path == "series/vintagedates":
            return self._dates(name, asked)
        return self._observations(name, asked)

    def intervals(self, name: str, ts: datetime) -> list[Interval]:
        """Return what was told of one date, day by day, up to today."""
        by_day = {
            vintage(version.published_at): version.value
            for version in self.truth.versions(name, ts)
            if version.published_at <= self.now
        }
        days = sorted(by_day)
        ends = [*(day - _DAY for day in days[1:]), FOREVER]
        values = ("." if by_day[day] is None else str(by_day[day]) for day in days)
        return [Interval(*one) for one in zip(days, ends, values, strict=True)]

    def vintages(self, name: str) -> list[date]:
        """Return all days on which a series had something new."""
        told = (self.intervals(name, ts) for ts in self.truth.starts)
        return sorted({one.first for several in told for one in several})

    def _dates(self, name: str, asked: Mapping[str, str]) -> Reply:
        dates = [day.isoformat() for day in self.vintages(name)]
        offset, limit = _paging(asked, 10_000)
        body = {"count": len(dates), "offset": offset, "limit": limit}
        body |= {"vintage_dates": dates[offset : offset + limit]}
        return _reply(body, asked)

    def _observations(self, name: str, asked: Mapping[str, str]) -> Reply:
        today = vintage(self.now).isoformat()
        start = date.fromisoformat(asked.get("realtime_start", today))
        end = date.fromisoformat(asked.get("realtime_end", today))
        count = sum(start <= day <= end for day in self.vintages(name))
        if count > MOST_VINTAGES:
            told = f"There are {count} vintage dates in the specified real-time period"
            told += f": {start} to {end}.  This exceeds the maximum number of vintage"
            return _refused(f"{told} dates allowed ({MOST_VINTAGES}).", asked)
        kind = asked.get("output_type", "1")
        rows = list(self._rows(name, asked, start, end))
        if kind == "2":
            rows = _wide(name, rows)
        offset, limit = _paging(asked, MOST_ROWS)
        body = {
            "realtime_start": str(start),
            "realtime_end": str(end),
            "units": "lin",
            "output_type": int(kind),
            "count": len(rows),
            "offset": offset,
            "limit": limit,
            "observations": rows[offset : offset + limit],
        }
        return _reply(body, asked)

    def _rows(
        self, name: str, asked: Mapping[str, str], start: date, end: date
    ) -> Iterator[dict[str, str]]:
        first = asked.get("observation_start", "1600-01-01")
        last = asked.get("observation_end", "9999-12-31")
        for ts in self.truth.starts:
            day = ts.date().isoformat()
            if not first <= day <= last:
                continue
            told = [
                one
                for one in self.intervals(name, ts)
                if one.first <= end and one.last >= start
            ]
            for one in told[:1] if asked.get("output_type") == "4" else told:
                yield {
                    "realtime_start": str(max(one.first, start)),
                    "realtime_end": str(min(one.last, end)),
                    "date": day,
                    "value": one.value,
                }

    def _release(self, call: Call, asked: Mapping[str, str]) -> Reply:
        if call.headers.get("authorization") != f"Bearer {self.key}":
            return _refused(_BAD_KEY, asked)
        rows = [
            (name, ts.date().isoformat(), told[-1].value)
            for name in sorted(self.truth.series)
            for ts in self.truth.starts
            if (told := self.intervals(name, ts))
        ]
        _, limit = _paging(asked, 500_000)
        begin = asked.get("next_cursor", "").split(",")
        offset = next((i for i, row in enumerate(rows) if list(row[:2]) == begin), 0)
        page = rows[offset : offset + limit]
        more = offset + limit < len(rows)
        body: dict[str, Any] = {"has_more": more, "release": {"release_id": 1}}
        if more:
            body["next_cursor"] = ",".join(rows[offset + limit][:2])
        names = dict.fromkeys(row[0] for row in page)
        body["series"] = [
            {
                **{k: v for k, v in _described(name).items() if k != "id"},
                "series_id": name,
                "observations": [
                    {"date": day, "value": value}
                    for one, day, value in page
                    if one == name
                ],
            }
            for name in names
        ]
        return _reply(body, asked)


def _described(name: str) -> dict[str, str]:
    told = {"id": name, "title": f"Title of {name}", "units": "Percent"}
    return {**told, "frequency": "Daily", "last_updated": "2026-01-06 08:47:20-06"}


def _wide(name: str, rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return one row a date, with a column for each vintage."""
    by_date: dict[str, dict[str, str]] = {}
    for row in rows:
        column = f"{name}_{row['realtime_start'].replace('-', '')}"
        by_date.setdefault(row["date"], {"date": row["date"]})[column] = row["value"]
    return list(by_date.values())


def _paging(asked: Mapping[str, str], most: int) -> tuple[int, int]:
    return int(asked.get("offset", 0)), min(int(asked.get("limit", most)), most)


def _refused(told: str, asked: Mapping[str, str]) -> Reply:
    message = f"Bad Request.  {told}"
    if asked.get("file_type") == "xml":
        return _xml(f"<error code='400' message={quoteattr(message)}/>", 400)
    return _json({"error_code": 400, "error_message": message}, 400)


def _reply(body: dict[str, Any], asked: Mapping[str, str]) -> Reply:
    if asked.get("file_type") != "xml":
        return _json(body)
    lists = {name: cell for name, cell in body.items() if isinstance(cell, list)}
    root, rows = next(iter(lists.items()))
    told = _attributes({n: cell for n, cell in body.items() if n not in lists})
    inner = "".join(
        f"<vintage_date>{row}</vintage_date>"
        if isinstance(row, str)
        else f"<observation {_attributes(row)}/>"
        for row in rows
    )
    return _xml(f"<{root} {told}>{inner}</{root}>")


def _attributes(cells: Mapping[str, object]) -> str:
    return " ".join(f"{name}={quoteattr(str(cell))}" for name, cell in cells.items())


def _json(body: object, status: int = 200) -> Reply:
    return Reply(
        status, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )


def _xml(text: str, status: int = 200) -> Reply:
    body = f'<?xml version="1.0" encoding="utf-8" ?>\n{text}'.encode()
    return Reply(status, body, {"Content-Type": "text/xml; charset=utf-8"})
