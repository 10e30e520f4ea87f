"""What the tests of eia share."""

import json
from datetime import UTC, datetime

from ingest.connectors.eia import Eia, EiaConfig
from ingest.contract import (
    Partition,
)
from ingest.exchange import Request
from tests.ingest.wire_samples import sample
from tests.sources import eia as server
from tests.sources.plain import read_all
from tests.sources.server import serve
from tests.sources.truth import HOUR, Truth, grid

GRID = "electricity/rto/region-data"


EVER = Partition("ever")


DAY = datetime(2026, 3, 8, tzinfo=UTC)


def connector(route=GRID, frequency="hourly", **config) -> Eia:
    return Eia(EiaConfig(route=route, frequency=frequency, **config))


def first(reader: Eia, partition=EVER) -> Request:
    return reader.requests(partition)[0]


def read(name: str, reader: Eia | None = None, *, status=200, **headers):
    reader = reader or connector()
    answer = sample(f"eia/{name}", status, **headers)
    return reader.read(first(reader), answer, EVER)


def table(exchanges) -> dict:
    found = {}
    for exchange in exchanges:
        for batch in exchange.page.batches:
            for row in batch.rows.to_pylist():
                assert (row["series_key"], row["ts"]) not in found
                found[row["series_key"], row["ts"]] = row["value"]
    return found


def page(rows: list, *, total=None, offset=0, **response) -> bytes:
    body = {"dateFormat": 'YYYY-MM-DD"T"HH24', "frequency": "hourly"}
    body |= {"total": str(len(rows) if total is None else total), "data": rows}
    body |= response
    echo = {"params": {"offset": str(offset), "length": "5000"}}
    return json.dumps({"response": body, "request": echo}).encode()


def row(period: str, value: object = "1", respondent="PJM", kind="D") -> dict:
    codes = {"respondent": respondent, "type": kind}
    return {"period": period, **codes, "value": value, "value-units": "MWh"}


FUEL = {"route": "electricity/rto/fuel-type-data"}


SALES = {
    "route": "electricity/retail-sales",
    "frequency": "monthly",
    "data": ("sales", "price"),
}


PLANT = {
    "route": "electricity/facility-fuel",
    "frequency": "monthly",
    "data": ("generation", "gross-generation"),
}


POWER = {
    "route": "electricity/electric-power-operational-data",
    "frequency": "monthly",
    "data": ("generation",),
}


SAMPLES = [
    ("region_data_p1.json", {}, ("ok", 5, 0, 0)),
    ("revision_rerun.json", {}, ("ok", 5, 0, 0)),
    ("legacy_numbers_nulls_v203.json", FUEL, ("incomplete", 1, 1, 0)),
    ("warnings_nested_v214.json", POWER, ("ok", 1, 0, 0)),
    ("retail_sales_multi_column.json", SALES, ("ok", 2, 2, 0)),
    ("facility_fuel_NA.json", PLANT, ("ok", 1, 1, 0)),
    ("local_hourly.json", {}, ("ok", 1, 0, 0)),
    ("fuel_type_case_dup.json", FUEL, ("ok", 1, 0, 0)),
    ("empty.json", {}, ("empty", 0, 0, 0)),
    ("facet_sectorid.json", {}, ("metadata", 0, 0, 0)),
    ("truncated.json", {}, ("transient", 0, 0, 0)),
    ("drift_new_column.json", {}, ("ok", 1, 0, 0)),
    ("bad_rows.json", {}, ("ok", 1, 0, 3)),
    ("err_429_in_200.json", {}, ("rate_limited", 0, 0, 0)),
]


ERRORS = [
    ("err_403_missing.json", 403, "auth"),
    ("err_403_invalid.json", 403, "auth"),
    ("err_400_frequency.json", 400, "config"),
    ("err_400_with_http_500.json", 500, "config"),
    ("err_404_route.json", 404, "config"),
    ("err_429.json", 429, "rate_limited"),
    ("err_500.html", 500, "transient"),
    ("err_500.html", 200, "transient"),
]


TRUTH = Truth(5, series=("PJM:D", "PJM:NG", "MISO:D"), starts=grid(DAY, 1_800))


FEW = Truth(6, series=("PJM:D", "PJM:NG", "MISO:D"), starts=grid(DAY, 48))


SECRETS = {"api_key": server.KEY}


def served(reader_of, truth=TRUTH, *, now=None):
    behaviour = server.Eia(truth, now=now)
    with serve(behaviour) as running:
        reader = reader_of(f"{running.url}/v2")
        partition = Partition("x", DAY, DAY + 1_800 * HOUR)
        return read_all(reader, (partition,), secrets=SECRETS), running.calls


def local(base_url: str) -> Eia:
    return connector(base_url=base_url)


def expected(truth=TRUTH, as_of=None) -> dict:
    named = truth.values(as_of).items()
    return {(name.lower().replace(":", "."), ts): value for (name, ts), value in named}
