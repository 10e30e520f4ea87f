"""Ended jobs again, one or many, and the record of who did what."""

from datetime import datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import text

from db import keys, limits
from db.limits import Limits
from tests.web.caller import Caller

pytestmark = pytest.mark.servers

REPLAY = "/v1/jobs/replay"
NOTHING = {"replayed": [], "refused": [], "next_cursor": None}


@pytest.fixture
def fail(api, work):
    """Submit a job and let it fail; return its id."""

    def run(reason: str = "timeout", **job) -> str:
        failed = api.submit(**job)["id"]
        work.end(failed, "failed", reason=reason, error={"title": reason})
        return failed

    return run


@pytest.fixture
def available(database, tenant_id):
    """Return when each job may start."""

    def read(job_ids: list[str]) -> list[datetime]:
        query = text("SELECT job_id, available_at FROM outbox WHERE job_id = ANY(:ids)")
        with database.tenant(tenant_id) as connection:
            found = connection.execute(query, {"ids": job_ids})
            times = {row.job_id: row.available_at for row in found}
        return [times[job_id] for job_id in job_ids]

    return read


@pytest.fixture
def quota(database, tenant_id):
    """Let the tenant queue no more than so many jobs."""

    def put(most: int) -> None:
        with database.system() as connection:
            limits.put(connection, tenant_id=tenant_id, limits=Limits(max_queued=most))

    return put


def replay(api: Caller, **body) -> dict:
    answer = api.post(REPLAY, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json


def replayed(told: dict) -> list[str]:
    return [one["id"] for one in told["replayed"]]


def listed(api: Caller, **query) -> list[str]:
    """Return the ids of the jobs that a list shows, newest first."""
    found = api.get("/v1/jobs", query_string={"limit": 200, **query})
    return [job["id"] for job in found.json["items"]]


def test_a_retried_job_tells_when_and_its_copy_is_like_it(api, fail):
    first = fail(
        labels={"team": "load"},
        lane="backfill",
        max_attempts=7,
        retry={"delay_s": 1, "factor": 3},
        concurrency_key="one",
        concurrency_limit=2,
        starts_per_minute=30,
    )
    assert api.job(first)["replayed_at"] is None
    second = api.post(f"/v1/jobs/{first}/retry").json
    before = api.job(first)
    assert before["replayed_at"] >= before["finished_at"]
    assert (second["retry_of"], second["replayed_at"]) == (first, None)
    for same in (
        *("labels", "lane", "max_attempts", "retry", "concurrency_key"),
        *("concurrency_limit", "starts_per_minute"),
    ):
        assert second[same] == before[same]


def test_the_etag_of_a_retried_job_changes(api, fail):
    path = f"/v1/jobs/{fail()}"
    tag = api.get(path).headers["ETag"]
    api.post(f"{path}/retry")
    assert api.get(path).headers["ETag"] != tag


def test_a_bulk_replay_takes_each_failed_job_once(api, work, fail):
    failed = [fail() for _ in range(3)]
    api.submit()
    work.end(api.submit()["id"])
    told = replay(api)
    assert replayed(told) == failed[::-1]
    assert (told["refused"], told["next_cursor"]) == ([], None)
    for one in told["replayed"]:
        assert api.job(one["new_id"])["retry_of"] == one["id"]
        assert api.job(one["id"])["replayed_at"] is not None
    assert replay(api) == NOTHING


def test_a_job_that_was_retried_by_itself_is_not_replayed(api, fail):
    job_id = fail()
    api.post(f"/v1/jobs/{job_id}/retry")
    assert replay(api)["replayed"] == []


def test_a_copy_that_fails_as_well_is_replayed_and_linked_to_the_first(api, work, fail):
    first = fail()
    (second,) = (one["new_id"] for one in replay(api)["replayed"])
    work.end(second, "failed", reason="timeout")
    (again,) = replay(api)["replayed"]
    assert again["id"] == second
    assert api.job(again["new_id"])["retry_of"] == first


def test_a_filter_chooses_by_reason_type_and_labels(api, work, fail):
    late = fail("timeout", labels={"team": "load", "site": "a"})
    lost = fail("worker_lost", labels={"team": "load"})
    other = fail("timeout", type="analysis.run", params={"series": ["a"]})
    cancelled = api.submit()["id"]
    api.post(f"/v1/jobs/{cancelled}/cancel")
    for chosen, wanted in (
        ({"reason": "source_unavailable"}, []),
        ({"reason": "timeout", "labels": {"team": "wind"}}, []),
        ({"type": "system.echo", "reason": "worker_lost"}, [lost]),
        ({"labels": {"team": "load"}}, [late]),
        ({"type": "analysis.run"}, [other]),
        ({"state": "cancelled"}, [cancelled]),
        ({}, []),
    ):
        assert replayed(replay(api, filter=chosen)) == wanted, chosen


def test_a_filter_chooses_the_half_open_span_in_which_jobs_were_created(api, fail):
    job_ids = [fail() for _ in range(3)]
    times = [api.job(job_id)["created_at"] for job_id in job_ids]
    told = replay(api, filter={"since": times[1], "until": times[2]})
    assert replayed(told) == [job_ids[1]]
    assert replayed(replay(api, filter={"since": times[2]})) == [job_ids[2]]
    assert replayed(replay(api, filter={"until": times[0]})) == []
    assert replayed(replay(api, filter={"until": times[1]})) == [job_ids[0]]


def test_a_limit_takes_the_newest_and_tells_where_to_go_on(api, fail):
    job_ids = [fail() for _ in range(5)]
    walked, cursor = [], None
    for wanted, following in ((2, job_ids[3]), (2, job_ids[1]), (1, None)):
        told = replay(api, limit=2, cursor=cursor)
        cursor = told["next_cursor"]
        assert (len(told["replayed"]), cursor) == (wanted, following)
        walked += replayed(told)
    assert walked == job_ids[::-1]


def test_a_replay_with_a_key_is_done_once(api, fail):
    job_ids = [fail() for _ in range(3)]
    key = {"Idempotency-Key": "k"}
    first = api.post(REPLAY, json={"limit": 1}, headers=key)
    again = api.post(REPLAY, json={"limit": 1}, headers=key)
    assert replayed(first.json) == [job_ids[2]]
    assert again.json == first.json
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    other = api.post(REPLAY, json={"limit": 2}, headers=key)
    assert (other.status_code, other.json["type"]) == (422, "/problems/key-reused")
    left = [one for one in job_ids if api.job(one)["replayed_at"] is None]
    assert left == job_ids[:2]


def test_a_pace_spreads_the_starts_over_the_minutes(api, fail, available):
    for _ in range(4):
        fail()
    told = replay(api, per_minute=20)
    times = available([one["new_id"] for one in told["replayed"]])[::-1]
    assert [at - times[0] for at in times] == [
        timedelta(seconds=3 * number) for number in range(4)
    ]


def test_without_a_pace_all_may_start_at_once(api, fail, available):
    for _ in range(3):
        fail()
    told = replay(api)
    assert len(set(available([one["new_id"] for one in told["replayed"]]))) == 1


def test_what_the_catalogue_refuses_today_is_told_and_not_marked(
    api, fail, database, tenant_id
):
    good, bad = fail(), fail()
    with database.tenant(tenant_id) as connection:
        connection.execute(
            text("UPDATE jobs SET type = 'system.gone' WHERE id = :id"), {"id": bad}
        )
    told = replay(api)
    assert replayed(told) == [good]
    (refused,) = told["refused"]
    assert refused["id"] == bad
    assert "system.gone" in refused["detail"]
    assert api.job(bad)["replayed_at"] is None


def test_a_replay_beyond_the_quota_stores_nothing(api, fail, quota):
    job_ids = [fail() for _ in range(3)]
    quota(2)
    answer = api.post(REPLAY, json={})
    assert answer.status_code == 429
    assert answer.json["type"] == "/problems/quota-exceeded"
    assert int(answer.headers["Retry-After"]) >= 1
    assert listed(api) == job_ids[::-1]
    assert {api.job(job_id)["replayed_at"] for job_id in job_ids} == {None}
    assert api.get("/v1/audit").json["items"] == []
    assert len(replay(api, limit=2)["replayed"]) == 2
    assert api.post(f"/v1/jobs/{job_ids[0]}/retry").status_code == 429
    assert api.job(job_ids[0])["replayed_at"] is None


def test_a_submission_beyond_the_quota_stores_nothing(api, work, quota):
    quota(2)
    first = api.submit()
    batch = api.post("/v1/jobs/batch", json={"jobs": [{"type": "system.echo"}] * 2})
    assert batch.status_code == 429
    assert listed(api) == [first["id"]]
    api.submit()
    refused = api.post(
        "/v1/jobs", json={"type": "system.echo"}, headers={"Idempotency-Key": "a"}
    )
    assert refused.status_code == 429
    assert "room for 0" in refused.json["detail"]
    work.end(first["id"])
    again = api.post(
        "/v1/jobs", json={"type": "system.echo"}, headers={"Idempotency-Key": "a"}
    )
    assert again.status_code == 202
    assert "Idempotency-Replayed" not in again.headers


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"filter": {"state": "succeeded"}}, "/filter/state"),
        ({"filter": {"state": "running"}}, "/filter/state"),
        ({"filter": {"colour": "red"}}, "/filter/colour"),
        ({"filter": {"since": "yesterday"}}, "/filter/since"),
        ({"limit": 0}, "/limit"),
        ({"limit": 1_001}, "/limit"),
        ({"per_minute": 0}, "/per_minute"),
        ({"cursor": 3}, "/cursor"),
    ],
)
def test_a_replay_that_makes_no_sense_is_refused_with_the_field(api, body, pointer):
    answer = api.post(REPLAY, json=body)
    assert answer.status_code == 422
    assert [one["pointer"] for one in answer.json["errors"]] == [pointer]


def test_a_retry_with_a_key_is_done_once(api, fail):
    path = f"/v1/jobs/{fail()}/retry"
    first = api.post(path, headers={"Idempotency-Key": "k"})
    again = api.post(path, headers={"Idempotency-Key": "k"})
    assert first.json["id"] == again.json["id"]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert len(api.get("/v1/audit").json["items"]) == 1


def test_a_viewer_replays_nothing_and_may_read_the_record(
    app, api, fail, issue_key, tenant_id
):
    job_id = fail()
    viewer = Caller(app, issue_key(tenant_id, role="viewer"))
    for path in (REPLAY, f"/v1/jobs/{job_id}/retry"):
        assert viewer.post(path, json={}).status_code == 403
    assert listed(api) == [job_id]
    api.post(f"/v1/jobs/{job_id}/retry")
    assert len(viewer.get("/v1/audit").json["items"]) == 1


def test_another_tenant_s_jobs_are_left_alone(api, other_api, fail):
    job_id = fail()
    assert replay(other_api) == NOTHING
    assert other_api.post(f"/v1/jobs/{job_id}/retry").status_code == 404
    assert api.job(job_id)["replayed_at"] is None
    assert listed(other_api) == []
    replay(api)
    acts = other_api.get("/v1/audit").json["items"]
    assert all(job_id not in str(one) for one in acts)


def test_the_record_tells_the_newest_first_with_who_and_which(
    app, api, fail, issue_key, tenant_id, database
):
    colleague = Caller(app, issue_key(tenant_id))
    first, second, third = fail(), fail(), fail()
    retried = api.post(f"/v1/jobs/{first}/retry").json["id"]
    told = replay(colleague)
    assert replayed(told) == [third, second]
    bulk, one = api.get("/v1/audit").json["items"]
    with database.system() as connection:
        mine, theirs = (
            keys.identify(connection, secret=caller.secret).key_id
            for caller in (api, colleague)
        )
    assert (one["key_id"], bulk["key_id"]) == (mine, theirs)
    assert {one["action"], bulk["action"]} == {"jobs.replay"}
    assert (one["target"], bulk["target"]) == (first, None)
    assert one["detail"] == {"jobs": [[first, retried]]}
    assert bulk["detail"] == {
        "jobs": [[pair["id"], pair["new_id"]] for pair in told["replayed"]]
    }
    assert one["at"] <= bulk["at"]


def test_the_record_comes_in_pages(api):
    for _ in range(3):
        api.post("/v1/queues/system/pause")
        api.post("/v1/queues/system/resume")
    seen, path = [], "/v1/audit?limit=4"
    while path:
        answer = api.get(path)
        seen += answer.json["items"]
        link = answer.headers.get("Link")
        path = link and link.split(">")[0].removeprefix("<")
        if path:
            query = parse_qs(urlsplit(path).query)
            assert query["cursor"] == [answer.json["next_cursor"]]
    ids = [one["id"] for one in seen]
    assert len(ids) == 6
    assert ids == sorted(ids, reverse=True)
    assert [one["action"] for one in seen] == ["queue.resume", "queue.pause"] * 3
    assert api.get("/v1/audit?cursor=x").status_code == 400
