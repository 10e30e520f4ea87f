"""Prefer: wait holds an answer until there is news."""

import threading
import time
from collections.abc import Callable

import pytest

from web import requests as reading

pytestmark = pytest.mark.servers


def later(move: Callable[[], None], *, hub) -> threading.Thread:
    """Do something as soon as a request is being held."""
    before = hub.held

    def wait_and_move() -> None:
        ends_at = time.monotonic() + 20
        while hub.held == before and time.monotonic() < ends_at:
            time.sleep(0.005)
        move()

    thread = threading.Thread(target=wait_and_move)
    thread.start()
    return thread


@pytest.fixture
def hub(app):
    return app.extensions["forebay"].hub


def newest(api) -> str:
    return api.get("/v1/jobs?limit=1").json["items"][0]["id"]


def test_a_submission_that_waits_is_answered_with_the_result(api, work, hub):
    thread = later(lambda: work.end(newest(api), result={"payload": {"a": 1}}), hub=hub)
    answer = api.post(
        "/v1/jobs", json={"type": "system.echo"}, headers={"Prefer": "wait=30"}
    )
    thread.join()
    assert answer.status_code == 200
    assert answer.json["state"] == "succeeded"
    assert answer.json["result"] == {"payload": {"a": 1}}
    assert answer.headers["Preference-Applied"] == "wait=30"
    assert answer.headers["Location"] == answer.json["links"]["self"]
    assert "Retry-After" not in answer.headers


def test_a_submission_that_waits_tells_of_a_failure_at_once(api, work, hub):
    error = {"type": "/problems/timeout", "title": "Job timed out", "status": 500}
    thread = later(
        lambda: work.end(newest(api), "failed", reason="timeout", error=error), hub=hub
    )
    answer = api.post(
        "/v1/jobs", json={"type": "system.echo"}, headers={"Prefer": "wait=30"}
    )
    thread.join()
    assert (answer.status_code, answer.json["state"]) == (200, "failed")
    assert answer.json["error"] == error
    assert answer.json.get("result") is None


@pytest.mark.parametrize("told", ["wait=0", 'wait="0"', "respond-async, WAIT=0;x=y"])
def test_a_wait_that_runs_out_is_answered_with_202(api, told):
    answer = api.post(
        "/v1/jobs", json={"type": "system.echo"}, headers={"Prefer": told}
    )
    assert (answer.status_code, answer.json["state"]) == (202, "queued")
    assert answer.headers["Preference-Applied"] == "wait=0"
    assert "Retry-After" in answer.headers


def test_a_wait_is_capped_at_a_minute(app):
    with app.test_request_context(headers={"Prefer": "wait=86400"}):
        assert reading.wait_s() == 60


def test_a_preference_that_is_not_known_is_not_said_to_be_applied(api):
    answer = api.post(
        "/v1/jobs", json={"type": "system.echo"}, headers={"Prefer": "respond-async"}
    )
    assert answer.status_code == 202
    assert "Preference-Applied" not in answer.headers


def test_a_wait_that_cannot_be_read_submits_nothing(api):
    answer = api.post(
        "/v1/jobs", json={"type": "system.echo"}, headers={"Prefer": "wait=soon"}
    )
    assert answer.status_code == 400
    assert api.get("/v1/jobs").json["items"] == []


def test_reading_with_a_wait_returns_when_the_state_changes(api, work, hub):
    job = api.submit()
    path = f"/v1/jobs/{job['id']}"
    thread = later(lambda: work.claim(job["id"]), hub=hub)
    assert api.get(path, headers={"Prefer": "wait=30"}).json["state"] == "running"
    thread.join()
    thread = later(lambda: work.finish(job["id"]), hub=hub)
    answer = api.get(path, headers={"Prefer": "wait=30"})
    thread.join()
    assert answer.json["state"] == "succeeded"
    assert answer.json["result"] == {"payload": {}}
    assert answer.headers["Preference-Applied"] == "wait=30"


def test_waiting_for_a_job_that_has_ended_returns_at_once(api, work):
    job = api.submit()
    work.end(job["id"])
    answer = api.get(f"/v1/jobs/{job['id']}", headers={"Prefer": "wait=60"})
    assert (answer.status_code, answer.json["state"]) == (200, "succeeded")


def test_progress_alone_does_not_end_a_wait(api, work, hub):
    job = api.submit()
    work.claim(job["id"])

    def move() -> None:
        work.progress(job["id"], 1)
        work.finish(job["id"])

    thread = later(move, hub=hub)
    answer = api.get(f"/v1/jobs/{job['id']}", headers={"Prefer": "wait=30"})
    thread.join()
    assert answer.json["state"] == "succeeded"


def test_no_request_is_held_any_more_after_its_answer(api, work, hub):
    job = api.submit()
    api.get(f"/v1/jobs/{job['id']}", headers={"Prefer": "wait=0"})
    work.end(job["id"])
    api.get(f"/v1/jobs/{job['id']}", headers={"Prefer": "wait=9"})
    assert hub.held == 0
