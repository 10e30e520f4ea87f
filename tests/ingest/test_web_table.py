"""Tables of web pages: what is read of them, and when nothing is."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ingest.connectors.web_table import WebTable, WebTableConfig
from ingest.contract import Partition
from ingest.fetch import Refused
from ingest.html_tables import grids, plain_text
from ingest.table_layout import TableLayout
from ingest.verdicts import Verdict
from tests.ingest.wire_samples import (
    FETCHED,
    after_each_fault,
    codes,
    counted,
    made,
    rows,
    sample,
)
from tests.sources.plain import read_all
from tests.sources.server import serve
from tests.sources.truth import DAY, Truth, grid
from tests.sources.web_page import WebPage

PAGE = Partition("page")
SPOT = TableLayout(
    ts_column="Date", value_columns=("HH",), series_key="spot", timezone="UTC"
)


def connected(url="https://example.org/p/prices.html?all=1", *, layout=SPOT, **more):
    config = WebTableConfig(
        base_url=url, contact="data@example.org", layout=layout, **more
    )
    return WebTable(config)


def page_request(connector, robots=""):
    (request,) = connector.requests(PAGE)
    (page,) = connector.read(request, made(robots), PAGE).follow
    return page


def read(body, *, headers=None, **more):
    connector = connected(**more)
    return connector.read(page_request(connector), made(body, **(headers or {})), PAGE)


def table(*lines, top="<tr><th>Date</th><th>HH</th></tr>", before=""):
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f"{before}<table>{top}{body}</table>"


def cells(*texts):
    return "".join(f"<td>{text}</td>" for text in texts)


def test_the_sample_of_rules_is_kept():
    connector = connected()
    (request,) = connector.requests(PAGE)
    assert request.url == "https://example.org/robots.txt"
    assert request.headers == {"User-Agent": "forebay (+data@example.org)"}
    page = connector.read(request, sample("web_page/robots.txt"), PAGE)
    assert page.verdict == Verdict("metadata", "robots.txt asks for 10 s between pages")
    assert [one.url for one in page.follow] == [
        "https://example.org/p/prices.html?all=1"
    ]


def test_the_sample_of_another_layout_is_told_and_not_guessed_at():
    body = sample("web_page/page_layout_changed.html", media_type="text/html").body
    page = read(body)
    assert page.verdict.cls == "schema_drift"
    assert counted(page)[1:] == (0, 0, 0)


@pytest.mark.parametrize(
    ("robots", "status", "cls"),
    [
        ("User-agent: *\nDisallow: /p/", 200, "config"),
        ("User-agent: forebay\nDisallow: /", 200, "config"),
        ("User-agent: other\nDisallow: /", 200, "metadata"),
        ("User-agent: *\nDisallow: /*?all", 200, "config"),
        ("", 404, "metadata"),
        ("", 403, "config"),
        ("", 500, "transient"),
        ("", 429, "rate_limited"),
        ("<html><body>back soon</body></html>", 200, "transient"),
    ],
)
def test_a_page_is_read_only_where_robots_allow(robots, status, cls):
    connector = connected()
    (request,) = connector.requests(PAGE)
    page = connector.read(request, made(robots, status), PAGE)
    assert page.verdict.cls == cls
    assert bool(page.follow) == (cls == "metadata")


def test_a_longer_delay_costs_as_much_as_it_takes():
    assert page_request(connected()).cost == 1
    slow = "User-agent: *\nCrawl-delay: 60"
    assert page_request(connected(), slow).cost == 6
    rate = "User-agent: *\nRequest-rate: 1/2m"
    assert page_request(connected(), rate).cost == 12


def test_a_page_that_is_known_is_asked_for_only_if_it_changed():
    connector = connected()
    (request,) = connector.requests(PAGE)
    known = replace(PAGE, part={"etag": '"abc"'})
    (page,) = connector.read(request, made("", 404), known).follow
    assert page.headers["If-None-Match"] == '"abc"'
    assert connector.read(page, made("", 304), known).verdict.cls == "unchanged"


def test_spans_blanks_and_marks_are_read_as_people_read_them():
    body = (
        "<table><caption>Day-ahead</caption>"
        "<tr><th rowspan=2>Date</th><th rowspan='2'>Hub</th><th colspan=2>USD</th></tr>"
        "<tr><th>low</th><th>high</th></tr>"
        "<tr><td rowspan=2>2026-01-09</td><td>A</td>"
        "<td>&nbsp;1\u202f234.5</td><td>&minus;2</td></tr>"
        "<tr><td>B<br>C</td><td>&ndash;</td><td><b>3</b>.25</td></tr>"
        "<tr><th>Date</th><th>Hub</th><th>low</th><th>high</th></tr>"
        "<tr><td colspan=4>prices are final</td></tr>"
        "<tr><td></td><td></td><td></td><td></td></tr>"
        "<tr><td>2026-01-10</td><td>A</td><td>N/A</td><td>4<script>x</script></td></tr>"
        "</table>"
    )
    layout = TableLayout(
        series_columns=("Hub",),
        ts_column="Date",
        value_columns=("USD low", "USD high"),
        timezone="UTC",
        thousands=" ",
    )
    page = read(body, layout=layout, caption="day-AHEAD")
    assert [(k, ts.day, v) for k, ts, v, _ in sorted(rows([page]))] == [
        ("a.usd-high", 9, -2),
        ("a.usd-high", 10, 4),
        ("a.usd-low", 9, 1234.5),
        ("b-c.usd-high", 9, 3.25),
    ]
    assert counted(read(body, layout=layout))[2:] == (2, 0)


def test_a_row_of_another_width_is_bad_and_a_note_is_nothing():
    body = table(
        cells("2026-01-09", 1),
        cells("2026-01-10", 2, "late"),
        "<td colspan=2>all times local</td>",
        cells("2026-01-11"),
        cells("Sum", 3),
        cells("2026-01-12", "3.05*"),
    )
    assert codes(read(body)) == [
        (2, "malformed_row"),
        (4, "malformed_row"),
        (5, "bad_time"),
        (6, "bad_value"),
    ]


def test_a_second_table_of_the_same_columns_is_told_apart_by_its_heading_only():
    good = table(cells("2026-01-09", 1), before="<h3>Gas <i>spot</i></h3>")
    other = table(cells("2026-01-09", 2), before="<h3>Power</h3>")
    both = good + other
    assert read(both).verdict.cls == "schema_drift"
    assert "2 tables fit" in read(both).verdict.detail
    (row,) = rows([read(both, caption="gas spot")])
    assert row[2] == 1


def test_a_header_that_is_gone_or_double_is_drift_and_names_what_is_there():
    top = "<tr><th>Date</th><th>Henry Hub</th></tr>"
    verdict = read(table(cells("2026-01-09", 1), top=top)).verdict
    assert verdict.cls == "schema_drift"
    assert "Date, Henry Hub" in verdict.detail
    top = "<tr><th>Date</th><th>HH</th><th>HH</th></tr>"
    assert read(table(cells(1, 2, 3), top=top)).verdict.cls == "schema_drift"


def test_a_fingerprint_also_guards_the_columns_that_are_not_read():
    body = table(cells("2026-01-09", 1))
    found = read(body).verdict
    assert found.cls == "ok"
    kept = found.detail.rpartition(" ")[2]
    assert read(body, fingerprint=kept).verdict.cls == "ok"
    top = "<tr><th>Date</th><th>HH</th><th>new</th></tr>"
    changed = table(cells("2026-01-09", 1, 2), top=top)
    assert read(changed).verdict.cls == "ok"
    assert read(changed, fingerprint=kept).verdict.cls == "schema_drift"


@pytest.mark.parametrize(
    ("body", "headers", "cls"),
    [
        (table(), {}, "empty"),
        ("", {}, "malformed"),
        (b"\0\0\0", {}, "schema_drift"),
        (b"%PDF-1.7", {"content_type": "application/pdf"}, "schema_drift"),
        ("<html>Will be right back</html>", {}, "transient"),
        ("<html><table><tr><th>Date</th><th>HH</th></tr><tr><td>2026", {}, "transient"),
        ("<table><tr>" + "<td colspan=1000>x" * 1_200 + "</table>", {}, "malformed"),
    ],
)
def test_what_is_no_table_is_not_read(body, headers, cls):
    assert read(body, headers=headers).verdict.cls == cls


@pytest.mark.parametrize(
    ("headers", "charset"),
    [
        ({"content_type": "text/html; charset=iso-8859-1"}, "latin-1"),
        ({"content_type": "text/html; charset=no-such"}, "utf-8"),
        ({}, "utf-8"),
    ],
)
def test_letters_are_those_of_the_charset(headers, charset):
    body = table(
        cells("2026-01-09", "1"), top="<tr><th>Date</th><th>Île</th></tr>"
    ).encode(charset)
    layout = SPOT.model_copy(update={"value_columns": ("Île",)})
    assert counted(read(body, headers=headers, layout=layout))[:2] == ("ok", 1)


def test_a_table_without_times_is_of_the_moment_it_was_fetched():
    layout = TableLayout(
        ts_column=None, series_columns=("State",), value_columns=("MW",)
    )
    top = "<tr><th>State</th><th>MW</th></tr>"
    (row,) = rows([read(table(cells("Kerala", 4), top=top), layout=layout)])
    assert row[:3] == ("kerala", FETCHED, 4)


def test_tables_inside_of_tables_keep_to_themselves():
    inner = "<table><tr><th>Date</th><th>HH</th></tr><tr><td>2026-01-09<td>1</table>"
    found = grids(made(f"<table><tr><td>{inner}</td></tr></table>"))
    assert not isinstance(found, Verdict)
    assert [len(one.headers) for one in found] == [1, 2]
    assert plain_text("a\u00a0 b") == "a b"


def test_two_columns_of_one_header_are_refused():
    layout = SPOT.model_copy(update={"value_columns": ("HH", "HH\u00a0")})
    with pytest.raises(ValueError, match="the same header"):
        connected(layout=layout)


START = datetime(2026, 1, 5, tzinfo=UTC)
HUBS = TableLayout(
    ts_column="Date",
    value_columns=("USD HH", "USD TTF"),
    time_format="%d %b %Y",
    timezone="UTC",
    thousands=",",
)


def prices(**more):
    truth = Truth(4, series=("HH", "TTF"), starts=grid(START, 9, DAY), missing=0.2)
    return WebPage(truth, START + 30 * DAY, **more)


def expected(told):
    return sorted(
        (f"usd-{name.lower()}", ts, value)
        for (name, ts), value in told.truth.values(told.now).items()
    )


def test_a_page_gives_its_table_and_is_not_sent_again_while_it_stays_the_same():
    told = prices()
    with serve(told) as served:
        connector = connected(f"{served.url}/prices.html", layout=HUBS)
        found = read_all(connector, (PAGE,))
        known = {"etag": found[-1].answer.headers["etag"]}
        again = read_all(connector, (replace(PAGE, part=known),))
        told.truth.revise("HH", START, 5.25, told.now)
        changed = read_all(connector, (replace(PAGE, part=known),))
    assert sorted(row[:3] for row in rows(found)) == expected(prices())
    assert again[-1].page.verdict.cls == "unchanged"
    assert sorted(row[:3] for row in rows(changed)) == expected(told)
    assert [call.path for call in served.calls] == ["/robots.txt", "/prices.html"] * 3
    assert all(
        "data@example.org" in call.headers["user-agent"] for call in served.calls
    )


def test_a_page_behind_the_fence_is_never_asked_for():
    with serve(prices()) as served:
        connector = connected(f"{served.url}/private/prices.html", layout=HUBS)
        with pytest.raises(Refused, match=r"config: robots\.txt does not allow"):
            read_all(connector, (PAGE,))
        assert [call.path for call in served.calls] == ["/robots.txt"]


def test_a_page_that_was_rebuilt_stops_the_source_at_once():
    with serve(prices(layout="divs", robots=None)) as served:
        connector = connected(f"{served.url}/prices.html", layout=HUBS)
        with pytest.raises(Refused, match="schema_drift"):
            read_all(connector, (PAGE,))
        assert len(served.calls) == 2


def test_any_fault_at_any_call_changes_no_row():
    told = prices()
    with serve(told) as served:
        connector = connected(f"{served.url}/prices.html", layout=HUBS)

        def once():
            return sorted(row[:3] for row in rows(read_all(connector, (PAGE,))))

        for call, fault, found in after_each_fault(served, once):
            assert found == expected(told), (call, fault)


@pytest.mark.parametrize("note", ["1", "<a>[2]</a>", "a"])
@pytest.mark.parametrize(
    "marked",
    ["1.5{}", "<b>1.5</b>{}", "1.5<i>{}</i>", "1.5<b>1</b>{}", "1<i>.5 </i>{}"],
)
def test_a_raised_mark_is_no_digit_of_the_number_before_it(marked, note):
    page = read(table(cells("2026-01-09", marked.format(f"<sup>{note}</sup>"))))
    assert codes(page) == [(1, "bad_value")]


def test_a_raised_digit_of_a_word_stays_with_it():
    (grid_read,) = grids(made("<table><tr><th>m<sup>3</sup></th></tr></table>"))
    assert grid_read.headers == ("m3",)


def test_a_page_that_asks_for_a_password_needs_a_person_unless_the_table_is_there():
    ask = '<form><input type="password"></form>'
    assert read(f"<html>{ask}</html>").verdict.cls == "auth"
    page = read(f"<html>{table(cells('2026-01-09', '1.5'), before=ask)}</html>")
    assert counted(page) == ("ok", 1, 0, 0)


def test_a_page_that_breaks_off_before_the_table_is_asked_for_again():
    assert read("<html><body><h1>Prices</h1>").verdict.cls == "transient"
    assert read("<html><body><h1>Prices</h1></html>").verdict.cls == "schema_drift"


def test_robots_without_content_allow_everything():
    connector = connected()
    (request,) = connector.requests(PAGE)
    page = connector.read(request, made("", 204), PAGE)
    assert (page.verdict.cls, len(page.follow)) == ("metadata", 1)
