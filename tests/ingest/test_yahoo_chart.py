"""Yahoo's charts: samples, and a server whose prices are known."""

import json
from datetime import UTC, datetime

import pytest

from ingest.connectors.yahoo_chart import YahooChart, YahooChartConfig
from ingest.contract import (
    Partition,
)
from ingest.exchange import RateLimited
from ingest.fetch import Refused
from tests.ingest.wire_samples import (
    after_each_fault,
    codes,
    counted,
    made,
    rows,
    sample,
)
from tests.sources.plain import read_all
from tests.sources.server import serve
from tests.sources.truth import DAY, HOUR, Truth
from tests.sources.yahoo import FIELDS, Yahoo, weekdays

START = datetime(2026, 3, 2, tzinfo=UTC)
WINDOW = Partition("w", START, START + 20 * DAY)


def read(answer, symbol="AAPL", partition=WINDOW):
    connector = YahooChart(YahooChartConfig(symbols=(symbol,)))
    (request,) = connector.requests(partition)
    return connector.read(request, answer, partition)


def chart(stamps, quotes=None, *, meta=None, **more):
    columns = dict.fromkeys(FIELDS, [1.0] * len(stamps)) | (quotes or {})
    result = {
        "meta": {"exchangeTimezoneName": "America/New_York"} | (meta or {}),
        "timestamp": stamps,
        "indicators": {"quote": [columns]},
        **more,
    }
    return made(json.dumps({"chart": {"result": [result], "error": None}}))


@pytest.mark.parametrize(
    ("name", "bars", "nulls", "events"),
    [
        ("chart_1d_sp500tr.json", 4, 0, 0),
        ("chart_1d_nulls_and_live.json", 2, 1, 0),
        ("chart_events.json", 2, 0, 2),
    ],
)
def test_samples_give_the_bars_they_hold(name, bars, nulls, events):
    expected = ("ok", bars * len(FIELDS) + events, nulls * len(FIELDS), 0)
    assert counted(read(sample(f"yahoo/{name}"))) == expected


@pytest.mark.parametrize(
    ("name", "status", "cls", "wait_s"),
    [
        ("chart_no_rows.json", 200, "empty", None),
        ("err_404_delisted.json", 404, "config", None),
        ("err_400_no_data.json", 400, "empty", None),
        ("err_401_crumb.json", 401, "auth", None),
        ("err_401_crumb.json", 200, "auth", None),
        ("err_404_delisted.json", 200, "config", None),
        ("err_429.txt", 429, "rate_limited", 3600.0),
        # Read as an answer, this once looked like a symbol that is gone.
        ("err_429.txt", 200, "rate_limited", 3600.0),
        ("down_200.html", 200, "transient", None),
        ("down_200.html", 503, "transient", None),
        ("mismatched_lengths.json", 200, "malformed", None),
    ],
)
def test_samples_without_bars_are_told_apart(name, status, cls, wait_s):
    page = read(sample(f"yahoo/{name}", status))
    assert (page.verdict.cls, page.verdict.wait_s) == (cls, wait_s)
    assert counted(page)[1:] == (0, 0, 0)


def test_the_date_of_a_bar_is_that_of_the_exchange():
    found = rows([read(sample("yahoo/chart_1d_sp500tr.json"), "^SP500TR")])
    closes = [(ts.date().isoformat(), v) for key, ts, v, _ in found if "close" in key]
    assert closes[0] == ("2023-07-11", 9539.9501953125)
    assert {ts.hour for _, ts, *_ in found} == {0}
    assert {key for key, *_ in found} == {f"sp500tr.{name}" for name in FIELDS}


def test_a_market_that_opens_on_the_evening_before_has_its_own_date():
    stamp = int(datetime(2026, 3, 1, 23, 0, tzinfo=UTC).timestamp())
    page = read(chart([stamp], meta={"exchangeTimezoneName": "Australia/Sydney"}))
    assert {ts.date().isoformat() for _, ts, *_ in rows([page])} == {"2026-03-02"}


def test_splits_are_ratios_and_dividends_amounts_and_nothing_is_adjusted():
    found = rows([read(sample("yahoo/chart_events.json"))])
    events = {key: value for key, _, value, _ in found if key.endswith("s")}
    assert events == {"aapl.splits": 4.0, "aapl.dividends": 0.205}
    assert 129.04 in [value for _, _, value, _ in found]
    assert 126.1 not in [value for _, _, value, _ in found]


@pytest.mark.parametrize(
    ("live", "bars"),
    [
        (START + 19 * HOUR, 1),
        (START + DAY + 19 * HOUR, 2),
        (START + 20 * DAY, 1),
    ],
    ids=["same day", "next day", "after the window"],
)
def test_the_price_of_the_moment_is_no_bar(live, bars):
    stamps = [int((START + 15 * HOUR).timestamp()), int(live.timestamp())]
    page = read(chart(stamps, meta={"regularMarketTime": stamps[-1]}))
    assert counted(page)[1] == bars * len(FIELDS)


@pytest.mark.parametrize(
    ("body", "cls"),
    [
        ("7", "schema_drift"),
        ('{"chart": {"result": [], "error": null}}', "schema_drift"),
        ('{"chart": {"result": [{"meta": null}]}}', "schema_drift"),
        ('{"chart": {"result": [{"meta": {}}]}}', "schema_drift"),
        ('{"chart": {"result": [{', "transient"),
        (chart([1]).body.replace(b'"close"', b'"last"'), "schema_drift"),
        (chart([1], meta={"dataGranularity": "1wk"}).body, "schema_drift"),
        (chart([1], meta={"exchangeTimezoneName": "../etc"}).body, "schema_drift"),
        (chart([1], timestamp=5).body, "malformed"),
        (chart([1], {"open": 5}).body, "malformed"),
        (chart([], indicators=None).body, "empty"),
    ],
)
def test_answers_of_another_shape_are_not_read(body, cls):
    assert read(made(body)).verdict.cls == cls


def test_an_error_in_a_cell_costs_its_row_only():
    quotes = {"open": [1, "2", float("nan")], "low": [None, True, 10**30]}
    events = {
        "dividends": {"1": {"date": "x", "amount": 1}, "2": 7},
        "splits": {"1": {"date": 1, "numerator": 1, "denominator": 0}},
    }
    page = read(chart([86400, 172800, 10**18], quotes, events=events))
    assert codes(page) == [
        (2, "bad_value"),
        (2, "bad_value"),
        *[(3, "bad_time")] * 5,
        (4, "bad_time"),
        (5, "malformed_row"),
        (6, "bad_value"),
    ]


def test_symbols_that_share_a_key_are_refused():
    with pytest.raises(ValueError, match="not distinct"):
        YahooChartConfig(symbols=("BRK.B", "BRK-B"))


def test_it_is_off_by_default_and_asks_under_its_own_name():
    assert not YahooChart.spec.enabled
    connector = YahooChart(YahooChartConfig(symbols=("CL=F",)))
    (request,) = connector.requests(WINDOW)
    assert request.headers == {"User-Agent": "forebay"}
    assert request.url.endswith("/CL%3DF")


def prices(**more):
    names = [f"{symbol}/{field}" for symbol in ("CL=F", "^GSPC") for field in FIELDS]
    truth = Truth(3, series=names, starts=weekdays(START, 20), missing=0.1)
    now = datetime(2026, 3, 20, 21, tzinfo=UTC)
    return Yahoo(truth, now, **more)


def expected(told):
    return sorted(
        (name.replace("/", ".").replace("=", "-").replace("^", "").lower(), ts, value)
        for (name, ts), value in told.truth.values().items()
    )


def test_the_bars_of_all_symbols_are_those_of_the_table_over_a_change_of_clocks():
    told = prices()
    with serve(told) as served:
        symbols = ("CL=F", "^GSPC")
        connector = YahooChart(YahooChartConfig(base_url=served.url, symbols=symbols))
        plan = connector.plan(START, START + 20 * DAY)
        found = [row[:3] for row in rows(read_all(connector, plan))]
    assert sorted(found) == expected(told)


def test_any_fault_at_any_call_changes_no_row():
    told = prices()
    with serve(told) as served:
        connector = YahooChart(
            YahooChartConfig(base_url=served.url, symbols=("CL=F", "^GSPC"))
        )

        def once():
            return sorted(row[:3] for row in rows(read_all(connector, (WINDOW,))))

        for call, fault, found in after_each_fault(served, once):
            assert found == expected(told), (call, fault)


def test_a_symbol_that_is_gone_and_a_time_before_all_bars_are_different_things():
    with serve(prices()) as served:
        config = YahooChartConfig(base_url=served.url, symbols=("GONE",))
        with pytest.raises(Refused, match="config: Not Found"):
            read_all(YahooChart(config), (WINDOW,))
        config = YahooChartConfig(base_url=served.url, symbols=("CL=F",))
        early = Partition("early", START - 90 * DAY, START - 60 * DAY)
        (found,) = read_all(YahooChart(config), (early,))
    assert found.page.verdict.cls == "empty"


def test_a_block_without_a_word_on_its_length_rests_for_an_hour():
    with serve(prices(left=1)) as served:
        config = YahooChartConfig(base_url=served.url, symbols=("CL=F", "^GSPC"))
        with pytest.raises(RateLimited) as limited:
            read_all(YahooChart(config), (WINDOW,))
    assert limited.value.wait_s == 3600


def test_a_split_is_told_by_its_numbers_or_by_its_ratio():
    splits = {
        "1": {"date": 86_400, "numerator": "4.0", "denominator": "1.0"},
        "2": {"date": 172_800, "splitRatio": "1:10"},
    }
    page = read(chart([], events={"splits": splits}))
    assert [value for *_, value, _ in rows([page])] == [4.0, 0.1]


def test_times_of_null_are_none():
    assert read(chart([], timestamp=None)).verdict.cls == "empty"


@pytest.mark.parametrize(
    ("code", "cls"),
    [
        ("Internal server error", "transient"),
        ("Too Many Requests", "rate_limited"),
        ("Unauthorized", "auth"),
        ("Not Found", "config"),
    ],
)
def test_an_error_under_200_is_told_by_its_words(code, cls):
    error = {"code": code, "description": "x"}
    body = json.dumps({"chart": {"result": None, "error": error}})
    verdict = read(made(body)).verdict
    assert (verdict.cls, verdict.detail) == (cls, f"{code}: x")
    assert verdict.wait_s == (3_600.0 if cls == "rate_limited" else None)
