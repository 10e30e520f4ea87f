"""Many submissions in one call, each judged by itself."""

import pytest

pytestmark = pytest.mark.servers

ECHO = {"type": "system.echo"}
BAD = {
    "unknown type": ({"type": "no.such"}, "/type"),
    "unknown field": ({**ECHO, "speed": 1}, "/speed"),
    "no type": ({"params": {}}, "/type"),
    "bad params": ({"type": "forecast.run", "params": {"horizon": 0}}, "/params"),
    "no object": (5, ""),
    "null": (None, ""),
    "bad priority": ({**ECHO, "priority": 10}, "/priority"),
}


def send(api, jobs: list) -> dict:
    answer = api.post("/v1/jobs/batch", json={"jobs": jobs})
    assert answer.status_code == 200, answer.text
    return answer.json


def test_a_thousand_jobs_with_bad_ones_among_them_are_taken_item_by_item(api):
    bad = list(BAD.values())
    jobs = [
        bad[number % len(bad)][0]
        if number % 10 == 3
        else {**ECHO, "labels": {"number": str(number)}}
        for number in range(1_000)
    ]
    told = send(api, jobs)
    assert (told["accepted"], told["rejected"]) == (900, 100)
    assert len(told["items"]) == 1_000
    for number, item in enumerate(told["items"]):
        assert ("problem" in item) == (number % 10 == 3)
    for number in (0, 2, 4, 999):
        job = api.get(told["items"][number]["link"]).json
        assert job["id"] == told["items"][number]["id"]
        assert job["labels"] == {"number": str(number)}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_item_has_a_problem_that_names_its_field(api, name):
    item, pointer = BAD[name]
    told = send(api, [ECHO, item])
    problem = told["items"][1]["problem"]
    assert told["items"][0]["id"].startswith("job_")
    assert (problem["status"], problem["type"]) == (422, "/problems/invalid-values")
    assert problem["title"]
    assert problem["detail"]
    assert problem["errors"][0]["pointer"].startswith(pointer)
    assert len(api.get("/v1/jobs").json["items"]) == 1


def test_a_batch_of_bad_items_alone_submits_nothing(api):
    told = send(api, [item for item, _ in BAD.values()])
    assert (told["accepted"], told["rejected"]) == (0, len(BAD))
    assert api.get("/v1/jobs").json["items"] == []


@pytest.mark.parametrize("jobs", [[], [ECHO] * 1_001, {}, None])
def test_a_batch_has_one_to_a_thousand_items(api, jobs):
    answer = api.post("/v1/jobs/batch", json={"jobs": jobs})
    assert answer.status_code == 422
    assert answer.json["errors"][0]["pointer"] == "/jobs"


def test_jobs_of_a_batch_are_queued_like_any_other(api, work):
    told = send(api, [ECHO])
    job = told["items"][0]["id"]
    work.end(job, result={"payload": {"a": 1}})
    assert api.get(f"/v1/jobs/{job}/result").json == {"payload": {"a": 1}}
