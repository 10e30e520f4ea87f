"""Open-Meteo: samples, and a server whose weather is known."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.ingest.open_meteo_asked import (
    BERLIN,
    HEAT,
    PARIS,
    START,
    WIND,
    WINDOW,
    archive,
    forecast,
    read,
)
from tests.ingest.wire_samples import (
    FETCHED,
    codes,
    counted,
    made,
    rows,
    sample,
)
from tests.sources.truth import DAY, HOUR


@pytest.mark.parametrize(
    ("connector", "name", "expected"),
    [
        (forecast(hourly=(HEAT, WIND)), "forecast.json", ("ok", 5, 1, 0)),
        (forecast(BERLIN, PARIS), "forecast_multi.json", ("ok", 6, 0, 0)),
        (archive(), "archive_tail_null.json", ("ok", 1, 2, 0)),
        (forecast(), "unixtime.json", ("ok", 2, 0, 0)),
        (forecast(previous_days=(1, 2)), "previous_runs.json", ("ok", 9, 0, 0)),
        (forecast(run="ncep_hrrr_conus"), "meta_model_run.json", ("metadata", 0, 0, 0)),
        (forecast(hourly=(HEAT, WIND)), "forecast.csv", ("ok", 3, 1, 0)),
    ],
)
def test_samples_give_the_rows_they_hold(connector, name, expected):
    assert counted(read(connector, sample(f"open_meteo/{name}"))) == expected


@pytest.mark.parametrize(
    ("name", "status", "cls", "wait_s"),
    [
        ("err_400_range.json", 400, "config", None),
        ("err_429_hourly.json", 429, "rate_limited", 3600.0),
        ("err_429_daily.json", 429, "rate_limited", 86400.0),
        ("err_429_concurrent.json", 429, "rate_limited", 2.0),
        ("err_503.json", 503, "transient", None),
        ("stream_error_200.txt", 200, "transient", None),
        # The same words mean the same where the status is not to be trusted.
        ("err_429_hourly.json", 200, "rate_limited", 3600.0),
        ("err_503.json", 200, "transient", None),
        ("err_400_range.json", 200, "config", None),
    ],
)
@pytest.mark.parametrize("kind", [forecast, archive])
def test_samples_of_errors_are_told_apart(kind, name, status, cls, wait_s):
    verdict = read(kind(), sample(f"open_meteo/{name}", status)).verdict
    assert (verdict.cls, verdict.wait_s) == (cls, wait_s)
    assert verdict.detail


def test_a_limit_by_the_minute_is_waited_for_and_retry_after_counts_more():
    text = '{"error": true, "reason": "Minutely API request limit exceeded."}'
    assert read(forecast(), made(text, 429)).verdict.wait_s == 60
    assert read(forecast(), made(text, 429, retry_after="7")).verdict.wait_s == 7


def test_a_key_that_is_refused_needs_another_key():
    text = '{"error": true, "reason": "The supplied API key is invalid."}'
    assert read(forecast(), made(text, 400)).verdict.cls == "auth"


def test_places_are_known_by_the_names_that_they_were_asked_for():
    found = read(forecast(BERLIN, PARIS), sample("open_meteo/forecast_multi.json"))
    keys = {key for key, *_ in rows([found])}
    assert keys == {"berlin.temperature_2m", "paris.temperature_2m"}
    assert [(one.unit, one.frequency, one.kind) for one in found.series] == [
        ("°C", "PT1H", "forecast")
    ] * 2


def test_another_number_of_places_is_not_assigned():
    found = read(forecast(), sample("open_meteo/forecast_multi.json"))
    assert found.verdict.cls == "malformed"


def test_previous_days_are_forecasts_issued_so_many_days_before_their_time():
    found = read(
        forecast(previous_days=(1, 2)), sample("open_meteo/previous_runs.json")
    )
    read_rows = rows([found])
    leads = {(ts - issued, value) for _, ts, value, issued in read_rows}
    assert leads >= {(timedelta(0), -1.2), (DAY, -0.8), (2 * DAY, 0.1)}
    assert {key for key, *_ in read_rows} == {"berlin.temperature_2m"}


def test_a_forecast_counts_from_its_run_and_is_known_once_that_can_be_had():
    connector = forecast(run="ncep_hrrr_conus")
    told = read(connector, sample("open_meteo/meta_model_run.json"))
    (request,) = told.follow
    later = replace(sample("open_meteo/forecast.json"), fetched_at=FETCHED)
    (batch,) = connector.read(request, later, WINDOW).batches
    run = datetime(2024, 8, 27, 22, tzinfo=UTC)
    assert set(batch.rows["issued_at"].to_pylist()) == {run}
    available = datetime.fromtimestamp(1724799420, UTC)
    assert set(batch.rows["published_at"].to_pylist()) == {available}


def test_without_a_run_a_forecast_dates_from_its_fetching_but_not_after_its_time():
    body = '{"hourly": {"time": [%d, %d], "temperature_2m": [1, 2]}}'
    stamps = ((FETCHED - HOUR).timestamp(), (FETCHED + HOUR).timestamp())
    found = rows([read(forecast(), made(body % stamps))])
    assert [issued for *_, issued in found] == [FETCHED - HOUR, FETCHED]


def test_a_run_that_is_still_spreading_is_left_for_later():
    answer = sample("open_meteo/meta_model_run.json")
    fresh = replace(answer, fetched_at=datetime.fromtimestamp(1724799420 + 60, UTC))
    page = read(forecast(run="ncep_hrrr_conus"), fresh)
    assert (page.verdict.cls, page.verdict.wait_s) == ("not_available", 840.0)
    assert page.follow == ()


@pytest.mark.parametrize(
    ("body", "cls"),
    [
        ('{"last_run_initialisation_time": 1}', "schema_drift"),
        ("[]", "malformed"),
        (
            '{"last_run_initialisation_time": "x", "last_run_availability_time": 1}',
            "malformed",
        ),
        ("<html><body>soon</body></html>", "transient"),
        ('{"last_run', "transient"),
    ],
)
def test_metadata_of_another_shape_date_nothing(body, cls):
    assert read(forecast(run="dwd_icon"), made(body)).verdict.cls == cls


@pytest.mark.parametrize(
    ("body", "cls"),
    [
        ("[]", "malformed"),
        ("7", "malformed"),
        ('{"latitude": 1}', "schema_drift"),
        ('{"hourly": []}', "malformed"),
        ('{"hourly": {"time": 5, "temperature_2m": []}}', "malformed"),
        ('{"hourly": {"time": [], "rain": []}}', "schema_drift"),
        ('{"hourly": {"temperature_2m": []}}', "schema_drift"),
        ('{"hourly": {"time": [0, 1], "temperature_2m": [5]}}', "malformed"),
        ('{"hourly": {"time": [], "temperature_2m": []}}', "empty"),
        ('{"hourly": {"time": [0], "temperature_2m": [null]}}', "empty"),
        ('{"hourly": {"time": [0], "temperature_2m": [', "transient"),
        ("latitude,longitude\n1,2\n", "malformed"),
        ("latitude,longitude\n1,2\n\ntime,rain (mm)\n1,2\n", "schema_drift"),
        (f'latitude,\n1,2\n\ntime,x (C)\n0,"{"x" * 200_000}\n', "malformed"),
        ("latitude,longitude\n\n\n1,2\n", "malformed"),
    ],
)
def test_answers_of_another_shape_are_not_read(body, cls):
    assert read(archive(), made(body)).verdict.cls == cls


def test_an_error_in_a_cell_costs_its_row_only():
    times = "0, true, 99999999999999, null, 3600, 7200, 10800, 14400, 18000"
    cells = '5, 1, 1, 1, true, "x", 1e999, "\\ud800", 100000000000000000000'
    body = f'{{"hourly": {{"time": [{times}], "temperature_2m": [{cells}]}}}}'
    page = read(archive(), made(body))
    assert codes(page) == [
        (2, "bad_time"),
        (3, "bad_time"),
        (4, "bad_time"),
        (5, "bad_value"),
        (6, "bad_value"),
        (7, "not_finite"),
        (8, "bad_value"),
    ]
    assert counted(read(archive(), made(body))) == ("ok", 2, 0, 7)


def test_a_row_of_csv_that_ends_early_is_bad_and_not_missing():
    text = f"latitude,longitude\n1,2\n\ntime,{HEAT} (C),{WIND} (m/s)\n0,1.5,\n3600,2\n"
    page = read(archive(hourly=(HEAT, WIND)), made(text))
    assert counted(page) == ("ok", 2, 1, 1)


def test_local_times_move_back_by_the_offset_of_the_answer():
    body = (
        '{"utc_offset_seconds": 19800, "hourly": {"time": ["2026-01-10T05:30"],'
        ' "temperature_2m": [1]}}'
    )
    assert [ts for _, ts, *_ in rows([read(archive(), made(body))])] == [START]


def test_a_variable_that_nobody_asked_for_is_told():
    page = read(archive(), sample("open_meteo/forecast.json"))
    assert page.drift == ("+wind_speed_10m",)


def hours(column, **more):
    """Return the answer of an archive about two hours of rain and of heat."""
    table = {"time": ["2026-01-10T00:00", "2026-01-10T01:00"], HEAT: [1, 2]}
    body = {"utc_offset_seconds": 0, "hourly": {**table, "rain": column}, **more}
    return made(json.dumps(body))


@pytest.mark.parametrize("column", [None, [None, None]])
def test_a_variable_that_a_model_lacks_is_missing_and_has_no_unit(column):
    units = {"time": "iso8601", HEAT: "°C", "rain": "undefined"}
    reader = archive(hourly=(HEAT, "rain"))
    page = read(reader, hours(column, hourly_units=units))
    assert {meta.key: meta.unit for meta in page.series} == {
        f"berlin.{HEAT}": "°C",
        "berlin.rain": None,
    }
    assert counted(page) == ("ok", 2, 2, 0)


@pytest.mark.parametrize("offset", [3_600, 3_600.0])
def test_an_offset_may_be_any_whole_number(offset):
    reader = archive(hourly=(HEAT, "rain"))
    page = read(reader, hours([0, 0], utc_offset_seconds=offset))
    assert min(ts for _, ts, *_ in rows([page])) == datetime(2026, 1, 9, 23, tzinfo=UTC)


@pytest.mark.parametrize("offset", ["3600", None, 1.5, 10**6, True])
def test_local_times_of_an_offset_that_cannot_be_read_are_no_rows(offset):
    reader = archive(hourly=(HEAT, "rain"))
    page = read(reader, hours([0, 0], utc_offset_seconds=offset))
    assert counted(page) == ("malformed", 0, 0, 0)
    assert "utc_offset_seconds" in page.verdict.detail


PLACES_CSV = "latitude,longitude,utc_offset_seconds\r\n52.5,13.4,0\r\n\r\n"


def test_a_csv_may_begin_with_a_mark_of_its_byte_order():
    told = f"\ufeff{PLACES_CSV}time,{HEAT} (°C)\r\n2026-01-10T00:00,1.5\r\n"
    page = read(archive(format="csv"), made(told, content_type="text/csv"))
    assert counted(page) == ("ok", 1, 0, 0)


def test_a_csv_that_breaks_off_gives_no_half_a_value():
    told = f"{PLACES_CSV}time,{HEAT} (°C),rain (mm)\n2026-01-10T00:00,1.5"
    reader = archive(format="csv", hourly=(HEAT, "rain"))
    page = read(reader, made(told, content_type="text/csv"))
    assert counted(page) == ("transient", 0, 0, 0)


def test_a_variable_by_the_hour_and_by_its_quarter_is_two_series():
    table = {"time": ["2026-01-10T00:00"], "rain": [1]}
    body = {"utc_offset_seconds": 0, "hourly": table, "minutely_15": table}
    page = read(
        archive(hourly=("rain",), minutely_15=("rain",)), made(json.dumps(body))
    )
    assert [key for key, *_ in rows([page])] == [
        "berlin.rain",
        "berlin.rain.minutely_15",
    ]
    page = read(archive(hourly=(), minutely_15=("rain",)), made(json.dumps(body)))
    assert [key for key, *_ in rows([page])] == ["berlin.rain"]
