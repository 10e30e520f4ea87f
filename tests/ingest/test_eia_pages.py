"""EIA: its samples, its hours and corrections, its pages, and a server l; more."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.contract import (
    Partition,
)
from ingest.eia_periods import FORMS, bounds, start_us
from ingest.fetch import Refused
from tests.ingest.eia_asked import (
    DAY,
    EVER,
    FEW,
    SALES,
    SECRETS,
    connector,
    expected,
    first,
    local,
    page,
    row,
    served,
    table,
)
from tests.ingest.wire_samples import after_each_fault, made, sample
from tests.sources import eia as server
from tests.sources.faults import FaultPlan
from tests.sources.plain import Plain, read_all
from tests.sources.server import serve
from tests.sources.truth import HOUR


def test_where_stamps_are_put_right_more_is_asked_for_and_the_rest_dropped():
    start = datetime(2022, 6, 1, tzinfo=UTC)
    partition = Partition("x", start, start + 2 * HOUR)
    reader = connector()
    request = first(reader, partition)
    asked = dict(request.params)
    assert (asked["start"], asked["end"]) == ("2022-05-31T17", "2022-06-01T10")
    stamps = [f"2022-06-01T{hour:02}" for hour in range(4)]
    rows = [row(stamp, who and "1", who) for stamp in stamps for who in ("CISO", "PJM")]
    found = reader.read(request, made(page(rows)), partition)
    (batch,) = found.batches
    assert sorted(
        zip(
            batch.rows["series_key"].to_pylist(),
            batch.rows["ts"].to_pylist(),
            strict=True,
        )
    ) == [
        ("ciso.d", start),
        ("ciso.d", start + HOUR),
        ("pjm.d", start),
        ("pjm.d", start + HOUR),
    ]
    assert (found.total, found.verdict.cls) == (4, "ok")


def test_daily_grid_data_starts_at_midnight_of_its_zone():
    reader = connector("electricity/rto/daily-region-data", "daily")
    days = [
        {**row("2026-07-01", respondent=who), "timezone": zone}
        for who, zone in (("PJM", "Eastern"), ("CISO", "Pacific"), ("X", "Lunar"))
    ]
    body = made(page(days, dateFormat="YYYY-MM-DD"))
    found = reader.read(first(reader), body, EVER)
    (batch,) = found.batches
    assert [at.hour for at in batch.rows["ts"].to_pylist()] == [4, 7]
    assert [bad.code for bad in batch.rejected] == ["bad_time"]
    zones = {meta.key: meta.timezone for meta in found.series}
    assert zones["ciso.d.pacific"] == "America/Los_Angeles"


@given(
    st.timedeltas(timedelta(0), timedelta(days=11_000)),
    st.timedeltas(timedelta(seconds=1), timedelta(days=900)),
    st.sampled_from(["hourly", "daily", "monthly", "quarterly", "annual"]),
)
@settings(deadline=None, max_examples=150)
def test_the_first_and_last_period_are_the_first_and_last_that_start_in_the_window(
    since, length, frequency
):
    forms = list(FORMS.values())
    form = forms[["annual", "quarterly", "monthly", "daily", "hourly"].index(frequency)]
    start = datetime(2000, 1, 1, tzinfo=UTC) + since
    end = start + length
    found = bounds(start, end, frequency)
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    days = {"hourly": 1 / 24, "daily": 1, "monthly": 31, "quarterly": 92, "annual": 366}
    step = timedelta(days=days[frequency])
    if found is None:
        assert length < step
        return
    at = [epoch + timedelta(microseconds=start_us(text, form)) for text in found]
    assert start <= at[0] <= at[1] < end
    assert at[0] - start < step
    assert end - at[1] <= step


def test_a_window_in_which_nothing_starts_is_not_asked_for():
    partition = Partition("x", DAY, DAY + timedelta(days=3))
    assert connector(**SALES).requests(partition) == ()


def test_a_plan_cuts_hours_into_months_and_asks_for_ends_of_hours():
    reader = connector(facets={"respondent": ("PJM",), "type": ("D", "NG")})
    plan = reader.plan(DAY, DAY + timedelta(days=60))
    assert len(plan) == 3
    request = first(reader, plan[0])
    params = list(request.params)
    assert ("start", "2026-03-08T01") in params
    assert ("facets[type][]", "NG") in params
    assert [text for name, text in params if name.endswith("[column]")] == [
        *("period", "respondent", "type")
    ]
    assert request.headers["X-Api-Key"] == "{secret:api_key}"
    assert "api_key" not in str(params)


def test_a_long_question_goes_in_a_header():
    many = tuple(f"P{number:05}" for number in range(400))
    request = first(connector(facets={"respondent": many}))
    assert request.params == ()
    assert (
        json.loads(request.headers["X-Params"])["facets"]["respondent"][7] == "P00007"
    )


def test_all_rows_arrive_over_pages_of_five_thousand():
    found, calls = served(local)
    assert len(calls) == 2
    assert table(found) == expected()
    assert found[-1].page.total == 5_400
    assert all(exchange.page.complete for exchange in found)


def test_rows_without_values_are_counted_as_missing():
    found, _ = served(local, FEW)
    gaps = sum(value is None for _, _, value in FEW.rows())
    missing = sum(b.missing for one in found for b in one.page.batches)
    assert missing == gaps > 0


def test_the_facets_of_a_route_that_is_not_known_are_asked_for_first(monkeypatch):
    monkeypatch.setattr("ingest.connectors.eia.FACETS", {})
    found, calls = served(local, FEW)
    assert [exchange.page.verdict.cls for exchange in found] == ["metadata", "ok"]
    assert calls[0].path == f"/v2/{server.ROUTE}/"
    assert table(found) == expected(FEW)


def test_revisions_are_seen_when_they_are_published():
    early = DAY + timedelta(days=3)
    before, _ = served(local, FEW, now=early)
    after, _ = served(local, FEW)
    assert table(before) == expected(FEW, early) != expected(FEW)
    assert table(after) == expected(FEW)


def test_a_question_in_a_header_gets_the_same_rows(monkeypatch):
    monkeypatch.setattr("ingest.connectors.eia._LONGEST_QUERY", 10)
    found, calls = served(local, FEW)
    assert all(not call.query for call in calls)
    assert table(found) == expected(FEW)


def test_pages_in_no_order_are_found_out_and_refused(monkeypatch):
    def unsorted(self, rows, sort):
        del sort
        return shuffle(self, rows, [])

    shuffle = server.Eia._sorted
    monkeypatch.setattr(server.Eia, "_sorted", unsorted)
    monkeypatch.setattr(server, "MOST_ROWS", 60)
    with pytest.raises(Refused, match="incomplete"):
        served(local, FEW)


@pytest.mark.parametrize(
    ("secrets", "config", "cls"),
    [
        ({"api_key": "wrong"}, {}, "auth"),
        (SECRETS, {"facets": {"colour": ("red",)}}, "config"),
        (SECRETS, {"route": "electricity/rto/fuel-type-data"}, "config"),
        (SECRETS, {"frequency": "daily"}, "config"),
    ],
)
def test_a_mistake_is_refused_at_once_and_says_whose_it_is(secrets, config, cls):
    with serve(server.Eia(FEW)) as running:
        reader = connector(base_url=f"{running.url}/v2", **config)
        with pytest.raises(Refused) as refused:
            read_all(reader, (EVER,), secrets=secrets)
    assert refused.value.verdict.cls == cls
    assert len(running.calls) == 1


def test_any_single_fault_at_any_call_gives_the_same_rows(monkeypatch):
    monkeypatch.setattr(server, "MOST_ROWS", 60)
    with serve(server.Eia(FEW), FaultPlan()) as running:
        reader = local(f"{running.url}/v2")

        def read() -> dict:
            return table(read_all(reader, (EVER,), secrets=SECRETS))

        for call, fault, found in after_each_fault(running, read):
            assert found == expected(FEW), (call, fault)


def test_the_latest_rows_list_the_series():
    with serve(server.Eia(FEW)) as running:
        reader = local(f"{running.url}/v2")
        listed = reader.listed(Plain(SECRETS).send(reader.discover()))
        assert {meta.key: meta.unit for meta in listed} == dict.fromkeys(
            ("pjm.d", "pjm.ng", "miso.d"), "megawatthours"
        )
        refused = reader.listed(made('{"error": "not found", "code": 404}', 404))
        assert refused.cls == "config"


def test_the_values_of_the_only_facet_list_the_series():
    reader = connector("steo", "monthly")
    assert reader.discover().url.endswith("/steo/facet/seriesId/")
    listed = reader.listed(sample("eia/facet_sectorid.json"))
    assert [(meta.key, meta.title) for meta in listed] == [
        ("res", "residential"),
        ("com", "commercial"),
    ]
