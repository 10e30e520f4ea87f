"""India's load despatch: samples, clocks without AM and PM, and dropped reports."""

import gzip
import io
import json
import zipfile
from datetime import UTC, datetime, timedelta

import pytest

from ingest.connectors.grid_india_psp import GridIndiaPsp, GridIndiaPspConfig
from ingest.connectors.india_load_despatch import (
    IndiaLoadDespatch,
    IndiaLoadDespatchConfig,
)
from ingest.contract import Partition
from ingest.exchange import Answer
from ingest.fetch import Refused, exchanges
from tests.ingest.wire_samples import FETCHED, codes, counted, made, rows, sample

DAY = timedelta(days=1)
START = datetime(2026, 1, 8, tzinfo=UTC)
WINDOW = Partition("w", START, START + 3 * DAY)
NAME = "09.01.26_NLDC_PSP_123.xls"


def despatch(kind, **more):
    return IndiaLoadDespatch(IndiaLoadDespatchConfig(kind=kind, **more))


def read(connector, answer, partition=WINDOW):
    (request, *_) = connector.requests(partition)
    return connector.read(request, answer, partition)


def report(answer, *, name=NAME, **more):
    connector = GridIndiaPsp(GridIndiaPspConfig(base_url="file:///drop/", **more))
    files = [{"name": name, "size": 1, "mtime": "2026-01-10T05:00:00+00:00"}]
    (listing,) = connector.requests(WINDOW)
    listed = connector.read(listing, made(json.dumps({"files": files})), WINDOW)
    (request,) = listed.follow
    return connector.read(request, answer, WINDOW)


def wrapped(*records):
    named = [
        {"StateName": state, "Demand": demand, "current_datetime": told}
        for state, demand, told in records
    ]
    return made(json.dumps({"d": json.dumps(named)}))


@pytest.mark.parametrize(
    ("connector", "name", "expected"),
    [
        (despatch("wrldc"), "wrldc_wrapped.json", ("ok", 2, 0, 0)),
        (despatch("erldc"), "erldc_interregional.json", ("ok", 6, 0, 0)),
        (despatch("meritindia", state="MHA"), "meritindia_state.json", ("ok", 3, 0, 0)),
        (despatch("grid_india"), "grid_india_files.json", ("metadata", 0, 0, 0)),
    ],
)
def test_samples_are_what_they_are(connector, name, expected):
    assert counted(read(connector, sample(f"india/{name}"))) == expected


def test_the_sample_of_a_sheet_is_read_by_its_labels():
    page = report(sample("india/psp_sheet_projection.csv", media_type="text/csv"))
    assert counted(page) == ("ok", 22, 2, 0)
    units = {one.key: one.unit for one in page.series}
    assert units["nr.demand-met-evening-peak"] == "MW"
    assert units["total.wind-generation"] == "MU"


def test_the_order_of_the_times_tells_morning_from_afternoon():
    found = rows([read(despatch("wrldc"), sample("india/wrldc_wrapped.json"))])
    assert [(key, f"{ts:%m-%dT%H:%M}", value) for key, ts, value, _ in found] == [
        ("gujarat.demand", "06-24T18:45", 18210),
        ("gujarat.demand", "06-25T06:45", 19990),
    ]


def test_each_state_and_each_day_has_a_clock_of_its_own():
    page = read(
        despatch("wrldc"),
        wrapped(
            ("GOA", 1, "2023-25-06 12:00:00"),
            ("GUJARAT", 2, "2023-25-06 12:30:00"),
            ("GOA", 3, "2023-25-06 11:00:00"),
            ("GOA", 4, "2023-25-06 01:00:00"),
            ("GOA", 5, "2023-26-06 12:00:00"),
        ),
    )
    found = {value: f"{ts:%dT%H:%M}" for _, ts, value, _ in rows([page])}
    assert found == {
        1: "24T18:30",
        2: "24T19:00",
        3: "25T05:30",
        4: "25T07:30",
        5: "25T18:30",
    }


@pytest.mark.parametrize(
    "times",
    [
        ["2023-25-06 05:00:00"],
        [f"2023-25-06 {hour}:00:00" for hour in (12, 11, 10, "09")],
    ],
    ids=["open", "backwards"],
)
def test_times_whose_half_of_the_day_stays_open_are_refused(times):
    page = read(despatch("wrldc"), wrapped(*(("GOA", 1, told) for told in times)))
    assert page.verdict.cls == "malformed"


def test_a_text_that_is_no_time_costs_its_row_only():
    page = read(
        despatch("wrldc"),
        wrapped(
            ("GOA", 1, "2023-06-05 13:00:00"),
            ("GOA", 1, "2023-31-06 12:00:00"),
            ("GOA", "x", "2023-05-06 12:00:00"),
            (None, 1, "2023-05-06 12:00:00"),
        ),
    )
    assert codes(page) == [(1, "bad_time"), (2, "bad_time"), (3, "bad_value")]


def test_days_of_india_begin_half_an_hour_past():
    page = read(despatch("erldc"), sample("india/erldc_interregional.json"))
    assert {ts.isoformat() for _, ts, *_ in rows([page])} == {
        "2023-06-24T18:30:00+00:00"
    }
    assert {one.unit for one in page.series} == {"MU"}
    (request,) = despatch("erldc").requests(WINDOW)
    assert dict(request.params) == {
        "firstDate": "2026-01-09",
        "secondDate": "2026-01-11",
    }
    short = Partition("s", START, START + timedelta(hours=1))
    assert despatch("erldc").requests(short) == ()


def test_a_page_without_a_time_is_of_the_minute_of_asking():
    connector = despatch("meritindia", state="MHA")
    found = rows([read(connector, sample("india/meritindia_state.json"))])
    assert found[0][:3] == ("mha.demand", FETCHED, 28197)
    (request,) = connector.requests(WINDOW)
    assert (request.method, request.body) == ("POST", '{"StateCode": "MHA"}')


@pytest.mark.parametrize(
    ("kind", "body", "cls"),
    [
        ("wrldc", "[]", "schema_drift"),
        ("wrldc", '{"d": "[{"}', "malformed"),
        ("wrldc", '{"d": "[{}]"}', "schema_drift"),
        ("wrldc", '{"d": "[]"}', "empty"),
        ("erldc", "{}", "malformed"),
        ("erldc", '[{"Element": "x", "Date": "2023-06-25"}]', "schema_drift"),
        ("erldc", "[1", "transient"),
        ("grid_india", "{}", "malformed"),
        ("grid_india", '{"retData": [{}]}', "schema_drift"),
        ("grid_india", "<html>blocked</html>", "transient"),
    ],
)
def test_answers_of_another_shape_are_not_read(kind, body, cls):
    assert read(despatch(kind), made(body)).verdict.cls == cls


def test_a_state_belongs_to_one_kind():
    with pytest.raises(ValueError, match="validation error"):
        IndiaLoadDespatchConfig(kind="wrldc", state="MHA")


class Recorded:
    """Answers by the end of the address; keeps what was asked."""

    def __init__(self, **answers: Answer) -> None:
        self.answers = answers
        self.sent: list[str] = []

    def send(self, request):
        self.sent.append(request.body or request.url)
        kind = "file" if request.method == "GET" else "listing"
        return self.answers[kind]


def test_listed_reports_of_the_window_are_fetched_as_workbooks_only():
    transport = Recorded(
        listing=sample("india/grid_india_files.json"),
        file=sample("india/psp_sheet_projection.csv", media_type="text/csv"),
    )
    connector = despatch("grid_india")
    found = list(
        exchanges(connector, WINDOW, transport=transport, pause=lambda _: None)
    )
    assert json.loads(transport.sent[0]) == {
        "_source": "GRDW",
        "_type": "DAILY_PSP_REPORT",
        "_fileDate": "2025-26",
        "_month": "01",
    }
    assert transport.sent[1].endswith("/files/grdw/2026/01/09.01.26_NLDC_PSP_123.xls")
    assert {ts.isoformat() for _, ts, *_ in rows(found)} == {
        "2026-01-08T18:30:00+00:00"
    }


def test_a_fiscal_year_begins_in_april():
    window = Partition(
        "w", datetime(2026, 3, 30, tzinfo=UTC), datetime(2026, 4, 3, tzinfo=UTC)
    )
    asked = [json.loads(one.body) for one in despatch("grid_india").requests(window)]
    assert [(one["_fileDate"], one["_month"]) for one in asked] == [
        ("2025-26", "03"),
        ("2026-27", "04"),
    ]


SHEET = [
    ["", "", "Report for previous day", "", "", "", "", ""],
    ["", "C. Power Supply Position in States", "", "", "", "", "", ""],
    ["", "", "NR", "WR", "SR", "ER", "NER", "TOTAL"],
    ["", "Energy Met (MU)", 9, 9, 9, 9, 9, 9],
    ["", "A. Power Supply Position at All India and Regional level", "", "", ""],
    ["", "", "NR", "WR", "SR", "ER", "NER", "TOTAL"],
    ["", "Energy Met (MU)", 1090.5, 1420, "1,105", 520, 47, 4182.5],
    ["", "Time Of Maximum Demand Met", "19:00", "", "", "", "", ""],
    ["", "Peak Shortage (MW)", 1, "-", "none", 2, 3, 6],
    ["", "G. Sourcewise generation (Gross) (MU)", "", "", "", "", "", ""],
    ["", "", "NR", "WR", "SR", "ER", "NER", "All India"],
    ["", "Coal", 700, 1300, 600, 570, 17, 3187],
    ["", "Hydro", 100, 50, 80, 30, 7, 267],
]


def workbook(*sheets):
    """Return a workbook of sheets as Excel would write it, cells in line."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        numbers = range(1, len(sheets) + 1)
        names = "".join(
            f'<sheet name="S{n}" sheetId="{n}" r:id="r{n}"/>' for n in numbers
        )
        main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
        office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
        links = "http://schemas.openxmlformats.org/package/2006/relationships"
        archive.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets>{names}</sheets>'
            "</workbook>",
        )
        targets = "".join(
            f'<Relationship Id="r{n}" Type="{office}/worksheet" Target="s{n}.xml"/>'
            for n in numbers
        )
        archive.writestr(
            "xl/_rels/workbook.xml.rels",
            f'<Relationships xmlns="{links}">{targets}</Relationships>',
        )
        archive.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{links}"><Relationship Id="r0" '
            f'Type="{office}/officeDocument" Target="xl/workbook.xml"/>'
            "</Relationships>",
        )
        for number, rows_of in zip(numbers, sheets, strict=True):
            lines = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows_of)
            archive.writestr(
                f"xl/s{number}.xml",
                f'<worksheet xmlns="{main}"><sheetData>{lines}</sheetData></worksheet>',
            )
    return made(packed.getvalue())


def cell(found):
    if isinstance(found, str):
        return f'<c t="inlineStr"><is><t>{found}</t></is></c>'
    return f"<c><v>{found}</v></c>"


def test_a_workbook_is_read_from_the_sheet_and_the_sections_that_count():
    page = report(workbook([["MOP"], [7]], SHEET), name="09.01.26_NLDC_PSP.xlsx")
    found = {key: value for key, _, value, _ in rows([page])}
    assert found["nr.energy-met"] == 1090.5
    assert found["sr.energy-met"] == 1105
    assert found["total.gross-coal"] == 3187
    assert found["ner.gross-hydro"] == 7
    page = report(workbook([["MOP"], [7]], SHEET), name="09.01.26_NLDC_PSP.xlsx")
    assert counted(page) == ("ok", 22, 1, 1)


def test_energies_may_become_the_mean_power_of_the_day():
    page = report(workbook(SHEET), name="09.01.26_NLDC_PSP.xlsx", energy="mean_mw")
    units = {one.key: one.unit for one in page.series}
    found = {key: value for key, _, value, _ in rows([page])}
    assert found["wr.energy-met"] == pytest.approx(1420 / 0.024)
    assert found["nr.peak-shortage"] == 1
    assert set(units.values()) == {"MW"}


def test_the_day_is_that_of_the_name_and_known_since_the_file_was_written():
    answer = sample("india/psp_sheet_projection.csv")
    (batch,) = report(answer, days_before=1).batches
    assert {ts.isoformat() for ts in batch.rows["ts"].to_pylist()} == {
        "2026-01-07T18:30:00+00:00"
    }
    written = datetime(2026, 1, 10, 5, tzinfo=UTC)
    assert set(batch.rows["published_at"].to_pylist()) == {written}


@pytest.mark.parametrize(
    ("body", "cls"),
    [
        ("label,NR,WR,SR\nEnergy lost (MU),1,2,3\n", "schema_drift"),
        ("Energy Met (MU),1,2,3\n", "schema_drift"),
        (b"PK\x03\x04 no workbook", "ignored"),
        (b"\xd0\xcf\x11\xe0 no workbook", "ignored"),
    ],
)
def test_a_report_of_another_shape_is_not_read(body, cls):
    assert report(made(body)).verdict.cls == cls


def test_a_centre_that_drifts_stops_at_once():
    transport = Recorded(listing=made('{"retData": [{"Path": "x"}]}'))
    with pytest.raises(Refused, match="schema_drift"):
        list(
            exchanges(
                despatch("grid_india"),
                WINDOW,
                transport=transport,
                pause=lambda _: None,
            )
        )
    assert len(transport.sent) == 1


@pytest.mark.parametrize("body", [b"", gzip.compress(b"A. x", mtime=0)[:-4]])
def test_a_report_of_nothing_is_asked_for_again(body):
    assert counted(report(made(body)))[:2] == ("transient", 0)


def test_a_report_that_breaks_off_gives_no_half_a_figure():
    body = GridIndiaPsp.example().answers[-1].body
    for end in (body.index(b"1420") + 2, len(body) - 5, len(body) - 1):
        assert counted(report(made(body[:end])))[:2] == ("transient", 0)
