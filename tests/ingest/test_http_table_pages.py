"""Tables over HTTP: samples, five ways of paging, and what goes wrong on; more."""

from dataclasses import replace

import pytest
from pydantic import ValidationError

from ingest.connectors.http_table import HttpTableConfig
from ingest.exchange import secret
from ingest.fetch import Refused
from ingest.paging import Paging
from tests.ingest.http_table_asked import (
    ONE,
    PAGED,
    START,
    WINDOW,
    read,
    served_table,
    table,
    told,
)
from tests.ingest.wire_samples import (
    after_each_fault,
    made,
    rows,
    sample,
)
from tests.sources import table as fake
from tests.sources.plain import read_all
from tests.sources.server import serve
from tests.sources.truth import DAY, Truth, grid


def test_what_is_known_is_asked_for_only_if_it_changed():
    part = {"etag": '"v7"', "last_modified": "Sat, 10 Jan 2026 00:00:00 GMT"}
    (request,) = table().requests(replace(WINDOW, part=part))
    assert request.headers == {
        "If-None-Match": '"v7"',
        "If-Modified-Since": "Sat, 10 Jan 2026 00:00:00 GMT",
    }


@pytest.mark.parametrize(
    "fields",
    [
        {"base_url": "ftp://a.test/x"},
        {"base_url": "https://a.test/x?key=1"},
        {"headers": {"Authorization": "Bearer abc"}},
        {"headers": {"Host": "other.test"}},
        {"headers": {"X-Y": "a\nb"}},
        {"params": {"key": "{secret:unheard}"}},
        {"format": "csv", "paging": {"style": "cursor"}},
        {"layout": {"ts_column": "value"}},
        {"layout": {"stamp": "end"}},
        {"layout": {"timezone": "Mars/Olympus"}},
        {"layout": {"thousands": ".", "decimal": "."}},
    ],
)
def test_a_config_that_cannot_be_meant_is_refused(fields):
    with pytest.raises(ValidationError):
        HttpTableConfig(**{"base_url": "https://a.test/x", **fields})


@pytest.mark.parametrize("style", PAGED)
def test_more_than_5000_rows_come_page_by_page(style):
    truth = Truth(1, series=("A", "B", "C"), starts=grid(START, 2_000))
    with serve(fake.Table(truth, most=1_000)) as served:
        found = read_all(served_table(served, style), (WINDOW,))
    assert rows(found) == told(truth)
    assert len(found) >= 6
    if style == "offset":
        assert {one.page.total for one in found} == {6_000}


@pytest.mark.parametrize("style", PAGED)
def test_any_single_fault_gives_the_same_rows(style):
    truth = Truth(2, starts=grid(START, 40))
    paging = PAGED[style].model_copy(update={"size": 30})
    with serve(fake.Table(truth, most=30)) as served:
        connector = served_table(served, style, paging=paging)
        expected = told(truth)
        for call, fault, found in after_each_fault(
            served, lambda: rows(read_all(connector, (WINDOW,)))
        ):
            assert found == expected, (call, fault)


@pytest.mark.parametrize("form", ["csv", "ndjson", "json", "parquet"])
def test_any_format_and_any_single_fault_gives_the_same_rows(form):
    truth = Truth(3, starts=grid(START, 30))
    with serve(fake.Table(truth)) as served:
        path = "data" if form == "json" else ""
        connector = served_table(
            served, f"whole.{form}", format=form, rows_path=path, paging=Paging()
        )
        for call, fault, found in after_each_fault(
            served, lambda: rows(read_all(connector, (WINDOW,)))
        ):
            assert found == told(truth), (call, fault)


def test_a_revision_arrives_and_nothing_else_changes():
    truth = Truth(4, starts=grid(START, 24), revised=0.0, missing=0.0)
    with serve(fake.Table(truth)) as served:
        connector = served_table(served, "cursor")
        before = rows(read_all(connector, (WINDOW,)))
        truth.revise("A", START, 1.25, START + 3 * DAY)
        after = rows(read_all(connector, (WINDOW,)))
    assert set(after) - set(before) == {("a", START, 1.25, None)}


def test_partitions_together_are_the_whole_and_can_be_read_again_one_by_one():
    truth = Truth(5, starts=grid(START, 24 * 10))
    with serve(fake.Table(truth)) as served:
        connector = served_table(
            served, "cursor", start_param="from", end_param="to", span_days=3
        )
        plan = connector.plan(START, START + 10 * DAY)
        once = read_all(connector, plan)
        assert rows(once) == told(truth)
        again = [one for part in reversed(plan) for one in read_all(connector, (part,))]
        assert rows(again) == rows(once)


def test_a_secret_goes_to_the_source_and_stays_out_of_the_request():
    truth = Truth(6, starts=grid(START, 3))
    with serve(fake.Table(truth, key=fake.KEY)) as served:
        headers = {"X-Api-Key": secret("api_key")}
        connector = served_table(served, "cursor", headers=headers)
        found = read_all(connector, (WINDOW,), secrets={"api_key": fake.KEY})
        assert rows(found) == told(truth)
        assert fake.KEY not in repr([one.request for one in found])
        with pytest.raises(Refused, match="auth"):
            read_all(connector, (WINDOW,), secrets={"api_key": "wrong"})


def test_fewer_rows_than_the_total_are_not_the_whole():
    connector = table(
        "json",
        ONE,
        rows_path="data",
        paging=Paging(style="offset", total_path="total"),
    )
    page = read(connector, made('{"data": [], "total": 5}'))
    assert page.verdict.cls == "incomplete"
    body = '{"data": [{"t": "2026-01-10T00:00Z", "v": 1}], "total": "many"}'
    assert read(connector, made(body)).verdict.cls == "schema_drift"


def test_a_link_stays_at_the_source_and_pages_have_an_end():
    paging = Paging(style="link", most_pages=1)
    connector = table("json", ONE, rows_path="data", paging=paging)
    body = '{"data": [{"t": "2026-01-10T00:00Z", "v": 1}]}'
    elsewhere = made(body, link='<https://evil.example.org/x>; rel="next"')
    assert read(connector, elsewhere).verdict.cls == "malformed"
    onward = made(body, link='</rows?p=2>; rel="next"')
    assert "more than 1 pages" in read(connector, onward).verdict.detail


def test_a_link_without_the_secret_is_asked_with_it():
    paging = Paging(style="link", next_path="next")
    key = {"key": secret("api_key")}
    connector = table("json", ONE, rows_path="data", paging=paging, params=key)
    body = '{"data": [{"t": "2026-01-10T00:00Z", "v": 1}], "next": "/rows?p=2"}'
    (onward,) = read(connector, made(body)).follow
    assert onward.params == (("p", "2"), ("key", secret("api_key")))


def test_what_was_read_before_is_not_sent_again():
    truth = Truth(7, starts=grid(START, 5))
    with serve(fake.Table(truth)) as served:
        connector = served_table(
            served, "whole.csv", format="csv", rows_path="", paging=Paging()
        )
        (first,) = read_all(connector, (WINDOW,))
        known = replace(WINDOW, part={"etag": first.answer.headers["etag"]})
        (second,) = read_all(connector, (known,))
    assert (first.page.verdict.cls, second.page.verdict.cls) == ("ok", "unchanged")


def test_rows_can_be_read_as_often_as_one_likes():
    page = read(table(), sample("generic/short_row.csv"))
    assert rows([page]) == rows([page]) != []


def test_only_what_is_declared_whole_can_show_that_a_row_is_gone():
    answer = sample("generic/short_row.csv")
    assert not read(table(), answer).complete
    assert read(table(whole=True), answer).complete
