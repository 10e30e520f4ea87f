"""FRED: its samples, its vintages in runs, and a server like it."""

import json
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from ingest.exchange import Request
from ingest.fred_series import FredConfig
from tests.ingest.fred_asked import (
    ALL,
    ERRORS,
    EVER,
    SAMPLES,
    XML,
    connector,
    observations,
    read,
)
from tests.ingest.wire_samples import codes, counted, made, sample


@pytest.mark.parametrize(("name", "config", "expected"), SAMPLES)
def test_a_sample_has_its_class_and_rows(name, config, expected):
    assert counted(read(name, connector(**config))) == expected


def test_xml_is_read_as_the_same_rows():
    page = read("sp500.xml", connector("SP500"), media=XML)
    (batch,) = page.batches
    assert batch.rows["value"].to_pylist() == [2002.28, 2000.72, 1997.65, 2007.71]
    assert batch.rows["ts"][0].as_py() == datetime(2014, 9, 2, tzinfo=UTC)
    assert page.total == 4


@pytest.mark.parametrize(("name", "status", "cls", "wait_s"), ERRORS)
def test_an_error_is_told_by_its_words(name, status, cls, wait_s):
    verdict = read(name, status=status).verdict
    assert (verdict.cls, verdict.wait_s) == (cls, wait_s)
    assert verdict.detail


@pytest.mark.parametrize(
    ("told", "cls"),
    [
        ("Variable api_key is not set.", "auth"),
        ("api_key is not a 32 character alpha-numeric lower-case string.", "auth"),
        ("Too Many Requests.  Exceeded Rate Limit", "rate_limited"),
        ("Variable frequency is not one of the allowed values.", "config"),
    ],
)
def test_xml_errors_are_told_by_their_words_too(told, cls):
    body = f'<?xml version="1.0"?><error code="400" message="Bad Request. {told}"/>'
    page = connector().read(Request("http://x/"), made(body, 400), EVER)
    assert page.verdict.cls == cls


@pytest.mark.parametrize(
    "body", ["", "[]", "7", "<observations", '{"x": 1}', '{"observations": []}']
)
def test_an_answer_of_another_shape_is_judged_and_raises_nothing(body):
    page = connector().read(Request("http://x/"), made(body), EVER)
    assert counted(page)[0] in ("transient", "schema_drift")


def test_entities_of_xml_are_not_resolved(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("17")
    body = (
        f'<!DOCTYPE x [<!ENTITY a SYSTEM "{secret.as_uri()}"><!ENTITY b "18">]>'
        '<vintage_dates count="2"><vintage_date>&a;</vintage_date>'
        "<vintage_date>&b;</vintage_date></vintage_dates>"
    )
    asked = Request("http://x/", place={"series": "GDP"})
    page = connector(vintages="all").read(asked, made(body), EVER)
    assert "17" not in str(page)
    assert "18" not in str(page)


def test_a_vintage_is_known_since_the_end_of_its_day_in_chicago():
    (batch,) = read("gdp_vintages_type1.json", connector(**ALL)).batches
    assert batch.rows["published_at"][0].as_py() == datetime(2014, 1, 31, 6, tzinfo=UTC)
    assert batch.rows["published_at"][5].as_py() == datetime(2014, 6, 26, 5, tzinfo=UTC)
    wide = read("gdp_type2_all_vintages.json", connector(**ALL))
    (other,) = wide.batches
    assert other.rows.drop_columns("row_no") == batch.rows.drop_columns("row_no")


def test_values_of_today_say_nothing_of_when_they_were_published():
    (batch,) = read("dgs10_missing_dot.json").batches
    assert "published_at" not in batch.rows.schema.names


def test_a_row_that_may_have_begun_before_the_window_has_no_day_of_publication():
    cells = {"date": "2013-10-01", "value": "1", "realtime_start": "2014-01-01"}
    body = observations([cells], realtime_start="2014-01-01")
    page = connector(**ALL).read(Request("http://x/"), made(body), EVER)
    (batch,) = page.batches
    assert batch.rows["published_at"].to_pylist() == [None]


def test_rows_equal_to_the_vintage_before_are_dropped():
    cells = [("2014-01-30", "1"), ("2014-02-28", "1"), ("2014-03-27", "2")]
    rows = [
        {"date": "2013-10-01", "realtime_start": day, "value": value}
        for day, value in cells
    ]
    wide = {f"GDP_{day.replace('-', '')}": value for day, value in cells}
    wide = {"date": "2013-10-01", "GDP_20131220": ".", **wide}
    for one in (rows, [wide]):
        body = made(observations(one))
        page = connector(**ALL).read(Request("http://x/"), body, EVER)
        assert counted(page) == ("ok", 2, 0, 0)


def test_bad_rows_are_named_with_their_number_and_what_is_wrong():
    good = {"date": "2014-01-01", "realtime_start": "2014-01-30", "value": "1"}
    rows = [
        good,
        {**good, "date": "2014-13-01"},
        {**good, "date": "2014-02-01", "value": "1,5"},
        {**good, "date": "2014-03-01", "realtime_start": "soon"},
        ["no", "object"],
    ]
    page = connector(**ALL).read(Request("http://x/"), made(observations(rows)), EVER)
    assert sorted(codes(page)) == [
        (2, "bad_time"),
        (3, "bad_value"),
        (4, "bad_vintage"),
        (5, "malformed_row"),
    ]


def test_a_new_name_is_reported_and_a_lost_one_stops_the_run():
    new = [{"date": "2014-01-01", "value": "1", "status": "p"}]
    page = connector().read(Request("http://x/"), made(observations(new)), EVER)
    assert (page.verdict.cls, page.drift) == ("ok", ("+status",))
    lost = [{"date": "2014-01-01", "value": "1"}]
    page = connector(**ALL).read(Request("http://x/"), made(observations(lost)), EVER)
    assert page.verdict.cls == "schema_drift"
    assert "-realtime_start" in page.drift


def test_fewer_rows_than_declared_are_incomplete():
    rows = [{"date": "2014-01-01", "value": "1"}]
    body = observations(rows, count=2)
    assert connector().read(Request("http://x/"), made(body), EVER).verdict.cls == (
        "incomplete"
    )


def test_a_release_goes_on_at_its_cursor():
    reader = connector(release_id=18)
    (follow,) = read("v2_release_p1.json", reader).follow
    assert dict(follow.params)["next_cursor"] == "T1YFF,2026-01-05"
    assert follow.headers["Authorization"] == "Bearer {secret:api_key}"
    assert "api_key" not in str(follow.params)


def test_what_a_series_is_goes_along_with_its_rows():
    reader = connector("PAYEMS")
    asked = reader.requests(EVER)[0]
    page = reader.read(asked, sample("fred/series_payems.json"), EVER)
    (meta,) = page.series
    assert (meta.key, meta.unit, meta.frequency) == (
        *("payems", "Thousands of Persons"),
        "P1M",
    )
    rows = reader.read(page.follow[0], sample("fred/dgs10_missing_dot.json"), EVER)
    assert rows.series == page.series
    assert reader.listed(sample("fred/series_payems.json")) == page.series


def test_other_units_or_a_lower_frequency_are_another_series():
    reader = connector("GDP", units="pch", frequency="a", aggregation="eop")
    (meta,) = reader.listed(made(json.dumps({"seriess": []})))
    assert (meta.key, meta.unit, meta.frequency) == ("gdp.pch.a-eop", "percent", "P1Y")
    asked = dict(reader.requests(EVER)[0].params)
    assert asked["series_id"] == "GDP"


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"series_ids": ("GDP",), "release_id": 1},
        {"release_id": 1, "vintages": "all"},
        {"release_id": 1, "frequency": "a"},
        {"series_ids": ("a b",)},
    ],
)
def test_a_config_names_series_or_a_release(config):
    with pytest.raises(ValidationError):
        FredConfig(**config)


@pytest.mark.parametrize(
    ("code", "cls"), [(423, "transient"), (404, "config"), (503, "transient")]
)
def test_an_error_without_telling_words_is_told_by_its_code(code, cls):
    body = json.dumps({"error_code": code, "error_message": "Locked."})
    request = Request("https://a.test")
    verdict = connector().read(request, made(body, code), EVER).verdict
    assert (verdict.cls, verdict.detail) == (cls, "Locked.")
