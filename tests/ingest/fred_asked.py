"""What the tests of fred share."""

import json
from datetime import UTC, datetime

from ingest.connectors.fred import Fred
from ingest.contract import Partition
from ingest.exchange import Request
from ingest.fred_series import FredConfig
from tests.ingest.wire_samples import sample
from tests.sources import fred as server
from tests.sources.plain import read_all
from tests.sources.server import serve
from tests.sources.truth import DAY, Truth, grid

EVER = Partition("ever")


XML = "text/xml; charset=utf-8"


SECRETS = {"api_key": server.KEY}


START = datetime(2014, 1, 1, tzinfo=UTC)


def connector(*names: str, **config) -> Fred:
    if "release_id" not in config:
        config.setdefault("series_ids", names or ("GDP",))
    return Fred(FredConfig(**config))


def read(name, reader=None, *, status=200, place=None, media="application/json"):
    asked = Request("http://x/", place=place or {})
    answer = sample(f"fred/{name}", status, media)
    return (reader or connector()).read(asked, answer, EVER)


def observations(rows: list, **more) -> bytes:
    body = {"output_type": 1, "count": len(rows), "offset": 0, "limit": 100_000}
    return json.dumps({**body, "observations": rows, **more}).encode()


def versions(exchanges) -> dict:
    """Return values by key, start, and since when they are known."""
    found = {}
    for exchange in exchanges:
        for batch in exchange.page.batches:
            batch.rows.validate(full=True)
            for row in batch.rows.to_pylist():
                place = row["series_key"], row["ts"], row.get("published_at")
                assert place not in found
                found[place] = row["value"]
    return found


ALL = {"vintages": "all"}


INITIAL = {"vintages": "initial"}


SAMPLES = [
    ("dgs10_missing_dot.json", {}, ("ok", 3, 1, 0)),
    ("gdp_vintages_type1.json", ALL, ("ok", 6, 0, 0)),
    ("gdp_type2_all_vintages.json", ALL, ("ok", 6, 0, 0)),
    ("gdp_type2_all_vintages.json", {}, ("ok", 6, 0, 0)),
    ("gdp_type4_initial.json", INITIAL, ("ok", 2, 0, 0)),
    ("vintagedates.json", ALL, ("metadata", 0, 0, 0)),
    ("series_payems.json", {}, ("metadata", 0, 0, 0)),
    ("empty.json", {}, ("empty", 0, 0, 0)),
    ("truncated.json", {}, ("transient", 0, 0, 0)),
    ("v2_release_p1.json", {"release_id": 18}, ("ok", 1, 1, 0)),
]


ERRORS = [
    ("err_400_key_unregistered.json", 400, "auth", None),
    ("err_400_series.json", 400, "config", None),
    ("err_400_vintages_2000.json", 400, "split_window", None),
    ("err_429.json", 429, "rate_limited", 20.0),
    ("err_504.html", 504, "transient", None),
    ("err_504.html", 200, "transient", None),
]


NAMES = ("DGS10", "T10Y2Y")


TRUTH = Truth(3, series=NAMES, starts=grid(START, 60, DAY), lag=DAY, revised=0.4)


LONG = Truth(4, series=("DFF",), starts=grid(START, 2_150, DAY), lag=DAY)


def read_from(behaviour, *, partition=None, secrets=SECRETS, **config):
    with serve(behaviour) as running:
        reader = connector(base_url=f"{running.url}/fred", **config)
        plan = reader.plan(START - DAY, START + 9_000 * DAY)
        found = read_all(reader, (partition,) if partition else plan, secrets=secrets)
        return found, running.calls


def expected(truth: Truth, *, first_only=False) -> dict:
    """Return all values that differ from the one told the day before."""
    told = server.Fred(truth)
    found = {}
    for name in truth.series:
        for ts in truth.starts:
            before = ""
            several = told.intervals(name, ts)
            for one in several[:1] if first_only else several:
                if one.value not in (before, "."):
                    place = name.lower(), ts, server.end_of(one.first)
                    found[place] = float(one.value)
                before = one.value
    return found


def today(truth: Truth) -> dict:
    return {(name.lower(), ts, None): v for (name, ts), v in truth.values().items()}
