"""Requests of Azure AI Anomaly Detector, the jobs they become, and the answers."""

from datetime import UTC, datetime

import pytest

from web import anomalydetector as azure
from web.schemas.anomalydetector import ChangePointIn, DetectIn

PATH = "/compat/anomalydetector/v1.1/timeseries"
FOUND = {"ds": "2026-01-01T00:00:00Z", "value": 9.0, "expected": 5.0, "score": 0.8}


def series(count: int = 12, **more) -> dict:
    points = [
        {"timestamp": f"2026-01-{1 + at:02d}T00:00:00Z", "value": float(at)}
        for at in range(count)
    ]
    return {"granularity": "daily", "series": points, **more}


def refused(api, call: str, body: object, *, status: int = 400) -> str:
    answer = api.post(f"{PATH}/{call}/detect", json=body)
    assert answer.status_code == status, answer.text
    assert answer.headers["x-ms-error-code"] == answer.json["code"]
    assert answer.json["message"]
    return answer.json["code"]


@pytest.mark.servers
@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "RequiredSeries"),
        ([], "InvalidJsonFormat"),
        (series(11), "InvalidSeries"),
        (series(granularity="fortnightly"), "InvalidGranularity"),
        (series(customInterval=0), "InvalidCustomInterval"),
        (series(period=-1), "InvalidPeriod"),
        (series(sensitivity=100), "InvalidModelArgument"),
        (series(maxAnomalyRatio=1.5), "InvalidModelArgument"),
        (series(imputeMode="guess"), "InvalidImputeMode"),
        (series(imputeFixedValue="x"), "InvalidImputeFixedValue"),
        ({**series(), "series": series()["series"][::-1]}, "InvalidSeries"),
        ({**series(), "series": [{"value": 1.0}] * 12}, "InvalidSeries"),
    ],
)
def test_what_cannot_be_read_is_refused_with_azure_s_code(api, body, code):
    assert refused(api, "entire", body) == code
    assert refused(api, "last", body) == code


@pytest.mark.servers
def test_change_points_want_a_granularity(api):
    body = {"series": series()["series"]}
    assert refused(api, "changepoint", body) == "RequiredGranularity"


@pytest.mark.servers
@pytest.mark.parametrize("secret", [None, "fbk_wrong"])
def test_a_wrong_key_is_refused_in_azure_s_form(app, secret):
    headers = {"Ocp-Apim-Subscription-Key": secret} if secret else {}
    answer = app.test_client().post(
        f"{PATH}/last/detect", json=series(), headers=headers
    )
    assert (answer.status_code, answer.json["code"]) == (401, "Unauthorized")


@pytest.mark.servers
def test_azure_s_key_header_opens_no_other_door(app, api):
    headers = {"Ocp-Apim-Subscription-Key": api.secret}
    assert app.test_client().get("/v1/jobs", headers=headers).status_code == 401


@pytest.mark.parametrize(
    ("granularity", "interval", "step"),
    [
        ("yearly", 1, "P1Y"),
        ("monthly", 3, "P3M"),
        ("weekly", 1, "P1W"),
        ("hourly", 6, "PT6H"),
        ("minutely", 5, "PT5M"),
        ("none", 1, "PT1S"),
    ],
)
def test_granularity_and_interval_make_the_step(granularity, interval, step):
    body = DetectIn.model_validate(
        series(granularity=granularity, customInterval=interval)
    )
    assert azure.wanted(body, mode="batch")["frequency"] == step


def test_a_series_without_times_is_counted_off_in_steps():
    body = DetectIn.model_validate({"series": [{"value": 1.0}] * 12})
    rows = azure.wanted(body, mode="batch")["data"]
    assert [row["ds"][-6:] for row in rows[:3]] == ["00:00Z", "00:01Z", "00:02Z"]


def test_microseconds_pass_for_seconds():
    points = [
        {"timestamp": f"2026-01-01T00:00:00.{at:06d}Z", "value": 1.0}
        for at in range(12)
    ]
    body = DetectIn.model_validate({"granularity": "microsecond", "series": points})
    rows = azure.wanted(body, mode="batch")["data"]
    assert rows[11]["ds"].endswith("00:00:11Z")


def test_ends_of_months_are_steps_of_months():
    days = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
    points = [
        {"timestamp": f"2026-{at:02d}-{day}T00:00:00Z", "value": 1.0}
        for at, day in enumerate(days, start=1)
    ]
    body = DetectIn.model_validate({"granularity": "monthly", "series": points})
    assert azure.wanted(body, mode="batch")["frequency"] == "1ME"


@pytest.mark.parametrize(
    ("times", "granularity"),
    [
        ([f"{2026 + at}-01-01T00:00:00Z" for at in range(12)], "microsecond"),
        ([f"0001-01-01T{at:02d}:00:00+14:00" for at in range(12)], "hourly"),
        ([f"9999-12-31T{at:02d}:00:00-14:00" for at in range(12, 24)], "hourly"),
    ],
)
def test_times_that_no_calendar_holds_are_refused(times, granularity):
    points = [{"timestamp": at, "value": 1.0} for at in times]
    body = DetectIn.model_validate({"granularity": granularity, "series": points})
    with pytest.raises(azure.BadSeries):
        azure.wanted(body, mode="batch")


def test_what_is_left_out_is_left_to_the_job():
    params = azure.wanted(DetectIn.model_validate(series()), mode="latest")
    assert set(params) == {"data", "frequency", "mode", "sensitivity", "impute"}


def test_what_is_given_is_passed_on():
    body = DetectIn.model_validate(
        series(
            period=0,
            sensitivity=80,
            maxAnomalyRatio=0.25,
            imputeMode="fixed",
            imputeFixedValue=3.0,
        )
    )
    params = azure.wanted(body, mode="batch")
    assert params["season"] == 1
    assert params["sensitivity"] == 80
    assert params["most_anomalous_share"] == 0.25
    assert (params["impute"], params["impute_value"]) == ("fixed", 3.0)


@pytest.mark.parametrize("level", [0, 50, 99])
def test_the_client_gets_the_bound_back_from_the_margin(level):
    body = DetectIn.model_validate(series(sensitivity=level))
    point = {**FOUND, "upper": 8.0, "lower": 3.0, "is_anomaly": True}
    answer = azure.last(body, {"season": 7, "points": [point]})
    scale = 100 - level
    assert answer["expectedValue"] + scale * answer["upperMargin"] == pytest.approx(8)
    assert answer["expectedValue"] - scale * answer["lowerMargin"] == pytest.approx(3)
    assert (answer["period"], answer["suggestedWindow"]) == (7, 29)
    assert (answer["isPositiveAnomaly"], answer["isNegativeAnomaly"]) == (True, False)
    assert answer["severity"] == 0.8


def test_a_point_of_which_nothing_is_expected_is_its_own_expectation():
    body = DetectIn.model_validate(series())
    unknown = {"expected": None, "upper": None, "lower": None, "is_anomaly": False}
    answer = azure.last(body, {"season": 1, "points": [{**FOUND, **unknown}]})
    assert (answer["expectedValue"], answer["upperMargin"]) == (9.0, 0.0)
    assert (answer["severity"], answer["period"]) == (0.0, 0)


def test_the_answer_has_a_place_for_each_point_given_and_none_for_gaps():
    body = DetectIn.model_validate(series())
    del body.series[5]
    points = [
        {
            **FOUND,
            "ds": datetime(2026, 1, 1 + at, tzinfo=UTC)
            .isoformat()
            .replace("+00:00", "Z"),
            "value": None if at == 5 else float(at),
            "upper": 6.0,
            "lower": 4.0,
            "is_anomaly": at == 7,
        }
        for at in range(12)
    ]
    answer = azure.entire(body, {"season": 1, "points": points})
    lengths = {len(found) for found in answer.values() if isinstance(found, list)}
    assert lengths == {11}
    assert answer["isAnomaly"].index(True) == 6


def changed(*confidences: float, **asked) -> list[bool]:
    body = ChangePointIn.model_validate(series(**asked))
    points = [
        {"ds": f"2026-01-{1 + at:02d}T00:00:00Z", "confidence": confidence}
        for at, confidence in enumerate(confidences)
        if confidence
    ]
    return azure.changes(body, {"season": 1, "change_points": points})["isChangePoint"]


def test_a_lower_threshold_wants_surer_changes():
    assert sum(changed(0, 0, 0, 0.6, threshold=0.9)) == 1
    assert sum(changed(0, 0, 0, 0.6, threshold=0.3)) == 0


def test_of_two_near_changes_the_surer_one_stays():
    found = changed(0, 0, 0, 0.6, 0.9, stableTrendWindow=5)
    assert [at for at, here in enumerate(found) if here] == [4]
