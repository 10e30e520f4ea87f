"""EIA: its samples, its hours and corrections, its pages, and a server like it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from ingest.connectors.eia import EiaConfig
from ingest.exchange import Request
from tests.ingest.eia_asked import (
    ERRORS,
    EVER,
    FUEL,
    PLANT,
    SALES,
    SAMPLES,
    connector,
    first,
    page,
    read,
    row,
)
from tests.ingest.wire_samples import codes, counted, made, rows, sample
from tests.sources.truth import HOUR


@pytest.mark.parametrize(("name", "config", "expected"), SAMPLES)
def test_a_sample_has_its_class_and_rows(name, config, expected):
    assert counted(read(name, connector(**config))) == expected


@pytest.mark.parametrize(("name", "status", "cls"), ERRORS)
def test_an_error_has_its_class_whatever_the_status(name, status, cls):
    wait = {"retry-after": "3"} if status == 429 else {}
    verdict = read(name, status=status, **wait).verdict
    assert verdict.cls == cls
    assert verdict.detail
    assert verdict.wait_s == (3.0 if wait else None)


def test_an_answer_that_is_cut_off_in_transfer_is_transient():
    reader = connector()
    answer = replace(sample("eia/region_data_p1.json"), whole=False)
    assert reader.read(first(reader), answer, EVER).verdict.cls == "transient"


@pytest.mark.parametrize(
    "body",
    ["[]", "{}", "null", '{"response": 1}', '{"response": {"data": []}}', "", "\x00"],
)
def test_an_answer_of_another_shape_is_judged_and_raises_nothing(body):
    reader = connector()
    found = reader.read(first(reader), made(body), EVER)
    assert counted(found)[0] in ("transient", "schema_drift")


def test_the_second_page_goes_on_where_the_first_ended():
    reader = connector()
    before = read("region_data_p1.json", reader)
    assert (before.total, before.complete) == (7, True)
    (follow,) = before.follow
    assert dict(follow.params)["offset"] == "5"
    after = reader.read(follow, sample("eia/region_data_p2.json"), EVER)
    assert counted(after) == ("ok", 2, 0, 0)
    assert (after.total, after.follow, after.complete) == (7, (), True)


def test_a_row_of_the_page_before_shows_that_another_was_lost():
    reader = connector()
    (follow,) = read("region_data_p1.json", reader).follow
    answer = sample("eia/region_data_p2_unstable_order.json")
    found = reader.read(follow, answer, EVER)
    assert counted(found) == ("incomplete", 2, 0, 0)
    assert "came on the page before" in found.verdict.detail
    assert not found.complete


@pytest.mark.parametrize(
    ("rows", "total", "told"),
    [
        ([row("2026-03-08T04"), row("2026-03-08T11")], 7, "goes back"),
        ([row("2026-03-08T10"), row("2026-03-08T10")], 7, "distinct"),
        ([row("2026-03-08T10"), row("2026-03-08T11")], 8, "total went"),
        ([], 7, "empty"),
    ],
)
def test_pages_that_do_not_fit_together_are_incomplete(rows, total, told):
    reader = connector()
    (follow,) = read("region_data_p1.json", reader).follow
    answer = made(page(rows, total=total, offset=5))
    verdict = reader.read(follow, answer, EVER).verdict
    assert verdict.cls == "incomplete"
    assert told in verdict.detail


def test_rows_of_the_period_at_which_pages_meet_may_stand_on_both():
    reader = connector()
    (follow,) = read("region_data_p1.json", reader).follow
    rest = [row("2026-03-08T09", respondent="SWPP"), row("2026-03-08T10")]
    found = reader.read(follow, made(page(rest, total=7, offset=5)), EVER)
    assert counted(found) == ("ok", 2, 0, 0)


def test_a_page_read_by_itself_takes_its_place_from_the_question():
    reader = connector()
    asked = Request("http://x/", (("offset", "5"), ("length", "5")))
    found = reader.read(asked, sample("eia/region_data_p2.json"), EVER)
    assert (found.verdict.cls, found.follow, found.total) == ("ok", (), 7)


def test_hours_are_stamped_with_their_end_and_stored_with_their_start():
    (batch,) = read("region_data_p1.json").batches
    assert batch.rows["ts"][0].as_py() == datetime(2026, 3, 8, 4, tzinfo=UTC)
    assert set(batch.rows["series_key"].to_pylist()) == {"pjm.d"}


def test_local_hours_say_their_offset():
    (batch,) = read("local_hourly.json").batches
    assert batch.rows["ts"].to_pylist() == [datetime(2023, 6, 23, 23, tzinfo=UTC)]


def test_local_hours_are_refused_with_a_reason():
    with pytest.raises(ValidationError, match="repeats an hour in autumn"):
        connector(frequency="local-hourly")


def test_a_route_may_be_pasted_as_the_documentation_writes_it():
    config = EiaConfig(route="/v2/electricity/retail-sales/data/", frequency="annual")
    assert config.route == "electricity/retail-sales"


def test_each_column_of_values_is_a_series_with_its_own_unit():
    found = read("retail_sales_multi_column.json", connector(**SALES))
    units = {meta.key: (meta.unit, meta.frequency) for meta in found.series}
    assert units["vt.res.sales"] == ("million kilowatthours", "P1M")
    assert units["vt.res.price"] == ("cents per kilowatthour", "P1M")
    assert found.total == 4
    titles = {meta.title for meta in found.series}
    assert "Vermont · residential · price" in titles


def test_codes_keep_their_leading_zeros():
    cells = {"plantCode": "006761", "fuel2002": "ALL", "state": "CO"}
    cells |= {"primeMover": "ALL", "period": "2022-12", "generation": "5"}
    reader = connector(**{**PLANT, "data": ("generation",)})
    body = page([cells], dateFormat="YYYY-MM")
    (batch,) = reader.read(first(reader), made(body), EVER).batches
    assert batch.rows["series_key"].to_pylist() == ["006761.all.co.all.generation"]
    assert batch.rows["ts"].to_pylist() == [datetime(2022, 12, 1, tzinfo=UTC)]


def test_a_row_that_differs_in_a_name_only_is_a_copy_and_not_expected_twice():
    found = read("fuel_type_case_dup.json", connector(**FUEL))
    assert (found.total, found.complete) == (1, True)


def test_copies_with_another_value_are_left_to_the_load():
    rows = [row("2026-03-08T05", "1"), row("2026-03-08T05", "2")]
    reader = connector()
    found = reader.read(first(reader), made(page(rows)), EVER)
    assert counted(found) == ("ok", 2, 0, 0)


def test_a_new_column_is_reported_and_a_lost_one_stops_the_run():
    assert read("drift_new_column.json").drift == ("+timezone",)
    rows = [{"period": "2026-03-08T05", "respondent": "PJM", "value": "1"}]
    reader = connector()
    found = reader.read(first(reader), made(page(rows)), EVER)
    assert found.verdict.cls == "schema_drift"
    assert "type is missing" in found.verdict.detail
    assert "-type" in found.drift


def test_bad_rows_are_named_with_their_number_and_what_is_wrong():
    assert codes(read("bad_rows.json")) == [
        (2, "bad_value"),
        (3, "bad_time"),
        (4, "out_of_range"),
    ]


def test_rows_that_are_no_rows_or_have_no_key_are_rejected_one_by_one():
    bare = {"period": "2026-03-08T05", "respondent": None, "type": None, "value": "1"}
    odd = [row("2026-03-08T05"), 7, bare, row("2026-03-08T05", [1], kind="TI")]
    odd += [row(None), row("2026-03-08T06", True), row("2026-03-08T07", 10**400)]
    reader = connector()
    found = reader.read(first(reader), made(page(odd)), EVER)
    assert codes(found) == [
        (2, "malformed_row"),
        (3, "bad_key"),
        (4, "bad_value"),
        (5, "bad_time"),
        (6, "bad_value"),
        (7, "not_finite"),
    ]
    assert found.verdict.cls == "ok"


def test_no_grid_carries_a_million_megawatts():
    reader = connector()
    body = page([row("2026-03-08T05", "1000001"), row("2026-03-08T06", "750000")])
    assert codes(reader.read(first(reader), made(body), EVER)) == [(1, "out_of_range")]


@pytest.mark.parametrize(
    ("respondent", "kind", "stamp", "start"),
    [
        ("CISO", "D", "2022-06-16T05", "2022-06-16T05"),
        ("CISO", "D", "2022-06-16T08", "2022-06-16T07"),
        ("SC", "NG", "2020-07-01T05", "2020-07-01T00"),
        ("SC", "D", "2020-07-01T05", "2020-07-01T04"),
        ("SC", "NG", "2021-07-01T05", "2021-07-01T04"),
    ],
)
def test_stamps_known_to_be_wrong_are_put_right_until_a_day(
    respondent, kind, stamp, start
):
    body = made(page([row(stamp, respondent=respondent, kind=kind)]))
    reader = connector()
    (batch,) = reader.read(first(reader), body, EVER).batches
    assert f"{batch.rows['ts'][0].as_py():%Y-%m-%dT%H}" == start
    plain = connector(corrected=False)
    (batch,) = plain.read(first(plain), body, EVER).batches
    assert (
        batch.rows["ts"][0].as_py() == datetime.fromisoformat(f"{stamp}+00:00") - HOUR
    )


def test_weeks_are_asked_for_and_read_by_their_day():
    reader = connector("petroleum/pri/gnd", "weekly")
    start = datetime(2026, 1, 1, tzinfo=UTC)
    (partition,) = reader.plan(start, start + timedelta(days=60))
    asked = dict(first(reader, partition).params)
    assert (asked["frequency"], asked["start"]) == ("weekly", "2026-01-01")
    assert asked["end"] == "2026-03-01"
    codes_of = {"duoarea": "NUS", "product": "EPM0", "process": "PTE", "series": "E"}
    told = {**codes_of, "product-name": "Gasoline", "value": "3.1", "units": "$/GAL"}
    body = page([{"period": "2026-01-05", **told}], dateFormat="YYYY-MM-DD")
    found = reader.read(first(reader, partition), made(body), partition)
    ((key, ts, value, _),) = rows([found])
    assert (key, ts, value) == ("nus.epm0.pte.e", datetime(2026, 1, 5, tzinfo=UTC), 3.1)
    assert [(one.unit, one.frequency) for one in found.series] == [("$/GAL", "P1W")]
    assert found.drift == ()


@pytest.mark.parametrize("mark", ["NA", "N/A", "W", "*", "(s)", ".", "- -", "Q", ""])
def test_marks_of_what_is_withheld_are_missing(mark):
    body = page([row("2026-03-08T05", mark), row("2026-03-08T06", "-12.5")])
    reader = connector()
    assert counted(reader.read(first(reader), made(body), EVER)) == ("ok", 1, 1, 0)


def test_a_series_in_two_units_is_not_mixed():
    other = {**row("2026-03-08T06"), "value-units": "GWh"}
    body = page([row("2026-03-08T05"), other])
    reader = connector()
    found = reader.read(first(reader), made(body), EVER)
    assert counted(found) == ("schema_drift", 0, 0, 0)
    assert found.verdict.detail == "pjm.d comes in MWh and in GWh"


def test_series_of_their_own_units_are_read_side_by_side():
    other = {**row("2026-03-08T05", respondent="MISO"), "value-units": "GWh"}
    body = page([row("2026-03-08T05"), other])
    reader = connector()
    found = reader.read(first(reader), made(body), EVER)
    assert {one.key: one.unit for one in found.series} == {
        "pjm.d": "MWh",
        "miso.d": "GWh",
    }


def test_an_error_of_null_is_none():
    body = page([row("2026-03-08T05")]).replace(b"{", b'{"error": null, ', 1)
    reader = connector()
    assert counted(reader.read(first(reader), made(body), EVER)) == ("ok", 1, 0, 0)


@pytest.mark.parametrize(("total", "cls"), [("1.0", "ok"), ("1,234", "incomplete")])
def test_a_total_may_be_written_in_other_ways(total, cls):
    body = page([row("2026-03-08T05")], total=total)
    reader = connector()
    assert reader.read(first(reader), made(body), EVER).verdict.cls == cls


def test_an_error_of_the_first_api_is_shown():
    body = b'{"request": {}, "data": {"error": "invalid series_id."}}'
    reader = connector()
    verdict = reader.read(first(reader), made(body), EVER).verdict
    assert (verdict.cls, verdict.detail) == ("schema_drift", "invalid series_id.")
