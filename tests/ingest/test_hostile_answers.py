"""Answers with any part replaced or cut off: told apart, and never an exception."""

import copy
import io
import json
import zipfile
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest import verdicts, workbooks
from ingest.connectors import connectors
from ingest.connectors.data_gov_in import DataGovIn
from ingest.connectors.india_load_despatch import (
    IndiaLoadDespatch,
    IndiaLoadDespatchConfig,
)
from ingest.connectors.open_meteo import OpenMeteo, OpenMeteoConfig, Place
from ingest.connectors.open_meteo_archive import OpenMeteoArchive
from ingest.connectors.web_table import WebTable
from ingest.connectors.yahoo_chart import YahooChart
from ingest.contract import Partition
from ingest.errors import InvalidFile
from ingest.exchange import Answer
from ingest.parse import KEY
from ingest.verdicts import CLASSES
from tests.ingest.wire_samples import WIRE, made

WINDOW = Partition(
    "w", datetime(2026, 1, 8, tzinfo=UTC), datetime(2026, 1, 11, tzinfo=UTC)
)
PLACE = Place(name="p", latitude=0, longitude=0)
RUNS = OpenMeteo(
    OpenMeteoConfig(places=(PLACE,), hourly=("temperature_2m",), run="dwd_icon")
)
MERIT = IndiaLoadDespatchConfig(kind="meritindia", state="MHA")
READ = [
    (OpenMeteo(OpenMeteo.example().config), "open_meteo/unixtime.json"),
    (OpenMeteo(OpenMeteo.example().config), "open_meteo/previous_runs.json"),
    (OpenMeteoArchive(OpenMeteoArchive.example().config), "open_meteo/forecast.json"),
    (RUNS, "open_meteo/meta_model_run.json"),
    (YahooChart(YahooChart.example().config), "yahoo/chart_events.json"),
    (YahooChart(YahooChart.example().config), "yahoo/chart_1d_nulls_and_live.json"),
    (IndiaLoadDespatch(MERIT), "india/meritindia_state.json"),
    *(
        (IndiaLoadDespatch(IndiaLoadDespatchConfig(kind=kind)), f"india/{name}.json")
        for kind, name in (
            ("wrldc", "wrldc_wrapped"),
            ("erldc", "erldc_interregional"),
            ("grid_india", "grid_india_files"),
        )
    ),
]
CRUDE = DataGovIn(
    DataGovIn.example().config.model_copy(
        update={
            "dimensions": ("company_name",),
            "value": "quantity_000_metric_tonnes_",
        }
    )
)
READ.append((CRUDE, "india/data_gov_in.json"))
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=10**18, max_value=10**40),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["\ud800", "\0", "NaN", "9" * 5_000, "2026-02-30", "28,197"]),
    st.lists(st.none(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


def places(node, path=()):
    """Yield the paths of all parts of a JSON document."""
    yield path
    inner = node.items() if isinstance(node, dict) else ()
    inner = enumerate(node) if isinstance(node, list) else inner
    for key, child in inner:
        yield from places(child, (*path, key))


def replaced(document, path, odd):
    """Return a document with one part replaced."""
    if not path:
        return odd
    changed = copy.deepcopy(document)
    parent = changed
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = odd
    return changed


def look_at(connector, answer):
    (request, *_) = connector.requests(WINDOW)
    page = connector.read(request, answer, WINDOW)
    assert page.verdict.cls in CLASSES
    for batch in page.batches:
        batch.rows.validate(full=True)
        assert all(map(KEY.fullmatch, batch.rows["series_key"].to_pylist()))


@pytest.mark.parametrize(("connector", "name"), READ, ids=[name for _, name in READ])
@settings(max_examples=30, deadline=None)
@given(chance=st.data())
def test_any_part_of_an_answer_may_be_anything(connector, name, chance):
    document = json.loads((WIRE / name).read_text())
    path = chance.draw(st.sampled_from(list(places(document))))
    odd = chance.draw(ODD)
    look_at(connector, made(json.dumps(replaced(document, path, odd))))


@pytest.mark.parametrize(("connector", "name"), READ, ids=[name for _, name in READ])
def test_an_answer_may_end_anywhere(connector, name):
    body = (WIRE / name).read_bytes()
    for end in range(0, len(body), max(1, len(body) // 40)):
        look_at(connector, made(body[:end]))


@settings(max_examples=40, deadline=None)
@given(
    pieces=st.lists(
        st.sampled_from(
            [
                *("<table>", "<tr>", "<td>", "<th>", "</table>", "<thead>", "<tfoot>"),
                *("<td colspan=0>", "<td rowspan=0>", "<th colspan=9999>", "<br>"),
                *("Date", "USD", "1", "&#xD800;", "&nbsp;", "\0", "<caption>", "-"),
                "<td rowspan=-1>",
            ]
        ),
        max_size=40,
    )
)
def test_any_page_is_read_or_told_apart(pieces):
    connector = WebTable(WebTable.example().config)
    (robots,) = connector.requests(WINDOW)
    (request,) = connector.read(robots, made("", 404), WINDOW).follow
    body = f"<table><tr><th>Date<th>USD</tr>{''.join(pieces)}</table>"
    for text in (body, "".join(pieces)):
        page = connector.read(request, made(text), WINDOW)
        assert page.verdict.cls in CLASSES
        for batch in page.batches:
            batch.rows.validate(full=True)


def test_an_answer_that_was_cut_off_is_never_taken_for_a_whole_one():
    for connector, name in READ:
        answer = replace(made((WIRE / name).read_bytes()), whole=False)
        (request, *_) = connector.requests(WINDOW)
        assert connector.read(request, answer, WINDOW).verdict.cls == "transient"


def test_json_that_would_fill_the_memory_is_not_decoded(monkeypatch, tmp_path):
    monkeypatch.setattr(verdicts, "MOST_JSON", 9)
    for body, cls in ((b"[1,2,3,4]", None), (b"[1,2,3,40]", "config")):
        path = tmp_path / "body"
        path.write_bytes(body)
        for given_as in ({"content": body}, {"path": path}):
            found = verdicts.decoded(Answer(200, {}, WINDOW.start, **given_as))
            assert getattr(found, "cls", None) == cls


def test_a_workbook_that_would_fill_the_memory_is_not_unpacked(monkeypatch):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", bytes(2_000))
    monkeypatch.setattr(workbooks, "_MOST_UNPACKED", 1_999)
    answer = Answer(200, {}, WINDOW.start, packed.getvalue())
    assert workbooks.is_workbook(answer)
    with pytest.raises(InvalidFile, match="unpacked it has 2000 bytes"):
        workbooks.workbook_cells(answer)


def asked(name):
    """Return a connector and its example, with the question of each answer."""
    kind = connectors()[name]
    example = kind.example()
    reader = kind(example.config)
    (request, *_) = reader.requests(example.partition)
    found = []
    for answer in example.answers:
        found.append((request, answer))
        follow = reader.read(request, answer, example.partition).follow
        request = follow[-1] if follow else request
    return reader, example.partition, found


def held(page):
    return {
        (row["series_key"], row["ts"], row["value"])
        for batch in page.batches
        for row in batch.rows.to_pylist()
    }


@pytest.mark.parametrize("name", sorted(connectors()))
def test_an_answer_that_breaks_off_holds_no_row_that_the_whole_one_lacks(name):
    reader, partition, found = asked(name)
    for request, answer in found:
        whole = held(reader.read(request, answer, partition))
        for end in range(len(answer.body)):
            cut_off = replace(answer, content=answer.body[:end])
            page = reader.read(request, cut_off, partition)
            assert held(page) <= whole, answer.body[:end]


@pytest.mark.parametrize("name", sorted(connectors()))
@settings(max_examples=25, deadline=None)
@given(chance=st.data())
def test_any_part_of_the_json_of_any_source_may_be_anything(name, chance):
    reader, partition, found = asked(name)
    request, answer = chance.draw(st.sampled_from(found))
    try:
        document = json.loads(answer.body)
    except ValueError:
        return  # no JSON: other tests cut and pack it
    path = chance.draw(st.sampled_from(list(places(document))))
    changed = replaced(document, path, chance.draw(ODD))
    page = reader.read(
        request, replace(answer, content=json.dumps(changed).encode()), partition
    )
    assert page.verdict.cls in CLASSES
    for batch in page.batches:
        batch.rows.validate(full=True)


@pytest.mark.parametrize("odd", [True, 1.5, "x", None])
def test_a_document_that_is_no_object_leads_to_no_rows(odd):
    reader, partition, ((request, _), *_) = asked("http_table")
    page = reader.read(request, made(json.dumps(odd)), partition)
    assert page.verdict.cls == "schema_drift"


def test_a_mark_of_quality_that_is_no_text_is_no_mark():
    reader, partition, ((request, answer), *_) = asked("nws")
    body = answer.body.replace(b'"qualityControl": "V"', b'"qualityControl": {}')
    page = reader.read(request, made(body), partition)
    assert len(held(page)) == 1


def test_half_characters_of_json_are_marks():
    for name in ("cdo", "http_table", "ncei", "nws"):
        reader, partition, ((request, answer), *_) = asked(name)
        body = answer.body.replace(b'"2026', b'"\\ud8002026')
        page = reader.read(request, made(body), partition)
        assert held(page) == set()
        assert page.verdict.cls == "ok"
