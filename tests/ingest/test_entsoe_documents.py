"""Curves of ENTSO-E's documents, held against an obvious reading; ZIPs of them."""

import io
import zipfile
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.connectors.entsoe import Entsoe, EntsoeConfig
from ingest.contract import Partition
from ingest.entsoe_zip import MOST_MEMBERS, MOST_RATIO
from ingest.exchange import Request
from tests.ingest.wire_samples import codes, counted, made, sample
from tests.sources.truth import HOUR

OPEN = Partition("open")


def read(answer, partition=OPEN):
    connector = Entsoe(EntsoeConfig(document="A44", areas=("10YBE----------2",)))
    return connector.read(Request("https://a.test"), answer, partition)


def rows_of(page):
    return [row for batch in page.batches for row in batch.rows.to_pylist()]


def document(points, *, curve="A03", resolution="PT60M", end="2026-01-02T02:00Z"):
    start = "2026-01-01T23:00Z"
    return made(
        f"<GL_MarketDocument><type>A65</type><process.processType>A01"
        f"</process.processType><TimeSeries><curveType>{curve}</curveType><Period>"
        f"<timeInterval><start>{start}</start><end>{end}</end></timeInterval>"
        f"<resolution>{resolution}</resolution>{points}</Period></TimeSeries>"
        "</GL_MarketDocument>"
    )


def point(position, value, name="quantity", more=""):
    return (
        f"<Point><position>{position}</position><{name}>{value}</{name}>{more}</Point>"
    )


@pytest.mark.parametrize(
    ("points", "expected", "refused"),
    [
        (point(1, 5) + point(3, "x"), [5.0, 5.0], [(2, "bad_value")]),
        (point(1, 5) + point(9, 7), [5.0], [(2, "bad_position")]),
        (point(1, 5) + point("a", 7), [5.0], [(2, "bad_position")]),
        (point(3, 7) + point(1, 5), [5.0, 5.0, 7.0], []),
        (point(1, 5) + point(2, 6) + point(2, 6), [5.0, 6.0, 6.0], []),
        (
            point(1, 5) + point(2, 6) + point(2, 7) + point(3, 8),
            [5.0, 8.0],
            [(2, "conflicting_rows"), (3, "conflicting_rows")],
        ),
        (point(1, "NaN"), [], [(1, "not_finite")]),
        (point(1, "1,5"), [], [(1, "bad_value")]),
        (point(1, "1,234,567.5"), [1_234_567.5] * 3, []),
        (point(2, 6), [6.0, 6.0], [(1, "missing_first_position")]),
    ],
)
def test_a_bad_point_is_refused_and_never_repeated(points, expected, refused):
    page = read(document(points))
    assert [row["value"] for row in rows_of(page)] == expected
    assert codes(read(document(points))) == refused


def test_points_without_a_value_are_missing_with_all_their_repeats():
    bare = "<Point><position>2</position></Point>"
    assert counted(read(document(point(1, 5) + bare))) == ("ok", 1, 2, 0)
    assert counted(read(document(point(1, 5) + point(3, 6), curve="A01"))) == (
        "ok",
        2,
        1,
        0,
    )


@pytest.mark.parametrize(
    ("curve", "resolution", "end", "cls"),
    [
        ("A04", "PT60M", "2026-01-02T02:00Z", "schema_drift"),
        ("A03", "PT0M", "2026-01-02T02:00Z", "schema_drift"),
        ("A03", "an hour", "2026-01-02T02:00Z", "schema_drift"),
        ("A03", "PT60M", "2026-01-01T23:00Z", "malformed"),
        ("A03", "PT60M", "soon", "malformed"),
        ("A03", "PT1S", "2099-01-01T00:00Z", "malformed"),
    ],
)
def test_a_period_that_is_not_understood_stops_the_answer(curve, resolution, end, cls):
    page = read(document(point(1, 5), curve=curve, resolution=resolution, end=end))
    assert page.verdict.cls == cls


@pytest.mark.parametrize(
    ("resolution", "start", "end", "expected"),
    [
        ("P1D", (2026, 3, 27), (2026, 3, 31), [27, 28, 29, 30]),
        ("P7D", (2026, 3, 23), (2026, 4, 6), [23, 30]),
        ("P1M", (2026, 1, 1), (2026, 5, 1), [1, 1, 1, 1]),
        ("P3M", (2026, 1, 1), (2026, 7, 1), [1, 1]),
        ("P1Y", (2025, 1, 1), (2027, 1, 1), [1, 1]),
    ],
)
def test_days_and_months_are_those_of_the_calendar_in_cet(
    resolution, start, end, expected
):
    zone = ZoneInfo("Europe/Brussels")
    begin, stop = (datetime(*day, tzinfo=zone).astimezone(UTC) for day in (start, end))
    answer = made(
        document(point(1, 5), resolution=resolution, end=f"{stop:%Y-%m-%dT%H:%MZ}")
        .body.decode()
        .replace("2026-01-01T23:00Z", f"{begin:%Y-%m-%dT%H:%MZ}")
    )
    local = [row["ts"].astimezone(zone) for row in rows_of(read(answer))]
    assert [at.day for at in local] == expected
    assert {at.hour for at in local} == {0}


def test_points_of_several_categories_are_several_series():
    def category(text):
        return f"<imbalance_Price.category>{text}</imbalance_Price.category>"

    name = "imbalance_Price.amount"
    points = "".join(
        point(position, position * factor, name, category(text))
        for position in (1, 2, 3)
        for text, factor in (("A04", 10), ("A05", -10))
    )
    found = {}
    for row in rows_of(read(document(points))):
        found.setdefault(row["series_key"], []).append(row["value"])
    assert sorted(found.values()) == [[-10.0, -20.0, -30.0], [10.0, 20.0, 30.0]]


@given(st.data())
@settings(deadline=None, max_examples=40)
def test_a_curve_reads_like_the_obvious_loop(data):
    steps = data.draw(st.integers(1, 60))
    given_at = data.draw(st.sets(st.integers(1, steps))) | {1}
    values = {position: data.draw(st.integers(-9, 9)) for position in sorted(given_at)}
    low, high = sorted(data.draw(st.tuples(*[st.integers(-5, steps + 5)] * 2)))
    start = datetime(2026, 1, 1, 23, tzinfo=UTC)
    expected, value = [], None
    for position in range(1, steps + 1):
        value = values.get(position, value)
        if low <= position - 1 < high:
            expected.append((start + HOUR * (position - 1), value))
    answer = document(
        "".join(point(position, text) for position, text in values.items()),
        end=f"{start + HOUR * steps:%Y-%m-%dT%H:%MZ}",
    )
    window = Partition("window", start + HOUR * low, start + HOUR * high)
    rows = rows_of(read(answer, window))
    assert [(row["ts"], row["value"]) for row in rows] == expected


def test_a_damaged_document_in_a_zip_is_asked_for_again():
    body = bytearray(sample("entsoe/multi.zip").body)
    body[60] ^= 0xFF
    assert read(made(bytes(body))).verdict.cls == "transient"


@pytest.mark.parametrize("spread", [MOST_MEMBERS + 1, None])
def test_a_zip_that_grows_beyond_measure_is_refused(spread):
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(spread or 1):
            size = 1 if spread else 8_192 * MOST_RATIO
            archive.writestr(f"{number}.xml", b" " * size)
    assert read(made(body.getvalue())).verdict.cls == "malformed"


def test_documents_that_look_ahead_are_forecasts():
    (meta,) = read(document(point(1, 5))).series
    assert meta.kind == "forecast"


def test_a_stretch_far_beyond_one_batch_is_spelt_out_whole():
    answer = document(point(1, 5), resolution="PT1M", end="2026-06-01T00:00Z")
    batches = list(read(answer).batches)
    assert len(batches) > 1
    times = [at for batch in batches for at in batch.rows["ts"].to_pylist()]
    start, end = datetime(2026, 1, 1, 23, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)
    assert len(set(times)) == len(times) == (end - start) // (HOUR / 60)
    assert (times[0], times[-1]) == (start, end - HOUR / 60)


def test_a_repeating_period_without_points_lacks_all_its_values():
    page = read(document(""))
    assert counted(page) == ("empty", 0, 3, 0)
    assert not page.complete


def test_a_period_that_ends_after_its_last_point_is_not_whole():
    inside = Partition(
        "p", datetime(2026, 1, 1, 23, tzinfo=UTC), datetime(2026, 1, 2, 2, tzinfo=UTC)
    )
    bounds = (
        "<time_Period.timeInterval><start>2026-01-01T23:00Z</start>"
        "<end>2026-01-02T02:00Z</end></time_Period.timeInterval>"
    )
    points = [point(position, position) for position in (1, 2, 3)]
    for count, complete in ((3, True), (2, False)):
        whole = document("".join(points[:count]), curve="A01").body.decode()
        answer = made(whole.replace("<TimeSeries>", f"{bounds}<TimeSeries>"))
        page = read(answer, inside)
        assert (counted(page), page.complete) == (("ok", count, 0, 0), complete)


def test_a_series_in_two_units_is_not_mixed():
    unit = "<quantity_Measure_Unit.name>{}</quantity_Measure_Unit.name>"
    one = document(point(1, 5)).body.decode()
    series = one[one.index("<TimeSeries>") : one.index("</GL_Market")]
    both = "".join(
        series.replace("<curveType>", unit.format(name) + "<curveType>")
        for name in ("MAW", "KWT")
    )
    page = read(made(one.replace(series, both)))
    assert counted(page) == ("schema_drift", 0, 0, 0)
    assert "comes in MW and in KWT" in page.verdict.detail


@pytest.mark.parametrize(
    ("text", "cls"),
    [
        ("The requested time interval exceeds one year", "split_window"),
        ("Requested period is longer than 1 year", "split_window"),
        ("The maximum allowed period is P1Y", "split_window"),
        ("More requests per minute than allowed exceed the limit", "rate_limited"),
        ("Delivered time interval is not valid for this Data item.", "config"),
    ],
)
def test_an_acknowledgement_is_told_by_its_text(text, cls):
    body = (
        "<Acknowledgement_MarketDocument><Reason><code>999</code>"
        f"<text>{text}</text></Reason></Acknowledgement_MarketDocument>"
    )
    for status in (200, 400):
        assert read(made(body, status)).verdict.cls == cls


def test_a_document_may_be_written_in_utf_16():
    plain = document(point(1, 5)).body.decode()
    body = f'<?xml version="1.0" encoding="UTF-16"?>{plain}'.encode("utf-16")
    assert counted(read(made(body))) == ("ok", 3, 0, 0)


def test_a_document_that_does_not_say_its_type_names_no_series():
    body = document(point(1, 5)).body.replace(b"<type>A65</type>", b"")
    assert counted(read(made(body))) == ("schema_drift", 0, 0, 0)


def test_a_series_that_names_no_area_is_none_of_the_area_that_was_asked():
    connector = Entsoe(EntsoeConfig(document="A44", areas=("10YBE----------2",)))
    (answer,) = connector.example().answers
    window = connector.example().partition
    (request,) = connector.requests(window)
    assert connector.read(request, answer, window).verdict.cls == "ok"
    renamed = made(answer.body.replace(b"_Domain.mRID", b"_Area.mRID"))
    page = connector.read(request, renamed, window)
    assert counted(page) == ("schema_drift", 0, 0, 0)
    assert "names no area" in page.verdict.detail
