"""Tables of any format that break off, hold an error, or name no series."""

import pytest

from ingest.paging import Paging
from ingest.table_layout import TableLayout
from tests.ingest.http_table_asked import KEYED, ONE, read, table
from tests.ingest.wire_samples import codes, counted, made, rows

QUOTED = b'"t","v"\n"2026-01-10","1.5"\n"2026-01-11","25.5"'
DAYS = ONE.model_copy(update={"timezone": "UTC"})


@pytest.mark.parametrize("left", [1, 2, 3, 4, 5, 12])
def test_a_csv_that_breaks_off_inside_quotes_gives_no_half_a_value(left):
    page = read(table(layout=DAYS), made(QUOTED[:-left]))
    assert counted(page) == ("transient", 0, 0, 0)


def test_a_quoted_last_line_needs_no_end():
    assert counted(read(table(layout=DAYS), made(QUOTED))) == ("ok", 2, 0, 0)


def test_a_row_without_a_name_is_rejected_and_takes_no_other_with_it():
    body = b"ts,series,value\n2026-01-10T00:00Z,Zone A,1\n2026-01-10T01:00Z,,2\n"
    page = read(table(layout=KEYED), made(body))
    assert [(key, value) for key, _, value, _ in rows([page])] == [("zone-a", 1.0)]
    assert codes(page) == [(2, "bad_key")]


@pytest.mark.parametrize(
    ("mark", "number"),
    [(" ", "1\u00a0234,5"), (" ", "1\u202f234,5"), ("'", "1\u2019234,5")],
)
def test_groups_of_thousands_may_be_parted_as_they_are_printed(mark, number):
    more = {"thousands": mark, "decimal": ",", "delimiter": ";"}
    layout = DAYS.model_copy(update=more)
    body = f"t;v\n2026-01-10;{number}\n2026-01-11;1\u00a023\n"
    page = read(table(layout=layout), made(body))
    assert [value for _, _, value, _ in rows([page])] == [1234.5]
    assert codes(page) == [(2, "bad_value")]


@pytest.mark.parametrize("form", ["csv", "ndjson", "parquet", "arrow"])
def test_an_error_in_place_of_a_table_is_told_by_its_words(form):
    page = read(table(form, layout=ONE), made(b'{"error": "Unauthorized"}'))
    assert counted(page) == ("auth", 0, 0, 0)


def test_an_error_beside_no_rows_is_not_taken_for_no_data():
    answer = made(b'{"data": null, "errors": [{"message": "Unauthorized"}]}')
    page = read(table("json", ONE, rows_path="data"), answer)
    assert counted(page) == ("auth", 0, 0, 0)
    answer = made(b'{"data": [], "errors": [], "message": "no data found"}')
    page = read(table("json", ONE, rows_path="data"), answer)
    assert counted(page) == ("empty", 0, 0, 0)


def test_a_total_may_have_groups_of_thousands():
    paging = Paging(style="offset", total_path="total")
    answer = made(b'{"data": [{"t": "2026-01-10", "v": 1}], "total": "1,234"}')
    page = read(table("json", DAYS, rows_path="data", paging=paging), answer)
    assert (page.total, len(page.follow)) == (1_234, 1)


def test_text_of_two_bytes_a_letter_may_lack_the_end_of_its_last_line():
    body = "t,v\n2026-01-10,1\n2026-01-11,2".encode("utf-16")
    answer = made(body, content_type="text/csv; charset=utf-16")
    layout = TableLayout(**DAYS.model_dump())
    assert counted(read(table(layout=layout), answer)) == ("ok", 2, 0, 0)


def test_values_of_a_row_without_a_name_are_of_no_series():
    layout = TableLayout(
        series_columns=("zone", "part"), value_columns=("a", "b"), timezone="UTC"
    )
    body = b"ts,zone,part,a,b\n2026-01-10,Z,,1,2\n2026-01-11,,,3,4\n"
    page = read(table(layout=layout), made(body))
    found = [(key, value) for key, _, value, _ in rows([page])]
    assert found == [("z.a", 1.0), ("z.b", 2.0)]
    assert codes(read(table(layout=layout), made(body))) == [(2, "bad_key")]


def test_a_header_that_breaks_off_is_no_other_table():
    assert read(table(layout=DAYS), made("t,")).verdict.cls == "transient"
    assert read(table(layout=DAYS), made("t,w\n")).verdict.cls == "schema_drift"
    declared = made("t,w", content_length="3")
    assert read(table(layout=DAYS), declared).verdict.cls == "schema_drift"


def test_fewer_bytes_than_were_declared_are_cut_off():
    body = b"t,v\n2026-01-10,1\n"
    whole = made(body, content_length=str(len(body)))
    assert counted(read(table(layout=DAYS), whole)) == ("ok", 1, 0, 0)
    for more in (1, 1_000):
        short = made(body, content_length=str(len(body) + more))
        assert counted(read(table(layout=DAYS), short)) == ("transient", 0, 0, 0)
    packed = made(body, content_length="1000", content_encoding="gzip")
    assert counted(read(table(layout=DAYS), packed)) == ("ok", 1, 0, 0)
