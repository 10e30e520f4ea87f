"""ENTSO-E's file library: the samples, and a server of monthly files."""

from datetime import UTC, datetime, timedelta

import pytest

from ingest.connectors.entsoe_files import EntsoeFiles, EntsoeFilesConfig
from ingest.contract import (
    Partition,
)
from ingest.exchange import Request
from ingest.verdicts import Verdict
from tests.ingest.wire_samples import after_each_fault, codes, counted, made, sample
from tests.sources import entsoe as fake
from tests.sources.patient import read_patiently, values_of
from tests.sources.plain import Plain
from tests.sources.server import serve
from tests.sources.truth import DAY, HOUR, Truth, grid

LOAD = "ActualTotalLoad_6.1.A_r3"
CSV = f"entsoe/fms_2025_11_{LOAD}.csv"
START = datetime(2025, 11, 1, tzinfo=UTC)
NOVEMBER = Partition("november", START, datetime(2025, 12, 1, tzinfo=UTC))
FILE = Request("https://a.test", place={"file": f"2025_11_{LOAD}.csv"})
BE, FR = "10YBE----------2", "10YFR-RTE------C"
HEAD = sample(CSV).body.decode().partition("\n")[0]


def files(dataset=LOAD, **more):
    return EntsoeFiles(EntsoeFilesConfig(dataset=dataset, **more))


def read(answer, request=FILE, partition=NOVEMBER, **more):
    return files(**more).read(request, answer, partition)


def line(day, value, updated="2025-11-02 10:00:00", area=BE):
    return f"{day}\tPT60M\t{area}\tx\tBZN\tx\t{value}\t{updated}\n"


def test_the_sample_of_a_file_has_a_row_with_its_time_of_publication():
    page = read(sample(CSV, media_type="text/csv"))
    (batch,) = page.batches
    assert (page.verdict.cls, page.complete, page.drift) == ("ok", True, ())
    assert batch.rows.to_pylist() == [
        {
            "series_key": "totalload.10yal-kesh-5.bzn-cta-cty.pt15m",
            "ts": START,
            "value": 470.0,
            "row_no": 1,
            "published_at": datetime(2025, 11, 10, 10, 4, 10, tzinfo=UTC),
        }
    ]


def test_the_sample_of_a_listing_leads_to_the_file_of_the_month():
    page = read(sample("entsoe/fms_list.json"))
    assert page.verdict.cls == "metadata"
    (request,) = page.follow
    assert request.place == FILE.place
    assert f'"filename": "2025_11_{LOAD}.csv"' in request.body
    later = Partition("later", START + 40 * DAY, START + 41 * DAY)
    page = read(sample("entsoe/fms_list.json"), partition=later)
    assert page.verdict.cls == "not_available"


@pytest.mark.parametrize(
    ("body", "cls"),
    [
        (HEAD.replace("UpdateTime(UTC)", "Updated") + "\n", "schema_drift"),
        (HEAD.replace("TotalLoad[MW]", "TotalLoad") + "\n", "schema_drift"),
        (HEAD[:-9], "transient"),
        (HEAD, "transient"),
        ("", "malformed"),
        ("{", "transient"),
        ('{"error": "moved"}', "schema_drift"),
        (b"PK\x03\x04 cut off", "transient"),
        (fake.packed([]), "malformed"),
        (fake.packed([HEAD, HEAD], "csv"), "malformed"),
        ("<html><body>Sign in</body></html>", "transient"),
    ],
)
def test_what_is_no_file_has_a_class_of_its_own(body, cls):
    assert read(made(body)).verdict.cls == cls


def test_a_damaged_zip_is_asked_for_again():
    body = bytearray(fake.packed([f"{HEAD}\n{line('2025-11-01 00:00:00', 5) * 99}"]))
    body[60] ^= 0xFF
    assert read(made(bytes(body))).verdict.cls == "transient"


def test_bad_rows_are_refused_and_empty_cells_are_missing():
    text = f"{HEAD}\n" + "".join(
        [
            line("2025-11-01 00:00:00", 5),
            line("2025-11-01 01:00:00", "x"),
            line("yesterday", 5),
            line("2025-11-01 02:00:00", ""),
            line("2025-11-01 03:00:00", "n/e"),
            "2025-11-01 04:00:00\tPT60M\n",
            line("2025-12-01 00:00:00", 5),
        ]
    )
    assert counted(read(made(text))) == ("ok", 1, 2, 3)
    assert codes(read(made(text))) == [
        (2, "bad_value"),
        (3, "bad_time"),
        (6, "malformed_row"),
    ]


def test_a_new_column_is_told_and_several_values_are_several_series():
    header = HEAD.replace("TotalLoad[MW]", "Output[MW]\tUse[MW]") + "\tMood"
    row = line("2025-11-01 00:00:00", "5\t6").rstrip("\n") + "\tfine\n"
    page = read(made(f"{header}\n{row}"))
    assert page.drift == ("+Mood",)
    keys = {
        row["series_key"]: row["value"]
        for batch in page.batches
        for row in batch.rows.to_pylist()
    }
    assert keys == {"output.10ybe-2.bzn.pt60m": 5.0, "use.10ybe-2.bzn.pt60m": 6.0}


def test_only_the_areas_asked_for_are_kept():
    text = (
        HEAD + "\n" + "".join(line("2025-11-01 00:00:00", 5, area=a) for a in (BE, FR))
    )
    (batch,) = read(made(text), areas=(FR,)).batches
    assert batch.rows["series_key"].to_pylist() == ["totalload.10yfr-rte-c.bzn.pt60m"]


def test_forecasts_are_issued_when_they_were_updated():
    text = f"{HEAD}\n{line('2025-11-01 00:00:00', 5)}"
    (batch,) = read(made(text), dataset="DayAheadTotalLoadForecast_6.1.B_r3").batches
    assert batch.rows["issued_at"].to_pylist() == [START + timedelta(hours=34)]


def test_a_plan_is_cut_at_the_months():
    plan = files().plan(START + 10 * DAY, START + 70 * DAY)
    assert [(part.start.month, part.start.day) for part in plan] == [
        (11, 11),
        (12, 1),
        (1, 1),
    ]
    assert plan[-1].end == START + 70 * DAY


def test_a_log_in_names_secrets_and_is_not_kept():
    login = files().login()
    assert not login.kept
    assert "{secret:password}" in login.body
    connector = files()
    assert connector.token(made('{"access_token": "t"}')) == "t"
    for body, status, cls in (
        ('{"error": "invalid_grant"}', 401, "auth"),
        ('{"error": "invalid_grant"}', 400, "auth"),
        ("[]", 200, "schema_drift"),
        ("oops", 503, "transient"),
        ("oops", 200, "transient"),
    ):
        verdict = connector.token(made(body, status))
        assert isinstance(verdict, Verdict)
        assert verdict.cls == cls


def truth():
    starts = grid(datetime(2025, 12, 30, tzinfo=UTC), 72)
    return Truth(3, series=(BE, FR), starts=starts, lag=2 * HOUR)


def library(served):
    urls = {"base_url": served.url, "login_url": f"{served.url}/login"}
    return files(**urls)


def signed_in(connector):
    secrets = {"username": "a@b.test", "password": "fake-password"}
    token = connector.token(Plain(secrets).send(connector.login()))
    return Plain({"token": token})


def test_what_is_read_is_the_truth_with_its_times_of_publication():
    table = truth()
    with serve(fake.EntsoeFiles(table)) as served:
        connector = library(served)
        plan = connector.plan(table.starts[0], table.starts[-1] + HOUR)
        found = read_patiently(connector, plan, signed_in(connector))
    assert len(plan) == 2
    published = {
        (row["series_key"], row["ts"], row["value"]): row["published_at"]
        for exchange in found
        for batch in exchange.page.batches
        for row in batch.rows.to_pylist()
    }
    areas = {BE: "totalload.10ybe-2.bzn.pt60m", FR: "totalload.10yfr-rte-c.bzn.pt60m"}
    assert published == {
        (areas[area], ts, value): table.version(area, ts).published_at
        for (area, ts), value in table.values().items()
    }


def test_any_single_fault_at_any_call_leads_to_the_same_rows():
    table = truth()
    with serve(fake.EntsoeFiles(table)) as served:
        connector = library(served)
        transport = signed_in(connector)
        plan = connector.plan(table.starts[0], table.starts[-1] + HOUR)

        def whole():
            return values_of(read_patiently(connector, plan, transport))

        expected = whole()
        assert len(expected) == len(table.values())
        for call, fault, values in after_each_fault(served, whole):
            assert values == expected, (call, fault)


def test_a_header_alone_is_empty():
    assert counted(read(made(f"{HEAD}\r\n")))[:2] == ("empty", 0)


def test_a_file_whose_last_line_breaks_off_is_asked_for_again():
    body = f"{HEAD}\n{line('2025-11-02 00:00:00', 1)}{line('2025-11-02 01:00:00', 2)}"
    assert counted(read(made(body)))[:2] == ("ok", 2)
    assert counted(read(made(body[:-40])))[:2] == ("transient", 0)


def test_a_sentence_in_place_of_a_file_is_told_by_its_words():
    verdict = read(made("Too many requests, please slow down")).verdict
    assert verdict.cls == "rate_limited"
