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
