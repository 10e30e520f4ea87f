"""What a source is asked to do, through the API."""

import pytest

from tests.tasks.shelf import shelf
from tests.web.grid import BASE, create, pointers, read

__all__ = ["read", "shelf"]

pytestmark = [pytest.mark.servers, pytest.mark.usefixtures("shelf")]


@pytest.mark.parametrize(
    ("verb", "body", "kind", "params"),
    [
        ("test", None, "ingest.probe", {"rows": 0, "discover": False}),
        ("preview", {}, "ingest.probe", {"rows": 20, "discover": False}),
        (
            "preview",
            {"rows": 3, "discover": True},
            "ingest.probe",
            {"rows": 3, "discover": True},
        ),
        ("run", None, "ingest.run", {"mode": "incremental"}),
        ("run?mode=full", None, "ingest.run", {"mode": "full"}),
        (
            "backfill",
            {"start": "2020-01-01T01:00:00+01:00", "end": "2021-01-01T00:00:00Z"},
            "ingest.run",
            {
                "mode": "backfill",
                "start": "2020-01-01T00:00:00Z",
                "end": "2021-01-01T00:00:00Z",
            },
        ),
        ("preview", None, "ingest.probe", {"rows": 20, "discover": False}),
        ("replay", {}, "ingest.replay", {"partition": None, "quarantined": False}),
        ("replay", None, "ingest.replay", {"partition": None, "quarantined": False}),
        (
            "replay",
            {"partition": "p1"},
            "ingest.replay",
            {"partition": "p1", "quarantined": False},
        ),
    ],
)
def test_each_verb_submits_its_job(api, verb, body, kind, params):
    create(api)
    given = {} if body is None else {"json": body}
    answer = api.post(f"{BASE}/grid/{verb}", **given)
    assert answer.status_code == 202, answer.text
    job = answer.json
    assert answer.headers["Location"] == job["links"]["self"]
    assert (job["type"], job["state"], job["labels"]) == (
        kind,
        "queued",
        {"source": "grid"},
    )
    params = {"source": "grid", **params}
    assert {name: job["params"][name] for name in params} == params
    assert job["lane"] == (
        "backfill" if verb in ("backfill", "run?mode=full") else "normal"
    )
    entry = api.get("/v1/audit").json["items"][0]
    assert entry["action"] == f"source.{verb.partition('?')[0]}"
    assert entry["detail"]["job_id"] == job["id"]


@pytest.mark.parametrize("mode", ["incremental", "full"])
def test_what_a_run_brings_is_scored_afterwards_if_the_source_is_watched(api, mode):
    create(api, watch={"name": "night", "sensitivity": 60})
    job = api.post(f"{BASE}/grid/run?mode={mode}").json
    (look,) = (
        one
        for one in api.get("/v1/jobs").json["items"]
        if one["type"] == "analysis.watch"
    )
    shown = api.get(f"/v1/jobs/{look['id']}").json
    assert (shown["queue"]["waits_for"], shown["labels"]) == (
        [job["id"]],
        {"source": "grid"},
    )
    assert shown["params"]["series"] == {"source": "grid"}
    assert (shown["params"]["name"], shown["params"]["sensitivity"]) == ("night", 60)
    entry = api.get("/v1/audit").json["items"][0]
    assert entry["detail"]["job_id"] == job["id"]
    assert entry["detail"]["watch_job_id"] == look["id"]


def test_neither_a_backfill_nor_a_test_is_scored(api):
    create(api, watch={"name": "night"})
    api.post(f"{BASE}/grid/backfill", json={"start": "2020-01-01T00:00:00Z"})
    api.post(f"{BASE}/grid/test")
    assert {one["type"] for one in api.get("/v1/jobs").json["items"]} == {
        "ingest.run",
        "ingest.probe",
    }


def test_the_answer_to_a_test_can_be_waited_for(api, work):
    create(api)
    job = api.post(f"{BASE}/grid/test", headers={"Idempotency-Key": "k"}).json
    work.end(job["id"], result={"verdict": "ok"})
    headers = {"Idempotency-Key": "k", "Prefer": "wait=5"}
    answer = api.post(f"{BASE}/grid/test", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["Idempotency-Replayed"] == "true"
    assert answer.headers["Preference-Applied"] == "wait=5"
    assert (answer.json["id"], answer.json["result"]) == (job["id"], {"verdict": "ok"})


def test_what_was_accepted_once_stays_accepted_when_the_source_is_paused(api):
    create(api)
    headers = {"Idempotency-Key": "k"}
    first = api.post(f"{BASE}/grid/run", headers=headers)
    api.post(f"{BASE}/grid/pause")
    assert api.post(f"{BASE}/grid/run").status_code == 409
    again = api.post(f"{BASE}/grid/run", headers=headers)
    assert (again.status_code, again.json["id"]) == (202, first.json["id"])
    other = api.post(f"{BASE}/grid/run?mode=full", headers=headers)
    assert other.status_code == 422
    assert other.json["type"] == "/problems/key-reused"


def test_the_quarantine_is_replayed_without_a_body(api, read):
    create(api)
    read()
    job = api.post(f"{BASE}/grid/quarantine/replay").json
    assert (job["params"]["partition"], job["params"]["quarantined"]) == (None, True)


def test_no_body_is_none_whatever_it_is_said_to_be(api):
    create(api)
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    path = f"{BASE}/grid/replay"
    assert api.post(path, headers=headers, data="").status_code == 202
    assert api.post(path, headers=headers, data="{}").status_code == 415
    assert api.post(path, data=" ").status_code == 400
    assert api.post(f"{BASE}/grid/backfill").status_code == 400


@pytest.mark.parametrize(
    ("verb", "body", "wanted"),
    [
        ("preview", {"rows": 0}, ["/rows"]),
        ("preview", {"rows": 1_001}, ["/rows"]),
        ("backfill", {}, ["/start"]),
        ("backfill", {"start": "2020-01-01"}, ["/start"]),
        ("quarantine/discard", {"ids": []}, ["/ids"]),
    ],
)
def test_a_verb_with_a_bad_body_submits_nothing(api, verb, body, wanted):
    create(api)
    assert pointers(api.post(f"{BASE}/grid/{verb}", json=body)) == wanted
    assert api.get("/v1/jobs").json["items"] == []


def test_a_window_is_half_open_and_never_empty(api):
    create(api)
    window = {"start": "2020-01-02T00:00:00Z", "end": "2020-01-02T00:00:00Z"}
    assert api.post(f"{BASE}/grid/backfill", json=window).status_code == 422
    assert api.post(f"{BASE}/grid/run?mode=none").status_code == 422
    assert api.post(f"{BASE}/grid/quarantine/discard", json={}).status_code == 422
