"""Tables of more than 5,000 rows behind servers, for connectors that read in pages."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ingest.connectors import connectors
from ingest.contract import Connector, Partition
from tests.sources import data_gov_in, entsoe, noaa, open_meteo, yahoo
from tests.sources.plain import Plain
from tests.sources.server import Behaviour, serve
from tests.sources.truth import DAY, HOUR, START, Truth, grid

PLACES = {f"p{number}": (number / 4, number / 4) for number in range(20)}
BE = "10YBE----------2"


@dataclass(frozen=True)
class World:
    """What there is, who shows it, and how it is asked for.

    Attributes:
        truth: the table.
        shows: the behaviour of the source.
        config: of the connector, with ``{url}`` for the address of the server.
        window: from when until when all of it lies; None asks for all at once.
        secrets: for the requests.
    """

    truth: Truth
    shows: Behaviour
    config: Mapping[str, object]
    window: tuple[datetime, datetime] | None
    secrets: Mapping[str, str]


def _cdo() -> World:
    names = [f"GHCND:S{place}/TMAX" for place in range(20)]
    truth = Truth(1, series=names, starts=grid(START, 300, DAY))
    stations = [name.split("/")[0] for name in names]
    config = {"stations": stations, "elements": ["TMAX"], "base_url": "{url}"}
    window = (START, START + 300 * DAY)
    return World(truth, noaa.Cdo(truth), config, window, {"token": noaa.TOKEN})


def _ncei() -> World:
    names = [f"S{place}/TMAX" for place in range(20)]
    truth = Truth(2, series=names, starts=grid(START, 300, DAY))
    stations = [name.split("/")[0] for name in names]
    config = {"stations": stations, "elements": ["TMAX"], "base_url": "{url}"}
    return World(truth, noaa.Ncei(truth), config, (START, START + 300 * DAY), {})


def _nws() -> World:
    names = ("KNYC/temperature", "KNYC/dewpoint", "KBOS/temperature")
    truth = Truth(3, series=names, starts=grid(START, 2_400))
    config = {
        "stations": ["KNYC", "KBOS"],
        "base_url": "{url}",
        "contact": "somebody@example.test",
    }
    shows = noaa.Nws(truth, size=500)
    return World(truth, shows, config, (START, START + 2_400 * HOUR), {})


def _data_gov_in() -> World:
    months = [datetime(2000 + n // 12, n % 12 + 1, 1, tzinfo=UTC) for n in range(240)]
    names = [f"C{number}" for number in range(25)]
    truth = Truth(4, series=names, starts=months, lag=40 * DAY)
    shows = data_gov_in.DataGovIn(truth, datetime(2026, 1, 1, tzinfo=UTC), most=1_000)
    config = {
        "resource": "00000000-0000-0000-0000-000000000000",
        "dimensions": ["company_name"],
        "value": "quantity",
        "month": "month",
        "year": "year",
        "base_url": "{url}",
    }
    return World(truth, shows, config, None, {"api_key": data_gov_in.KEY})


def _yahoo() -> World:
    symbols = ("CL=F", "^GSPC")
    names = [f"{symbol}/{field}" for symbol in symbols for field in yahoo.FIELDS]
    truth = Truth(5, series=names, starts=yahoo.weekdays(START, 800), revised=0.0)
    end = START + 800 * DAY
    shows = yahoo.Yahoo(truth, end + timedelta(hours=21))
    config = {"symbols": symbols, "base_url": "{url}"}
    return World(truth, shows, config, (START, end), {})


def _weather(variables: tuple[str, ...], days: int) -> tuple[Truth, dict]:
    names = [f"{place}/{name}" for place in PLACES for name in variables]
    truth = Truth(
        6, series=names, starts=grid(START, 24 * days), lag=-days * DAY, revised=0.0
    )
    places = [
        {"name": name, "latitude": pair[0], "longitude": pair[1]}
        for name, pair in PLACES.items()
    ]
    return truth, {"places": places, "hourly": variables, "base_url": "{url}"}


def _archive() -> World:
    truth, config = _weather(("temperature_2m",), 16)
    shows = open_meteo.OpenMeteo(truth, PLACES, START + 20 * DAY)
    return World(truth, shows, config, (START, START + 16 * DAY), {})


class Sure(open_meteo.OpenMeteo):
    """Forecasts of which every run says what then was."""

    def forecast(self, name: str, ts: datetime, *_: datetime) -> float | None:
        return self.truth.at(name, ts)


def _forecast() -> World:
    truth, config = _weather(("temperature_2m",), 16)
    shows = Sure(truth, PLACES, START + 9 * HOUR)
    config = {**config, "forecast_days": 16}
    return World(truth, shows, config, (START, START + 16 * DAY), {})


def _entsoe() -> World:
    truth = Truth(7, series=(BE,), starts=grid(START, 24 * 230), revised=0.0)
    config = {"document": "A65", "areas": [BE], "base_url": "{url}"}
    shows = entsoe.Entsoe(truth, most=20)
    window = (START, START + 230 * DAY)
    return World(truth, shows, config, window, {"security_token": entsoe.TOKEN})


WORLDS: Mapping[str, Callable[[], World]] = {
    "cdo": _cdo,
    "ncei": _ncei,
    "nws": _nws,
    "data_gov_in": _data_gov_in,
    "yahoo_chart": _yahoo,
    "open_meteo": _forecast,
    "open_meteo_archive": _archive,
    "entsoe": _entsoe,
}


@contextmanager
def opened(
    name: str,
) -> Iterator[tuple[Truth, Connector, tuple[Partition, ...], Plain]]:
    """Serve a long table; yield it with all that reads it."""
    world = WORLDS[name]()
    kind = connectors()[name]
    with serve(world.shows) as served:
        config = {
            field: served.url if text == "{url}" else text
            for field, text in world.config.items()
        }
        made = kind(kind.config_type.model_validate(config))
        plan = made.plan(*world.window) if world.window else (Partition("all"),)
        yield world.truth, made, plan, Plain(world.secrets)
