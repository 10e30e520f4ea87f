"""What a submission may choose: each choice is kept, shown, and refused when bad."""

import pytest

from db import dependencies
from db.ids import new_id
from tests.web.caller import Caller

pytestmark = pytest.mark.servers

ECHO = {"type": "system.echo"}
RETRY = {"delay_s": 1.5, "factor": 3.0, "max_delay_s": 60.0, "jitter": 0.0}
CHOICES = {
    "lane": "backfill",
    "max_attempts": 7,
    "retry": RETRY,
    "concurrency_key": "site a",
    "concurrency_limit": 4,
    "starts_per_minute": 30,
}


def batch(api: Caller, *items: dict) -> list[dict]:
    """Submit items that wait for each other; return what became of each."""
    answer = api.post("/v1/jobs/batch", json={"jobs": [{**ECHO, **i} for i in items]})
    assert answer.status_code == 200, answer.text
    return answer.json["items"]


def place(api: Caller, job_id: str) -> dict:
    """Return where a job stands."""
    return api.job(job_id)["queue"]


def test_every_choice_is_kept_and_shown(api):
    job = api.submit(**CHOICES)
    assert {name: job[name] for name in CHOICES} == CHOICES
    seen = api.job(job["id"])
    assert {name: seen[name] for name in CHOICES} == CHOICES
    (listed,) = api.get("/v1/jobs").json["items"]
    assert {name: listed[name] for name in CHOICES} == CHOICES


def test_a_batch_keeps_the_same_choices(api):
    (item,) = batch(api, CHOICES)
    seen = api.job(item["id"])
    assert {name: seen[name] for name in CHOICES} == CHOICES


def test_what_is_not_chosen_is_left_to_the_platform(api):
    job = api.job(api.submit()["id"])
    assert (job["lane"], job["retry"]) == ("normal", {})
    nothing = ("concurrency_key", "concurrency_limit", "starts_per_minute")
    assert [job[name] for name in nothing] == [None, None, None]


def test_a_key_alone_lets_one_job_run_at_a_time(api):
    assert api.submit(concurrency_key="k")["concurrency_limit"] == 1


def test_a_part_of_a_retry_policy_leaves_the_rest_as_it_is(api):
    assert api.submit(retry={"factor": 5})["retry"] == {"factor": 5}


@pytest.mark.parametrize(
    ("choice", "pointer"),
    [
        ({"lane": "fast"}, "/lane"),
        ({"max_attempts": 0}, "/max_attempts"),
        ({"max_attempts": 51}, "/max_attempts"),
        ({"retry": {"delay_s": -1}}, "/retry/delay_s"),
        ({"retry": {"factor": 0.5}}, "/retry/factor"),
        ({"retry": {"max_delay_s": 86_401}}, "/retry/max_delay_s"),
        ({"retry": {"jitter": 1.1}}, "/retry/jitter"),
        ({"retry": {"pause": 1}}, "/retry/pause"),
        ({"concurrency_key": ""}, "/concurrency_key"),
        ({"concurrency_key": "k" * 201}, "/concurrency_key"),
        ({"concurrency_key": "k", "concurrency_limit": 0}, "/concurrency_limit"),
        ({"concurrency_key": "k", "starts_per_minute": 0}, "/starts_per_minute"),
        ({"after": "job_x"}, "/after"),
        ({"after": [""]}, "/after/0"),
        ({"after": ["job_x"] * 1_001}, "/after"),
        ({"on_failure": "ignore"}, "/on_failure"),
        ({"ref": ""}, "/ref"),
    ],
)
def test_a_bad_choice_is_refused_with_its_field(api, choice, pointer):
    answer = api.post("/v1/jobs", json={**ECHO, **choice})
    assert answer.status_code == 422
    assert [one["pointer"] for one in answer.json["errors"]] == [pointer]
    (item,) = batch(api, choice)
    assert [one["pointer"] for one in item["problem"]["errors"]] == [pointer]
    assert api.get("/v1/jobs").json["items"] == []


def test_a_rate_without_a_key_to_count_by_is_refused(api):
    answer = api.post("/v1/jobs", json={**ECHO, "starts_per_minute": 5})
    assert answer.status_code == 422
    assert "concurrency_key" in answer.json["errors"][0]["detail"]


def test_a_job_waits_for_another_and_says_for_which(api, work):
    first, second = api.submit()["id"], api.submit()["id"]
    waiting = api.submit(after=[second, first, first])["id"]
    seen = place(api, waiting)
    assert (seen["blocked_by"], seen["position"]) == ("dependency", None)
    assert seen["waits_for"] == sorted([first, second])
    work.end(first)
    assert place(api, waiting)["waits_for"] == [second]


def test_a_job_that_waits_for_one_that_has_ended_waits_no_longer(api, work):
    done = api.submit()["id"]
    work.end(done)
    job = api.submit(after=[done])
    seen = place(api, job["id"])
    assert seen["blocked_by"] != "dependency"
    assert seen["waits_for"] == []


@pytest.mark.parametrize(
    ("on_failure", "state"),
    [("cancel", "cancelled"), ("fail", "failed"), ("run", "queued")],
)
def test_a_job_that_waits_for_a_failure_ends_as_it_chose(api, work, on_failure, state):
    bad = api.submit()["id"]
    work.end(bad, "failed", reason="timeout")
    answer = api.post(
        "/v1/jobs", json={**ECHO, "after": [bad], "on_failure": on_failure}
    )
    assert answer.status_code == 202
    job = answer.json
    assert job["state"] == state
    if state != "queued":
        assert job["reason"] == "dependency_failed"
        assert job["error"]["type"] == "/problems/dependency-failed"
        assert bad in job["error"]["detail"]


def test_a_job_cannot_wait_for_one_that_is_not_there(api):
    unknown = new_id("job")
    answer = api.post("/v1/jobs", json={**ECHO, "after": [unknown]})
    assert answer.status_code == 422
    (error,) = answer.json["errors"]
    assert error["pointer"] == "/after"
    assert unknown in error["detail"]
    assert api.get("/v1/jobs").json["items"] == []


def test_another_tenant_s_job_looks_like_one_that_is_not_there(api, other_api):
    theirs = other_api.submit()["id"]
    unknown = new_id("job")

    def refusal(job_id: str) -> str:
        answer = api.post("/v1/jobs", json={**ECHO, "after": [job_id]})
        assert answer.status_code == 422
        assert [one["pointer"] for one in answer.json["errors"]] == ["/after"]
        return answer.json["detail"].replace(job_id, "job_x")

    assert refusal(theirs) == refusal(unknown)
    for number, item in enumerate(
        batch(api, {"after": [theirs]}, {"after": [unknown]})
    ):
        (error,) = item["problem"]["errors"]
        assert error["pointer"] == "/after/0", number
    assert api.get("/v1/jobs").json["items"] == []


def test_an_item_of_a_batch_waits_for_items_further_up_and_for_stored_jobs(api):
    stored = api.submit()["id"]
    first, second, last = batch(
        api,
        {"ref": "load"},
        {"ref": "forecast", "after": ["load"]},
        {"after": ["forecast", "load", stored]},
    )
    assert place(api, first["id"])["blocked_by"] != "dependency"
    assert place(api, second["id"])["waits_for"] == [first["id"]]
    assert place(api, last["id"])["waits_for"] == sorted(
        [stored, first["id"], second["id"]]
    )


@pytest.mark.parametrize(
    "items",
    [
        [{"after": ["b"]}, {"ref": "b"}],
        [{"ref": "a", "after": ["a"]}],
        [{"ref": "a", "priority": 10}, {"after": ["a"]}],
        [{"after": ["nobody"]}],
    ],
)
def test_a_ref_that_leads_nowhere_refuses_its_item_alone(api, items):
    told = batch(api, {}, *items)
    (bad,) = (
        one["problem"]["errors"]
        for one in told
        if "problem" in one and one["problem"]["errors"][0]["pointer"] != "/priority"
    )
    assert [one["pointer"] for one in bad] == ["/after/0"]
    assert "id" in told[0]


def test_a_ref_is_given_once_in_a_batch(api):
    first, second, third = batch(api, {"ref": "a"}, {"ref": "a"}, {"after": ["a"]})
    assert [one["pointer"] for one in second["problem"]["errors"]] == ["/ref"]
    assert place(api, third["id"])["waits_for"] == [first["id"]]


def test_a_ref_is_forgotten_after_its_batch(api):
    batch(api, {"ref": "a"})
    (item,) = batch(api, {"after": ["a"]})
    assert item["problem"]["errors"][0]["pointer"] == "/after/0"


def test_what_a_chain_waits_for_may_be_cancelled_and_the_chain_with_it(api, database):
    first, second = batch(api, {"ref": "a"}, {"after": ["a"]})
    api.post(f"/v1/jobs/{first['id']}/cancel")
    assert place(api, second["id"])["waits_for"] == []
    with database.system() as connection:
        dependencies.release(connection, after_ids=[first["id"]])
    seen = api.job(second["id"])
    assert (seen["state"], seen["reason"]) == ("cancelled", "dependency_failed")


def test_a_waiting_job_can_be_cancelled(api, work):
    first = api.submit()["id"]
    waiting = api.submit(after=[first])["id"]
    assert api.post(f"/v1/jobs/{waiting}/cancel").json["state"] == "cancelled"
    work.end(first)
    assert api.job(waiting)["state"] == "cancelled"
