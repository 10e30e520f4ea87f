"""CME settlements: samples, versions of a day, prices as they are written."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from ingest.cme_files import cme_name
from ingest.connectors.cme_settlements import CmeSettlements, CmeSettlementsConfig
from ingest.contract import Partition
from ingest.exchange import Request
from ingest.fetch import exchanges
from ingest.folders import FolderTransport
from tests.ingest.carrying import outside
from tests.ingest.wire_samples import (
    after_each_fault,
    codes,
    counted,
    made,
    rows,
    sample,
)
from tests.sources.drop import Flaky, drop
from tests.sources.truth import DAY, Truth

DAY_ONE = datetime(2026, 1, 5, 6, tzinfo=UTC)
"""Midnight in Chicago."""
WEEK = Partition("week", DAY_ONE, DAY_ONE + 7 * DAY)
HEADER = "BizDt,Sym,ID,StrkPx,SecTyp,MMY,PutCall,Exch,SettlePrice"


def connector(folder="/drop", **more):
    return CmeSettlements(CmeSettlementsConfig(base_url=f"file://{folder}/", **more))


def read(answer, name, **more):
    place = {"step": "file", "name": name}
    request = Request(f"file:///drop/{name}", place=place)
    return connector(**more).read(request, answer, WEEK)


def priced(*cells, **more):
    lines = [
        f"2026-01-05,CL,CL,,FUT,20260{n},,NYMEX,{c}" for n, c in enumerate(cells, 1)
    ]
    body = "\n".join([HEADER, *lines, ""])
    return read(made(body), "nymex.settle.s.20260105.csv", **more)


@pytest.mark.parametrize(
    ("name", "media_type", "expected"),
    [
        (
            "nymex.settle.20180702.s.csv",
            "text/csv",
            [
                ("cme.nymex.bzo.oof.2018-09-02.p.69", 0.19),
                ("cme.nymex.bzo.oof.2018-09.c.68", 9.44),
                ("cme.nymex.cl.fut.2018-08", 73.94),
            ],
        ),
        ("comex_future_legacy.csv", "text/csv", [("cme.si.fut.2019-05", 16.891)]),
        ("cme_fixml.xml", "application/xml", [("cme.nymex.cl.fut.2026-02", 58.41)]),
    ],
)
def test_samples_give_the_prices_they_hold(name, media_type, expected):
    page = read(sample(f"cme_ice/{name}", media_type=media_type), name)
    assert counted(page) == ("ok", len(expected), 0, 0)
    assert [(key, value) for key, _, value, _ in rows([page])] == expected
    assert page.drift == ()


def test_a_price_is_of_the_midnight_of_its_trade_date_in_chicago():
    page = read(sample("cme_ice/nymex.settle.20180702.s.csv"), "x.csv")
    assert {ts for _, ts, *_ in rows([page])} == {datetime(2018, 7, 2, 5, tzinfo=UTC)}


@pytest.mark.parametrize(
    ("cell", "price"),
    [
        ("-.005", -0.005),
        ("+3", 3.0),
        ("58.41A", 58.41),
        ("58.41B", 58.41),
        (" 58.41 ", 58.41),
        ("0", 0.0),
    ],
)
def test_prices_are_read_however_they_are_written(cell, price):
    assert [value for *_, value, _ in rows([priced(cell)])] == [price]


def test_what_is_no_price_is_missing_and_what_is_nonsense_is_bad():
    page = priced("", "----", "UNCH", "CAB", "98'16", "1e999", "nan")
    assert counted(page) == ("ok", 0, 4, 3)
    assert codes(page) == [(5, "bad_value"), (6, "not_finite"), (7, "not_finite")]


def test_a_cabinet_price_counts_if_it_is_declared():
    assert [value for *_, value, _ in rows([priced("CAB", cabinet=0.01)])] == [0.01]


def test_unchanged_means_the_price_before_where_the_file_says_it():
    header = (
        "PRODUCT SYMBOL,CONTRACT MONTH,CONTRACT YEAR,CONTRACT DAY,PUT/CALL,STRIKE,"
        "SETTLE,PRIOR SETTLE,TRADEDATE"
    )
    lines = [
        "OG,05,2019,,C,1250.0,UNCH,4.5,06/01/2018",
        "OG,05,2019,14,P,-5,7,,6/1/2018",
    ]
    page = read(made("\n".join([header, *lines, ""])), "comex_option.csv")
    assert [(key, value) for key, _, value, _ in rows([page])] == [
        ("cme.comex.og.oof.2019-05-14.p.m5", 7.0),
        ("cme.comex.og.oof.2019-05.c.1250", 4.5),
    ]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("2026-02-30,CL,CL,,FUT,202601,,NYMEX,1", "bad_time"),
        (",CL,CL,,FUT,202601,,NYMEX,1", "bad_time"),
        ("2026-01-05,CL,,,FUT,202601,,NYMEX,1", "bad_key"),
        ("2026-01-05,CL,CL,,FUT,202601", "malformed_row"),
    ],
)
def test_a_bad_row_is_told_with_its_line(line, code):
    body = f"{HEADER}\n2026-01-05,CL,CL,,FUT,202602,,NYMEX,1\n{line}\n"
    page = read(made(body), "nymex.settle.s.20260105.csv")
    assert codes(page) == [(2, code)]
    assert counted(page)[1] == 1


@pytest.mark.parametrize(
    ("body", "name", "cls"),
    [
        (f"{HEADER}\n", "nymex.settle.s.20260105.csv", "empty"),
        ("BizDt,Price\n2026-01-05,1\n", "nymex.settle.s.20260105.csv", "schema_drift"),
        (f"{HEADER}\n2026-01-05,CL,CL", "nymex.settle.s.20260105.csv", "transient"),
        ("", "nymex.settle.s.20260105.csv", "transient"),
        ("<html>back soon</html>", "nymex.settle.s.20260105.csv", "transient"),
        ("<FIXML><Batch><MktDa", "nymex.settle.s.20260105.xml", "transient"),
        ("<FIXML></Batch></FIXML>", "nymex.settle.s.20260105.xml", "ignored"),
        ("<FIXML></FIXML>", "nymex.settle.s.20260105.xml", "empty"),
        ("FINAL PRICES", "nymex.settle.s.20260105.txt", "ignored"),
    ],
)
def test_a_file_is_judged_before_it_is_read(body, name, cls):
    assert read(made(body), name).verdict.cls == cls


def test_a_new_column_is_told_and_does_no_harm():
    body = f"{HEADER},Carbon\n2026-01-05,CL,CL,,FUT,202601,,NYMEX,1,2\n"
    page = read(made(body), "nymex.settle.s.20260105.csv")
    assert (counted(page), page.drift) == (("ok", 1, 0, 0), ("+CARBON",))


def test_fixml_is_read_in_any_order_of_attributes_and_any_namespace():
    one = (
        '<MktDataFull BizDt="2026-01-05"><Instrmt PutCall="0" StrkPx="60.0"'
        ' MMY="202602" SecTyp="OOF" ID="LO"/>'
        '<Full Px="1" Typ="4"/><Full Px="{0}" Typ="6"/>'
        "</MktDataFull>"
    )
    many = "".join(one.format(price) for price in ("1.5", "", "x"))
    body = f'<FIXML xmlns="urn:x"><Batch>{many}</Batch></FIXML>'
    page = read(made(body), "nymex.settle.s.20260105.xml")
    assert [(key, value) for key, _, value, _ in rows([page])] == [
        ("cme.nymex.lo.oof.2026-02.p.60", 1.5)
    ]
    assert (counted(page)[2], codes(page)) == (1, [(3, "bad_value")])


@pytest.mark.parametrize(
    ("name", "at", "early"),
    [
        ("nymex.settle.e.20260105.csv", "2026-01-05T23:30:00+00:00", True),
        ("a/b/nymex.settle.s.20260105.csv", "2026-01-06T06:00:00+00:00", False),
        ("nymex.settle.20260105.s.csv", "2026-01-06T06:00:00+00:00", False),
        ("cbt.settle.20260105.e.csv.gz", "2026-01-05T23:30:00+00:00", True),
    ],
)
def test_names_tell_the_day_and_whether_a_file_is_early(name, at, early):
    found = cme_name(name)
    assert (found.early, found.scheduled_at.isoformat()) == (early, at)
    assert found.midnight == DAY_ONE


@pytest.mark.parametrize("name", ["readme.txt", "nymex.settle.s.20260230.csv"])
def test_other_files_are_left_alone(name):
    assert cme_name(name) is None


def listed(partition=WEEK, **more):
    names = [
        "nymex.settle.e.20260105.csv",
        "nymex.settle.s.20260105.csv",
        "comex.settle.s.20260112.csv",
        "comex.settle.s.20260104.csv",
        "notes.csv",
    ]
    at = "2026-01-06T12:00:00+00:00"
    files = [{"name": name, "size": 5, "mtime": at} for name in names]
    source = connector(**more)
    (request,) = source.requests(partition)
    page = source.read(request, made(json.dumps({"files": files})), partition)
    return [one.place["name"] for one in page.follow]


def test_files_belong_to_the_week_of_their_trade_date():
    both = ["nymex.settle.e.20260105.csv", "nymex.settle.s.20260105.csv"]
    assert listed() == both
    assert listed(exchanges=("comex",)) == []


def lines(truth, as_of):
    found = [
        f"{ts:%Y-%m-%d},{name},{name},,FUT,202602,,NYMEX,{'' if v is None else v}"
        for name, ts, v in truth.rows(as_of=as_of)
    ]
    return "\n".join([HEADER, *found, ""]).encode()


@pytest.fixture
def dropped(tmp_path):
    """A folder with an early and a final file, of more than 5,000 contracts."""
    folder = tmp_path / "drop" / "2026" / "01"
    names = [f"C{number}" for number in range(2_600)]
    truth = Truth(1, series=names, starts=[DAY_ONE], revised=0.05, missing=0.01)
    early, final = DAY_ONE + timedelta(hours=18), DAY_ONE + timedelta(days=25)
    drop(folder, "nymex.settle.e.20260105.csv", lines(truth, early), early)
    drop(folder, "nymex.settle.s.20260105.csv", lines(truth, final), final)
    return tmp_path / "drop", truth, (early, final)


def versions(found):
    return {
        (row["series_key"], row["published_at"]): row["value"]
        for one in found
        for batch in one.page.batches
        for row in batch.rows.to_pylist()
    }


def test_early_and_final_are_two_versions_and_any_single_fault_changes_nothing(
    dropped, tmp_path
):
    folder, truth, stamps = dropped
    expected = {
        (f"cme.nymex.{name.lower()}.fut.2026-02", at): value
        for at in stamps
        for (name, _), value in truth.values(at).items()
    }
    assert len(expected) > 5_000
    carrier = Flaky(FolderTransport(outside(tmp_path), roots=(folder,)))
    source = connector(folder)

    def read_all():
        told = exchanges(source, WEEK, transport=carrier, pause=lambda _s: None)
        return versions(told)

    for call, fault, found in after_each_fault(carrier, read_all):
        assert found == expected, (call, fault)


def test_versions_can_be_dated_by_the_schedule_for_archives_copied_later(
    dropped, tmp_path
):
    folder, _, _ = dropped
    carrier = FolderTransport(outside(tmp_path), roots=(folder,))
    source = connector(folder, publication="schedule")
    found = exchanges(source, WEEK, transport=carrier, pause=lambda _s: None)
    assert {at for _, at in versions(found)} == {
        datetime(2026, 1, 5, 23, 30, tzinfo=UTC),
        datetime(2026, 1, 6, 6, tzinfo=UTC),
    }


def test_a_file_in_another_charset_is_passed_over_and_not_asked_for_again():
    body = f"{HEADER}\n2026-01-05,CL,C\xe9,,FUT,202602,,NYMEX,1\n".encode("latin-1")
    page = read(made(body), "nymex.settle.s.20260105.csv")
    assert (page.verdict.cls, codes(page)) == ("ignored", [(1, "malformed_file")])
    assert "not UTF-8" in page.verdict.detail


def test_a_file_that_breaks_off_inside_quotes_gives_no_half_a_price():
    body = f'{HEADER}\n"2026-01-05","CL","CL","","FUT","202602","","NYMEX","58.41"'
    assert counted(read(made(body), "nymex.settle.s.20260105.csv"))[:2] == ("ok", 1)
    page = read(made(body[:-2]), "nymex.settle.s.20260105.csv")
    assert counted(page)[:2] == ("transient", 0)
