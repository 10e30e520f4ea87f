"""Results as JSON, CSV and Arrow, once there are some."""

import csv
import io

import pyarrow as pa
import pytest
from jsonschema import Draft202012Validator
from sqlalchemy import text

from tests.web import samples

pytestmark = pytest.mark.servers

CSV, ARROW = "text/csv", "application/vnd.apache.arrow.stream"


@pytest.fixture
def forecast(api, work) -> dict:
    job = api.submit(**samples.forecast(data=samples.inline(96, unique_id="a,b")))
    assert work.run(job["id"]) == "succeeded"
    return job


@pytest.fixture
def analysis(api, work) -> dict:
    data = samples.inline(240, spike_at=200)
    job = api.submit(**samples.analysis(data=data))
    assert work.run(job["id"]) == "succeeded"
    return job


def test_a_forecast_comes_as_json_with_points_quantiles_and_evaluation(api, forecast):
    result = api.get(forecast["links"]["result"]).json
    (item,) = result["series"]
    assert item["unique_id"] == "a,b"
    assert item["cutoff"] == samples.hours(96)[-1][0]
    assert [point["ds"] for point in item["points"]] == [
        ts for ts, _ in samples.hours(102)[96:]
    ]
    for point in item["points"]:
        assert point["q"]["0.1"] <= point["q"]["0.5"] <= point["q"]["0.9"]
    wanted = {"mase", "rmsse", "smape", "wql", "coverage", "skill_vs_naive", "windows"}
    assert wanted <= set(item["evaluation"])


def test_a_forecast_as_csv_has_a_row_for_each_step(api, forecast):
    answer = api.get(forecast["links"]["result"], headers={"Accept": CSV})
    assert answer.mimetype == CSV
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    (item,) = api.get(forecast["links"]["result"]).json["series"]
    assert len(rows) == 6
    for row, point in zip(rows, item["points"], strict=True):
        assert row["unique_id"] == "a,b"
        assert (row["ds"], row["model"]) == (point["ds"], item["model"])
        assert float(row["mean"]) == point["mean"]
        assert float(row["q0.9"]) == point["q"]["0.9"]


def test_a_forecast_as_arrow_holds_the_same_table(api, forecast):
    answer = api.get(forecast["links"]["result"], headers={"Accept": ARROW})
    assert answer.mimetype == ARROW
    table = pa.ipc.open_stream(answer.data).read_all()
    sheet = api.get(forecast["links"]["result"], headers={"Accept": CSV}).text
    rows = list(csv.reader(io.StringIO(sheet)))
    assert table.column_names == rows[0]
    assert table.num_rows == len(rows) - 1
    assert [str(value) for value in table["mean"].to_pylist()] == [
        row[rows[0].index("mean")] for row in rows[1:]
    ]


def test_an_analysis_tells_the_anomaly_in_all_three_forms(api, analysis):
    link = analysis["links"]["result"]
    spike = samples.hours(201)[-1][0]
    (item,) = api.get(link).json["series"]
    (found,) = [one for one in item["anomalies"] if one["start"] == spike]
    assert found["explanation"]
    told = {"start", "end", "kind", "severity", "score", "explanation"}
    assert set(found) == told | {"direction", "value", "expected", "evidence"}
    rows = list(
        csv.DictReader(io.StringIO(api.get(link, headers={"Accept": CSV}).text))
    )
    assert {row["is_anomaly"] for row in rows if row["ds"] == spike} == {"True"}
    table = pa.ipc.open_stream(api.get(link, headers={"Accept": ARROW}).data)
    flagged = table.read_all().to_pylist()
    assert [row["is_anomaly"] for row in flagged if row["ds"] == spike] == [True]


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("*/*", "application/json"),
        ("text/html", "application/json"),
        ("text/csv;q=0.5, application/json", "application/json"),
        ("text/csv, application/json;q=0.5", CSV),
        ("text/*", CSV),
        (ARROW + ", */*;q=0.1", ARROW),
    ],
)
def test_the_form_is_the_one_that_the_client_likes_best(api, forecast, accept, form):
    answer = api.get(forecast["links"]["result"], headers={"Accept": accept})
    assert answer.mimetype == form


@pytest.mark.parametrize("state", ["queued", "running", "failed", "cancelled"])
def test_there_is_no_result_before_success(api, work, state):
    job = api.submit()
    if state != "queued":
        work.claim(job["id"])
    if state in ("failed", "cancelled"):
        work.finish(job["id"], state, reason="x")
    answer = api.get(job["links"]["result"])
    assert answer.status_code == 409
    assert answer.json["type"] == "/problems/state-conflict"
    assert state in answer.json["detail"]


def test_a_result_that_was_cleared_away_is_not_found(api, work, database):
    job = api.submit()
    work.end(job["id"])
    with database.system() as connection:
        connection.execute(
            text("DELETE FROM job_results WHERE job_id = :id"), {"id": job["id"]}
        )
    assert api.get(job["links"]["result"]).status_code == 404


def test_a_result_without_rows_comes_as_json_only(api, work):
    job = api.submit(params={"payload": {"a": [1, {"b": None}]}})
    assert work.run(job["id"]) == "succeeded"
    assert api.get(job["links"]["result"]).json == {"payload": {"a": [1, {"b": None}]}}
    answer = api.get(job["links"]["result"], headers={"Accept": CSV})
    assert answer.status_code == 415
    assert "system.echo" in answer.json["detail"]


def test_the_job_types_carry_schemas_that_accept_what_runs(api):
    types = {one["type"]: one for one in api.get("/v1/job-types").json["items"]}
    assert {"forecast.run", "analysis.run", "ingest.run", "system.echo"} <= set(types)
    for kind in types.values():
        Draft202012Validator.check_schema(kind["params"])
        assert kind["summary"]
        assert kind["timeout_s"] > 0
    good = samples.forecast(data=samples.inline(3))
    schema = Draft202012Validator(types["forecast.run"]["params"])
    schema.validate(good["params"])
    assert not schema.is_valid({**good["params"], "horizon": 0})
    assert not schema.is_valid({**good["params"], "speed": 1})
