"""Open-Meteo over a table: weights and limits, a tail of nulls, runs of a forecast."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.sources.server import Call, Reply
from tests.sources.truth import DAY, HOUR, Truth

SPREADS = timedelta(hours=4)
"""From the start of a run until it can be had."""


@dataclass
class OpenMeteo:
    """Answers for places whose series are named ``place/variable`` in the table.

    Attributes:
        truth: what the weather was.
        places: latitude and longitude by the name of the place.
        now: the instant of all answers.
        budget: the weight that is left; None has no end.
        weight: of all that was answered.
    """

    truth: Truth
    places: Mapping[str, tuple[float, float]]
    now: datetime
    budget: float | None = None
    weight: float = 0.0

    @property
    def run(self) -> datetime:
        """The newest run that can be had now; there are four a day."""
        ready = self.now - SPREADS
        return ready.replace(hour=ready.hour // 6 * 6, minute=0, second=0)

    def forecast(self, name: str, ts: datetime, issued_at: datetime) -> float | None:
        """Return what a run says: nearer to the truth the later it was issued."""
        value = self.truth.at(name, ts)
        if value is None:
            return None
        return round(value + max(0.0, (ts - issued_at) / HOUR) / 100, 2)

    def answer(self, call: Call) -> Reply:
        """Answer a call, or say what is wrong with it."""
        if call.path.endswith("/meta.json"):
            return _json(self._meta())
        places = [self._name(*pair) for pair in _pairs(call)]
        names = call.one("hourly").split(",")
        if call.one("timezone", "GMT") != "GMT" or None in places or names == [""]:
            return _json({"error": True, "reason": "Invalid request"}, 400)
        times = self._times(call)
        days = len(times) / 24
        weight = len(places) * max(1.0, len(names) / 10 * max(1.0, days / 14))
        if self.budget is not None and self.weight + weight > self.budget:
            reason = "Minutely API request limit exceeded. Please try again in one min"
            return _json({"error": True, "reason": reason}, 429)
        self.weight += weight
        values = self._observed if "archive" in call.path else self._forecast
        found = [
            self._place(str(place), number, times, dict.fromkeys(names, values), call)
            for number, place in enumerate(places)
        ]
        if call.one("format") == "csv":
            return Reply(200, _csv(found).encode(), {"Content-Type": "text/csv"})
        return _json(found if len(found) > 1 else found[0])

    def _meta(self) -> dict[str, int]:
        return {
            "last_run_initialisation_time": int(self.run.timestamp()),
            "last_run_availability_time": int((self.run + SPREADS).timestamp()),
            "temporal_resolution_seconds": 3_600,
        }

    def _name(self, latitude: float, longitude: float) -> str | None:
        found = [n for n, pair in self.places.items() if pair == (latitude, longitude)]
        return found[0] if found else None

    def _times(self, call: Call) -> list[datetime]:
        today = self.now.replace(hour=0, minute=0, second=0)
        first = today - DAY * int(call.one("past_days", "0"))
        end = today + DAY * int(call.one("forecast_days", "7"))
        if call.one("start_date"):
            first = datetime.fromisoformat(call.one("start_date")).replace(tzinfo=UTC)
            end = datetime.fromisoformat(call.one("end_date")).replace(tzinfo=UTC) + DAY
        return [first + HOUR * n for n in range(int((end - first) / HOUR))]

    def _observed(self, name: str, ts: datetime) -> float | None:
        return self.truth.at(name, ts, as_of=self.now)

    def _forecast(self, name: str, ts: datetime) -> float | None:
        variable, _, days = name.partition("_previous_day")
        back = DAY * int(days or 0)
        return self.forecast(variable, ts, min(ts - back, self.run))

    def _place(
        self,
        place: str,
        number: int,
        times: list[datetime],
        names: Mapping[str, Any],
        call: Call,
    ) -> dict[str, Any]:
        unix = call.one("timeformat") == "unixtime"
        columns: dict[str, list[Any]] = {
            "time": [
                int(ts.timestamp()) if unix else f"{ts:%Y-%m-%dT%H:%M}" for ts in times
            ]
        }
        for name, value in names.items():
            columns[name] = [value(f"{place}/{name}", ts) for ts in times]
        latitude, longitude = self.places[place]
        return {
            "latitude": round(latitude + 0.013, 6),
            "longitude": round(longitude - 0.021, 6),
            "utc_offset_seconds": 0,
            "timezone": "GMT",
            **({"location_id": number} if number else {}),
            "hourly_units": dict.fromkeys(columns, "°C"),
            "hourly": columns,
        }


def _pairs(call: Call) -> list[tuple[float, float]]:
    sides = (call.one(name).split(",") for name in ("latitude", "longitude"))
    return [(float(a), float(b)) for a, b in zip(*sides, strict=True)]


def _json(body: Any, status: int = 200) -> Reply:
    text = json.dumps(body).encode()
    return Reply(status, text, {"Content-Type": "application/json"})


def _csv(found: list[dict[str, Any]]) -> str:
    several = len(found) > 1
    head = "location_id," if several else ""
    lines = [f"{head}latitude,longitude,elevation,utc_offset_seconds,timezone"]
    for number, one in enumerate(found):
        own = f"{number}," if several else ""
        lines.append(f"{own}{one['latitude']},{one['longitude']},38.0,0,GMT")
    names = [name for name in found[0]["hourly"] if name != "time"]
    lines += ["", f"{head}time,{','.join(f'{name} (°C)' for name in names)}"]
    for number, one in enumerate(found):
        own = f"{number}," if several else ""
        for cells in zip(*one["hourly"].values(), strict=True):
            told = ["NaN" if cell is None else str(cell) for cell in cells]
            lines.append(own + ",".join(told))
    return "\n".join(lines) + "\n"
