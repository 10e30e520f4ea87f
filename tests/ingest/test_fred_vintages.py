"""FRED: its samples, its vintages in runs, and a server like it; more."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.contract import Partition
from ingest.exchange import Request
from ingest.fetch import Refused
from ingest.fred_questions import days
from ingest.fred_rows import Window, revisions
from ingest.fred_vintages import MOST_VINTAGES, published_us, runs
from tests.ingest.fred_asked import (
    EVER,
    LONG,
    NAMES,
    SECRETS,
    START,
    TRUTH,
    connector,
    expected,
    observations,
    read_from,
    today,
    versions,
)
from tests.ingest.wire_samples import after_each_fault, made
from tests.sources import fred as server
from tests.sources.faults import FaultPlan
from tests.sources.plain import read_all
from tests.sources.server import serve
from tests.sources.truth import DAY, Truth, grid


@given(
    st.integers(0, 60),
    st.integers(0, 60),
)
@settings(deadline=None, max_examples=40)
def test_runs_hold_each_pair_of_neighbours_once_however_the_dates_are_paged(n, cut):
    known = [date.fromordinal(700_000 + i).isoformat() for i in range(n)]
    pages = [known[:cut], known[cut:]]
    before, found = "", []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ingest.fred_vintages.MOST_VINTAGES", 7)
        for page in filter(None, pages):
            found += runs(page, before=before)
            before = page[-1]
    spans = [(known.index(run.first), known.index(run.last)) for run in found]
    assert all(last - first < 7 for first, last in spans)
    covered = [i for first, last in spans for i in range(first, last)]
    assert covered == list(range(max(0, n - 1)))
    assert [run.overlaps for run in found] == [i > 0 for i in range(len(found))]


def test_no_run_is_longer_than_fred_allows():
    many = [str(i) for i in range(10_000)]
    lengths = [int(run.last) - int(run.first) + 1 for run in runs(many)]
    assert max(lengths) == MOST_VINTAGES


@pytest.mark.parametrize("text", ["", "soon", "2014-02-30", "9999-12-31"])
def test_what_is_no_vintage_has_no_instant(text):
    assert published_us(text) is None


def test_a_partition_asks_for_the_dates_that_start_in_it():
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert days(Partition("x", noon, noon + DAY)) == ("2026-01-02", "2026-01-02")
    assert days(Partition("x", noon, noon + DAY / 2)) is None
    short = Partition("x", noon, noon + DAY / 4)
    assert connector().requests(short) == ()


def test_values_of_today_arrive():
    found, calls = read_from(server.Fred(TRUTH), series_ids=NAMES)
    assert versions(found) == today(TRUTH)
    assert [call.path for call in calls[:2]] == [
        *("/fred/series", "/fred/series/observations")
    ]


def test_rows_without_values_are_counted_as_missing():
    found, _ = read_from(server.Fred(TRUTH), series_ids=NAMES)
    gaps = sum(value is None for _, _, value in TRUTH.rows())
    assert gaps
    assert sum(b.missing for one in found for b in one.page.batches) == gaps


def test_only_the_dates_of_the_partition_are_read():
    window = Partition("x", START + 5 * DAY, START + 9 * DAY, {"series_id": "DGS10"})
    found, _ = read_from(server.Fred(TRUTH), partition=window, series_ids=NAMES)
    starts = {ts for _, ts, _ in versions(found)}
    assert starts <= {START + n * DAY for n in range(5, 9)}
    assert len(starts) >= 3


def test_every_revision_arrives_with_the_day_it_was_published():
    found, _ = read_from(server.Fred(TRUTH), series_ids=NAMES, vintages="all")
    assert versions(found) == expected(TRUTH)


def test_what_was_known_on_any_day_is_what_the_truth_says():
    found, _ = read_from(server.Fred(TRUTH), series_ids=("DGS10",), vintages="all")
    rows = sorted(versions(found).items(), key=lambda one: one[0][2])
    for number in range(0, 90, 7):
        at = server.end_of((START + number * DAY).date())
        known = {ts: value for (_, ts, since), value in rows if since <= at}
        for ts in TRUTH.starts:
            value = TRUTH.at("DGS10", ts, at - timedelta(microseconds=1))
            assert value is None or known[ts] == value


@pytest.mark.parametrize("vintages", ["all", "initial"])
def test_more_vintages_than_fred_allows_come_in_runs(vintages):
    behaviour = server.Fred(LONG)
    assert len(behaviour.vintages("DFF")) > server.MOST_VINTAGES
    found, calls = read_from(behaviour, series_ids=("DFF",), vintages=vintages)
    assert versions(found) == expected(LONG, first_only=vintages == "initial")
    assert [call.path.split("/")[-1] for call in calls] == [
        *("series", "vintagedates", "observations", "observations")
    ]
    known = {day.isoformat() for day in behaviour.vintages("DFF")}
    assert all(call.one("realtime_start") in known for call in calls[2:])


def test_pages_of_rows_and_of_dates_fit_together(monkeypatch):
    monkeypatch.setattr("ingest.fred_questions.MOST_ROWS", 25)
    monkeypatch.setattr("ingest.fred_questions.MOST_DATES", 9)
    monkeypatch.setattr("ingest.fred_vintages.MOST_VINTAGES", 6)
    found, calls = read_from(server.Fred(TRUTH), series_ids=NAMES, vintages="all")
    assert versions(found) == expected(TRUTH)
    assert len(calls) > 20
    found, _ = read_from(server.Fred(TRUTH), series_ids=NAMES)
    assert versions(found) == today(TRUTH)
    assert all(one.page.complete for one in found if one.page.verdict.cls == "ok")


def test_rows_past_a_hundred_thousand_are_asked_for():
    truth = Truth(8, series=("DFF",), starts=grid(START, 100, DAY))
    with serve(server.Fred(truth)) as running:
        reader = connector("DFF", base_url=f"{running.url}/fred")
        asked = reader.requests(EVER)[0]
        rows = [{"date": "2014-01-01", "value": "1"}] * 3
        body = observations(rows, count=100_003, offset=100_000)
        place = {"series": "DFF", "offset": 100_000}
        page = reader.read(Request(asked.url, place=place), made(body), EVER)
    assert (page.verdict.cls, page.follow) == ("ok", ())


def test_a_value_that_is_revised_arrives_as_one_more_version():
    truth = Truth(9, series=("GDP",), starts=grid(START, 10, DAY), revised=0)
    before, _ = read_from(server.Fred(truth), vintages="all")
    at = START + 40 * DAY
    truth.revise("GDP", START, 5.25, at)
    after, _ = read_from(server.Fred(truth), vintages="all")
    new = versions(after).items() - versions(before).items()
    assert new == {(("gdp", START, server.end_of(server.vintage(at))), 5.25)}


def test_a_release_arrives_over_its_cursors(monkeypatch):
    monkeypatch.setattr("ingest.fred_questions.MOST_ROWS", 50)
    found, calls = read_from(server.Fred(TRUTH), release_id=1)
    assert versions(found) == today(TRUTH)
    assert len(calls) == 3
    window = Partition("x", START, START + 3 * DAY)
    found, _ = read_from(server.Fred(TRUTH), partition=window, release_id=1)
    assert versions(found).keys() == {
        place for place in today(TRUTH) if place[1] < START + 3 * DAY
    }


@pytest.mark.parametrize(
    ("secrets", "config", "cls"),
    [
        ({"api_key": "0" * 32}, {"series_ids": NAMES}, "auth"),
        ({"api_key": "0" * 32}, {"release_id": 1}, "auth"),
        (SECRETS, {"series_ids": ("NOPE",)}, "config"),
    ],
)
def test_a_mistake_is_refused_at_once_and_says_whose_it_is(secrets, config, cls):
    with pytest.raises(Refused) as refused:
        read_from(server.Fred(TRUTH), secrets=secrets, **config)
    assert refused.value.verdict.cls == cls


@pytest.mark.parametrize(
    "config",
    [{"series_ids": ("DGS10",), "vintages": "all"}, {"release_id": 1}],
)
def test_any_single_fault_at_any_call_gives_the_same_rows(config, monkeypatch):
    monkeypatch.setattr("ingest.fred_questions.MOST_ROWS", 80)
    monkeypatch.setattr("tests.sources.server.SLOW_S", 0.02)
    with serve(server.Fred(TRUTH), FaultPlan()) as running:
        reader = connector(base_url=f"{running.url}/fred", **config)
        plan = reader.plan(START, START + 900 * DAY)

        def read() -> dict:
            return versions(read_all(reader, plan, secrets=SECRETS))

        right = read()
        assert right
        for call, fault, found in after_each_fault(running, read):
            assert found == right, (call, fault)


def test_vintages_may_come_in_any_order():
    told = [
        {"date": "2013-10-01", "realtime_start": day, "value": value}
        for day, value in (
            ("2014-03-27", "17080.7"),
            ("2014-02-28", "17080.7"),
            ("2014-01-30", "17102.5"),
        )
    ]
    found = [(one.number, one.value, one.vintage) for one in revisions(told, Window())]
    assert found == [
        (3, "17102.5", "2014-01-30"),
        (2, "17080.7", "2014-02-28"),
    ]
