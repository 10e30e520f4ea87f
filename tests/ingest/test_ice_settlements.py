"""ICE settlements: samples, three answers under 200, log-ins that run out, limits."""

import io
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from ingest.connectors.ice_settlements import IceSettlements, IceSettlementsConfig
from ingest.contract import Partition
from ingest.exchange import RateLimited, Request, secret
from ingest.fetch import Refused, exchanges
from ingest.login import LoggedIn
from ingest.verdicts import Verdict
from tests.ingest.carrying import transport
from tests.ingest.wire_samples import (
    after_each_fault,
    codes,
    counted,
    made,
    rows,
    sample,
)
from tests.sources import ice as fake
from tests.sources.server import serve
from tests.sources.truth import DAY, Truth

MONDAY = datetime(2026, 8, 24, 4, tzinfo=UTC)
"""Midnight in New York."""
WEEK = Partition("week", MONDAY, MONDAY + 7 * DAY)
GAS = "Gas/icecleared_gas_%Y_%m_%d.dat"
SECRETS = {"user": fake.USER, "password": fake.PASSWORD}


def connector(**more):
    return IceSettlements(IceSettlementsConfig(**{"reports": (GAS,), **more}))


def read(answer, **more):
    source = connector(**more)
    return source.read(source.requests(WEEK)[0], answer, WEEK)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "icecleared_gas_2026_08_28.dat",
            [
                ("ice.451.aec.f.2026-09-01", -1.9575),
                ("ice.451.aec.f.2026-10-01", -1.965),
            ],
        ),
        ("ice_contract_collision_a.dat", [("ice.30948.old.f.2027-01-01", 156.6)]),
        ("ice_contract_collision_b.dat", [("ice.26755.old.f.2027-01-01", 3.8316)]),
        (
            "icecleared_physenvoptions.dat",
            [
                ("ice.27756.cb6.c.apr27.30", 4.1),
                ("ice.27756.cb6.f.apr27", 33.94),
                ("ice.27756.cb6.p.bh26-apr27-fh26.30", 1.1),
            ],
        ),
        (
            "ICE_Crude_Oil_Index_20260828.csv",
            [("ice.index.1416.bgs.ice-wcs-cus-1a-index-oct26", -3.6)],
        ),
    ],
)
def test_samples_give_the_prices_they_hold(name, expected):
    page = read(sample(f"cme_ice/{name}", media_type="text/plain"))
    assert counted(page) == ("ok", len(expected), 0, 0)
    assert [(key, value) for key, _, value, _ in rows([page])] == expected
    assert {ts for _, ts, *_ in rows([page])} == {datetime(2026, 8, 28, 4, tzinfo=UTC)}
    assert page.drift == ()


@pytest.mark.parametrize(
    ("name", "status", "media_type", "cls"),
    [
        ("ice_header_only.csv", 200, "text/csv", "empty"),
        ("ice_not_available_200.html", 200, "text/html", "not_available"),
        ("ice_429.txt", 429, "text/plain", "rate_limited"),
    ],
)
def test_samples_without_prices_are_told_apart(name, status, media_type, cls):
    page = read(sample(f"cme_ice/{name}", status, media_type))
    assert page.verdict.cls == cls


def test_a_limit_is_waited_for_a_minute_even_if_it_does_not_say_so():
    answer = sample("cme_ice/ice_429.txt", 429, "text/plain")
    assert read(replace(answer, headers={"retry-after": "60"})).verdict.wait_s == 60
    assert read(answer).verdict.wait_s == 60


@pytest.mark.parametrize(
    ("body", "cls"),
    [
        ("<html><title>ICE SSO Client</title></html>", "auth"),
        ("\ufeff <!doctype HTML><title>ICE SSO Client</title>", "auth"),
        ("<html>No  Files\nAvailable</html>", "not_available"),
        ("<html>Will be right back</html>", "transient"),
        ("", "transient"),
        (f"{fake.HEADER}\n", "empty"),
        (f"{fake.HEADER}\n8/28/2026|A|B|9/1/2026|A", "transient"),
        ("TRADE DATE|HUB\n8/28/2026|A\n", "schema_drift"),
        ("TRADE_DATE,DEAL_ID,DEAL_PRICE\n2026-08-28,1,2\n", "ignored"),
    ],
)
def test_what_comes_under_200_is_told_apart_by_its_words(body, cls):
    assert read(made(body)).verdict.cls == cls


def line(strip="9/1/2026", kind="F", strike="", price="1", product="451"):
    return f"8/28/2026|HUB|A|{strip}|AEC|{kind}|{strike}|{price}|0|9/1/2026|{product}"


def of(*lines):
    return read(made("\n".join([fake.HEADER, *lines, ""])))


def test_contracts_that_differ_have_keys_that_differ():
    page = of(
        line(),
        line(product="452"),
        line(strip="10/1/2026"),
        line(kind="C", strike="5.0000"),
        line(kind="C", strike="-5.0000"),
        line(kind="C", strike="0.5"),
        line(kind="C", strike="05"),
    )
    keys = [key for key, *_ in rows([page])]
    assert len(keys) == 7
    assert len(set(keys)) == 6  # 5.0000 and 05 are the same strike


def test_a_quote_is_a_letter_in_files_that_do_not_quote():
    page = of(line(strip='2" gap'), line())
    assert [key for key, *_ in rows([page])] == [
        "ice.451.aec.f.2-gap",
        "ice.451.aec.f.2026-09-01",
    ]


def test_bad_rows_are_told_and_others_stay():
    page = of(line(), line(product=""), line(price="n/a"), line(price=""), "8/28/2026|")
    assert codes(page) == [(2, "bad_key"), (3, "bad_value"), (5, "malformed_row")]
    assert counted(page) == ("ok", 1, 1, 3)


def test_columns_are_found_by_name_wherever_they_stand():
    names = fake.HEADER.split("|")
    cells = line().split("|")
    turned = "\n".join(["|".join(reversed(names)), "|".join(reversed(cells)), ""])
    assert rows([read(made(turned))]) == rows([of(line())])


def test_other_columns_become_series_if_they_are_wanted():
    answer = sample("cme_ice/icecleared_physenvoptions.dat")
    page = read(answer, values=("SETTLEMENT_PRICE", "DELTA_FACTOR"))
    assert ("ice.27756.cb6.c.apr27.30.delta_factor", 0.75) in [
        (key, value) for key, _, value, _ in rows([page])
    ]
    assert counted(page) == ("ok", 5, 1, 0)


def test_working_days_are_asked_for_by_name():
    requests = connector().requests(WEEK)
    assert [one.place["name"] for one in requests] == [
        f"Gas/icecleared_gas_2026_08_{day}.dat" for day in range(24, 29)
    ]
    assert {one.headers["Cookie"] for one in requests} == {
        f"iceSsoCookie={secret('token')}"
    }


def test_no_log_in_is_tried_unless_it_is_wanted():
    assert connector().login() is None
    asked = connector(login=True).login()
    assert isinstance(asked, Request)
    assert not asked.kept
    assert secret("password") in asked.body


@pytest.mark.parametrize(
    ("body", "status", "found"),
    [
        ('{"data": {"token": "t"}}', 200, "t"),
        ('{"result": {"data": {"token": "t"}}}', 200, "t"),
        ('{"data": {"token": null}}', 200, "auth"),
        ("[]", 200, "auth"),
        ('{"error": "no"}', 400, "auth"),
        ("<html>down</html>", 503, "transient"),
    ],
)
def test_a_log_in_gives_a_token_or_says_why_not(body, status, found):
    token = connector(login=True).token(made(body, status))
    assert (token.cls if isinstance(token, Verdict) else token) == found


@pytest.mark.parametrize(
    "fields",
    [
        {"reports": ("gas.dat",)},
        {"reports": ("*_%Y_%m_%d.dat",)},
        {"reports": ()},
        {"base_url": "ftp://a.test/"},
    ],
)
def test_a_config_that_cannot_be_meant_is_refused(fields):
    with pytest.raises(ValidationError):
        connector(**fields)


def contracts(count):
    return [f"{n}|AEC|F|9/1/2026|" for n in range(count)]


def midnights(first, days):
    place = ZoneInfo("America/New_York")
    return [
        datetime(day.year, day.month, day.day, tzinfo=place).astimezone(UTC)
        for day in (first + timedelta(days=n) for n in range(days))
    ]


def told(truth):
    return sorted(
        (
            (f"ice.{name.split('|')[0]}.aec.f.2026-09-01", ts, value, None)
            for (name, ts), value in truth.values().items()
        ),
        key=str,
    )


def read_site(served, folder, partition=WEEK, secrets=SECRETS, **more):
    source = connector(
        base_url=f"{served.url}/reports",
        login_url=f"{served.url}/sso",
        login=True,
        **more,
    )
    with transport(folder, secrets) as http:
        inside = LoggedIn(http, source, partition=partition)
        return list(
            exchanges(source, partition, transport=inside, pause=lambda _s: None)
        )


def test_a_week_comes_through_tokens_that_run_out_and_days_without_a_file(tmp_path):
    truth = Truth(1, series=contracts(2_000), starts=midnights(date(2026, 8, 24), 4))
    with serve(fake.Ice(truth, lasts=2)) as served:
        found = read_site(served, tmp_path)
        sent = repr([one.request for one in found]) + repr(found)
    assert rows(found) == told(truth)
    assert len(rows(found)) > 5_000
    assert [one.page.verdict.cls for one in found] == ["ok"] * 4 + ["not_available"]
    assert fake.PASSWORD not in sent
    assert "fake-token" not in sent


def test_any_single_fault_gives_the_same_rows(tmp_path):
    truth = Truth(2, series=contracts(3), starts=midnights(date(2026, 8, 24), 2))
    short = Partition("short", MONDAY, MONDAY + 2 * DAY)
    with serve(fake.Ice(truth, lasts=100, limit=10_000)) as served:

        def read_all():
            waiting = 3
            while waiting:
                waiting -= 1
                try:
                    return rows(read_site(served, tmp_path, short))
                except (RateLimited, Refused):
                    continue
            raise AssertionError("it never got through")

        for call, fault, found in after_each_fault(served, read_all):
            assert found == told(truth), (call, fault)


def test_a_limit_ends_a_run_which_can_be_taken_up_again(tmp_path):
    truth = Truth(3, series=contracts(3), starts=midnights(date(2026, 8, 24), 5))
    with serve(fake.Ice(truth, lasts=100, limit=4)) as served:
        with pytest.raises(RateLimited) as limited:
            read_site(served, tmp_path)
        assert limited.value.wait_s == 60
        served.plan.calls = 0
        days = connector().plan(MONDAY, MONDAY + 5 * DAY)
        assert days[0].start == MONDAY


def test_who_may_not_enter_is_told_so(tmp_path):
    truth = Truth(4, series=contracts(1), starts=midnights(date(2026, 8, 24), 1))
    wrong = {**SECRETS, "password": "another"}
    with serve(fake.Ice(truth)) as served, pytest.raises(Refused, match="auth"):
        read_site(served, tmp_path, secrets=wrong)


def test_a_revision_arrives(tmp_path):
    (day,) = midnights(date(2026, 8, 24), 1)
    truth = Truth(5, series=contracts(3), starts=[day], revised=0.0, missing=0.0)
    with serve(fake.Ice(truth, lasts=100, limit=10_000)) as served:
        before = rows(read_site(served, tmp_path))
        truth.revise(contracts(1)[0], day, 1.25, day + DAY)
        after = rows(read_site(served, tmp_path))
    assert set(after) - set(before) == {("ice.0.aec.f.2026-09-01", day, 1.25, None)}


def workbook(*table):
    """Write the smallest workbook there is: cells are numbers, texts or nothing."""
    import zipfile

    def cell(value, column, row):
        place = f"{chr(65 + column)}{row}"
        if value is None:
            return ""
        if isinstance(value, str):
            return f'<c r="{place}" t="inlineStr"><is><t>{value}</t></is></c>'
        return f'<c r="{place}"><v>{value}</v></c>'

    body = "".join(
        f'<row r="{number}">'
        + "".join(cell(value, column, number) for column, value in enumerate(line))
        + "</row>"
        for number, line in enumerate(table, 1)
    )
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006/relationships"
    link = (
        f'<Relationship Id="r1" Type="{office}/worksheet" Target="worksheets/s.xml"/>'
    )
    files = {
        "[Content_Types].xml": "<Types/>",
        "_rels/.rels": f'<Relationships xmlns="{package}"><Relationship Id="r1" '
        f'Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets>'
        '<sheet name="a" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}">{link}'
        "</Relationships>",
        "xl/worksheets/s.xml": f'<worksheet xmlns="{main}"><sheetData>{body}'
        "</sheetData></worksheet>",
    }
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as packed:
        for name, text in files.items():
            packed.writestr(name, text)
    return written.getvalue()


def test_a_workbook_is_read_with_its_gaps_and_its_kinds_of_dates():
    names = fake.HEADER.split("|")
    serial = (date(2026, 8, 28) - date(1899, 12, 30)).days
    page = read(
        made(
            workbook(
                ["Settlements"],
                names,
                [serial, "H", "A", serial + 4, "AEC", "F", None, 1.5, 0, serial, 451],
                ["8/28/2026", "H", "A", "10/1/2026", "AEC", "C", 5, 2, 0, None, "451"],
                ["soon", "H", "A", "10/1/2026", "AEC", "F", None, 2, 0, None, 451],
            )
        )
    )
    assert [(key, value) for key, _, value, _ in rows([page])] == [
        ("ice.451.aec.c.2026-10-01.5", 2.0),
        ("ice.451.aec.f.2026-09-01", 1.5),
    ]
    assert codes(page) == [(3, "bad_time")]
    assert read(made(workbook(["x"], names))).verdict.cls == "empty"
    assert read(made(workbook(["a", "b"]))).verdict.cls == "schema_drift"
    assert read(made(workbook(names)[:-30])).verdict.cls == "transient"
