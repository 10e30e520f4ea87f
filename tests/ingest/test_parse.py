"""The fast reader says what the slow one says, whatever the file and its pieces."""

import csv
import gzip
import io
import random
from datetime import UTC, datetime
from unittest.mock import patch

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest import cells
from ingest.batch import INSTANT
from ingest.columns import RawRows
from ingest.layout import UploadLayout
from ingest.parse import parse
from tests.ingest import naive
from tests.ingest.reading import details, read

KEYS = st.sampled_from(["a", "b", "pjm.aep:load-1", "", "B", "-x", "a b", "é"])
TIMES = st.sampled_from(
    [
        *(f"2026-03-0{day}T0{hour}:00:00Z" for day in (1, 2) for hour in range(4)),
        "2026-03-01T06:00:00",
        "2026-03-01 06:30",
        "2026-03-01T06:00+05:30",
        " 2026-03-01T06:00Z ",
        "2026-03-08T02:30",
        "2026-11-01T01:30",
        "2026-11-01T01:00",
        "2026-02-29",
        "2024-02-29",
        "soon",
        "",
        "1577836800",
    ]
)
VALUES = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.sampled_from(
        [
            *("1", " 2 ", "-.5", "+3", "4.", "1e3", "1e999", "nan", "-Inf", "NaN"),
            *("", " ", "null", "-999", "x", "1,5", "1_0", "0x1", "--1", "1 2", "true"),
        ]
    ),
)
ROW = st.one_of(
    st.tuples(KEYS, TIMES, VALUES, st.sampled_from(["", "note", "a\nb"])),
    st.sampled_from([(), ("a",), ("a", "2026-03-01", "1", "x", "y")]),
)
LAYOUTS = st.builds(
    UploadLayout,
    format=st.just("csv"),
    series_key=st.sampled_from([None, None, "fixed"]),
    timezone=st.sampled_from([None, "America/New_York", "Asia/Kolkata"]),
    stamp=st.sampled_from(["start", "end"]),
    frequency=st.sampled_from(["1h", "PT30M"]),
    ambiguous=st.sampled_from(["infer", "reject"]),
    delimiter=st.sampled_from([",", ";"]),
    decimal=st.sampled_from([".", ","]),
    missing=st.sampled_from([(), ("-999", "NaN")]),
)


def write(rows, layout: UploadLayout) -> str:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=layout.delimiter, lineterminator="\n")
    writer.writerows([("series", "ts", "value", "note"), *rows])
    return text.getvalue()


def declared(layout: UploadLayout) -> dict:
    return vars(layout)


@given(rows=st.lists(ROW, max_size=20), layout=LAYOUTS, packed=st.booleans())
@settings(deadline=None, max_examples=300)
def test_the_fast_reader_agrees_with_the_naive_one(rows, layout, packed):
    text = write(rows, layout)
    expected = naive.read_csv(text, layout)
    content = gzip.compress(text.encode()) if packed else text.encode()
    # Which way a shuffled file runs is a matter of the fast reader alone.
    with patch("ingest.autumn.Autumn.watch"):
        assert read(content, **declared(layout)) == expected


@given(
    rows=st.lists(ROW, max_size=20),
    layout=LAYOUTS,
    block=st.integers(min_value=64, max_value=400),
)
@settings(deadline=None, max_examples=80)
def test_it_makes_no_difference_where_the_file_is_cut(rows, layout, block):
    content = write(rows, layout).encode()
    with patch("ingest.autumn.Autumn.watch"):
        whole = read(content, **declared(layout))
        with patch.object(cells, "_BLOCK", block):
            assert read(content, **declared(layout)) == whole


@given(rows=st.lists(ROW, max_size=20), seed=st.integers(0, 999))
@settings(deadline=None, max_examples=80)
def test_rows_in_another_order_are_the_same_rows(rows, seed):
    layout = UploadLayout("csv", timezone="America/New_York", ambiguous="reject")
    rows = [row for row in rows if row]
    order = random.Random(seed).sample(range(len(rows)), len(rows))
    shuffled = [rows[index] for index in order]
    stored, rejected, missing = read(write(rows, layout).encode(), **declared(layout))
    stored_2, rejected_2, missing_2 = read(
        write(shuffled, layout).encode(), **declared(layout)
    )
    back = {index + 1: place + 1 for place, index in enumerate(order)}
    assert {
        at: sorted((value, back[row]) for value, row in cells)
        for at, cells in stored.items()
    } == {at: sorted(cells) for at, cells in stored_2.items()}
    assert {back[row]: code for row, code in rejected.items()} == rejected_2
    assert missing == missing_2


def test_raw_rows_may_come_in_slices_of_a_larger_array():
    ts = pa.array(["x", "2026-03-01T00:00Z", "2026-03-01T01:00Z", "y"])[1:3]
    raw = RawRows(None, ts, pa.array([9.0, 1.0, 2.0])[1:], pa.array([1, 2]))
    (batch,) = parse([raw], layout=UploadLayout("parquet", series_key="load"))
    assert batch.rows["value"].to_pylist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Load,2026-03-01T00:00Z,1", "a key begins with"),
        (",2026-03-01T00:00Z,1", "the series key is empty"),
        ("load,2026-03-01T00:00Z,nan", "declare it as a mark"),
        ("load,2026-03-01T00:00Z,abc", "'abc' is not a number"),
        ("load,,1", "the time is empty"),
        ("load,2026-03-01T00:00Z", "2 cells where the header has 3"),
    ],
)
def test_a_bad_row_is_told_with_its_line_and_what_to_do(text, words):
    content = f"series,ts,value\nload,2026-03-01T00:00Z,0\n{text}\n".encode()
    (detail,) = details(content, series_key=None)
    assert detail.startswith("line 3: ")
    assert words in detail


def test_a_bad_row_says_of_which_series_and_time_it_is_where_that_can_be_read():
    rows = [
        ("a", "2026-03-01T06:00:00+01:00", "x"),
        ("a", "soon", "1"),
        ("B", "2026-03-01T07:00:00Z", "1"),
        ("a", "2026-03-01T08:00:00Z", "x"),
    ]
    issued = [None, None, None, datetime(2026, 3, 1, tzinfo=UTC)]
    raw = RawRows(
        *(pa.array(column, pa.string()) for column in zip(*rows, strict=True)),
        row_no=pa.array(range(1, 5), pa.int64()),
        issued_at=pa.array(issued, INSTANT),
    )
    (batch,) = parse([raw], layout=UploadLayout("ndjson"))
    places = [one.place for one in batch.rejected]
    assert places == [("a", datetime(2026, 3, 1, 5, tzinfo=UTC)), None, None, None]


def test_a_bad_row_of_an_hour_that_came_twice_has_no_time():
    raw = RawRows(
        series=None,
        ts=pa.array(["2026-11-01T01:30", "2026-11-01T03:30"], pa.string()),
        value=pa.array(["x", "x"], pa.string()),
        row_no=pa.array([1, 2], pa.int64()),
    )
    layout = UploadLayout("ndjson", series_key="a", timezone="America/New_York")
    (batch, *_) = parse([raw], layout=layout)
    places = [one.place for one in batch.rejected]
    assert places == [None, ("a", datetime(2026, 11, 1, 8, 30, tzinfo=UTC))]
