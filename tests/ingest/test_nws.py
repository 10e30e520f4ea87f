"""The National Weather Service: samples, and a server of pages of observations."""

import json
from datetime import UTC, datetime

import pytest

from ingest.connectors.nws import Nws, NwsConfig
from ingest.contract import (
    Partition,
)
from ingest.exchange import Request
from ingest.fetch import Refused
from tests.ingest.wire_samples import after_each_fault, codes, counted, made, sample
from tests.sources import noaa as fake
from tests.sources.patient import read_patiently, values_of
from tests.sources.plain import Plain, read_all
from tests.sources.server import serve
from tests.sources.truth import HOUR, Truth, grid

OPEN = Partition("open")
REQUEST = Request("https://api.weather.gov/stations/KNYC/observations")
GEO = "application/geo+json"
PROBLEM = "application/problem+json"
AT = "2026-01-10T12:51:00+00:00"


def nws(contact="ops@example.org", **more):
    return Nws(NwsConfig(contact=contact, **{"stations": ("KNYC",), **more}))


def rows_of(page):
    return [row for batch in page.batches for row in batch.rows.to_pylist()]


def test_the_sample_has_a_value_and_a_missing_one_and_leads_on():
    answer = sample("noaa/nws_observations.json", media_type=GEO)
    page = nws().read(REQUEST, answer, OPEN)
    (row,) = rows_of(page)
    assert (row["series_key"], row["value"]) == ("knyc.temperature", 3.3)
    assert row["ts"] == datetime(2026, 1, 10, 12, 51, tzinfo=UTC)
    assert [(meta.key, meta.unit) for meta in page.series] == [
        ("knyc.temperature", "degC")
    ]
    (follow,) = page.follow
    assert (follow.url, follow.params) == (REQUEST.url, (("cursor", "FAKE"),))
    assert counted(nws().read(REQUEST, answer, OPEN)) == ("ok", 1, 1, 0)


@pytest.mark.parametrize(
    ("name", "status", "cls", "wait_s"),
    [
        ("nws_500.json", 500, "transient", 5.0),
        ("nws_503.json", 503, "transient", 5.0),
        ("nws_404.json", 404, "config", None),
    ],
)
def test_a_problem_has_the_class_of_its_status(name, status, cls, wait_s):
    answer = sample(f"noaa/{name}", status, PROBLEM)
    verdict = nws().read(REQUEST, answer, OPEN).verdict
    assert (verdict.cls, verdict.wait_s) == (cls, wait_s)


@pytest.mark.parametrize(
    ("body", "status", "cls"),
    [
        ("<html>Access Denied</html>", 403, "auth"),
        ("<html><body>Will be right back</body></html>", 200, "transient"),
        ('{"type": "FeatureCollection"', 200, "transient"),
        ('{"type": "FeatureCollection"}', 200, "schema_drift"),
        ('{"features": []}', 200, "empty"),
        ("slow down", 429, "rate_limited"),
    ],
)
def test_what_is_no_page_of_observations_has_a_class_of_its_own(body, status, cls):
    assert nws().read(REQUEST, made(body, status), OPEN).verdict.cls == cls


def quantity(value, mark="V", unit="wmoUnit:degC"):
    return {"unitCode": unit, "value": value, "qualityControl": mark}


def feature(at=AT, **more):
    station = "https://api.weather.gov/stations/KNYC"
    return {"properties": {"station": station, "timestamp": at, **more}}


def page_of(*features, **more):
    return nws(**more).read(REQUEST, made(json.dumps({"features": features})), OPEN)


def test_values_that_failed_a_check_are_refused_and_bad_rows_are_named():
    features = [
        feature(temperature=quantity(3.3), dewpoint=quantity(53.3, "X")),
        feature(at="noon", temperature=quantity(3.3)),
        "no feature",
        feature(temperature=quantity("warm")),
        feature(temperature=quantity(value=True)),
        feature(temperature=quantity(None, "Z"), elevation=quantity(27)),
    ]
    assert codes(page_of(*features)) == [
        (1, "flagged"),
        (2, "bad_time"),
        (3, "malformed_row"),
        (4, "bad_value"),
        (5, "bad_value"),
    ]
    assert counted(page_of(*features)) == ("ok", 1, 1, 5)


def test_a_quantity_in_two_units_is_never_mixed():
    page = page_of(
        feature(windSpeed=quantity(5, unit="wmoUnit:m_s-1")),
        feature(windSpeed=quantity(18, unit="wmoUnit:km_h-1")),
    )
    assert page.verdict.cls == "schema_drift"


def test_only_the_quantities_asked_for_are_read():
    said = feature(temperature=quantity(3.3), dewpoint=quantity(1.1))
    page = page_of(said, quantities=("dewpoint",))
    assert [row["series_key"] for row in rows_of(page)] == ["knyc.dewpoint"]


def test_the_next_page_is_asked_of_the_same_host_only():
    body = {
        "features": [feature(temperature=quantity(3.3))],
        "pagination": {"next": "http://169.254.169.254/latest?cursor=x"},
    }
    page = nws().read(REQUEST, made(json.dumps(body)), OPEN)
    assert [request.url for request in page.follow] == [REQUEST.url]


def truth():
    names = ("KNYC/temperature", "KNYC/dewpoint", "KBOS/temperature")
    starts = grid(datetime(2026, 1, 8, tzinfo=UTC), 25)
    return Truth(4, series=names, starts=starts, missing=0.1)


def expected(table, *stations):
    return {
        (name.lower().replace("/", "."), ts): value
        for (name, ts), value in table.values().items()
        if name.split("/")[0] in stations
    }


def test_what_is_read_is_the_truth_with_no_instant_twice():
    table = truth()
    middle, end = table.starts[13], table.starts[-1] + HOUR
    plan = (
        Partition("a", table.starts[0], middle),
        Partition("b", middle, end),
    )
    with serve(fake.Nws(table, size=5)) as served:
        connector = nws(base_url=served.url, stations=("KNYC", "KBOS"))
        values = values_of(read_patiently(connector, plan, Plain()))
    assert values == expected(table, "KNYC", "KBOS")


def test_any_single_fault_at_any_call_leads_to_the_same_rows():
    table = truth()
    plan = (Partition("a", table.starts[0], table.starts[-1] + HOUR),)
    with serve(fake.Nws(table, size=15)) as served:
        connector = nws(base_url=served.url)

        def whole():
            return values_of(read_patiently(connector, plan, Plain()))

        for call, fault, values in after_each_fault(served, whole):
            assert values == expected(table, "KNYC"), (call, fault)


def test_a_client_that_does_not_say_who_it_is_is_turned_away():
    table = truth()
    window = (Partition("a", table.starts[0], table.starts[-1]),)
    with serve(fake.Nws(table)) as served, pytest.raises(Refused) as refused:
        read_all(nws(contact="nobody", base_url=served.url), window)
    assert refused.value.verdict.cls == "auth"


def observed(**properties):
    quantity = {"unitCode": "wmoUnit:degC", "value": "3.3", "qualityControl": "V"}
    said = {"timestamp": AT, "temperature": quantity, **properties}
    return made(json.dumps({"features": [{"properties": said}]}))


def test_a_number_may_come_as_text():
    station = "https://api.weather.gov/stations/KNYC"
    (row,) = rows_of(nws().read(REQUEST, observed(station=station), OPEN))
    assert (row["series_key"], row["value"]) == ("knyc.temperature", 3.3)


def test_an_observation_that_names_no_station_is_of_the_one_that_was_asked():
    reader = nws()
    (request,) = reader.requests(OPEN)
    for nobody in ({}, {"station": None}):
        (row,) = rows_of(reader.read(request, observed(**nobody), OPEN))
        assert row["series_key"] == "knyc.temperature"


def test_a_problem_under_200_is_one():
    problem = {"title": "Unexpected Problem", "status": 500, "detail": "Try later."}
    verdict = nws().read(REQUEST, made(json.dumps(problem)), OPEN).verdict
    assert verdict.cls == "transient"
    assert "Try later." in verdict.detail


@pytest.mark.parametrize("old", ["timestamp", "temperature"])
def test_a_name_that_is_gone_from_all_observations_is_told(old):
    body = observed().body.replace(f'"{old}"'.encode(), b'"other"')
    page = nws(quantities=("temperature",)).read(REQUEST, made(body), OPEN)
    assert counted(page) == ("schema_drift", 0, 0, 0)
    assert old in page.verdict.detail
