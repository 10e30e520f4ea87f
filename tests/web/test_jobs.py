"""Submitting, reading and listing jobs, cancelling and retrying them."""

from urllib.parse import parse_qs, urlsplit

import pytest

from db import keys, parts
from db.ids import new_id
from db.jobs import NewJob
from tests.web.caller import Caller

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


@pytest.fixture
def alone(make_app, own_settings) -> tuple[Caller, Caller]:
    """Two tenants of an application that nobody else uses."""
    app = make_app(own_settings)
    secrets = []
    with app.extensions["forebay"].database.system() as connection:
        for name in ("one", "other"):
            tenant = keys.ensure_tenant(connection, name=name)
            secrets.append(
                keys.issue(connection, tenant_id=tenant, name="test", role="member")
            )
    one, other = (Caller(app, secret) for secret in secrets)
    return one, other


def test_a_queued_job_counts_those_who_go_before_it(alone):
    one, other = alone
    first = one.submit(priority=7)
    theirs = other.submit(priority=7)
    urgent = one.submit(priority=8)
    last = one.submit(priority=1)

    def position(caller, job):
        return caller.job(job["id"])["queue"]["position"]

    # Tenants take turns, so the other's one job may go before each of ours.
    assert position(one, urgent) == 1
    assert position(one, first) == 2
    assert position(one, last) == 3
    assert position(other, theirs) == 1


def test_a_submission_is_answered_without_counting_the_line(api):
    assert api.submit()["queue"]["position"] is None


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


def test_the_list_filters_by_reason_and_by_the_span_of_creation(api, work):
    jobs = [api.submit() for _ in range(3)]
    work.end(jobs[0]["id"], "failed", reason="timeout")
    work.end(jobs[1]["id"], "failed", reason="worker_lost")
    begun = [job["created_at"] for job in jobs]

    def shown(**query):
        found = api.get("/v1/jobs", query_string=query).json["items"]
        return [[job["id"] for job in jobs].index(job["id"]) for job in found]

    assert shown(reason="timeout") == [0]
    assert shown(reason="no_such") == []
    assert shown(since=begun[1]) == [2, 1]
    assert shown(until=begun[1]) == [0]
    assert shown(since=begun[1], until=begun[2]) == [1]
    assert shown(since=begun[1], reason="timeout") == []
    assert shown(since=begun[2], until=begun[2]) == []


@pytest.mark.parametrize("name", ["since", "until"])
def test_a_span_without_an_offset_is_refused(api, name):
    answer = api.get("/v1/jobs", query_string={name: "2026-03-01T06:00:00"})
    assert answer.status_code == 422
    assert answer.json["errors"][0]["pointer"] == f"/{name}"


@pytest.fixture
def split(api, work, database, tenant_id):
    """Split a running job into parts; return its id and those of its parts."""

    def run(count: int) -> tuple[str, list[str]]:
        parent = api.submit()["id"]
        work.claim(parent)
        row = work.row(parent, tenant_id)
        child = {
            **{name: getattr(row, name) for name in SHARED},
            "parent_id": parent,
        }
        made = [
            NewJob(id=new_id("job"), step="part", part=number, **child)
            for number in range(count)
        ]
        finish = NewJob(id=new_id("job"), step="finish", blocked=True, **child)
        with database.tenant(tenant_id) as connection:
            parts.split(connection, job=row, parts=made, finish=finish)
        return parent, [*(one.id for one in made), finish.id]

    return run


SHARED = ("type", "queue", "params", "labels", "priority", "timeout_s", "max_attempts")


def test_the_parts_of_a_job_are_listed_under_it_alone(api, split):
    parent, children = split(3)
    assert [job["id"] for job in api.get("/v1/jobs").json["items"]] == [parent]
    path, found = f"{api.job(parent)['links']['parts']}?limit=3", []
    while path:
        answer = api.get(path)
        found += [job["id"] for job in answer.json["items"]]
        link = answer.headers.get("Link")
        path = link and link.split(">")[0].removeprefix("<")
    assert found == sorted(children, reverse=True)
    assert api.get(f"/v1/jobs/{children[0]}/parts").json["items"] == []


def test_the_finish_of_a_split_job_waits_for_all_its_parts(api, split):
    parent, (*made, finish) = split(2)
    waiting = api.job(finish)["queue"]
    assert (waiting["blocked_by"], waiting["waits_for"]) == ("dependency", sorted(made))
    assert api.job(parent)["progress"]["total"] == 2


def test_a_part_cannot_be_retried_by_itself(api, work, split):
    parent, (part, *_) = split(2)
    work.end(part, "failed", reason="timeout")
    answer = api.post(f"/v1/jobs/{part}/retry")
    assert answer.status_code == 409
    assert parent in answer.json["detail"]


def test_another_tenant_s_parts_are_not_found(other_api, split):
    parent, _ = split(2)
    assert other_api.get(f"/v1/jobs/{parent}/parts").status_code == 404


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
