"""data.gov.in: samples, and a server whose table is known."""

import json
from datetime import UTC, datetime

import pytest

from ingest.connectors.data_gov_in import DataGovIn, DataGovInConfig
from ingest.contract import (
    Partition,
)
from ingest.exchange import secret
from ingest.fetch import Refused
from tests.ingest.wire_samples import (
    after_each_fault,
    codes,
    counted,
    made,
    rows,
    sample,
)
from tests.sources import data_gov_in as fake
from tests.sources.plain import read_all
from tests.sources.server import serve
from tests.sources.truth import DAY, Truth

TABLE = Partition("table")
CRUDE = {
    "resource": "7932c3ed-c88d-4e0c-bc39-17e3e3170483",
    "dimensions": ("company_name",),
    "value": "quantity_000_metric_tonnes_",
    "year": "year",
    "month": "month",
}


def read(answer, **more):
    connector = DataGovIn(DataGovInConfig(**{**CRUDE, **more}))
    (request,) = connector.requests(TABLE)
    return connector.read(request, answer, TABLE)


def table(*records, **more):
    body = {"status": "ok", "total": len(records), "records": records, **more}
    return made(json.dumps(body))


@pytest.mark.parametrize(
    ("name", "status", "expected"),
    [
        ("data_gov_in.json", 200, ("ok", 4, 0, 0)),
        ("data_gov_in_past_end.json", 200, ("empty", 0, 0, 0)),
        ("data_gov_in_400.json", 400, ("auth", 0, 0, 0)),
        ("data_gov_in_400.json", 200, ("auth", 0, 0, 0)),
    ],
)
def test_samples_are_what_they_are(name, status, expected):
    assert counted(read(sample(f"india/{name}", status))) == expected


def test_totals_are_series_of_their_own_and_months_have_names():
    page = read(sample("india/data_gov_in.json"))
    assert [(key, f"{ts:%Y-%m-%d}", value) for key, ts, value, _ in rows([page])] == [
        ("oil", "2023-07-01", 0.28),
        ("ongc", "2023-04-01", 1.51),
        ("total-crude-oil", "2023-04-01", 2.26),
        ("total-crude-oil-condensate", "2023-05-01", 2.5),
    ]


def test_rows_are_known_since_the_table_changed():
    (batch,) = read(sample("india/data_gov_in.json")).batches
    updated = datetime(2026, 3, 3, 8, 37, 19, tzinfo=UTC)
    assert set(batch.rows["published_at"].to_pylist()) == {updated}
    (batch,) = read(table({**ROW}, updated=updated.timestamp() * 1000 // 1)).batches
    assert "published_at" not in batch.rows.schema.names  # a float is no stamp
    milliseconds = int(updated.timestamp()) * 1000
    (batch,) = read(table({**ROW}, updated=milliseconds)).batches
    assert set(batch.rows["published_at"].to_pylist()) == {updated}


def test_it_goes_on_behind_what_came_and_not_what_was_asked_for():
    page = read(sample("india/data_gov_in.json"), page_size=10)
    (request,) = page.follow
    assert dict(request.params)["offset"] == "4"
    assert dict(request.params)["api-key"] == secret("api_key")
    assert (page.total, page.complete) == (168, False)


ROW = {
    "month": "April",
    "year": "2023",
    "company_name": "ONGC",
    "quantity_000_metric_tonnes_": "1",
}


def test_a_table_that_came_in_one_answer_is_whole():
    page = read(table(ROW))
    assert (page.total, page.complete, page.follow) == (1, True, ())


def test_rows_that_the_owner_leaves_out_are_not_looked_at():
    page = read(table(ROW, {**ROW, "month": "Total"}), left_out={"month": ["Total"]})
    assert (page.total, page.complete) == (None, False)
    assert counted(page) == ("ok", 1, 0, 0)


def test_filters_are_asked_for():
    connector = DataGovIn(DataGovInConfig(**CRUDE, filters={"year": "2023"}))
    (request,) = connector.requests(TABLE)
    assert ("filters[year]", "2023") in request.params


@pytest.mark.parametrize(
    ("fields", "stored"),
    [
        ({"year": "2023-24", "month": "March"}, "2024-03-01"),
        ({"year": 2023, "month": 4}, "2023-04-01"),
        ({"year": "2023.0", "month": "Sept."}, "2023-09-01"),
        ({"year": "", "month": "Jan-24"}, "2024-01-01"),
    ],
)
def test_years_and_months_have_many_spellings(fields, stored):
    (row,) = rows([read(table({**ROW, **fields}))])
    assert f"{row[1]:%Y-%m-%d}" == stored


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("05/04/2023", "2023-04-04T18:30"),
        ("2023-04-05", "2023-04-04T18:30"),
        ("5-Apr-2023", "2023-04-04T18:30"),
    ],
)
def test_dates_are_days_of_the_declared_zone(text, stored):
    more = {"date": "day", "year": None, "month": None, "timezone": "Asia/Kolkata"}
    (row,) = rows([read(table({**ROW, "day": text}), **more)])
    assert f"{row[1]:%Y-%m-%dT%H:%M}" == stored


def test_an_error_in_a_row_costs_that_row_only():
    column = CRUDE["value"]
    page = read(
        table(
            {**ROW, column: "1,23,456.5"},
            {**ROW, "month": "Total"},
            {**ROW, column: "1.5*"},
            {**ROW, "company_name": None},
            7,
            {**ROW, "company_name": "\ud800"},
            {**ROW, column: None},
            {**ROW, column: " NA "},
            {**ROW, column: "1e999"},
            {**ROW, "year": "9" * 5000},
        )
    )
    assert codes(page) == [
        (2, "bad_time"),
        (3, "bad_value"),
        (4, "bad_key"),
        (5, "malformed_row"),
        (6, "bad_key"),
        (9, "not_finite"),
        (10, "bad_time"),
    ]


@pytest.mark.parametrize(
    ("body", "cls"),
    [
        ("[]", "malformed"),
        ('{"status": "ok"}', "schema_drift"),
        ('{"status": "ok", "records": []}', "schema_drift"),
        ('{"total": 5, "records": []}', "incomplete"),
        ('{"total": 1, "records": [{"month": "April"}]}', "schema_drift"),
        ('{"status": "error", "message": "Meta not found"}', "config"),
        ('{"total": 5, "records": [', "transient"),
        ("<html><body>504</body></html>", "transient"),
    ],
)
def test_answers_of_another_shape_are_not_read(body, cls):
    assert read(made(body)).verdict.cls == cls


@pytest.mark.parametrize(
    ("status", "cls"),
    [(403, "auth"), (404, "config"), (429, "rate_limited"), (504, "transient")],
)
def test_other_statuses_mean_what_they_say(status, cls):
    assert read(made("", status)).verdict.cls == cls


@pytest.mark.parametrize(
    "wrong",
    [{"date": "d"}, {"year": None, "month": None}, {"timezone": "IST+5"}],
)
def test_a_config_that_says_no_time_is_refused(wrong):
    with pytest.raises(ValueError, match="validation error"):
        DataGovInConfig(**{**CRUDE, **wrong})


def months(**more):
    starts = tuple(
        datetime(year, month, 1, tzinfo=UTC)
        for year in (2024, 2025)
        for month in range(1, 13)
    )
    truth = Truth(9, series=("ONGC", "OIL"), starts=starts, lag=40 * DAY, missing=0.1)
    return fake.DataGovIn(truth, datetime(2025, 9, 1, tzinfo=UTC), **more)


def connected(url):
    config = {**CRUDE, "value": "quantity", "base_url": url}
    return DataGovIn(DataGovInConfig(**config))


def test_all_pages_together_are_the_table_and_a_change_shows():
    told = months()
    secrets = {"api_key": fake.KEY}
    with serve(told) as served:
        connector = connected(served.url)
        found = read_all(connector, (TABLE,), secrets=secrets)
        first = rows(found)
        told.now += 60 * DAY
        second = rows(read_all(connector, (TABLE,), secrets=secrets))
        assert len(served.calls) == 4 + 5
    assert [row[:3] for row in first] == expected(told, told.now - 60 * DAY)
    assert [row[:3] for row in second] == expected(told, told.now)
    assert len(second) > len(first)
    total = sum(1 for _ in told.truth.rows(as_of=told.now - 60 * DAY))
    assert {one.page.total for one in found} == {total}


def expected(told, as_of):
    return sorted(
        (
            (name.lower(), ts, value)
            for (name, ts), value in told.truth.values(as_of).items()
        ),
        key=str,
    )


def test_any_fault_at_any_call_changes_no_row():
    told = months()
    with serve(told) as served:
        connector = connected(served.url)

        def once():
            found = read_all(connector, (TABLE,), secrets={"api_key": fake.KEY})
            return [row[:3] for row in rows(found)]

        for call, fault, found in after_each_fault(served, once):
            assert found == expected(told, told.now), (call, fault)


def test_a_wrong_key_is_told_at_once_and_never_shown():
    with serve(months()) as served:
        with pytest.raises(Refused, match="auth: Key not authorised") as refused:
            read_all(connected(served.url), (TABLE,), secrets={"api_key": "wrong-one"})
        assert len(served.calls) == 1
    assert "wrong-one" not in str(refused.value.request)


@pytest.mark.parametrize(
    ("body", "cls"),
    [
        ({"status": "error", "message": "Rate limit exceeded"}, "rate_limited"),
        ({"error": {"message": "Rate limit exceeded"}}, "rate_limited"),
        ({"message": "upstream server is down"}, "transient"),
        ({"status": "error", "message": "Meta not found"}, "config"),
    ],
)
def test_an_error_under_200_is_told_by_its_words(body, cls):
    verdict = read(made(json.dumps(body))).verdict
    told = body.get("message") or body["error"]["message"]
    assert (verdict.cls, verdict.detail) == (cls, told)
