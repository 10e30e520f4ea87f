"""Open-Meteo: samples, and a server whose weather is known; more."""

from datetime import UTC, datetime

import pytest

from ingest.connectors.open_meteo import OpenMeteoConfig, Place
from ingest.contract import (
    Partition,
)
from ingest.exchange import RateLimited, secret
from ingest.fetch import Refused
from tests.ingest.open_meteo_asked import (
    BERLIN,
    HEAT,
    PARIS,
    START,
    WIND,
    WINDOW,
    archive,
    expected,
    forecast,
    read,
    weather,
)
from tests.ingest.wire_samples import (
    after_each_fault,
    counted,
    made,
    rows,
)
from tests.sources.plain import read_all
from tests.sources.server import serve
from tests.sources.truth import DAY, HOUR


def test_days_and_hours_of_one_name_are_two_series():
    connector = archive(hourly=("weather_code",), daily=("weather_code",))
    body = (
        '{"hourly": {"time": [0], "weather_code": [1]},'
        ' "daily": {"time": ["1970-01-01"], "weather_code": [2]}}'
    )
    page = read(connector, made(body))
    assert [(key, value) for key, _, value, _ in rows([page])] == [
        ("berlin.weather_code", 1),
        ("berlin.weather_code.daily", 2),
    ]
    assert [one.frequency for one in page.series] == ["PT1H", "P1D"]


def test_requests_ask_for_gmt_and_bounded_days_and_hide_the_key():
    (request,) = archive(with_key=True, model="era5").requests(
        Partition("p", START, START + DAY + HOUR)
    )
    asked = dict(request.params)
    assert asked["timezone"] == "GMT"
    assert (asked["start_date"], asked["end_date"]) == ("2026-01-10", "2026-01-11")
    assert asked["apikey"] == secret("api_key")
    assert asked["models"] == "era5"


def test_places_come_in_as_many_requests_as_the_weight_needs():
    places = [
        Place(name=f"p{n}", latitude=n / 10, longitude=n / 10) for n in range(120)
    ]
    light = forecast(*places).requests(WINDOW)
    assert [request.cost for request in light] == [100.0, 20.0]
    hourly = tuple(f"v{n}" for n in range(40))
    heavy = forecast(*places, hourly=hourly, forecast_days=14).requests(WINDOW)
    assert [request.cost for request in heavy] == [100.0] * 4 + [80.0]


@pytest.mark.parametrize(
    "wrong",
    [
        {"hourly": ()},
        {"places": ()},
        {"places": (BERLIN, BERLIN)},
        {"previous_days": (8,)},
        {"places": ({"name": "x y", "latitude": 0, "longitude": 0},)},
    ],
)
def test_a_config_that_cannot_be_asked_is_refused(wrong):
    fields = {"places": (BERLIN,), "hourly": (HEAT,), **wrong}
    with pytest.raises(ValueError, match="validation error"):
        OpenMeteoConfig(**fields)


@pytest.mark.parametrize("written", ["json", "csv"])
def test_the_archive_reads_what_is_published_and_no_null_of_its_tail(written):
    told = weather()
    with serve(told) as served:
        connector = archive(
            BERLIN, PARIS, hourly=(HEAT, WIND), base_url=served.url, format=written
        )
        plan = connector.plan(START, START + 7 * DAY)
        counts = [counted(one.page) for one in read_all(connector, plan)]
        read_rows = [row[:3] for row in rows(read_all(connector, plan))]
    now = told.now
    assert read_rows == sorted(expected(told, START, START + 7 * DAY, now), key=str)
    newest = max(ts for _, ts, _ in read_rows)
    assert newest + 2 * DAY <= now < START + 7 * DAY
    assert sum(good for _, good, *_ in counts) == len(read_rows)
    missing = sum(missing for _, _, missing, _ in counts)
    assert missing == 4 * 24 * 7 - len(read_rows)


def test_each_run_of_a_forecast_is_kept_with_the_time_it_was_issued():
    told = weather()
    kept = set()
    with serve(told) as served:
        connector = forecast(
            BERLIN, PARIS, hourly=(HEAT, WIND), base_url=served.url, run="dwd_icon"
        )
        for hours in range(3):
            told.now += hours * 6 * HOUR
            kept |= set(rows(read_all(connector, connector.plan(START, told.now))))
    runs = {
        datetime(2026, 1, 16, tzinfo=UTC),
        datetime(2026, 1, 16, 6, tzinfo=UTC),
        datetime(2026, 1, 16, 18, tzinfo=UTC),
    }
    ahead = [row for row in kept if row[1] >= row[3]]
    assert {issued for *_, issued in ahead if issued in runs} == runs
    assert len(kept) == len({(key, ts, issued) for key, ts, _, issued in kept})
    for key, ts, value, issued in kept:
        assert issued <= ts
        if issued < ts:
            assert value == told.forecast(key.replace(".", "/"), ts, issued)


def test_previous_runs_of_a_window_are_the_forecasts_of_days_before():
    told = weather()
    with serve(told) as served:
        connector = forecast(previous_days=(1, 3), previous_runs_url=served.url)
        found = rows(read_all(connector, connector.plan(START, START + 2 * DAY)))
    series = "berlin/temperature_2m"
    assert found == sorted(
        (
            (
                "berlin.temperature_2m",
                ts,
                told.forecast(series, ts, ts - back),
                ts - back,
            )
            for ts in told.truth.starts[:48]
            for back in (0 * DAY, DAY, 3 * DAY)
            if told.truth.at(series, ts) is not None
        ),
        key=str,
    )


def test_what_a_request_costs_is_what_the_source_counts():
    told = weather()
    with serve(told) as served:
        connector = archive(BERLIN, PARIS, hourly=(HEAT, WIND) * 9, base_url=served.url)
        partition = Partition("p", START, START + 28 * DAY)
        (request,) = connector.requests(partition)
        read_all(connector, (partition,))
    assert request.cost == pytest.approx(told.weight) == 2 * 1.8 * 2


def test_a_limit_that_is_used_up_gives_the_worker_back():
    with serve(weather(budget=1.0)) as served:
        connector = archive(BERLIN, PARIS, base_url=served.url)
        with pytest.raises(RateLimited) as limited:
            read_all(connector, (WINDOW,))
    assert limited.value.wait_s == 60


def test_a_place_that_the_source_does_not_take_is_no_reason_to_ask_again():
    with serve(weather()) as served:
        oslo = Place(name="oslo", latitude=59.9, longitude=10.7)
        with pytest.raises(Refused, match="config: Invalid request"):
            read_all(archive(oslo, base_url=served.url), (WINDOW,))
        assert len(served.calls) == 1


def test_any_fault_at_any_call_of_the_archive_changes_no_row():
    told = weather()
    with serve(told) as served:
        connector = archive(BERLIN, PARIS, hourly=(HEAT, WIND), base_url=served.url)
        right = sorted(expected(told, START, START + DAY, told.now), key=str)

        def once():
            return [row[:3] for row in rows(read_all(connector, (WINDOW,)))]

        for call, fault, found in after_each_fault(served, once):
            assert found == right, (call, fault)


def test_any_fault_at_any_call_of_a_forecast_changes_no_row():
    with serve(weather()) as served:
        connector = forecast(base_url=served.url, run="dwd_icon")

        def once():
            return rows(read_all(connector, (WINDOW,)))

        right = once()
        assert len(right) > 100
        for call, fault, found in after_each_fault(served, once):
            assert found == right, (call, fault)
