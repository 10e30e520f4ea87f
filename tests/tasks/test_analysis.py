"""``analysis.run`` as a plain function: shapes, reasons, and what is stored."""

import json
from datetime import timedelta

import orjson
import pytest
from pydantic import ValidationError
from sqlalchemy import text

from db import analyses, series
from tasks.analysis import AnalysisParams, analysis_run, as_table
from tasks.errors import InvalidData, JobCancelled
from tests.db import rows
from tests.fakes import FakeContext
from tests.tasks.series import START, daily, data, store

SPIKE_AT = 150


def _spiked() -> list[float]:
    values = daily(10)
    values[SPIKE_AT] = 99.0
    return values


def _hour(at: int) -> str:
    return (START + timedelta(hours=at)).isoformat().replace("+00:00", "Z")


def _run(context=None, **given) -> dict:
    params = AnalysisParams.model_validate(given)
    outcome = analysis_run(params, context or FakeContext())
    return json.loads(orjson.dumps(outcome.result))


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("mode", "stream", "'replay', 'changepoints' or 'multivariate'"),
        ("sensitivity", -1, "greater than or equal to 0"),
        ("sensitivity", 101, "less than or equal to 100"),
        ("from", "2026-01-01T00:00:00", "has no offset"),
        ("to", "tomorrow", "not an RFC 3339 time"),
        ("start", _hour(0), "Extra inputs are not permitted"),
        ("detector", "seasonal", "Extra inputs are not permitted"),
    ],
)
def test_params_that_cannot_be_used_are_refused(field, value, words):
    with pytest.raises(ValidationError, match=words):
        AnalysisParams.model_validate({"series": ["a"], field: value})


@pytest.mark.parametrize("end", [_hour(5), _hour(4)])
def test_the_stretch_to_report_must_not_be_empty(end):
    with pytest.raises(ValidationError, match="from must lie before to"):
        AnalysisParams.model_validate({"series": ["a"], "from": _hour(5), "to": end})


def test_a_spike_is_found_and_explained():
    result = _run(data=data(_spiked()))
    assert (result["mode"], result["sensitivity"], result["failed"]) == (
        "batch",
        50,
        [],
    )
    (found,) = result["series"]
    assert (found["unique_id"], found["season"]) == ("a", 24)
    (anomaly,) = found["anomalies"]
    assert (anomaly["start"], anomaly["end"]) == (_hour(SPIKE_AT), _hour(SPIKE_AT + 1))
    assert anomaly["kind"] == "spike"
    assert "99" in anomaly["explanation"]
    flagged = [point["ds"] for point in found["points"] if point["is_anomaly"]]
    assert flagged == [_hour(SPIKE_AT)]


def test_every_point_has_its_expectation_and_bounds():
    (found,) = _run(data=data(daily(10)))["series"]
    assert [point["ds"] for point in found["points"]] == [
        _hour(at) for at in range(240)
    ]
    assert [point["value"] for point in found["points"]] == daily(10)
    for point in found["points"]:
        assert point["lower"] <= point["expected"] <= point["upper"]
        assert 0 <= point["score"] <= 1


def test_a_missing_value_is_null_and_no_anomaly():
    values: list[float | None] = [*daily(10)]
    values[100] = None
    (found,) = _run(data=data(values))["series"]
    assert found["points"][100]["value"] is None
    assert not found["points"][100]["is_anomaly"]


def test_only_the_stretch_asked_for_is_reported():
    (found,) = _run(data=data(_spiked()), **{"from": _hour(100), "to": _hour(200)})[
        "series"
    ]
    assert [found["points"][at]["ds"] for at in (0, -1)] == [_hour(100), _hour(199)]
    assert len(found["anomalies"]) == 1
    (after,) = _run(data=data(_spiked()), **{"from": _hour(SPIKE_AT + 1)})["series"]
    assert after["anomalies"] == []


def test_the_newest_point_alone_is_judged_on_request():
    (found,) = _run(data=data(_spiked()[: SPIKE_AT + 1]), mode="latest")["series"]
    (point,) = found["points"]
    assert point["ds"] == _hour(SPIKE_AT)
    assert point["is_anomaly"]


def test_a_change_of_level_is_found_on_request():
    values = [
        value + (40.0 if at >= 120 else 0.0) for at, value in enumerate(daily(10))
    ]
    assert _run(data=data(values))["series"][0]["change_points"] == []
    (found,) = _run(data=data(values), mode="changepoints")["series"]
    (change,) = found["change_points"]
    assert change["ds"] == _hour(120)
    assert change["after"] - change["before"] == pytest.approx(40, abs=1)
    assert 0 < change["confidence"] <= 1


def test_a_constant_series_is_analysed_with_a_warning():
    (found,) = _run(data=data([5.0] * 60))["series"]
    assert found["anomalies"] == []
    assert any("constant" in warning for warning in found["warnings"])


def test_too_few_points_are_said_so():
    with pytest.raises(InvalidData, match="a: 2 observations are too few"):
        _run(data=data([1.0, 2.0]))


def test_one_bad_series_does_not_fail_the_panel():
    result = _run(data=[*data([1.0], unique_id="short"), *data(daily(4))])
    assert [one["unique_id"] for one in result["series"]] == ["a"]
    assert [one["unique_id"] for one in result["failed"]] == ["short"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"frequency": "7min"}, "not a step"),
        ({"to": "2020-01-01T00:00:00Z"}, "no observation before"),
    ],
)
def test_what_the_room_refuses_is_invalid_data(given, words):
    with pytest.raises(InvalidData, match=words):
        _run(data=data(daily(3)), **given)


def test_progress_counts_the_series_and_ends_with_storing():
    context = FakeContext()
    _run(context, data=[*data(daily(3)), *data([1.0], unique_id="b")])
    assert context.steps == [
        (0, 2, "series", "analysing a"),
        (1, 2, "series", "analysing b"),
        (2, 2, "series", "storing"),
    ]


def test_a_cancelled_job_stops():
    with pytest.raises(JobCancelled):
        _run(FakeContext(cancelled=True), data=data(daily(3)))


def test_the_table_has_a_row_for_each_series_and_point():
    result = _run(data=[*data(daily(3)), *data(daily(2), unique_id="b")])
    columns, table = as_table(result)
    assert columns == [
        "unique_id",
        "ds",
        "value",
        "expected",
        "lower",
        "upper",
        "score",
        "is_anomaly",
    ]
    assert [row[0] for row in table] == ["a"] * 72 + ["b"] * 48
    point = result["series"][1]["points"][0]
    assert dict(zip(columns, table[72], strict=True)) == {"unique_id": "b", **point}


@pytest.mark.servers
@pytest.mark.parametrize(
    ("stretch", "start", "end"),
    [
        ({}, START, START + timedelta(hours=239, microseconds=1)),
        (
            {"from": _hour(100), "to": _hour(200)},
            START + timedelta(hours=100),
            START + timedelta(hours=200),
        ),
    ],
)
def test_analyses_of_stored_series_are_stored(database, tenant_id, stretch, start, end):
    store(database, tenant_id, "a", _spiked(), frequency="1h")
    job_id = rows.queued(database, tenant_id)
    context = FakeContext(tenant_id=tenant_id, job_id=job_id, database=database)
    params = AnalysisParams.model_validate({"series": ["a"], **stretch})
    outcome = analysis_run(params, context)
    with database.tenant(tenant_id) as connection:
        assert outcome.store(connection) == {}
        kept = connection.execute(text("SELECT * FROM analyses")).one()
        found = series.find(connection, tenant_id=tenant_id, key="a")
        (anomaly,) = analyses.of_series(
            connection, tenant_id=tenant_id, series_id=found.id, before=None, limit=9
        )
    assert (kept.job_id, kept.mode, kept.start_at, kept.end_at) == (
        job_id,
        "batch",
        start,
        end,
    )
    assert kept.start_at <= anomaly["start_at"] < anomaly["end_at"] <= kept.end_at
    assert anomaly["start_at"] == START + timedelta(hours=SPIKE_AT)


@pytest.mark.servers
@pytest.mark.parametrize(
    "given", [{"data": data(daily(3))}, {"series": ["a"], "from": _hour(1_000)}]
)
def test_an_analysis_without_a_stored_point_is_not_stored(database, tenant_id, given):
    store(database, tenant_id, "a", daily(3), frequency="1h")
    context = FakeContext(tenant_id=tenant_id, database=database)
    outcome = analysis_run(AnalysisParams.model_validate(given), context)
    with database.tenant(tenant_id) as connection:
        assert outcome.store(connection) == {}
    assert rows.value(database, "SELECT count(*) FROM analyses") == 0


@pytest.mark.servers
def test_what_is_found_in_a_series_with_a_unit_says_the_unit(database, tenant_id):
    store(database, tenant_id, "a", _spiked(), unit="MW")
    context = FakeContext(tenant_id=tenant_id, database=database)
    (found,) = _run(context, series=["a"])["series"]
    (spike,) = found["anomalies"]
    assert spike["evidence"]["unit"] == "MW"
    assert spike["explanation"].startswith("Value 99.00 MW at ")
    assert " MW (upper bound " in spike["explanation"]
