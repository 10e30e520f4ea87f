"""NOAA over truth tables: the access service, climate data online, the weather service.

Series of the truth are named ``station/element``.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.sources.server import Call, Reply
from tests.sources.truth import DAY, Truth

TOKEN = "fake-cdo-token"
_JSON = {"Content-Type": "application/json"}


def _json(document: Any, status: int = 200) -> Reply:
    return Reply(status, json.dumps(document).encode(), _JSON)


def _day(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)


@dataclass
class Ncei:
    """Rows of a station and a day; values are texts, gaps are absent."""

    truth: Truth

    def answer(self, call: Call) -> Reply:
        """Return a list of rows; both dates count."""
        if call.one("units") != "metric" or call.one("format") != "json":
            return _json({"errorCode": "400", "errorMessage": "units"}, 400)
        start, end = _day(call.one("startDate")), _day(call.one("endDate")) + DAY
        stations = call.one("stations").split(",")
        elements = call.one("dataTypes").split(",")
        rows: dict[tuple[str, datetime], dict[str, str]] = {}
        for name, ts, value in self.truth.rows(start=start, end=end):
            station, element = name.split("/")
            if station in stations and element in elements and value is not None:
                row = {"DATE": f"{ts:%Y-%m-%d}", "STATION": station}
                rows.setdefault((station, ts), row)[element] = f"{value:.2f}"
        return _json([rows[key] for key in sorted(rows)])


@dataclass
class Cdo:
    """Results a value each, on pages counted from one, for windows below a year."""

    truth: Truth

    def answer(self, call: Call) -> Reply:
        """Return a page, an empty object where there is nothing, or an error."""
        if call.headers.get("token") != TOKEN:
            return _json({"status": "400", "message": "Token parameter required"}, 400)
        start, end = _day(call.one("startdate")), _day(call.one("enddate")) + DAY
        if end - start >= timedelta(days=365):
            text = "The date range must be less than 1 year."
            return _json({"statusCode": "400", "developerMessage": text}, 400)
        rows = [
            {
                "date": f"{ts:%Y-%m-%dT%H:%M:%S}",
                "station": name.split("/")[0],
                "datatype": name.split("/")[1],
                "attributes": ",,W,2400",
                "value": value,
            }
            for name, ts, value in self.truth.rows(start=start, end=end)
            if value is not None and name.split("/")[0] in call.all("stationid")
        ]
        limit, offset = (
            min(1_000, int(call.one("limit", "25"))),
            int(call.one("offset")),
        )
        page = rows[offset - 1 : offset - 1 + limit]
        if not page:
            return _json({})
        resultset = {"offset": offset, "count": len(rows), "limit": limit}
        return _json({"metadata": {"resultset": resultset}, "results": page})


@dataclass
class Nws:
    """Observations of a station, newest first, on pages that a cursor leads through."""

    truth: Truth
    size: int = 10

    def answer(self, call: Call) -> Reply:
        """Return a page; clients that do not say who they are get none."""
        if "@" not in call.headers.get("user-agent", ""):
            return Reply(
                403, b"<html>Access Denied</html>", {"Content-Type": "text/html"}
            )
        station = call.path.split("/")[2]
        start, end = (
            datetime.fromisoformat(call.one(name)) for name in ("start", "end")
        )
        times = [ts for ts in self.truth.starts if start <= ts <= end][::-1]
        first = int(call.one("cursor", "0"))
        features = [
            {"properties": self._properties(station, ts)}
            for ts in times[first : first + self.size]
        ]
        query = f"start={call.one('start')}&end={call.one('end')}"
        address = f"https://api.weather.gov{call.path}?{query}&cursor="
        document = {
            "type": "FeatureCollection",
            "features": features,
            "pagination": {"next": f"{address}{first + self.size}"},
        }
        return _json(document)

    def _properties(self, station: str, ts: datetime) -> dict[str, Any]:
        said: dict[str, Any] = {
            "station": f"https://api.weather.gov/stations/{station}",
            "timestamp": ts.isoformat(),
            "elevation": {"unitCode": "wmoUnit:m", "value": 27},
        }
        for name in self.truth.series:
            where, element = name.split("/")
            if where == station:
                value = self.truth.at(name, ts)
                mark = "Z" if value is None else "V"
                said[element] = {
                    "unitCode": "wmoUnit:degC",
                    "value": value,
                    "qualityControl": mark,
                }
        return said
