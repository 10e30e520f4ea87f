"""Dropped files: which are whole, which belong to a window, which are bad."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from ingest.connectors.drop_folder import DropFolder, DropFolderConfig
from ingest.contract import Partition
from ingest.exchange import Request
from ingest.fetch import Refused, exchanges
from ingest.folders import FolderTransport
from ingest.object_files import day_of, told_digest, unvouched
from ingest.table_layout import TableLayout
from tests.ingest.carrying import NOW, outside
from tests.ingest.wire_samples import (
    FETCHED,
    WIRE,
    after_each_fault,
    codes,
    made,
    rows,
    sample,
)
from tests.sources.drop import Flaky, drop, drop_days
from tests.sources.truth import DAY, Truth, grid

START = datetime(2026, 1, 9, tzinfo=UTC)
WEEK = Partition("week", START, START + 7 * DAY)
SENT = START + 20 * DAY
NAME = "20260109_load.csv"
DROPPED = WIRE / "generic" / "drop"


def config(folder="/drop", **more):
    fields = {
        "base_url": f"file://{folder}/",
        "pattern": "%Y%m%d_load.csv",
        "layout": TableLayout(series_columns=("series",)),
    }
    return DropFolderConfig(**{**fields, **more})


def listing(*files):
    found = [
        {"name": name, "size": size, "mtime": mtime} for name, size, mtime in files
    ]
    return made(json.dumps({"files": found}))


def followed(answer, partition=WEEK, **more):
    connector = DropFolder(config(**more))
    (request,) = connector.requests(partition)
    page = connector.read(request, answer, partition)
    return page, [one.place["name"] for one in page.follow]


OLD = "2026-01-10T00:00:00+00:00"


def test_the_sample_folder_holds_one_whole_file():
    files = [(path.name, path.stat().st_size, OLD) for path in DROPPED.iterdir()]
    page, names = followed(listing(*files))
    assert (page.verdict.cls, names) == ("metadata", [NAME])


def file_request(**place):
    return Request(
        f"file:///drop/{NAME}", place={"step": "file", "name": NAME, **place}
    )


def test_the_sample_file_has_one_row():
    answer = sample(f"generic/drop/{NAME}", media_type="application/octet-stream")
    page = DropFolder(config()).read(file_request(), answer, WEEK)
    assert (page.verdict.cls, rows([page])) == ("ok", [("a", START, 1.0, None)])


def test_the_sample_checksum_is_of_another_file_which_is_passed_over():
    told = told_digest(sample(f"generic/drop/{NAME}.sha256"))
    answer = sample(f"generic/drop/{NAME}")
    found = unvouched(file_request(sha256=told), answer)
    assert found is not None
    assert found.cls == "malformed"
    page = DropFolder(config()).read(file_request(sha256=told), answer, WEEK)
    assert page.verdict.detail.startswith("malformed: SHA-256")
    assert codes(page) == [(1, "malformed_file")]


def test_the_sample_that_is_still_being_written_is_ignored():
    name = "20260110_load.csv.part"
    request = Request(f"file:///drop/{name}", place={"step": "file", "name": name})
    page = DropFolder(config()).read(request, sample(f"generic/drop/{name}"), WEEK)
    assert page.verdict.cls == "ignored"


@pytest.mark.parametrize(
    ("name", "size", "mtime", "mine"),
    [
        (NAME, 5, OLD, True),
        (NAME, 5, datetime.fromisoformat(OLD).timestamp(), True),
        (NAME, 0, OLD, False),
        (NAME, 5, FETCHED.isoformat(), False),
        ("20260101_load.csv", 5, OLD, False),
        ("20260116_load.csv", 5, OLD, False),
        ("20260199_load.csv", 5, OLD, False),
        ("load.csv", 5, OLD, False),
        (f"{NAME}.tmp", 5, OLD, False),
        (f".{NAME}", 5, OLD, False),
        (f"../{NAME}", 5, OLD, False),
        (f"/etc/{NAME}", 5, OLD, False),
    ],
)
def test_only_whole_files_of_the_window_are_read(name, size, mtime, mine):
    page, names = followed(listing((name, size, mtime)))
    assert names == ([name] if mine else [])
    assert page.verdict.cls in ("metadata", "empty")


def test_a_marker_a_checksum_or_a_second_look_can_be_asked_for():
    alone = listing((NAME, 5, OLD))
    for ready, beside in (("marker", ".done"), ("checksum", ".sha256")):
        assert followed(alone, ready=ready)[1] == []
        both = listing((NAME, 5, OLD), (f"{NAME}{beside}", 64, OLD))
        assert followed(both, ready=ready)[1] == [NAME]
    assert followed(alone, ready="twice")[1] == []
    seen = replace(WEEK, part={"seen": {NAME: [5, OLD]}})
    assert followed(alone, seen, ready="twice")[1] == [NAME]
    grew = replace(WEEK, part={"seen": {NAME: [4, OLD]}})
    page, names = followed(alone, grew, ready="twice")
    assert names == []
    assert NAME in page.verdict.detail


def test_a_file_without_a_date_belongs_to_the_window_it_was_written_in():
    answer = listing(("a.csv", 5, OLD), ("b.csv", 5, "2026-01-01T00:00:00+00:00"))
    assert followed(answer, pattern="*.csv")[1] == ["a.csv"]


def test_the_day_of_a_name_begins_at_a_local_midnight():
    at = day_of("in/2026-03-29.csv", "%Y-%m-%d.csv", "Europe/Berlin")
    assert at == datetime(2026, 3, 28, 23, tzinfo=UTC)
    assert day_of("2026-02-30.csv", "%Y-%m-%d.csv", "UTC") is None


@pytest.mark.parametrize(
    "fields",
    [
        {"pattern": "%Q.csv"},
        {"pattern": "%Y%Y.csv"},
        {"base_url": "https://a.test/"},
        {"timezone": "Mars/Olympus"},
        {"depth": 9},
    ],
)
def test_a_config_that_cannot_be_meant_is_refused(fields):
    with pytest.raises(ValidationError):
        config(**fields)


def test_what_is_no_listing_is_not_an_empty_folder():
    assert followed(made("[]"))[0].verdict.cls == "malformed"
    assert followed(made("no such folder", 404))[0].verdict.cls == "config"


def read_folder(folder, tmp_path, partitions=(WEEK,), plan=None, **more):
    carrier = Flaky(
        FolderTransport(outside(tmp_path), roots=(folder,)),
        **({} if plan is None else {"plan": plan}),
    )
    return [
        one
        for partition in partitions
        for one in exchanges(
            DropFolder(config(folder, **more)),
            partition,
            transport=carrier,
            pause=lambda _s: None,
        )
    ]


def told(truth, as_of):
    return sorted(
        (
            (name.lower(), ts, value, None)
            for (name, ts), value in truth.values(as_of).items()
        ),
        key=str,
    )


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "drop").mkdir()
    return tmp_path / "drop"


def test_more_than_5000_rows_come_file_by_file(folder, tmp_path):
    truth = Truth(1, series=("A", "B", "C", "D"), starts=grid(START, 24 * 60))
    drop_days(folder, truth, NOW - DAY)
    plan = DropFolder(config()).plan(START, START + 60 * DAY)
    found = read_folder(folder, tmp_path, plan)
    assert rows(found) == told(truth, NOW - DAY)
    again = read_folder(folder, tmp_path, plan[2:3])
    assert set(rows(again)) < set(rows(found))


def test_any_single_fault_gives_the_same_rows(folder, tmp_path):
    truth = Truth(2, starts=grid(START, 48))
    drop_days(folder, truth, SENT)
    carrier = Flaky(FolderTransport(outside(tmp_path), roots=(folder,)))
    connector = DropFolder(config(folder))

    def read():
        found = exchanges(connector, WEEK, transport=carrier, pause=lambda _s: None)
        return rows(found)

    for call, fault, found in after_each_fault(carrier, read):
        assert found == told(truth, SENT), (call, fault)


def test_a_revision_arrives_with_the_file_that_holds_it(folder, tmp_path):
    truth = Truth(3, starts=grid(START, 48), revised=0.0, missing=0.0)
    drop_days(folder, truth, SENT)
    before = rows(read_folder(folder, tmp_path))
    truth.revise("A", START, 1.25, SENT + timedelta(hours=1))
    drop_days(folder, truth, SENT + timedelta(hours=2))
    after = read_folder(folder, tmp_path)
    assert set(rows(after)) - set(before) == {("a", START, 1.25, None)}
    published = {
        at
        for one in after
        for batch in one.page.batches
        for at in batch.rows["published_at"].to_pylist()
    }
    assert published == {SENT + timedelta(hours=2)}


def test_a_bad_file_does_not_keep_the_others_out(folder, tmp_path):
    truth = Truth(4, starts=grid(START, 48))
    drop_days(folder, truth, SENT)
    drop(folder, NAME, b"ts,series,value\n2026-01-09T00:00Z,A,9\n", SENT)
    drop(folder, "20260111_load.csv", b"\xff\xfe not text", SENT)
    found = read_folder(folder, tmp_path)
    first = START + DAY
    assert rows(found) == [row for row in told(truth, SENT) if row[1] >= first]
    bad = [code for one in found for code in codes(one.page)]
    assert bad == [(1, "malformed_file")] * 2


def test_a_change_of_columns_stops_the_partition(folder, tmp_path):
    drop(folder, NAME, b"time,zone,load\n2026-01-09T00:00Z,A,9\n", SENT)
    with pytest.raises(Refused, match="schema_drift"):
        read_folder(folder, tmp_path)


def test_a_file_may_be_in_a_folder_below_and_be_packed(folder, tmp_path):
    text = b'{"ts": "2026-01-09T00:00Z", "series": "A", "value": 1}\n'
    drop(folder, "in/20260109_load.ndjson", text, SENT)
    more = {"depth": 2, "pattern": "%Y%m%d_*"}
    assert rows(read_folder(folder, tmp_path, **more)) == [("a", START, 1.0, None)]
    drop(folder, "in/20260110_load.doc", text, SENT)
    found = read_folder(folder, tmp_path, **more)
    assert [one.page.verdict.cls for one in found] == ["metadata", "ok", "ignored"]
