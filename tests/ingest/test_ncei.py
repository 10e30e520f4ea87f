"""NOAA's archive: the access service and climate data online, samples and servers."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from ingest.connectors.cdo import Cdo, CdoConfig
from ingest.connectors.ncei import Ncei, NceiConfig
from ingest.contract import (
    Partition,
)
from ingest.exchange import Request
from tests.ingest.wire_samples import after_each_fault, codes, counted, made, sample
from tests.sources import noaa as fake
from tests.sources.patient import read_patiently, values_of
from tests.sources.plain import Plain
from tests.sources.server import serve
from tests.sources.truth import DAY, Truth, grid

STATIONS = ("USW00094728", "USC00457180")
ELEMENTS = ("TMAX", "TMIN", "PRCP")
OPEN = Partition("open")
REQUEST = Request("https://a.test")


def ncei(stations=STATIONS[:1], elements=ELEMENTS, **more):
    return Ncei(NceiConfig(stations=stations, elements=elements, **more))


def cdo(**more):
    return Cdo(CdoConfig(stations=STATIONS, elements=ELEMENTS, **more))


def rows_of(page):
    return [row for batch in page.batches for row in batch.rows.to_pylist()]


def test_the_sample_of_days_has_five_values_and_an_absent_one():
    page = ncei().read(REQUEST, sample("noaa/ncei_daily.json"), OPEN)
    assert (page.verdict.cls, page.drift) == ("ok", ())
    assert {meta.key: meta.unit for meta in page.series} == {
        "usw00094728.tmax": "degC",
        "usw00094728.tmin": "degC",
        "usw00094728.prcp": "mm",
    }
    found = [(r["series_key"], r["ts"].day, r["value"]) for r in rows_of(page)]
    assert found == [
        ("usw00094728.tmax", 2, 4.4),
        ("usw00094728.tmin", 2, -1.1),
        ("usw00094728.prcp", 2, 0.0),
        ("usw00094728.tmax", 3, 6.7),
        ("usw00094728.prcp", 3, 2.5),
    ]
    again = ncei().read(REQUEST, sample("noaa/ncei_daily.json"), OPEN)
    assert counted(again) == ("ok", 5, 1, 0)


@pytest.mark.parametrize("connector", [ncei(), cdo()])
@pytest.mark.parametrize(
    ("name", "status", "cls", "wait_s"),
    [
        ("cdo_empty.json", 200, "empty", None),
        ("cdo_429_day.json", 429, "rate_limited", 86_400.0),
        ("cdo_429_day.json", 200, "rate_limited", 86_400.0),
        ("cdo_400_range.json", 400, "config", None),
        ("cdo_400_range.json", 200, "config", None),
        ("nws_503.json", 200, "transient", None),
    ],
)
def test_an_error_is_told_by_the_body_whatever_the_status(
    connector, name, status, cls, wait_s
):
    verdict = connector.read(REQUEST, sample(f"noaa/{name}", status), OPEN).verdict
    assert (verdict.cls, verdict.wait_s) == (cls, wait_s)


@pytest.mark.parametrize(
    ("body", "status", "cls"),
    [
        ("[]", 200, "empty"),
        ('[{"DATE": "2026-01-02", "TMAX', 200, "transient"),
        ("<html><body>Maintenance</body></html>", 200, "transient"),
        ("<html><body>Maintenance</body></html>", 503, "transient"),
        ('{"rows": []}', 200, "schema_drift"),
        ('[{"date": "2026-01-02", "TMAX": "1"}]', 200, "schema_drift"),
        ('{"errorCode": 500, "errorMessage": "oops"}', 200, "transient"),
    ],
)
def test_what_is_no_list_of_rows_has_a_class_of_its_own(body, status, cls):
    assert ncei().read(REQUEST, made(body, status), OPEN).verdict.cls == cls


def answer(*rows):
    return made(json.dumps(rows))


def day(date, **more):
    return {"DATE": date, "STATION": "A", **more}


def test_bad_rows_are_refused_one_by_one():
    rows = [
        day("2026-01-02", TMAX="x"),
        day("soon", TMAX="1"),
        "no row",
        day("2026-01-03", TMAX="99.9", TMAX_ATTRIBUTES=",I,W"),
        day("2026-01-04", TMAX="NaN"),
        day("2026-01-05", TMAX="1.5", TMAX_ATTRIBUTES=",,W", MOOD="fine"),
    ]
    connector = ncei(elements=("TMAX",))
    page = connector.read(REQUEST, answer(*rows), OPEN)
    assert page.drift == ("+MOOD",)
    assert [row["value"] for row in rows_of(page)] == [1.5]
    assert codes(connector.read(REQUEST, answer(*rows), OPEN)) == [
        (1, "bad_value"),
        (2, "bad_time"),
        (3, "malformed_row"),
        (4, "flagged"),
        (5, "not_finite"),
    ]


def test_months_are_stored_at_their_first_day():
    page = ncei(dataset="global-summary-of-the-month", elements=("TAVG",)).read(
        REQUEST, answer(day("2026-02", TAVG="3.2")), OPEN
    )
    (row,) = rows_of(page)
    assert (row["ts"], row["value"]) == (datetime(2026, 2, 1, tzinfo=UTC), 3.2)
    assert page.series[0].frequency == "P1M"


def test_hourly_values_are_unpacked_and_their_flags_heeded():
    rows = [
        day("2026-01-02T00:51:00", TMP="+0044,1", WND="310,1,N,0046,1"),
        day("2026-01-02T01:51:00", TMP="-0005,5", WND="999,9,9,9999,9"),
        day("2026-01-02T02:51:00", TMP="+0900,3", WND="310,1"),
    ]
    connector = ncei(dataset="global-hourly", elements=("TMP", "WND"))
    page = connector.read(REQUEST, answer(*rows), OPEN)
    assert [(row["series_key"], row["value"]) for row in rows_of(page)] == [
        ("a.tmp", 4.4),
        ("a.wnd", 4.6),
        ("a.tmp", -0.5),
    ]
    assert counted(connector.read(REQUEST, answer(*rows), OPEN)) == ("ok", 3, 1, 2)


def test_the_dates_asked_for_lie_in_the_window():
    start = datetime(2026, 1, 2, tzinfo=UTC)
    window = Partition("two days", start, start + 2 * DAY)
    (request,) = ncei().requests(window)
    assert request.params == (
        ("dataset", "daily-summaries"),
        ("stations", "USW00094728"),
        ("startDate", "2026-01-02"),
        ("endDate", "2026-01-03"),
        ("dataTypes", "TMAX,TMIN,PRCP"),
        ("units", "metric"),
        ("format", "json"),
    )
    assert len(ncei(tuple(map(str, range(60)))).requests(window)) == 3


def table(days):
    names = tuple(f"{place}/{name}" for place in STATIONS for name in ELEMENTS)
    starts = grid(datetime(2026, 1, 1, tzinfo=UTC), days, DAY)
    return Truth(9, series=names, starts=starts)


def expected(truth, prefix=""):
    return {
        (prefix + name.lower().replace("/", "."), ts): value
        for (name, ts), value in truth.values().items()
    }


def test_what_the_access_service_says_is_the_truth_after_any_single_fault():
    truth = table(30)
    with serve(fake.Ncei(truth)) as served:
        connector = ncei(STATIONS, base_url=served.url)
        start = truth.starts[0]
        plan = (
            *connector.plan(start, start + 12 * DAY),
            *connector.plan(start + 12 * DAY, start + 30 * DAY),
        )

        def whole():
            return values_of(read_patiently(connector, plan, Plain()))

        assert whole() == expected(truth)
        for call, fault, values in after_each_fault(served, whole):
            assert values == expected(truth), (call, fault)


def test_pages_of_climate_data_online_are_counted_from_one_and_lead_to_the_end():
    truth = table(180)
    with serve(fake.Cdo(truth)) as served:
        connector = cdo(base_url=served.url)
        start = truth.starts[0]
        plan = (Partition("days", start, start + 180 * DAY),)

        def whole():
            transport = Plain({"token": fake.TOKEN})
            return read_patiently(connector, plan, transport)

        found = whole()
        assert [call.one("offset") for call in served.calls] == ["1", "1001"]
        assert {exchange.page.total for exchange in found} == {len(truth.values())}
        keyed = {
            (key.removeprefix("ghcnd:"), ts): value
            for (key, ts), value in values_of(found).items()
        }
        assert keyed == expected(truth)
        again = lambda: values_of(whole())  # noqa: E731
        for call, fault, values in after_each_fault(served, again):
            assert values == expected(truth), (call, fault)


def test_no_window_of_climate_data_online_is_a_year_long():
    start = datetime(2020, 1, 1, tzinfo=UTC)
    for part in cdo().plan(start, start + 2_000 * DAY):
        assert part.end - part.start < timedelta(days=365)


def test_climate_data_online_without_its_count_is_not_understood():
    page = cdo().read(REQUEST, made('{"results": [{}]}'), OPEN)
    assert page.verdict.cls == "schema_drift"
    said = '{"metadata": {"resultset": {"count": 5}}, "results": []}'
    assert cdo().read(REQUEST, made(said), OPEN).verdict.cls == "incomplete"


def days(*records, **more):
    """Return the answer about days, or months, of the first station."""
    told = [{"STATION": STATIONS[0], **record} for record in records]
    return ncei(**more).read(REQUEST, made(json.dumps(told)), OPEN)


@pytest.mark.parametrize("mark", ["-9999", "-9999.0", "-999.9", " -9999 ", "NA", None])
def test_marks_of_no_value_are_missing(mark):
    page = days({"DATE": "2026-01-02", "TMAX": mark}, elements=("TMAX",))
    assert counted(page) == ("ok", 0, 1, 0)


def test_a_row_without_a_station_is_of_no_series():
    page = days({"DATE": "2026-01-02", "TMAX": "1", "STATION": ""}, elements=("TMAX",))
    assert (codes(page), page.series) == ([(1, "bad_key")], ())


@pytest.mark.parametrize(
    ("attributes", "bad"),
    [(",S", 0), ("2,W", 0), (",,,W", 0), ("1,,X,W", 1), (None, 0)],
)
def test_a_month_is_flagged_where_its_third_attribute_says_so(attributes, bad):
    month = {"DATE": "2026-01", "PRCP": "80.1", "PRCP_ATTRIBUTES": attributes}
    page = days(month, dataset="global-summary-of-the-month", elements=("PRCP",))
    assert counted(page) == ("ok", 1 - bad, 0, bad)


def test_a_packed_value_that_is_no_number_is_quoted_as_it_stood():
    hour = {"DATE": "2026-01-02T12:51:00", "TMP": "x,1"}
    page = days(hour, dataset="global-hourly", elements=("TMP",))
    ((bad,),) = [batch.rejected for batch in page.batches]
    assert (bad.code, "'x,1'" in bad.detail) == ("bad_value", True)


def results(*values, **resultset):
    row = {"date": "2026-01-02T00:00:00", "datatype": "TMAX", "station": "GHCND:U"}
    found = [{**row, "value": value} for value in values]
    counts = {"offset": 1, "count": len(found), "limit": 1_000, **resultset}
    return json.dumps({"metadata": {"resultset": counts}, "results": found})


def test_numbers_for_no_value_are_missing_in_climate_data_online():
    page = cdo().read(REQUEST, made(results(4.4, -9999, "-9999.0")), OPEN)
    assert counted(page) == ("ok", 1, 2, 0)


@pytest.mark.parametrize(
    "body", [results(), '{"metadata": {"resultset": {"offset": 1, "count": 0}}}']
)
def test_a_count_of_zero_is_empty(body):
    assert cdo().read(REQUEST, made(body), OPEN).verdict.cls == "empty"


@pytest.mark.parametrize(
    ("text", "cls"),
    [
        ("Token parameter is required.", "auth"),
        ("Invalid token", "auth"),
        ("The date range must be less than 1 year.", "config"),
    ],
)
def test_a_bad_request_may_lack_a_token(text, cls):
    body = json.dumps({"status": "400", "message": text})
    verdict = cdo().read(REQUEST, made(body, 400), OPEN).verdict
    assert (verdict.cls, verdict.detail) == (cls, text)


def test_an_element_of_another_name_is_told_and_an_absent_one_is_missing():
    page = days({"DATE": "2026-01-02", "TMAX_C": "1"}, elements=("TMAX",))
    assert counted(page) == ("schema_drift", 0, 0, 0)
    assert "TMAX_C" in page.verdict.detail
    assert counted(days({"DATE": "2026-01-02"}, elements=("TMAX",))) == ("ok", 0, 1, 0)
