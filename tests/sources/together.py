"""EIA, FRED and Open-Meteo behind one address, with a control that changes the world.

Below ``/eia``, ``/fred`` and ``/weather`` each answers as it does alone. What was said
of them is at ``/control/truth``; a POST to ``/control/revise`` lets a source publish
other values for its newest intervals, one to ``/control/faults`` lets the next calls
fail.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from tests.sources import eia, fred
from tests.sources.faults import FaultPlan
from tests.sources.open_meteo import OpenMeteo
from tests.sources.server import Behaviour, Call, Reply
from tests.sources.truth import DAY, Truth, grid

LOAD = ("PJM:D", "PJM:NG")
RATES = ("DGS10", "T10YIE")
PLACES = {"new-york": (40.71, -74.01), "chicago": (41.88, -87.63)}
VARIABLES = ("temperature_2m", "wind_speed_10m")
LOAD_DAYS, RATE_DAYS, WEATHER_DAYS = 60, 365, 60


@dataclass
class Together:
    """The three sources as they are at one instant, and their control.

    Attributes:
        now: when it is, for all three; nothing published later is told.
        plan: of the faults of the server that shows this.
    """

    now: datetime
    plan: FaultPlan = field(default_factory=FaultPlan)
    truths: dict[str, Truth] = field(init=False)
    behaviours: dict[str, Behaviour] = field(init=False)

    def __post_init__(self) -> None:
        today = self.now.replace(hour=0, minute=0, second=0, microsecond=0)
        hours = 24 * (LOAD_DAYS + 1)  # those to come are not told of yet
        weather = [f"{place}/{name}" for place in PLACES for name in VARIABLES]
        days = grid(today - DAY * RATE_DAYS, RATE_DAYS, DAY)
        self.truths = {
            "eia": Truth(11, series=LOAD, starts=grid(today - DAY * LOAD_DAYS, hours)),
            "fred": Truth(12, series=RATES, starts=days, lag=DAY),
            "weather": Truth(
                13,
                series=weather,
                starts=grid(today - DAY * WEATHER_DAYS, 24 * WEATHER_DAYS),
                revised=0.0,
            ),
        }
        self.behaviours = {
            "eia": eia.Eia(self.truths["eia"], now=self.now),
            "fred": fred.Fred(self.truths["fred"], now=self.now),
            "weather": OpenMeteo(self.truths["weather"], PLACES, self.now),
        }

    def answer(self, call: Call) -> Reply:
        """Answer in the name of the source that is asked, or obey."""
        name, _, rest = call.path.strip("/").partition("/")
        if name == "control":
            return self._control(rest, call)
        if name not in self.behaviours:
            return _json({"error": "no such source"}, 404)
        return self.behaviours[name].answer(replace(call, path=f"/{rest}"))

    def _control(self, what: str, call: Call) -> Reply:
        asked = json.loads(call.body) if call.body else dict(call.query)
        obeys = {
            "truth": self._told,
            "revise": self._revise,
            "faults": self._fail,
            "keys": lambda _: {"eia": eia.KEY, "fred": fred.KEY},
        }
        if what not in obeys:
            return _json({"error": "no such control"}, 404)
        return _json(obeys[what](asked))

    def _told(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        values = self.truths[asked["source"]].values(as_of=self.now)
        by_series: dict[str, dict[str, float]] = {}
        for (name, ts), value in values.items():
            by_series.setdefault(name, {})[f"{ts:%Y-%m-%dT%H:%M:%SZ}"] = value
        return by_series

    def _revise(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Publish another value for the newest intervals of the first series."""
        truth, count = self.truths[asked["source"]], int(asked["count"])
        name = truth.series[0]
        known = [ts for ts in truth.starts if truth.at(name, ts, self.now) is not None]
        for ts in known[-count:]:
            value = truth.at(name, ts, self.now) or 0.0
            truth.revise(name, ts, round(value * 1.01 + 1, 2), self.now)
        return {"series": name, "revised": len(known[-count:])}

    def _fail(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        first = self.plan.calls + 1
        self.plan.by_call = dict(enumerate(asked["next"], start=first))
        return {"planned": asked["next"]}


def now() -> datetime:
    """Return the whole hour that it is."""
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


def _json(body: Any, status: int = 200) -> Reply:
    text = json.dumps(body).encode()
    return Reply(status, text, {"Content-Type": "application/json"})
