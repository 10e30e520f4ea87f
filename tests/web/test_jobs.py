"""Submitting, reading and listing jobs, cancelling and retrying them."""

from urllib.parse import parse_qs, urlsplit

import pytest

pytestmark = pytest.mark.servers

ECHO = {"type": "system.echo"}


def test_a_submitted_job_is_accepted_with_a_place_to_look_and_when(api):
    answer = api.post("/v1/jobs", json={**ECHO, "params": {"payload": {"a": 1}}})
    job = answer.json
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/v1/jobs/{job['id']}"
    assert int(answer.headers["Retry-After"]) >= 1
    assert job["id"].startswith("job_")
    assert (job["state"], job["attempt"], job["reason"]) == ("queued", 1, None)
    assert job["params"]["payload"] == {"a": 1}
    assert api.get(answer.headers["Location"]).json["id"] == job["id"]


def test_a_job_keeps_what_its_submission_chose(api):
    job = api.submit(
        priority=9,
        timeout_s=77,
        deadline="2026-12-01T06:00:00+01:00",
        labels={"team": "load", "πόλη": "Athina"},
    )
    assert (job["priority"], job["timeout_s"]) == (9, 77)
    assert job["deadline"] == "2026-12-01T05:00:00Z"
    assert job["labels"] == {"team": "load", "πόλη": "Athina"}


def test_a_job_has_the_limits_of_its_type_where_the_submission_says_nothing(api):
    types = {one["type"]: one for one in api.get("/v1/job-types").json["items"]}
    job = api.submit()
    assert job["timeout_s"] == types["system.echo"]["timeout_s"]
    assert job["max_attempts"] == types["system.echo"]["max_attempts"]


def test_every_link_of_a_job_answers(api, work):
    job = api.submit(type="analysis.run", params={"data": rows(60)})
    assert work.run(job["id"]) == "succeeded"
    for name, link in job["links"].items():
        method = "POST" if name == "cancel" else "GET"
        if name != "page":
            assert api.call(method, link).status_code == 200, name


def rows(count: int) -> list[dict]:
    """Return a daily series of a repeating week."""
    return [
        {"ds": f"2026-{1 + day // 28:02}-{1 + day % 28:02}T00:00:00Z", "y": day % 7}
        for day in range(count)
    ]


def test_a_running_job_tells_how_far_it_is_and_when_it_may_end(api, work):
    job = api.submit()
    work.claim(job["id"])
    work.progress(job["id"], 5)
    seen = api.job(job["id"])
    assert seen["state"] == "running"
    assert seen["progress"]["done"] == 5
    assert seen["started_at"] is not None
    assert 0 <= seen["eta_s"] < 60


def test_a_queued_job_counts_those_who_go_before_it(api, other_api):
    first = api.submit(priority=7)
    second = other_api.submit(priority=7)
    urgent = api.submit(priority=8)

    def place(caller, job):
        return caller.job(job["id"])["queue"]["position"]

    assert place(other_api, second) - place(api, first) == 1
    assert place(api, urgent) < place(api, first)


def test_the_etag_changes_with_the_job_and_spares_the_body_until_then(api, work):
    job = api.submit()
    path = f"/v1/jobs/{job['id']}"
    tag = api.get(path).headers["ETag"]
    same = api.get(path, headers={"If-None-Match": tag})
    assert (same.status_code, same.data) == (304, b"")
    assert same.headers["ETag"] == tag
    for move in (work.claim, lambda one: work.progress(one, 1), work.finish):
        move(job["id"])
        changed = api.get(path, headers={"If-None-Match": tag})
        assert changed.status_code == 200
        assert changed.headers["ETag"] != tag
        tag = changed.headers["ETag"]


def test_a_cancelled_job_that_is_queued_never_runs(api, work):
    job = api.submit()
    cancelled = api.post(f"/v1/jobs/{job['id']}/cancel").json
    assert (cancelled["state"], cancelled["reason"]) == (
        "cancelled",
        "cancelled_by_user",
    )
    assert work.run(job["id"]) == "refused"


def test_cancelling_again_changes_nothing(api, work):
    queued, running, done = api.submit(), api.submit(), api.submit()
    work.claim(running["id"])
    work.end(done["id"])
    for job in (queued, running, done):
        path = f"/v1/jobs/{job['id']}"
        first = api.post(f"{path}/cancel")
        tag = api.get(path).headers["ETag"]
        second = api.post(f"{path}/cancel")
        assert first.status_code == second.status_code == 200
        assert first.json == second.json
        assert api.get(path).headers["ETag"] == tag
    assert api.job(done["id"])["state"] == "succeeded"


def test_a_retry_is_a_new_job_that_links_to_the_first_of_its_chain(api, work):
    first = api.submit(params={"payload": {"a": 1}}, labels={"a": "b"}, priority=3)
    work.end(first["id"], "failed", reason="timeout")
    answer = api.post(f"/v1/jobs/{first['id']}/retry")
    second = answer.json
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/v1/jobs/{second['id']}"
    assert second["retry_of"] == first["id"] != second["id"]
    for same in ("type", "params", "labels", "priority", "timeout_s", "max_attempts"):
        assert second[same] == first[same]
    api.post(f"/v1/jobs/{second['id']}/cancel")
    third = api.post(f"/v1/jobs/{second['id']}/retry").json
    assert third["retry_of"] == first["id"]


@pytest.mark.parametrize("state", ["queued", "running", "succeeded"])
def test_only_what_failed_or_was_cancelled_can_be_retried(api, work, state):
    job = api.submit()
    if state != "queued":
        work.claim(job["id"])
    if state == "succeeded":
        work.finish(job["id"])
    answer = api.post(f"/v1/jobs/{job['id']}/retry")
    assert answer.status_code == 409
    assert state in answer.json["detail"]


def test_the_list_shows_the_newest_first_and_filters(api, work):
    plain = api.submit()
    labelled = api.submit(labels={"team": "load", "site": "a:b"})
    ended = api.submit(labels={"team": "load"})
    other = api.submit(type="analysis.run", params={"series": ["a"]})
    work.end(ended["id"])

    def shown(**query):
        answer = api.get("/v1/jobs", query_string=query)
        assert answer.status_code == 200
        return [job["id"] for job in answer.json["items"]]

    everything = [other["id"], ended["id"], labelled["id"], plain["id"]]
    assert shown() == everything
    assert shown(state="succeeded") == [ended["id"]]
    assert shown(state="queued") == [other["id"], labelled["id"], plain["id"]]
    assert shown(type="analysis.run") == [other["id"]]
    assert shown(type="no.such") == []
    assert shown(label="team:load") == [ended["id"], labelled["id"]]
    assert shown(label="site:a:b") == [labelled["id"]]
    assert shown(label="team:load", state="queued") == [labelled["id"]]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 200])
def test_a_walk_along_the_cursors_finds_each_job_once(api, limit):
    batch = {"jobs": [ECHO] * 7}
    made = [item["id"] for item in api.post("/v1/jobs/batch", json=batch).json["items"]]
    found, path = [], f"/v1/jobs?type=system.echo&limit={limit}"
    while path:
        answer = api.get(path)
        found += [job["id"] for job in answer.json["items"]]
        assert len(answer.json["items"]) <= limit
        link = answer.headers.get("Link")
        assert (link is None) == (answer.json["next_cursor"] is None)
        path = link and link.split(">")[0].removeprefix("<")
        if path:
            query = parse_qs(urlsplit(path).query)
            assert query["cursor"] == [answer.json["next_cursor"]]
            assert query["type"] == ["system.echo"]
            assert link.endswith('rel="next"')
    assert found == made[::-1]


def test_a_job_that_comes_while_walking_does_not_disturb_the_walk(api):
    made = [api.submit()["id"] for _ in range(4)]
    first = api.get("/v1/jobs?limit=2").json
    api.submit()
    second = api.get(f"/v1/jobs?limit=2&cursor={first['next_cursor']}").json
    walked = [job["id"] for job in first["items"] + second["items"]]
    assert walked == made[::-1]


def test_the_list_shows_fifty_where_no_limit_is_given(api):
    api.post("/v1/jobs/batch", json={"jobs": [ECHO] * 51})
    assert len(api.get("/v1/jobs").json["items"]) == 50
