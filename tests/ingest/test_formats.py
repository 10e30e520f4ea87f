"""What each format reads, and what it says of a file it cannot read."""

import gzip
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest import json_rows
from ingest.errors import InvalidFile, InvalidLayout
from ingest.formats import json_lines
from ingest.layout import UploadLayout
from ingest.upload import read_batches
from tests.ingest import naive
from tests.ingest.reading import details, read

GOOD = b"ts,value\n2026-03-01T00:00Z,1\n2026-03-01T01:00Z,2\n"


def refusal(content: bytes, form: str = "csv", **declared) -> str:
    layout = UploadLayout(form, series_key="load", **declared)
    with pytest.raises((InvalidFile, InvalidLayout)) as caught:
        list(read_batches(io.BytesIO(content), layout=layout))
    return str(caught.value)


def values(content: bytes, **declared) -> list[float]:
    stored, rejected, _ = read(content, series_key="load", **declared)
    assert not rejected
    return sorted(value for cells in stored.values() for value, _ in cells)


def parquet(**columns) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, row_group_size=2)
    return sink.getvalue()


def arrow(table: pa.Table, *, file: bool = False) -> bytes:
    sink = io.BytesIO()
    with (pa.ipc.new_file if file else pa.ipc.new_stream)(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    return sink.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        GOOD,
        GOOD.rstrip(),
        GOOD.replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + GOOD,
        gzip.compress(GOOD, mtime=0),
        gzip.compress(GOOD[:20], mtime=0) + gzip.compress(GOOD[20:], mtime=0),
        b'"note\n1", ts ,value\n,2026-03-01T00:00Z,1\nx,"2026-03-01T01:00Z",2\n',
        GOOD.replace(b"value\n", b"value\n\n\n"),
    ],
    ids=["plain", "no end", "crlf", "bom", "gzip", "members", "quoted", "blank"],
)
def test_csv_of_all_manners_reads_the_same(content):
    assert values(content) == [1.0, 2.0]


def test_a_wide_file_with_a_long_header_is_read_by_its_declared_columns():
    names = [f"column {number}" for number in range(1_000)]
    header = ",".join(["ts", *names, "value"])
    row = ",".join(["2026-03-01T00:00Z", *["x"] * 1_000, "7"])
    assert values(f"{header}\n{row}\n".encode()) == [7.0]


def test_row_numbers_count_blank_and_malformed_rows():
    rows = ["2026-03-01T00:00Z,1", "", "1,2,3", "x,1", "9", "2026-03-01T01:00Z,2"]
    content = "\n".join(["ts,value", *rows]).encode()
    stored, rejected, _ = read(content, series_key="load")
    assert sorted(row for cells in stored.values() for _, row in cells) == [1, 6]
    assert rejected == {3: "malformed_row", 4: "bad_time", 5: "malformed_row"}


def test_a_file_of_malformed_rows_only_lists_them_all():
    _, rejected, _ = read(b"ts,value\n1\n2\n", series_key="load")
    assert rejected == dict.fromkeys((1, 2), "malformed_row")


def test_a_header_without_rows_has_no_rows():
    assert values(b"ts,value") == values(b"ts,value\r\n") == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (gzip.compress(b"", mtime=0), "the file is empty"),
        (b"\n2026,1\n", "column 'ts' is missing"),
        (
            b"ts,mw\n",
            "column 'value' is missing (missing_column); the file has: 'ts', 'mw'",
        ),
        (b"ts,value,ts\n", "column 'ts' is there more than once"),
        (b"ts;value\n1;2\n", "is the delimiter ';'?"),
        (b"2026-03-01,5\n2026-03-02,6\n", "is there no header line?"),
        (GOOD + b"2026-03-01T02:00Z,\xff\n", "not UTF-8 text: line 4, byte 67"),
        (GOOD + b"2026-03-01T02:00Z,\xc3", "not UTF-8 text: line 4, byte 67"),
        (GOOD.decode().encode("utf-16"), "UTF-16 text"),
        (parquet(ts=["x"], value=[1.0]), "a Parquet file, not UTF-8 text"),
        (b"PK\x03\x04rest", "Excel workbook"),
        (gzip.compress(GOOD, mtime=0)[:-9], "damaged or cut off"),
        (GOOD + b'2026-03-01T03:00Z,"' + b"x,1\n" * 600_000, "cannot be cut into rows"),
        (b'"' + b"x" * 3_000_000, "does not end within"),
    ],
)
def test_a_csv_that_cannot_be_read_says_why(content, words):
    assert words in refusal(content)


def test_an_open_quote_is_pointed_at():
    (detail,) = details(b'ts,value\n2026-03-01T00:00Z,"1\n2026-03-01T01:00Z,2\n')
    assert "is a quote left open?" in detail
    (detail,) = details(b'ts,value\n2026-03-01T00:00Z,"1\n2026-03-01T01:00Z,2,3\n4,5"6')
    assert "line 2" in detail


def test_decimal_commas_and_marks_of_missing_values_are_declared():
    content = b"ts;value\n2026-03-01T00:00Z;1,5\n2026-03-01T01:00Z;1.234,5\n"
    content += b"2026-03-01T02:00Z;-999\n2026-03-01T03:00Z;n/a\n"
    stored, rejected, missing = read(
        content,
        series_key="load",
        delimiter=";",
        decimal=",",
        missing=("-999", "n/a"),
    )
    assert [cells[0][0] for cells in stored.values()] == [1.5]
    assert rejected == {2: "bad_value"}
    assert missing == 2


JSON_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.sampled_from(["1.5", "x", "", "nan"]),
    st.lists(st.integers(), max_size=1),
)
JSON_LINES = st.one_of(
    st.fixed_dictionaries(
        {"ts": st.sampled_from(["2026-03-01T00:00Z", "soon", 5, None])},
        optional={"value": JSON_VALUES, "note": st.text(max_size=3)},
    ).map(json.dumps),
    st.sampled_from(["", "  ", "{", "[1]", "7", '{"ts": "a"}{"ts": "b"}', "null"]),
    st.just('{"ts": "2026-03-01T00:00Z", "value": -999}'),
)


@given(
    lines=st.lists(JSON_LINES, max_size=12),
    chunk=st.integers(1, 200),
)
@settings(deadline=None, max_examples=150)
def test_ndjson_lines_are_judged_as_the_naive_reader_judges_them(lines, chunk):
    lines = ['{"ts": "2026-03-01T09:00Z", "value": 1}', *lines]
    layout = UploadLayout("ndjson", series_key="load")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_rows, "_CHUNK", chunk)
        patch.setattr(json_lines, "check_columns", lambda *_: None)
        found = read("\n".join(lines).encode(), **vars(layout))
    assert found == naive.read_json_lines(lines, layout)


def test_ndjson_says_what_is_wrong_with_a_line():
    content = b'{"series":"a","ts":"2026-03-01T00:00Z","value":1}\n{x}\n[1]\n'
    said = details(content, format="ndjson", series_key=None)
    assert said[0].startswith("line 2: Expecting property name")
    assert said[1] == "line 3: not a JSON object"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (b'{"observations": []}', "column 'ts' is missing"),
        (b"[\n{}\n]", "not JSON objects, one in each line"),
        (b'{"ts": "' + b"x" * (1 << 25), "does not end within"),
    ],
)
def test_ndjson_that_cannot_be_read_says_why(content, words):
    assert words in refusal(content, "ndjson")


def test_parquet_and_arrow_hold_typed_columns():
    instants = pa.array([0, 3_600, 7_200], pa.timestamp("s", "America/New_York"))
    keys = pa.array(["a", "b", "a"]).dictionary_encode()
    table = pa.table({"series": keys, "ts": instants, "value": pa.array([1, None, 3])})
    for content, form in (
        (
            parquet(**dict(zip(table.column_names, table.columns, strict=True))),
            "parquet",
        ),
        (arrow(table), "arrow"),
        (arrow(table, file=True), "arrow"),
    ):
        stored, rejected, missing = read(content, format=form)
        assert (rejected, missing) == ({}, 1)
        assert {(key, ts.hour): cells for (key, ts), cells in stored.items()} == {
            ("a", 0): [(1.0, 1)],
            ("a", 2): [(3.0, 3)],
        }


def test_typed_values_that_are_not_finite_are_listed_and_marks_are_missing():
    content = parquet(
        ts=pa.array(range(4), pa.timestamp("s", "UTC")),
        value=[1.0, float("nan"), float("-inf"), -999.0],
    )
    declared = {"format": "parquet", "series_key": "load", "missing": ("-999", "x")}
    stored, rejected, missing = read(content, **declared)
    assert len(stored) == missing == 1
    assert rejected == {2: "not_finite", 3: "not_finite"}


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"ts": [1], "value": [1.0]}, "epoch seconds are not accepted"),
        ({"ts": ["2026-03-01T00:00Z"], "value": [True]}, "holds bool, not numbers"),
        ({"ts": ["2026-03-01T00:00Z"]}, "column 'value' is missing"),
    ],
)
def test_typed_columns_of_the_wrong_kind_are_named(columns, words):
    assert words in refusal(parquet(**columns), "parquet")


def test_keys_may_be_integers_but_not_fractions():
    ts = pa.array([0], pa.timestamp("s", "UTC"))
    stored, _, _ = read(parquet(series=[7], ts=ts, value=[1.0]), format="parquet")
    assert [key for key, _ in stored] == ["7"]
    with pytest.raises(InvalidLayout, match="not series keys"):
        read(parquet(series=[0.5], ts=ts, value=[1.0]), format="parquet")


@pytest.mark.parametrize("form", ["parquet", "arrow"])
@pytest.mark.parametrize("content", [b"", b"nonsense", parquet(ts=["a"])[:-20]])
def test_a_damaged_typed_file_is_told_apart(content, form):
    assert "not a whole" in refusal(content, form)
