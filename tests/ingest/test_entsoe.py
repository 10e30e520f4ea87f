"""ENTSO-E's REST interface: samples, requests, a server over a table of truth."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ingest.contract import Partition
from tests.ingest.entsoe_asked import XML, read, rows_of
from tests.ingest.wire_samples import codes, counted, made, sample
from tests.sources import entsoe as fake
from tests.sources.truth import DAY


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a44_es_60_to_15min_a03.xml", ("ok", 120, 0, 0)),
        ("a44_a03_gap_at_end.xml", ("ok", 3, 0, 0)),
        ("a44_two_sequences.xml", ("ok", 4, 0, 0)),
        ("a65_load_dst_short_day.xml", ("ok", 23, 0, 0)),
        ("comma_position.xml", ("ok", 1_880, 0, 1)),
        ("ack_no_data_200.xml", ("empty", 0, 0, 0)),
        ("truncated.xml", ("transient", 0, 0, 0)),
        ("entity_bomb.xml", ("malformed", 0, 0, 0)),
        ("multi.zip", ("ok", 3, 0, 0)),
    ],
)
def test_a_sample_of_200_gives_its_class_and_rows(name, expected):
    assert counted(read(sample(f"entsoe/{name}", media_type=XML))) == expected


@pytest.mark.parametrize(
    ("name", "status", "media_type", "cls", "wait_s"),
    [
        ("ack_instances.xml", 400, XML, "split_window", None),
        ("ack_bad_params.xml", 400, XML, "config", None),
        ("ack_no_data_200.xml", 400, "text/xml", "empty", None),
        ("ack_bad_params.xml", 200, XML, "config", None),
        ("err_401.html", 401, "text/html; charset=utf-8", "auth", None),
        ("err_429.txt", 429, "text/plain", "rate_limited", 600.0),
        ("err_429.txt", 200, "text/plain", "rate_limited", 600.0),
        ("err_503.html", 503, "text/html; charset=utf-8", "transient", 10.0),
        ("err_503.html", 200, "text/html; charset=utf-8", "transient", None),
        ("a44_a03_gap_at_end.xml", 503, XML, "transient", None),
    ],
)
def test_a_refusal_is_told_by_its_text_whatever_the_status(
    name, status, media_type, cls, wait_s
):
    verdict = read(sample(f"entsoe/{name}", status, media_type)).verdict
    assert (verdict.cls, verdict.wait_s) == (cls, wait_s)


@pytest.mark.parametrize(
    ("text", "status", "cls"),
    [
        ("The amount of requested data exceeds allowed limit", 400, "split_window"),
        ("Data item is not available", 200, "not_available"),
        ("Unexpected error occurred", 200, "transient"),
        ("Delivered time interval is not valid", 500, "transient"),
    ],
)
def test_an_acknowledgement_is_judged_by_what_it_says(text, status, cls):
    reply = fake._said(text, status)
    assert read(made(reply.body, status)).verdict.cls == cls


@pytest.mark.parametrize(
    ("body", "status", "cls"),
    [
        (b"", 200, "transient"),
        (b'{"uuAppErrorMap": {"URI_FORMAT_ERROR": {}}}', 400, "config"),
        (b"No idea", 200, "malformed"),
        (b"<note>hello</note>", 200, "schema_drift"),
        (b"PK\x03\x04 cut off", 200, "transient"),
    ],
)
def test_what_is_no_document_has_a_class_of_its_own(body, status, cls):
    assert read(made(body, status)).verdict.cls == cls


def test_an_answer_cut_off_on_the_way_is_asked_for_again():
    whole = sample("entsoe/a44_a03_gap_at_end.xml")
    assert read(replace(whole, whole=False)).verdict.cls == "transient"


def test_left_out_positions_repeat_the_value_before_and_resolutions_stay_apart():
    rows = rows_of(read(sample("entsoe/a44_es_60_to_15min_a03.xml")))
    quarters = [row["value"] for row in rows if row["series_key"].endswith("pt15m")]
    hours = [row["value"] for row in rows if row["series_key"].endswith("pt60m")]
    assert (len(hours), len(quarters)) == (24, 96)
    for position in (12, 15, 84):
        assert quarters[position - 1] == quarters[position - 2]
    last = rows_of(read(sample("entsoe/a44_a03_gap_at_end.xml")))
    assert [row["value"] for row in last] == [20.0, 20.0, 20.0]


def test_a_missing_first_position_is_refused_and_the_rest_is_kept():
    page = read(sample("entsoe/comma_position.xml"))
    rows = rows_of(page)
    assert rows[0]["ts"] == datetime(2026, 1, 11, 10, tzinfo=UTC)
    assert {row["value"] for row in rows} == {41_250.5}
    again = read(sample("entsoe/comma_position.xml"))
    assert codes(again) == [(1, "missing_first_position")]


def test_series_name_their_sequence_unit_and_side():
    two = read(sample("entsoe/a44_two_sequences.xml")).series
    assert [meta.key for meta in two] == [
        "a44.a62.10yat-apg-l.a01.1.pt60m",
        "a44.a62.10yat-apg-l.a01.2.pt60m",
    ]
    assert {(meta.unit, meta.kind) for meta in two} == {("EUR/MWh", "observed")}
    (load,) = read(sample("entsoe/a65_load_dst_short_day.xml")).series
    assert (load.key, load.unit) == ("a65.a16.a01.out:10y1001a1001a82h.pt60m", "MW")


def test_answers_are_trimmed_to_the_window_and_prove_to_cover_it():
    day = datetime(2025, 9, 30, tzinfo=UTC)
    inside = Partition("day", day, day + DAY)
    page = read(sample("entsoe/a44_es_60_to_15min_a03.xml"), inside)
    times = [row["ts"] for row in rows_of(page)]
    assert (min(times), max(times)) == (day, day + timedelta(hours=23, minutes=45))
    assert len(times) == 22 + 8
    assert page.complete
    later = Partition("next", day, day + 2 * DAY)
    assert not read(sample("entsoe/a44_es_60_to_15min_a03.xml"), later).complete
    away = Partition("away", day + 9 * DAY, day + 10 * DAY)
    assert (
        read(sample("entsoe/a44_es_60_to_15min_a03.xml"), away).verdict.cls == "empty"
    )
