"""Bad input: each kind with its problem document and the field that is wrong."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.web import samples
from web import errors
from web.routes import jobs

pytestmark = pytest.mark.servers

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "problems.md"
ECHO = {"type": "system.echo"}
ROWS = samples.inline(3)


def moved(row: int, **changed: Any) -> list[dict[str, Any]]:
    """Return three rows, one of them changed."""
    return [{**one, **changed} if at == row else one for at, one in enumerate(ROWS)]


def forecast(**params: Any) -> dict[str, Any]:
    return samples.forecast(**{"data": ROWS, **params})


BAD_VALUES = {
    "no type": ({}, "/type"),
    "unknown type": ({"type": "forecast.walk"}, "/type"),
    "unknown field": ({**ECHO, "speed": 1}, "/speed"),
    "unknown param": (forecast(speed=1), "/params/speed"),
    "params no object": ({**ECHO, "params": []}, "/params"),
    "priority": ({**ECHO, "priority": 10}, "/priority"),
    "timeout": ({**ECHO, "timeout_s": 0}, "/timeout_s"),
    "deadline": ({**ECHO, "deadline": "2026-03-01T06:00:00"}, "/deadline"),
    "label": ({**ECHO, "labels": {"a/b~c": 1}}, "/labels/a~1b~0c"),
    "labels": ({**ECHO, "labels": {str(n): "" for n in range(21)}}, "/labels"),
    "horizon 0": (forecast(horizon=0), "/params/horizon"),
    "horizon 10^9": (forecast(horizon=10**9), "/params/horizon"),
    "horizon 1.5": (forecast(horizon=1.5), "/params/horizon"),
    "quantile 1": (forecast(quantiles=[0.5, 1]), "/params/quantiles/1"),
    "quantiles fall": (forecast(quantiles=[0.9, 0.1]), "/params/quantiles"),
    "no quantile": (forecast(quantiles=[]), "/params/quantiles"),
    "model": (forecast(model="oracle"), "/params/model"),
    "windows": (forecast(backtest={"windows": 0}), "/params/backtest/windows"),
    "key": (forecast(data=None, series=["a", "B"]), "/params/series/1"),
    "no key": (forecast(data=None, series=[]), "/params/series"),
    "tag": (forecast(data=None, series={"tag": ""}), "/params/series/tag"),
    "as_of": (
        forecast(data=None, series=["a"], as_of="2026-03-01"),
        "/params/as_of",
    ),
    "no source": (forecast(data=None), "/params"),
    "two sources": (forecast(series=["a"]), "/params"),
    "no rows": (forecast(data=[]), "/params/data"),
    "no ds": (forecast(data=[{"y": 1}]), "/params/data/0/ds"),
    "y text": (forecast(data=moved(1, y="high")), "/params/data/1/y"),
    "ds without offset": (
        forecast(data=moved(1, ds="2026-03-01T01:00:00")),
        "/params/data/1/ds",
    ),
    "ds no time": (forecast(data=moved(2, ds="soon")), "/params/data/2/ds"),
    "ds number": (forecast(data=moved(2, ds=5)), "/params/data/2/ds"),
    "ds out of range": (
        forecast(data=moved(0, ds="0001-01-01T00:00:00+10:00")),
        "/params/data/0/ds",
    ),
    "duplicate times": (forecast(data=[*ROWS, ROWS[-1]]), "/params"),
    "unsorted times": (forecast(data=ROWS[::-1]), "/params"),
    "all missing": (forecast(data=[{**row, "y": None} for row in ROWS]), "/params"),
    "sensitivity": (
        samples.analysis(data=ROWS, sensitivity=101),
        "/params/sensitivity",
    ),
    "mode": (samples.analysis(data=ROWS, mode="deep"), "/params/mode"),
    "from after to": (
        samples.analysis(
            data=ROWS, **{"from": "2026-03-02T00:00:00Z", "to": "2026-03-01T00:00:00Z"}
        ),
        "/params",
    ),
    "upload id": (
        {"type": "ingest.run", "params": {"upload": "../x"}},
        "/params/upload",
    ),
    "no upload": ({"type": "ingest.run", "params": {}}, "/params/upload"),
}
TOLD = {
    "ds without offset": "offset",
    "duplicate times": "row 3 (series, 2026-03-01T02:00:00+00:00) repeats a time",
    "unsorted times": "goes back in time",
    "all missing": "all values of series are missing",
    "unknown type": "known are",
    "model": "known are",
}


@pytest.mark.parametrize("name", BAD_VALUES)
def test_a_value_that_cannot_be_used_is_named_by_its_pointer(api, name):
    body, pointer = BAD_VALUES[name]
    answer = api.post("/v1/jobs", json=body)
    problem = answer.json
    assert answer.status_code == 422, answer.text
    assert problem["type"] == "/problems/invalid-values"
    assert problem["title"]
    assert problem["detail"]
    assert pointer in {error["pointer"] for error in problem["errors"]}
    assert TOLD.get(name, "") in str(problem["errors"])
    for error in problem["errors"]:
        assert resolves(error["pointer"], body), error
    assert api.get("/v1/jobs").json["items"] == []


def resolves(pointer: str, body: Any) -> bool:
    """Whether a JSON pointer leads into a body, or to a member that it lacks."""
    *parents, last = pointer.split("/")[1:] or [None]
    for part in parents:
        body = body[int(part)] if isinstance(body, list) else body[part]
    return isinstance(body, list | dict) or last is None


UNREADABLE = {
    "nothing": b"",
    "no JSON": b"{oops",
    "half": b'{"type": "system.ec',
    "two": b"{} {}",
    "NaN": b'{"type": "system.echo", "params": {"payload": {"x": NaN}}}',
    "Infinity": b'{"type": "system.echo", "params": {"payload": {"x": -Infinity}}}',
    "too large": b'{"type": "system.echo", "params": {"payload": {"x": 1e400}}}',
    "not UTF-8": b'{"type": "\xff"}',
    "NUL": b'{"type": "system.echo", "labels": {"a": "\\u0000"}}',
    "NUL deep": b'{"type": "system.echo", "params": {"payload": {"\\u0000": [1]}}}',
    "deep": b'{"type": "system.echo", "params": ' + b'{"a":' * 500 + b"1" + b"}" * 501,
    "deeper": b"[" * 100_000,
}


@pytest.mark.parametrize("name", UNREADABLE)
@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/jobs/batch"])
def test_a_body_that_cannot_be_read_is_malformed(api, path, name):
    headers = {"Content-Type": "application/json"}
    answer = api.post(path, data=UNREADABLE[name], headers=headers)
    assert answer.status_code == 400, answer.text
    assert answer.json["type"] == "/problems/malformed"
    assert len(answer.json["detail"]) > 20


def test_a_backslash_that_only_looks_like_a_nul_is_text(api):
    payload = {"a": "\\u0000"}
    job = api.submit(params={"payload": payload})
    assert job["params"]["payload"] == payload


def test_nesting_up_to_the_limit_is_taken_and_comes_back(api):
    payload: dict[str, Any] = {}
    for _ in range(190):
        payload = {"a": payload}
    job = api.submit(params={"payload": payload})
    assert api.job(job["id"])["params"]["payload"] == payload


@pytest.mark.parametrize(
    "form", ["text/plain", "application/x-www-form-urlencoded", "text/csv", "image/png"]
)
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/v1/jobs"), ("POST", "/v1/jobs/batch"), ("PUT", "/v1/series/a")],
)
def test_a_body_that_is_not_called_json_is_of_the_wrong_type(api, method, path, form):
    answer = api.call(
        method, path, data=json.dumps(ECHO), headers={"Content-Type": form}
    )
    assert answer.status_code == 415
    assert form in answer.json["detail"]


@pytest.mark.parametrize(
    "form",
    ["application/json", "application/json; charset=utf-8", "application/x+json"],
)
def test_json_may_be_called_by_any_of_its_names(api, form):
    data = json.dumps(ECHO)
    answer = api.post("/v1/jobs", data=data, headers={"Content-Type": form})
    assert answer.status_code == 202
    assert api.post("/v1/jobs", data=data).status_code == 202


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("limit=0", "/limit"),
        ("limit=201", "/limit"),
        ("limit=x", "/limit"),
        ("state=asleep", "/state"),
        ("label=team", "/label"),
        ("colour=red", "/colour"),
    ],
)
def test_a_query_that_cannot_be_used_is_named(api, query, pointer):
    answer = api.get(f"/v1/jobs?{query}")
    assert answer.status_code == 422
    assert answer.json["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize(
    "address",
    [
        "/v1/jobs/%00",
        "/v1/jobs?cursor=%00",
        "/v1/series/%00",
        "/v1/series?q=a%00b",
        "/v1/jobs/job_x/chart?series=%00",
        "/?next=%00",
    ],
)
def test_an_address_with_a_nul_is_malformed(api, address):
    assert api.get(address).status_code == 400


@pytest.mark.parametrize(
    "address",
    ["/v1", "/v1/", "/v1/nothing", "/v1/jobs/", "/nothing", "/v1/jobs/a/b", "/v2/jobs"],
)
def test_an_address_that_is_not_there_is_not_found(api, address):
    answer = api.get(address)
    assert answer.status_code == 404
    assert answer.json["type"] == "/problems/not-found"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/v1/jobs", {"GET", "HEAD", "OPTIONS", "POST"}),
        ("PATCH", "/v1/jobs/job_x", {"GET", "HEAD", "OPTIONS"}),
        ("GET", "/v1/uploads", {"OPTIONS", "POST"}),
        ("POST", "/health", {"GET", "HEAD", "OPTIONS"}),
    ],
)
def test_a_method_that_is_not_there_is_told_which_are(api, method, path, allowed):
    answer = api.call(method, path)
    assert answer.status_code == 405
    assert set(answer.headers["Allow"].split(", ")) == allowed


def test_an_error_nobody_foresaw_tells_nothing_but_where_to_look(app, api, monkeypatch):
    def broken(*_args: object, **_more: object) -> None:
        raise ValueError("a secret detail")

    monkeypatch.setattr(jobs.jobs, "page", broken)
    answer = api.get("/v1/jobs")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.json["trace_id"]


def test_every_problem_type_is_explained_and_has_one_title():
    explained = REFERENCE.read_text()
    titles: dict[str, str] = {}
    for kind in errors._KINDS.values():
        assert f"\n## {kind.name}\n" in explained
        assert titles.setdefault(kind.name, kind.title) == kind.title
        assert kind.title in explained
