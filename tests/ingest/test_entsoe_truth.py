"""ENTSO-E's REST interface: samples, requests, a server over a table of ; more."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from ingest.connectors.entsoe import DOCUMENTS
from ingest.contract import Partition
from ingest.exchange import RateLimited, Request
from ingest.fetch import Refused
from tests.ingest.entsoe_asked import (
    BE,
    FR,
    OPEN,
    SECRETS,
    by_area,
    entsoe,
    load,
    table,
)
from tests.ingest.wire_samples import after_each_fault, sample
from tests.sources import entsoe as fake
from tests.sources.patient import read_patiently, values_of
from tests.sources.plain import Plain, read_all
from tests.sources.server import serve
from tests.sources.truth import DAY, HOUR, grid


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_request_names_its_window_and_keeps_the_token_out(document):
    area = f"{BE}>{FR}" if DOCUMENTS[document].border else BE
    connector = entsoe(document, (area,), days_at_once=365)
    start = datetime(2024, 1, 1, tzinfo=UTC)
    plan = connector.plan(start, start + 800 * DAY)
    longest = max(part.end - part.start for part in plan)
    assert longest == timedelta(days=DOCUMENTS[document].days)
    (request,) = connector.requests(Partition("x", start, start + DAY))
    said = dict(request.params)
    assert (said["periodStart"], said["periodEnd"]) == ("202401010000", "202401020000")
    assert request.headers["SECURITY_TOKEN"] == "{secret:security_token}"
    if DOCUMENTS[document].border:
        assert (said["out_Domain"], said["in_Domain"]) == (BE, FR)


@pytest.mark.parametrize(
    "wrong",
    [
        {"areas": ("BE",)},
        {"areas": (f"{BE}>{FR}",)},
        {"document": "A11"},
        {"areas": (BE, BE)},
    ],
)
def test_areas_that_are_none_are_refused_at_once(wrong):
    with pytest.raises(ValueError, match=r"EIC|twice"):
        entsoe(**wrong)


@pytest.mark.parametrize(
    ("day", "hours"),
    [((2026, 3, 29), 23), ((2026, 10, 25), 25)],
)
def test_days_on_which_the_clocks_change_have_all_their_hours(day, hours):
    zone = ZoneInfo("Europe/Brussels")
    local = datetime(*day, tzinfo=zone)
    start, end = local.astimezone(UTC), (local + DAY).astimezone(UTC)
    truth = table(grid(start - 6 * HOUR, 40), missing=0.0)
    with serve(fake.Entsoe(truth)) as served:
        found = read_all(load(served), (Partition("day", start, end),), secrets=SECRETS)
    values = by_area(values_of(found))
    assert len(values) == 2 * hours
    inside = {k: v for k, v in truth.values().items() if start <= k[1] < end}
    assert values == inside


def test_what_is_read_is_the_truth_whole_days_gaps_and_splits_notwithstanding():
    truth = table(grid(datetime(2026, 1, 1, tzinfo=UTC), 24 * 14), missing=0.05)
    start, end = truth.starts[0], truth.starts[-1] + HOUR
    with serve(fake.Entsoe(truth, most=4)) as served:
        connector = load(served)
        plan = connector.plan(start, end)
        found = read_patiently(connector, plan, Plain(SECRETS))
    assert by_area(values_of(found)) == truth.values()


def test_outages_come_packed_and_are_paged_to_their_end():
    truth = table(grid(datetime(2026, 1, 1, 23, tzinfo=UTC), 24 * 7))
    start, end = truth.starts[0], truth.starts[-1] + HOUR
    with serve(fake.Entsoe(truth, most=3, packed=True)) as served:
        connector = entsoe("A80", (BE,), base_url=served.url)
        whole = (Partition("week", start, end),)
        found = read_all(connector, whole, secrets=SECRETS)
        offsets = [call.one("offset") for call in served.calls]
    assert offsets == ["0", "3", "6", "7"]
    values = {ts: value for (_, ts), value in values_of(found).items()}
    assert values == {ts: v for (area, ts), v in truth.values().items() if area == BE}


def test_paging_that_would_pass_the_last_offset_asks_for_a_shorter_window():
    request = Request("https://a.test", place={"offset": 4_799})
    answer = sample("entsoe/multi.zip", media_type="application/zip")
    page = entsoe("A80").read(request, answer, OPEN)
    assert page.verdict.cls == "split_window"


def test_an_area_without_data_is_empty_and_a_wrong_token_stops():
    truth = table(grid(datetime(2026, 1, 1, tzinfo=UTC), 24))
    window = (Partition("day", truth.starts[0], truth.starts[-1]),)
    with serve(fake.Entsoe(truth)) as served:
        nothing = load(served, ("10Y1001A1001A82H",))
        (found,) = read_all(nothing, window, secrets=SECRETS)
        assert found.page.verdict.cls == "empty"
        assert not found.page.complete
        with pytest.raises(Refused) as refused:
            read_all(load(served), window, secrets={"security_token": "wrong"})
    assert refused.value.verdict.cls == "auth"


def test_any_single_fault_at_any_call_leads_to_the_same_rows():
    truth = table(grid(datetime(2026, 1, 1, tzinfo=UTC), 24 * 4))
    start, end = truth.starts[0], truth.starts[-1] + HOUR
    with serve(fake.Entsoe(truth)) as served:
        connector = load(served, days_at_once=2)
        plan = connector.plan(start, end)

        def whole():
            found = read_patiently(connector, plan, Plain(SECRETS))
            return by_area(values_of(found))

        for call, fault, values in after_each_fault(served, whole):
            assert values == truth.values(), (call, fault)


def test_a_ban_is_waited_out_and_not_asked_into():
    truth = table(grid(datetime(2026, 1, 1, tzinfo=UTC), 24))
    with serve(fake.Entsoe(truth)) as served:
        served.plan.by_call = {1: "429"}
        window = (Partition("day", truth.starts[0], truth.starts[-1]),)
        with pytest.raises(RateLimited) as limited:
            read_all(load(served), window, secrets=SECRETS)
        assert limited.value.wait_s == 600.0
        assert len(served.calls) == 1
