"""Times: offsets, zones, the two nights a year, and stamps at either end."""

import gzip
import itertools
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from ingest.errors import InvalidLayout
from ingest.layout import UploadLayout
from ingest.times import parse_times
from tests.ingest.reading import details, read, starts

PJM = Path(__file__).parents[2] / "embedded" / "data" / "pjm_load.csv.gz"
NEW_YORK = {"timezone": "America/New_York"}


def lines(*times: str) -> bytes:
    rows = (f"{time},{number}\n" for number, time in enumerate(times))
    return ("ts,value\n" + "".join(rows)).encode()


def test_a_time_with_an_offset_needs_no_zone():
    times = (
        "2026-03-01T06:00:00Z",
        "2026-03-01 06:00+05:30",
        "2026-03-01T06:00:00-0500",
    )
    assert starts(lines(*times)) == ["03-01T06:00", "03-01T00:30", "03-01T11:00"]


def test_a_time_without_an_offset_says_what_to_declare():
    (detail,) = details(lines("2026-03-01T06:00"))
    assert "line 2" in detail
    assert "declare the timezone" in detail


def test_offsets_win_over_the_declared_zone_and_both_may_be_mixed():
    times = ("2026-01-01T06:00Z", "2026-01-01T06:00", "2026-01-01")
    assert starts(lines(*times), **NEW_YORK) == [
        "01-01T06:00",
        "01-01T11:00",
        "01-01T05:00",
    ]


def test_kolkata_is_half_an_hour_off():
    assert starts(lines("2026-03-01T00:00"), timezone="Asia/Kolkata") == ["02-28T18:30"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-02-30",
        "2026-13-01",
        "2026-03-01T25:00",
        "2026-03-01T24:00Z",
        "1577836800",
        "1577836800.5",
        "01/03/2026",
        "20260301",
        "2026-W10-1",
        "2026-03-01T06:00:00.1234567Z",
        "0001-01-01T00:00:00+14:00",
    ],
)
def test_what_is_not_a_time_is_listed(text):
    content = lines("2026-03-01T00:00Z", text)
    stored, rejected, _ = read(content, series_key="load", timezone="UTC")
    assert rejected == {2: "bad_time"}
    assert len(stored) == 1


def test_epoch_seconds_are_named_as_such():
    (detail,) = details(lines("1577836800"))
    assert "epoch seconds are not accepted" in detail


def test_zeros_beyond_microseconds_are_read_and_other_digits_are_not():
    times = ("2026-03-01T06:00:00.1234560Z", "2026-03-01T06:00:00.0000000")
    stored, rejected, _ = read(lines(*times), series_key="load", timezone="UTC")
    assert sorted(ts.microsecond for _, ts in stored) == [0, 123_456]
    assert not rejected


def test_the_hour_that_spring_skips_is_nobodys():
    times = ("2026-03-08T01:00", "2026-03-08T02:00", "2026-03-08T03:00")
    stored, rejected, _ = read(lines(*times), series_key="load", **NEW_YORK)
    assert rejected == {2: "nonexistent_time"}
    first, second = sorted(ts for _, ts in stored)
    assert second - first == timedelta(hours=1)


def test_an_autumn_pair_is_summer_time_then_standard_time():
    times = ("2026-11-01T00:00", "2026-11-01T01:00", "2026-11-01T01:00")
    assert starts(lines(*times), **NEW_YORK) == [
        "11-01T04:00",
        "11-01T05:00",
        "11-01T06:00",
    ]


def test_an_autumn_pair_in_a_file_that_runs_backwards_is_the_other_way_round():
    times = ("2026-11-01T02:00", "2026-11-01T01:00", "2026-11-01T01:00", "2026-11-01")
    assert starts(lines(*times), **NEW_YORK) == [
        "11-01T07:00",
        "11-01T06:00",
        "11-01T05:00",
        "11-01T04:00",
    ]


def test_half_hours_that_come_twice_pair_up_each():
    times = [f"2026-11-01T01:{minute}" for minute in ("00", "30", "00", "30")]
    assert starts(lines(*times), **NEW_YORK) == [
        "11-01T05:00",
        "11-01T05:30",
        "11-01T06:00",
        "11-01T06:30",
    ]


@pytest.mark.parametrize("count", [1, 3])
def test_an_autumn_time_that_is_not_a_pair_is_listed(count):
    times = ["2026-11-01T01:00"] * count
    _, rejected, _ = read(lines(*times), series_key="load", **NEW_YORK)
    assert rejected == dict.fromkeys(range(1, count + 1), "ambiguous_time")


def test_pairs_are_not_inferred_where_they_are_to_be_rejected():
    times = ["2026-11-01T01:00"] * 2
    content = lines(*times)
    _, rejected, _ = read(content, series_key="load", ambiguous="reject", **NEW_YORK)
    assert rejected == {1: "ambiguous_time", 2: "ambiguous_time"}


def test_a_pair_of_which_one_value_is_bad_is_still_a_pair():
    content = b"ts,value\n2026-11-01T01:00,x\n2026-11-01T01:00,2\n2026-11-01T02:00,\n"
    stored, rejected, missing = read(content, series_key="load", **NEW_YORK)
    ((_, ts),) = stored
    assert ts.hour == 6
    assert rejected == {1: "bad_value"}
    assert missing == 1


def test_a_pair_of_which_one_value_is_missing_is_still_a_pair():
    content = b"ts,value\n2026-11-01T01:00,\n2026-11-01T01:00,2\n"
    stored, rejected, missing = read(content, series_key="load", **NEW_YORK)
    ((_, ts),) = stored
    assert (ts.hour, rejected, missing) == (6, {}, 1)


def test_partners_may_stand_far_apart_and_belong_to_one_series_only():
    filler = "".join(
        f"b,2026-01-01T00:00:{n % 60:02}.{n:06},0\n" for n in range(60_000)
    )
    content = f"series,ts,value\na,2026-11-01T01:00,1\nb,2026-11-01T01:00,9\n{filler}"
    content += "a,2026-11-01T01:00,2\n"
    stored, rejected, _ = read(content.encode(), **NEW_YORK)
    hours = {ts.hour: cells[0][0] for (key, ts), cells in stored.items() if key == "a"}
    assert hours == {5: 1.0, 6: 2.0}
    assert rejected == {2: "ambiguous_time"}


def test_lord_howe_moves_its_clocks_by_half_an_hour():
    zone = {"timezone": "Australia/Lord_Howe", "stamp": "end", "frequency": "30min"}
    autumn = [f"2026-04-05T{time}" for time in ("01:30", "02:00", "02:00", "02:30")]
    assert starts(lines(*autumn), **zone) == [
        "04-04T14:00",
        "04-04T14:30",
        "04-04T15:00",
        "04-04T15:30",
    ]
    spring = [f"2026-10-04T{time}" for time in ("01:30", "02:00", "03:00", "03:30")]
    assert starts(lines(*spring), **zone) == [
        "10-03T14:30",
        "10-03T15:00",
        "10-03T15:30",
        "10-03T16:00",
    ]


def test_the_end_of_a_day_goes_back_a_calendar_day_however_long_it_was():
    day = {"stamp": "end", "frequency": "1d", **NEW_YORK}
    spring = ("2026-03-09T00:00", "2026-03-09T00:00-04:00")
    assert starts(lines(*spring), **day) == ["03-08T05:00"] * 2


def test_the_end_of_an_hour_with_an_offset_goes_back_an_hour():
    end = {"stamp": "end", "frequency": "PT1H", **NEW_YORK}
    times = ("2026-11-01T02:00-05:00", "2026-11-01T01:00-05:00")
    assert starts(lines(*times), **end) == ["11-01T06:00", "11-01T05:00"]


def test_the_bundled_hour_ending_file_has_no_gap_and_loses_no_row():
    content = PJM.read_bytes()
    stored, rejected, missing = read(
        content,
        ts_column="local_time",
        value_column="mw",
        stamp="end",
        frequency="1h",
        **NEW_YORK,
    )
    assert (rejected, missing) == ({}, 0)
    assert sum(map(len, stored.values())) == len(stored)
    assert len(stored) == gzip.decompress(content).count(b"\n") - 1
    for key in {key for key, _ in stored}:
        times = sorted(ts for name, ts in stored if name == key)
        steps = {b - a for a, b in itertools.pairwise(times)}
        assert steps == {timedelta(hours=1)}


@pytest.mark.parametrize(
    ("column", "layout"),
    [
        (pa.array([0, 1], pa.timestamp("ns", "Europe/Paris")), {}),
        (pa.array([0, 1], pa.timestamp("ns")), {"timezone": "UTC"}),
    ],
)
def test_nanoseconds_that_would_be_cut_are_listed(column, layout):
    times = parse_times(column, UploadLayout("parquet", **layout))
    assert times.instants.is_valid().to_pylist() == [True, False]
    assert [fault.code for fault in times.faults] == ["bad_time"]


def test_dates_are_midnights_of_the_declared_zone():
    column = pa.array([0], pa.date32())
    times = parse_times(column, UploadLayout("parquet", timezone="Asia/Tokyo"))
    assert times.instants[0].as_py().hour == 15


def test_a_column_of_integers_is_not_taken_for_epoch_seconds():
    with pytest.raises(InvalidLayout, match="epoch seconds are not accepted"):
        parse_times(pa.array([1_577_836_800]), UploadLayout("parquet"))


@pytest.mark.parametrize(
    "text", ["2026-01-01T05Z", "2026-01-01T05+01", "2026-01-01 05"]
)
def test_what_a_time_means_does_not_hang_on_the_rows_beside_it(text):
    layout = UploadLayout("csv", series_key="x", timezone="UTC")
    alone = parse_times(pa.array([text]), layout).instants.to_pylist()
    beside = parse_times(pa.array([text, "no time"]), layout).instants.to_pylist()
    assert alone[0] is not None
    assert beside == [*alone, None]
