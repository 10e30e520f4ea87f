"""What jobs stored with a series: its forecasts and its anomalies."""

import itertools
from datetime import UTC, datetime

import pytest

from db import analyses, series
from tests.web import samples

pytestmark = pytest.mark.servers


@pytest.fixture
def stored(api) -> None:
    """A series with one spike."""
    body = samples.observations(240, spike_at=200)
    assert api.post("/v1/series/load/observations", json=body).status_code == 200


@pytest.fixture
def forecast(api, work, stored):
    """Run a forecast of the stored series and return its job."""

    def run(**params) -> dict:
        job = api.submit(**samples.forecast(series=["load"], **params))
        assert work.run(job["id"]) == "succeeded"
        return job

    return run


def shown(api, name: str, **query) -> list[dict]:
    answer = api.get(f"/v1/series/load/{name}", query_string=query)
    assert answer.status_code == 200, answer.text
    return answer.json["items"]


def test_a_series_without_forecasts_or_anomalies_has_empty_lists(api, stored):
    assert shown(api, "forecasts") == []
    assert shown(api, "anomalies") == []


def test_the_newest_forecast_of_a_series_is_what_its_job_said(api, forecast):
    forecast()
    job = forecast(horizon=4)
    (found,) = shown(api, "forecasts")
    (said,) = api.get(job["links"]["result"]).json["series"]
    assert found["id"].startswith("fc_")
    assert found["job_id"] == job["id"]
    for same in ("cutoff", "model", "points", "evaluation", "warnings", "unique_id"):
        assert found[same] == said[same], same


def test_forecasts_come_newest_first_and_as_they_were_known(api, forecast):
    before = datetime.now(UTC).isoformat()
    first = forecast()
    between = datetime.now(UTC).isoformat()
    second = forecast()

    def jobs(**query):
        return [found["job_id"] for found in shown(api, "forecasts", **query)]

    assert jobs(limit=50) == [second["id"], first["id"]]
    assert jobs(as_of=between) == [first["id"]]
    assert jobs(as_of=before) == []


def test_an_inline_forecast_stores_nothing_but_the_job(api, work, stored):
    data = samples.inline(96, unique_id="load")
    job = api.submit(**samples.forecast(data=data))
    assert work.run(job["id"]) == "succeeded"
    assert shown(api, "forecasts") == []


def test_the_anomalies_of_a_series_name_the_spike(api, work, stored):
    job = api.submit(**samples.analysis(series=["load"]))
    assert work.run(job["id"]) == "succeeded"
    found = shown(api, "anomalies")
    spike, value = samples.hours(201, spike_at=200)[-1]
    (one,) = [item for item in found if item["start"] == spike]
    assert one["analysis_id"].startswith("an_")
    assert one["end"] > one["start"]
    assert one["explanation"]
    assert one["evidence"]["value"] == pytest.approx(value)


@pytest.fixture
def seven(api, work, stored, database, tenant_id) -> list[int]:
    """Ids of seven anomalies, the last found first."""
    job = api.submit(type="analysis.run", params={"series": ["load"]})
    times = [datetime.fromisoformat(ts) for ts, _ in samples.hours(8)]
    found = [
        analyses.FoundAnomaly(start, end, "spike", "high", 9.0, f"number {start}")
        for start, end in itertools.pairwise(times)
    ]
    with database.tenant(tenant_id) as connection:
        load = series.find(connection, tenant_id=tenant_id, key="load")
        new = analyses.NewAnalysis(load.id, "batch", times[0], times[-1], found)
        analyses.store(connection, tenant_id=tenant_id, job_id=job["id"], new=new)
    return [item["id"] for item in shown(api, "anomalies")]


@pytest.mark.parametrize("limit", [1, 3, 7])
def test_a_walk_along_the_cursors_finds_each_anomaly_once(api, seven, limit):
    assert seven == sorted(set(seven), reverse=True)
    assert len(seven) == 7
    found, path = [], f"/v1/series/load/anomalies?limit={limit}"
    while path:
        answer = api.get(path)
        found += [item["id"] for item in answer.json["items"]]
        link = answer.headers.get("Link")
        path = link and link.split(">")[0].removeprefix("<")
    assert found == seven


@pytest.mark.parametrize("cursor", ["x", "-1", "9" * 30, "\u00b2"])
def test_a_cursor_that_nobody_gave_is_malformed(api, stored, cursor):
    answer = api.get("/v1/series/load/anomalies", query_string={"cursor": cursor})
    assert answer.status_code == 400


def test_a_job_on_a_series_that_is_not_there_fails_as_invalid_data(api, work):
    job = api.submit(**samples.forecast(series=["nowhere"]))
    assert work.run(job["id"]) == "failed"
    failed = api.job(job["id"])
    assert failed["reason"] == "invalid_data"
    assert failed["error"]["errors"] == [
        {"pointer": "/params/series/0", "detail": "no series nowhere"}
    ]


def test_another_tenant_s_series_cannot_be_forecast(api, other_api, work, stored):
    job = other_api.submit(**samples.forecast(series=["load"]))
    assert work.run(job["id"]) == "failed"
    assert other_api.job(job["id"])["error"]["detail"] == "no series load"
