"""A table that came where JSON was declared says which it is; other things do not."""

import gzip

import pytest

from ingest.table_kinds import misdeclared
from tests.ingest.http_table_asked import read, table
from tests.ingest.wire_samples import made

CSV = b"zone,t,v\na,2026-01-01T00:00:00Z,1.5\nb,2026-01-01T00:00:00Z,2.5\n"
LINES = b'{"t": "2026-01-01", "v": 1}\n{"t": "2026-01-02", "v": 2}\n'


@pytest.mark.parametrize(
    ("body", "media_type", "expected"),
    [
        (CSV, "application/octet-stream", "csv"),
        (CSV.replace(b",", b";"), "text/plain", "csv"),
        (b"\xef\xbb\xbf" + CSV, "", "csv"),
        (gzip.compress(CSV, mtime=0), "", "csv"),
        (b"only a header", "text/csv; charset=utf-8", "csv"),
        (LINES, "application/json", "ndjson"),
        (b"PAR1\x15\x04\x15", "", "parquet"),
        (b"ARROW1\0\0", "", "arrow"),
    ],
)
def test_a_table_that_is_no_json_is_named(body, media_type, expected):
    page = read(table("json"), made(body, content_type=media_type))
    assert page.verdict.cls == "config"
    assert f"set format: {expected}" in page.verdict.detail


@pytest.mark.parametrize(
    "body",
    [
        b'{"rows": [{"t": "2026-01-01",\n"v": 1}, {"t": "2026',
        b"Sorry, try again later.\nYours, the team",
        b"busy, sorry\n1 minute, please",
        b"",
        b" \r\n\x0c",
    ],
)
@pytest.mark.parametrize("media_type", ["application/json", "application/x-ndjson"])
def test_what_is_no_plain_table_stays_to_be_asked_for_again(body, media_type):
    page = read(table("json"), made(body, content_type=media_type))
    assert page.verdict.cls == "transient"


def test_json_that_was_cut_off_is_none_whatever_its_media_type():
    assert misdeclared(made(b'[{"t": 1, "v": 2},\n', content_type="text/csv")) is None


@pytest.mark.parametrize("media_type", ["text/csv", "application/x-ndjson"])
@pytest.mark.parametrize("body", [b"", b"<html><p>1,2\n3,4</html>", b'{"t": 1, "v"'])
def test_a_media_type_alone_makes_no_table(body, media_type):
    page = read(table("json"), made(body, content_type=media_type))
    assert page.verdict.cls == "transient"


def test_a_detail_shows_the_first_line_and_no_more():
    found = misdeclared(made(CSV, content_type="text/csv"))
    assert found.detail.endswith("it begins: zone,t,v")


def test_an_error_is_told_by_its_status_even_if_it_is_a_table():
    page = read(table("json"), made(CSV, status=503))
    assert page.verdict.cls == "transient"
