"""What the tests of open_meteo share."""

from datetime import UTC, datetime

from ingest.connectors.open_meteo import OpenMeteo, OpenMeteoConfig, Place
from ingest.connectors.open_meteo_archive import (
    OpenMeteoArchive,
    OpenMeteoArchiveConfig,
)
from ingest.contract import (
    Partition,
)
from tests.sources import open_meteo as fake
from tests.sources.truth import DAY, HOUR, Truth, grid

START = datetime(2026, 1, 10, tzinfo=UTC)


WINDOW = Partition("day", START, START + DAY)


BERLIN = Place(name="berlin", latitude=52.52, longitude=13.41)


PARIS = Place(name="paris", latitude=48.85, longitude=2.35)


HEAT, WIND = "temperature_2m", "wind_speed_10m"


def forecast(*places, hourly=(HEAT,), **more):
    return OpenMeteo(OpenMeteoConfig(places=places or (BERLIN,), hourly=hourly, **more))


def archive(*places, hourly=(HEAT,), **more):
    config = OpenMeteoArchiveConfig(places=places or (BERLIN,), hourly=hourly, **more)
    return OpenMeteoArchive(config)


def read(connector, answer):
    request = connector.requests(WINDOW)[0]
    return connector.read(request, answer, WINDOW)


PLACES = {"berlin": (52.52, 13.41), "paris": (48.85, 2.35)}


NAMES = [f"{place}/{name}" for place in PLACES for name in (HEAT, WIND)]


def weather(**more):
    truth = Truth(5, series=NAMES, starts=grid(START, 24 * 12), lag=2 * DAY)
    return fake.OpenMeteo(truth, PLACES, START + 6 * DAY + 9 * HOUR, **more)


def expected(told, start, end, as_of=None):
    return [
        (name.replace("/", "."), ts, value)
        for name, ts, value in told.truth.rows(start=start, end=end, as_of=as_of)
        if value is not None
    ]
