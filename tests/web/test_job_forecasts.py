"""The forecasts of a job as a stream in three formats."""

import csv
import io
import json
from itertools import pairwise

import pyarrow as pa
import pytest
from sqlalchemy import text

from db import dependencies, parts
from tests.web import samples
from web.routes import job_forecasts

pytestmark = pytest.mark.servers

CSV, NDJSON = "text/csv", "application/x-ndjson"
ARROW = "application/vnd.apache.arrow.stream"
KEYS = ["c", "a", "b"]


@pytest.fixture
def stored(api) -> list[str]:
    """Three series of which the last one is too short to be forecast."""
    for key, count in zip([*KEYS, "short"], (96, 72, 60, 1), strict=True):
        api.post(f"/v1/series/{key}/observations", json=samples.observations(count))
    return [*KEYS, "short"]


@pytest.fixture
def run(api, work, database):
    """Run a forecast job, its parts and its finish; return the job."""

    def run(**params) -> dict:
        job = api.submit(**samples.forecast(**params))
        if work.run(job["id"]) == "parts":
            for one in reversed(api.get(job["links"]["parts"]).json["items"]):
                work.run(one["id"])
                with database.system() as connection:
                    dependencies.release(connection)
                    parts.settle(connection)
            _run_finish(api, work, job)
        return api.job(job["id"])

    return run


def _run_finish(api, work, job) -> None:
    items = api.get(job["links"]["parts"]).json["items"]
    for one in items:
        if one["state"] == "queued":
            work.run(one["id"])


def _points(api, job, path="/forecasts", **headers) -> list[dict]:
    """Return the rows of the JSON result, or of a stream of NDJSON."""
    answer = api.get(f"/v1/jobs/{job['id']}{path}", headers=headers)
    assert (answer.status_code, answer.mimetype) == (200, NDJSON), answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


def _told(api, job) -> list[dict]:
    """Return what the JSON result tells, as rows by series."""
    result = api.get(job["links"]["result"]).json
    return [
        {"unique_id": one["unique_id"], "model": one["model"], **point}
        for one in sorted(result["series"], key=lambda one: one["unique_id"])
        for point in one["points"]
    ]


def test_the_points_of_stored_series_come_by_series_and_time(api, stored, run):
    job = run(series=stored)
    found = _points(api, job)
    assert found == _told(api, job)
    assert len(found) == 3 * 6
    places = [(one["unique_id"], one["ds"]) for one in found]
    assert all(one < other for one, other in pairwise(places))


def test_the_points_of_given_rows_come_as_well(api, run):
    given = [row for key in "ba" for row in samples.inline(96, unique_id=f'"{key},')]
    job = run(data=given)
    assert _points(api, job) == _told(api, job)


def test_what_the_parts_stored_is_found_under_the_job(api, stored, run):
    job = run(series=stored, panel=1)
    assert job["state"] == "succeeded"
    assert len(api.get(job["links"]["parts"]).json["items"]) == 5
    assert _points(api, job) == _told(api, job)


@pytest.mark.parametrize("key", ["a", "b,\"'"])
def test_csv_and_arrow_hold_the_same(api, run, key):
    job = run(data=samples.inline(96, unique_id=key))
    wanted = _points(api, job)
    sheet = api.get(f"/v1/jobs/{job['id']}/forecasts", headers={"Accept": CSV})
    assert sheet.mimetype == CSV
    lines = list(csv.DictReader(io.StringIO(sheet.text)))
    stream = api.get(f"/v1/jobs/{job['id']}/forecasts?format=arrow")
    assert stream.mimetype == ARROW
    table = pa.ipc.open_stream(stream.data).read_all()
    assert table.column_names == list(lines[0])
    assert table.schema.field("ds").type == pa.timestamp("us", "UTC")
    for line, row, one in zip(lines, table.to_pylist(), wanted, strict=True):
        assert line["unique_id"] == row["unique_id"] == one["unique_id"] == key
        assert line["ds"] == one["ds"]
        assert row["ds"].isoformat().replace("+00:00", "Z") == one["ds"]
        assert line["model"] == row["model"] == one["model"]
        assert float(line["mean"]) == row["mean"] == one["mean"]
        for level, value in one["q"].items():
            assert float(line[f"q{level}"]) == row[f"q{level}"] == value


@pytest.mark.parametrize(
    ("query", "accept", "form"),
    [
        ("", "*/*", NDJSON),
        ("", "application/json", NDJSON),
        ("", "text/*", CSV),
        ("", f"{ARROW}, {CSV};q=0.5", ARROW),
        ("?format=ndjson", CSV, NDJSON),
        ("?format=csv", ARROW, CSV),
    ],
)
def test_the_query_goes_before_accept(api, run, query, accept, form):
    job = run(data=samples.inline(96))
    path = f"/v1/jobs/{job['id']}/forecasts{query}"
    assert api.get(path, headers={"Accept": accept}).mimetype == form


@pytest.mark.parametrize("query", ["format=xml", "partial=perhaps", "colour=red"])
def test_what_no_query_may_say_is_refused(api, run, query):
    job = run(data=samples.inline(96))
    assert api.get(f"/v1/jobs/{job['id']}/forecasts?{query}").status_code == 422


def test_a_fraction_of_a_second_is_told_where_there_is_one(api, run):
    rows = [
        {"unique_id": "a", "ds": f"2026-03-01T00:00:{at / 2:09.6f}Z", "y": at % 7}
        for at in range(60)
    ]
    job = run(data=rows)
    assert [one["ds"] for one in _points(api, job)[:2]] == [
        "2026-03-01T00:00:30Z",
        "2026-03-01T00:00:30.500000Z",
    ]


def test_a_table_of_a_brief_result_is_that_of_the_stream(api, stored, run):
    job = run(series=stored, brief=True)
    result = api.get(job["links"]["result"]).json
    assert "series" not in result
    assert (result["series_total"], result["failed_total"]) == (3, 1)
    assert result["points_url"] == f"/v1/jobs/{job['id']}/forecasts"
    for form in (CSV, ARROW):
        accept = {"Accept": form}
        table = api.get(job["links"]["result"], headers=accept)
        assert table.mimetype == form
        assert table.data == api.get(result["points_url"], headers=accept).data
        assert len(table.data) > 500


def test_another_tenant_finds_nothing(api, other_api, stored, run):
    job = run(series=stored)
    for query in ("", "?format=csv", "?partial=true"):
        path = f"/v1/jobs/{job['id']}/forecasts{query}"
        assert other_api.get(path).status_code == 404
    assert api.get("/v1/jobs/job_none/forecasts").status_code == 404


def test_a_job_that_forecasts_nothing_has_no_forecasts(api, work):
    job = api.submit()
    work.end(job["id"])
    answer = api.get(f"/v1/jobs/{job['id']}/forecasts")
    assert answer.status_code == 404
    assert "system.echo" in answer.json["detail"]


def test_there_is_nothing_before_success(api, work, stored):
    job = api.submit(**samples.forecast(series=stored))
    for _ in ("queued", "running"):
        answer = api.get(f"/v1/jobs/{job['id']}/forecasts?partial=true")
        assert answer.status_code == 409
        assert api.job(job["id"])["state"] in answer.json["detail"]
        if api.job(job["id"])["state"] == "queued":
            work.claim(job["id"])


def test_what_is_not_whole_is_given_only_where_it_is_asked_for(
    api, work, database, stored
):
    job = api.submit(**samples.forecast(series=KEYS, panel=1))
    assert work.run(job["id"]) == "parts"
    items = api.get(job["links"]["parts"]).json["items"]
    first, second, *_ = [one["id"] for one in reversed(items)]
    assert work.run(first) == "succeeded"
    work.end(second, "failed", reason="timeout")
    for _ in range(2):
        with database.system() as connection:
            parts.settle(connection)
    assert api.job(job["id"])["state"] == "failed"
    answer = api.get(f"/v1/jobs/{job['id']}/forecasts")
    assert answer.status_code == 409
    assert "1 of its 3 parts stored 1 forecasts" in answer.json["detail"]
    partial = api.get(f"/v1/jobs/{job['id']}/forecasts?partial=true&format=csv")
    assert partial.headers["Forebay-Complete"] == "false"
    lines = list(csv.DictReader(io.StringIO(partial.text)))
    assert {one["unique_id"] for one in lines} == {"c"}
    assert len(lines) == 6


def test_a_whole_answer_says_nothing_of_being_partial(api, stored, run):
    job = run(series=stored)
    answer = api.get(f"/v1/jobs/{job['id']}/forecasts?partial=true")
    assert "Forebay-Complete" not in answer.headers
    assert len(answer.text.splitlines()) == 18


def test_a_result_of_given_rows_that_was_cleared_away_is_not_found(api, run, database):
    job = run(data=samples.inline(96))
    with database.system() as connection:
        connection.execute(
            text("DELETE FROM job_results WHERE job_id = :id"), {"id": job["id"]}
        )
    assert api.get(f"/v1/jobs/{job['id']}/forecasts").status_code == 404


def test_given_rows_come_in_batches_that_make_one_stream(api, run, monkeypatch):
    monkeypatch.setattr(job_forecasts, "_GIVEN_ROWS", 4)
    job = run(data=samples.inline(96))
    stream = api.get(f"/v1/jobs/{job['id']}/forecasts?format=arrow").data
    batches = [*pa.ipc.open_stream(stream)]
    assert [one.num_rows for one in batches] == [4, 2]
    assert len(_points(api, job)) == 6


def test_every_place_for_an_export_is_given_back(api, stored, run):
    job = run(series=stored)
    for _ in range(20):
        assert len(_points(api, job)) == 18
