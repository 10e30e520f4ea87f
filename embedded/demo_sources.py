"""Sources without keys: EIA, FRED and weather, read from servers at this desk.

The servers speak the formats of the real ones over figures that are made up, so what
is read can be compared with what was told, value by value.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from embedded.client import CallFailed, Client

NAMES = ("eia", "fred", "weather")
REVISED = {"eia": 7, "weather": 5}
FAULTS = ("503", "429")
FORECAST = "eia.pjm.d"
HORIZON = 24
_WINDOWS = 7
_BACK_DAYS = {"eia": 58, "fred": 360, "weather": 58}  # within what the servers have
_SERVERS_WITHIN_S = 20.0
_THEN_DAYS = 8


@dataclass(frozen=True)
class World:
    """A platform, and the address of the servers that stand in for the world."""

    client: Client
    servers: Client

    def run(self, name: str, act: str = "run", body: object = None) -> dict[str, Any]:
        """Ask a source to do something, and return the job that did it."""
        path = f"/v1/sources/{name}/{act}"
        return self.client.ended(self.client.call("POST", path, body))


def story(client: Client, *, servers: str) -> Iterator[str]:
    """Read three sources, and yield what a person reads of it, line by line.

    Args:
        client: of a platform that may ask 127.0.0.1.
        servers: the address of ``python -m tests.sources``.

    Raises:
        CallFailed: a call or a job failed, or a figure is not what was told.
    """
    world = World(client, Client(servers))
    _await_servers(world)
    yield f"\nEIA, FRED and Open-Meteo as they answer, with made-up figures: {servers}"
    _connect(world)
    yield "\nOne question to each (nothing is stored)"
    for name in NAMES:
        result = world.run(name, "preview", {"rows": 1})["result"]
        yield _probed(name, result)
    yield "\nFirst read"
    yield from _reads(world)
    yield from _compared(world)
    yield "\nSecond read, and the sources have nothing new"
    yield from _reads(world)
    yield from _revised(world)
    yield from _survived(world)
    yield from _fresh(world)
    yield from _known_then(world)
    yield from _forecast(world)
    yield from _places(client)


def _await_servers(world: World) -> None:
    ends_at = time.monotonic() + _SERVERS_WITHIN_S
    while True:
        try:
            world.servers.call("GET", "/control/keys")
        except OSError as error:
            if time.monotonic() > ends_at:
                raise CallFailed(f"the sources do not answer: {error}") from error
            time.sleep(0.1)
        else:
            return


def _connect(world: World) -> None:
    """Put the credentials and create the sources, or point those of before here."""
    keys = world.servers.call("GET", "/control/keys")
    for name, key in keys.items():
        secrets = {"secrets": {"api_key": key}}
        world.client.call("PUT", f"/v1/credentials/demo-{name}", secrets)
    there = {
        one["name"]
        for one in world.client.call("GET", "/v1/sources?limit=200")["items"]
    }
    for name, more in _sources(world.servers.base).items():
        since = datetime.now(UTC) - timedelta(days=_BACK_DAYS[name])
        begins = f"{since:%Y-%m-%d}T00:00:00Z"
        body: dict[str, Any] = {"since": begins, **more}
        if name in keys:
            body["credential"] = f"demo-{name}"
        if name in there:
            del body["connector"]
            world.client.call("PATCH", f"/v1/sources/{name}", body)
            world.client.call("POST", f"/v1/sources/{name}/enable")
        else:
            world.client.call("POST", "/v1/sources", {"name": name, **body})


def _sources(servers: str) -> dict[str, dict[str, Any]]:
    places = [
        {"name": "new-york", "latitude": 40.71, "longitude": -74.01},
        {"name": "chicago", "latitude": 41.88, "longitude": -87.63},
    ]
    return {
        "eia": {
            "connector": "eia",
            "config": {
                "route": "electricity/rto/region-data",
                "frequency": "hourly",
                "facets": {"respondent": ["PJM"]},
                "base_url": f"{servers}/eia/v2",
            },
        },
        "fred": {
            "connector": "fred",
            "config": {
                "series_ids": ["DGS10", "T10YIE"],
                "vintages": "all",
                "base_url": f"{servers}/fred/fred",
            },
        },
        "weather": {
            "connector": "open_meteo_archive",
            "config": {
                "places": places,
                "hourly": ["temperature_2m", "wind_speed_10m"],
                "base_url": f"{servers}/weather",
            },
        },
    }


def _probed(name: str, result: dict[str, Any]) -> str:
    rows = result["rows"]
    first = f"{rows[0]['ts']}  {rows[0]['series']} = {rows[0]['value']:,.2f}"
    return f"  {name:<8} {result['verdict']:<6} {first}"


def _reads(world: World, names: tuple[str, ...] = NAMES) -> Iterator[str]:
    for name in names:
        yield _read(name, world.run(name)["result"])


def _read(name: str, result: dict[str, Any]) -> str:
    return (
        f"  {name:<8} {result['state']:<10} {result['written']:>6,} new "
        f"{result['revised']:>4,} revised {result['unchanged']:>6,} unchanged "
        f"{result['missing']:>4,} without a value"
    )


def _compared(world: World) -> Iterator[str]:
    """Hold what is stored against what the servers told, value by value.

    Raises:
        CallFailed: a value differs.
    """
    yield "\nStored values against what the servers told"
    for name in NAMES:
        equal, stored, other = 0, 0, ""
        told = world.servers.call("GET", f"/control/truth?source={name}")
        by_key = {_key(name, series): values for series, values in told.items()}
        for key, values in by_key.items():
            for row in _observations(world.client, key):
                stored += 1
                equal += values.get(row["ts"]) == row["value"]
                other = other or str(row) * (values.get(row["ts"]) != row["value"])
        yield f"  {name:<8} {equal:>6,} of {stored:,} equal, in {len(by_key)} series"
        if equal != stored or not stored:
            raise CallFailed(f"{name}: stored is not what was told: {other}")


def _key(name: str, series: str) -> str:
    local = series.lower().replace(":", ".").replace("/", ".")
    return f"{name}.{local}"


def _observations(client: Client, key: str, **query: str) -> list[dict[str, Any]]:
    asked = "&".join(f"{name}={text}" for name, text in query.items())
    path = f"/v1/series/{key}/observations?{asked}"
    found: list[dict[str, Any]] = client.call("GET", path)["observations"]
    return found


def _revised(world: World) -> Iterator[str]:
    """Let the servers publish other values, and count what is written.

    Raises:
        CallFailed: more or fewer values were written than were revised.
    """
    told = ", ".join(f"{count} of {name}" for name, count in REVISED.items())
    yield f"\nThe servers publish other values, {told}; read again"
    for name, count in REVISED.items():
        asked = {"source": name, "count": count}
        world.servers.call("POST", "/control/revise", asked)
        result = world.run(name)["result"]
        yield _read(name, result)
        if (result["written"], result["revised"]) != (0, count):
            raise CallFailed(f"{name}: {count} values were revised, not so many found")


def _survived(world: World) -> Iterator[str]:
    faults = ", then ".join(FAULTS)
    yield f"\nThe next answers of EIA are {faults}; read again"
    world.servers.call("POST", "/control/faults", {"next": FAULTS})
    job = world.run("eia")
    yield _read("eia", job["result"]) + f", attempt {job['attempt']}"


def _fresh(world: World) -> Iterator[str]:
    yield "\nHow fresh the series are, judged every quarter of an hour and now"
    once = f"demo-freshness-{time.time_ns()}"
    world.client.run("ingest.freshness", {}, once=once)
    for name in NAMES:
        found = world.client.call("GET", f"/v1/sources/{name}")["freshness"]
        told = ", ".join(f"{count} {state}" for state, count in found.items())
        yield f"  {name:<8} {told}"


def _known_then(world: World) -> Iterator[str]:
    """Read a series of FRED as it is, and as it was known some days ago."""
    today = datetime.now(UTC)
    then = f"{today - timedelta(days=_THEN_DAYS):%Y-%m-%d}T12:00:00Z"
    now = {row["ts"]: row["value"] for row in _observations(world.client, "fred.dgs10")}
    before = _observations(world.client, "fred.dgs10", as_of=then)
    changed = [row for row in before if now.get(row["ts"]) != row["value"]]
    yield f"\nfred.dgs10 as it was known on {then[:10]}"
    yield (
        f"  {len(before):,} values of {len(now):,} were known; revised since: "
        f"{len(changed)}"
    )
    for row in changed[:1]:
        new = now.get(row["ts"])
        yield f"  {row['ts'][:10]}: {row['value']:,.2f} then, {new:,.2f} now"


def _forecast(world: World) -> Iterator[str]:
    job = world.client.run(
        "forecast.run",
        {
            "series": [FORECAST],
            "horizon": HORIZON,
            "frequency": "1h",
            "backtest": {"windows": _WINDOWS},
        },
        once=f"demo-sources-{time.time_ns()}",
    )
    (item,) = job["result"]["series"]
    judged = item["evaluation"]
    first = item["points"][0]
    yield f"\nForecast of {FORECAST}, {HORIZON} hours, by {item['model']}"
    yield (
        f"  MAE {judged['mae']:,.1f} over {judged['windows']} days that it had not "
        f"seen; first hour {first['ds']}: {first['mean']:,.1f}"
    )
    yield f"\nPicture   {world.client.base}/console/jobs/{job['id']}"


def _places(client: Client) -> Iterator[str]:
    yield f"Sources   {client.base}/console/sources"
    yield f"API       {client.base}/docs"
    yield f"API key   {client.key}"
