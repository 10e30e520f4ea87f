"""Tables over HTTP: samples, five ways of paging, and what goes wrong on the way."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from ingest.table_layout import TableLayout
from tests.ingest.http_table_asked import (
    CURSOR,
    FRENCH,
    GERMAN,
    ONE,
    START,
    WINDOW,
    loaded,
    read,
    table,
)
from tests.ingest.wire_samples import (
    codes,
    counted,
    made,
    rows,
    sample,
)
from tests.sources.truth import DAY


@pytest.mark.parametrize(
    ("connector", "name", "media_type", "expected"),
    [
        (table(), "short_row.csv", "text/csv", (2, 2, 1)),
        (table(), "conflicting_dup.csv", "text/csv", (0, 2, 0)),
        (table(layout=GERMAN), "eu_decimal.csv", "text/csv", (2, 1, 0)),
        (
            table(layout=FRENCH),
            "latin1.csv",
            "text/csv; charset=ISO-8859-1",
            (1, 0, 0),
        ),
        (
            table("json", ONE, rows_path="data"),
            "nan_inf.json",
            "application/json",
            (0, 2, 0),
        ),
        (
            table("json", ONE, rows_path="data.*", paging=CURSOR),
            "cursor_p1.json",
            "application/json",
            (1, 0, 0),
        ),
    ],
)
def test_samples_give_the_rows_they_hold(connector, name, media_type, expected):
    page = read(connector, sample(f"generic/{name}", media_type=media_type))
    assert page.verdict.cls == "ok"
    assert loaded(page) == expected


@pytest.mark.parametrize(
    ("connector", "name", "status", "cls"),
    [
        (table("ndjson", ONE), "ndjson_broken_last_line.ndjson", 200, "transient"),
        (table("parquet"), "drift_types.parquet", 200, "schema_drift"),
        (table("parquet"), "truncated.parquet", 200, "transient"),
        (table(), "not_modified.txt", 304, "unchanged"),
    ],
)
def test_samples_that_hold_none_are_told_apart(connector, name, status, cls):
    page = read(connector, sample(f"generic/{name}", status))
    assert page.verdict.cls == cls
    assert counted(page)[1:] == (0, 0, 0)


def test_a_cursor_that_comes_twice_ends_in_an_error():
    connector = table("json", ONE, rows_path="data", paging=CURSOR)
    (onward,) = read(connector, sample("generic/cursor_p1.json")).follow
    assert dict(onward.params)["after"] == "abc"
    page = connector.read(onward, sample("generic/cursor_loop.json"), WINDOW)
    assert page.verdict.cls == "malformed"


def test_wall_clocks_numbers_and_letters_are_read_as_declared():
    page = read(table(layout=GERMAN), sample("generic/eu_decimal.csv"))
    assert [(f"{ts:%H:%M}", value) for _, ts, value, _ in rows([page])] == [
        ("00:45", 1234.5),
        ("01:00", 1240.0),
    ]
    answer = sample("generic/latin1.csv", media_type="text/csv; charset=ISO-8859-1")
    (row,) = rows([read(table(layout=FRENCH), answer)])
    assert row[:3] == ("ile-de-france", START, 9120.0)


@pytest.mark.parametrize(
    ("body", "headers", "cls"),
    [
        (b"", {}, "transient"),
        (b"ts,series,value\n", {}, "empty"),
        (b"ts,series,value\n2026-01-10T00:00Z,A", {}, "transient"),
        (b"ts,series,value\n2026-01-10T00:00Z,A", {"content-length": "35"}, "ok"),
        (b"ts,series,value\n2026-01-10T00:00Z,A,1", {}, "ok"),
        (b"ts,zone,value\n2026-01-10T00:00Z,A,1\n", {}, "schema_drift"),
        (b"<!DOCTYPE html><html>Will be right back</html>", {}, "transient"),
        (b"\x1f\x8b\x08\x00cut", {}, "transient"),
        (b"ts,series,value\n2026-01-10T00:00Z,\xff,1\n", {}, "malformed"),
        (b"PK\x03\x04 a workbook", {}, "malformed"),
    ],
)
def test_a_body_is_judged_before_it_is_read(body, headers, cls):
    page = read(table(), replace(made(body), headers=headers))
    assert page.verdict.cls == cls


@pytest.mark.parametrize(
    ("body", "cls"),
    [
        ('{"data": []}', "empty"),
        ('{"data": null}', "empty"),
        ('{"error": "no such table"}', "schema_drift"),
        ('{"data": [{"t": "2026-01-10T00:00Z"}]}', "schema_drift"),
        ('{"data": [{"t": "2026-01-10T00:00Z", "v": 1', "transient"),
        ('{"data": 5}', "schema_drift"),
        ('{"data": [5]}', "ok"),
        ("[" * 100_000, "transient"),
    ],
)
def test_json_is_judged_too(body, cls):
    page = read(table("json", ONE, rows_path="data"), made(body))
    assert page.verdict.cls == cls


def test_rows_below_rows_know_what_is_above_them():
    layout = TableLayout(
        series_columns=("id", "kind"), ts_column="0", value_columns=("1",)
    )
    body = {
        "series": [
            {"id": 7, "kind": "D", "data": [["2026-01-10T00:00Z", 1], ["x", 2]]},
            {"id": 8, "kind": "D", "data": []},
        ]
    }
    page = read(
        table("json", layout, rows_path="series.*.data"), made(json.dumps(body))
    )
    assert rows([page]) == [("7.d", START, 1.0, None)]
    assert codes(page) == [(2, "bad_time")]


def test_each_of_several_values_is_a_series_and_a_bad_time_is_bad_once():
    layout = TableLayout(series_columns=("hub",), value_columns=("load", "wind power"))
    body = "ts,hub,load,wind power\n2026-01-10T00:00Z,A,1,2\nsoon,A,3,4\n"
    body += "2026-01-10T01:00Z,A,x,\n"
    page = read(table(layout=layout), made(body))
    assert [(key, value) for key, _, value, _ in rows([page])] == [
        ("a.load", 1.0),
        ("a.wind-power", 2.0),
    ]
    assert codes(page) == [(2, "bad_time"), (3, "bad_value")]
    assert counted(page)[2] == 1


@pytest.mark.parametrize(
    ("form", "cell", "expected"),
    [
        ("epoch_s", 1768003200, START),
        ("epoch_ms", "1768003200000", START),
        ("epoch_s", 1e300, None),
        ("%d/%m/%Y", "10/1/2026", START),
        ("%d/%m/%Y", "30/02/2026", None),
        ("%d/%m/%Y %z", "10/01/2026 +0100", START - timedelta(hours=1)),
        ("%d %B %Y", "10 January 2026", START),
    ],
)
def test_times_are_written_as_declared_and_no_other_way(form, cell, expected):
    layout = ONE.model_copy(update={"time_format": form, "timezone": "UTC"})
    body = json.dumps([{"t": cell, "v": 1}])
    page = read(table("json", layout), made(body))
    assert [ts for _, ts, *_ in rows([page])] == (
        [] if expected is None else [expected]
    )
    assert codes(page) == ([(1, "bad_time")] if expected is None else [])


def test_forecasts_have_the_time_of_their_issue_and_versions_that_of_publication():
    layout = ONE.model_copy(update={"issued_column": "run", "published_column": "out"})
    body = [
        {"t": "2026-01-11T00:00Z", "v": 1, "run": "2026-01-10T00:00Z", "out": None},
        {"t": "2026-01-11T00:00Z", "v": 2, "run": "soon", "out": "2026-01-10T00:00Z"},
    ]
    page = read(table("json", layout), made(json.dumps(body)))
    assert rows([page]) == [("x", START + DAY, 1.0, START)]
    assert codes(page) == [(2, "bad_issue_time")]


def test_a_window_is_asked_for_as_declared():
    connector = table(start_param="a", end_param="b", window_format="%Y-%m-%d")
    (request,) = connector.requests(WINDOW)
    assert request.params == (("a", "2026-01-10"), ("b", "2026-01-11"))
    connector = table(end_param="b", window_format="epoch_s", end_is="inside")
    (request,) = connector.requests(WINDOW)
    assert request.params == (("b", str(int((START + DAY).timestamp()) - 1)),)
    assert len(connector.plan(START, START + 80 * DAY)) >= 3
    assert len(table().plan(START, START + 80 * DAY)) == 1
