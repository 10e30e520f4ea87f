"""Schedules through the API."""

import uuid
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import text

from db import schedules
from db.schedules import Firing
from tests.web.caller import Caller

pytestmark = pytest.mark.servers

BASE = "/v1/schedules"
ECHO = {"type": "system.echo", "params": {"payload": {"a": 1}}}
NIGHTLY = {
    "name": "nightly",
    "cron": "30 2 * * *",
    "timezone": "America/New_York",
    "jobs": [ECHO],
}
UTC_FORM = "%Y-%m-%dT%H:%M:%SZ"


def create(api, **changes) -> dict:
    answer = api.post(BASE, json={**NIGHTLY, **changes})
    assert answer.status_code == 201, answer.text
    return answer.json


def instant(told: str) -> datetime:
    return datetime.fromisoformat(told).astimezone(UTC)


def pointers(answer) -> list[str]:
    assert answer.status_code == 422, answer.text
    assert all(one["detail"] for one in answer.json["errors"])
    return [one["pointer"] for one in answer.json["errors"]]


@pytest.fixture
def fired(database, tenant_id):
    """Keep that fire times of a schedule were missed, an hour between each."""

    def keep(schedule: dict, count: int) -> list[str]:
        begin = instant("2026-01-01T00:00:00Z")
        times = [begin + timedelta(hours=number) for number in range(count)]
        with database.tenant(tenant_id) as connection:
            found = schedules.find(
                connection, tenant_id=tenant_id, schedule_id=schedule["id"]
            )
            schedules.record(
                connection,
                schedule=found,
                firings=[Firing(at, at, "missed", []) for at in times],
            )
        return [at.strftime(UTC_FORM) for at in reversed(times)]

    return keep


def test_a_created_schedule_tells_its_next_five_fire_times_in_utc_and_on_the_wall(api):
    answer = api.post(BASE, json=NIGHTLY)
    made = answer.json
    assert answer.status_code == 201
    assert made["id"].startswith("sch_")
    assert answer.headers["Location"] == f"{BASE}/{made['id']}" == made["links"]["self"]
    assert (made["enabled"], made["fault"], made["last_firing"]) == (True, None, None)
    assert (made["overlap"], made["catch_up_s"]) == ("queue", 3_600)
    assert made["jobs"] == [ECHO]
    fires = made["next_fires"]
    assert len(fires) == 5
    assert fires[0]["at"] == made["next_fire_at"]
    for one in fires:
        local = datetime.fromisoformat(one["local"])
        assert one["at"].endswith("Z")
        assert local == instant(one["at"])
        assert (local.hour, local.minute) in ((2, 30), (3, 0))
    days = [datetime.fromisoformat(one["local"]).date() for one in fires]
    assert days == [days[0] + timedelta(days=number) for number in range(5)]
    assert api.get(answer.headers["Location"]).json == made


def test_an_interval_is_counted_from_the_creation(api):
    made = create(api, cron=None, every_s=600)
    steps = [
        instant(one["at"]) - instant(made["created_at"]) for one in made["next_fires"]
    ]
    assert steps == [timedelta(seconds=600 * number) for number in range(1, 6)]


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"cron": "61 * * * *"}, ["/cron"]),
        ({"cron": "@daily"}, ["/cron"]),
        ({"cron": None}, ["/cron", "/every_s"]),
        ({"every_s": 60}, ["/cron", "/every_s"]),
        ({"cron": None, "every_s": 9}, ["/every_s"]),
        ({"timezone": "Mars/Olympus"}, ["/timezone"]),
        ({"name": ""}, ["/name"]),
        ({"name": None}, ["/name"]),
        ({"jobs": []}, ["/jobs"]),
        ({"overlap": "kill"}, ["/overlap"]),
        ({"catch_up_s": 0}, ["/catch_up_s"]),
        ({"colour": "red"}, ["/colour"]),
        ({"jobs": [{"type": "no.such"}]}, ["/jobs/0/type"]),
        ({"jobs": [ECHO, {**ECHO, "params": {"x": 1}}]}, ["/jobs/1/params/x"]),
        ({"jobs": [{**ECHO, "priority": 10}]}, ["/jobs/0/priority"]),
        (
            {"jobs": [{**ECHO, "deadline": "2026-12-01T00:00:00Z"}]},
            ["/jobs/0/deadline"],
        ),
    ],
)
def test_what_cannot_be_scheduled_is_refused_with_the_field(api, changes, wanted):
    assert pointers(api.post(BASE, json={**NIGHTLY, **changes})) == wanted
    assert api.get(BASE).json["items"] == []


def test_a_name_is_given_once_in_a_tenant(api, other_api):
    create(api)
    again = api.post(BASE, json=NIGHTLY)
    assert again.status_code == 409
    assert "nightly" in again.json["detail"]
    create(other_api)


def test_the_list_comes_in_pages_the_newest_first(api):
    made = [create(api, name=f"schedule {number}")["id"] for number in range(5)]
    seen, path = [], f"{BASE}?limit=2"
    while path:
        answer = api.get(path)
        seen += [one["id"] for one in answer.json["items"]]
        link = answer.headers.get("Link", "")
        path = link[1 : link.index(">")] if link else None
    assert seen == made[::-1]


def test_changed_fields_change_and_the_others_stay(api):
    made = create(api)
    path = made["links"]["self"]
    changed = api.call("PATCH", path, json={"overlap": "skip", "name": None}).json
    assert changed["updated_at"] > made["updated_at"]
    same = ("overlap", "updated_at")
    assert {k: v for k, v in changed.items() if k not in same} == {
        k: v for k, v in made.items() if k not in same
    }
    changed = api.call("PATCH", path, json={"every_s": 60}).json
    assert (changed["cron"], changed["every_s"]) == (None, 60)
    changed = api.call("PATCH", path, json={"cron": "0 6 * * *", "timezone": "UTC"})
    assert changed.json["every_s"] is None
    assert changed.json["next_fires"][0]["local"].endswith("T06:00:00+00:00")
    assert api.get(path).json == changed.json


def test_a_bad_change_is_refused_with_the_field(api):
    made = create(api)
    path = made["links"]["self"]
    for body, wanted in (
        ({"timezone": "Mars/Olympus"}, ["/timezone"]),
        ({"cron": "x", "every_s": 60}, ["/cron", "/every_s"]),
        ({"jobs": [{"type": "no.such"}]}, ["/jobs/0/type"]),
        ({"enabled": False}, ["/enabled"]),
    ):
        assert pointers(api.call("PATCH", path, json=body)) == wanted
    assert api.get(path).json == made


def test_a_paused_schedule_has_no_next_fire_times_until_it_is_resumed(api):
    made = create(api)
    paused = api.post(made["links"]["pause"])
    assert paused.status_code == 200
    assert (paused.json["enabled"], paused.json["next_fires"]) == (False, [])
    assert api.post(made["links"]["pause"]).json == paused.json
    resumed = api.post(made["links"]["resume"]).json
    assert (resumed["enabled"], resumed["next_fires"]) == (True, made["next_fires"])


def test_running_now_submits_the_jobs_and_leaves_the_next_time_alone(api):
    made = create(api, jobs=[ECHO, {**ECHO, "priority": 9}])
    answer = api.post(made["links"]["run"])
    assert answer.status_code == 202
    assert answer.json["outcome"] == "fired"
    first, second = (api.job(job_id) for job_id in answer.json["job_ids"])
    assert (first["state"], first["priority"], second["priority"]) == ("queued", 5, 9)
    assert first["labels"] == {"schedule": "nightly"}
    seen = api.get(made["links"]["self"]).json
    assert seen["next_fire_at"] == made["next_fire_at"]
    assert seen["last_firing"] == answer.json
    assert api.get(made["links"]["firings"]).json["items"] == [answer.json]


def test_missed_ticks_are_visible_in_pages_the_latest_first(api, fired):
    made = create(api)
    times = fired(made, 5)
    assert api.get(made["links"]["self"]).json["last_firing"]["outcome"] == "missed"
    seen, cursor = [], None
    while True:
        query = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        page = api.get(made["links"]["firings"], query_string=query)
        seen += page.json["items"]
        cursor = page.json["next_cursor"]
        if cursor is None:
            break
        linked = parse_qs(urlsplit(page.headers["Link"].split(">")[0]).query)
        assert linked["cursor"] == [cursor]
    assert [one["fire_at"] for one in seen] == times
    assert {one["outcome"] for one in seen} == {"missed"}
    assert pointers(api.get(f"{made['links']['firings']}?cursor=x")) == ["/cursor"]


def test_a_deleted_schedule_is_gone_and_its_jobs_stay(api):
    made = create(api)
    (job_id,) = api.post(made["links"]["run"]).json["job_ids"]
    assert api.call("DELETE", made["links"]["self"]).status_code == 204
    for method, path in calls(made):
        assert api.call(method, path, **body(method)).status_code == 404, path
    assert api.job(job_id)["state"] == "queued"
    assert api.get(BASE).json["items"] == []


def calls(made: dict) -> list[tuple[str, str]]:
    """Return each call that names a schedule."""
    links = made["links"]
    return [
        ("GET", links["self"]),
        ("GET", links["firings"]),
        ("PATCH", links["self"]),
        ("POST", links["pause"]),
        ("POST", links["resume"]),
        ("POST", links["run"]),
        ("DELETE", links["self"]),
    ]


def body(method: str) -> dict:
    return {"json": {"overlap": "skip"}} if method == "PATCH" else {}


def test_another_tenant_s_schedule_is_not_found(api, other_api):
    made = create(api)
    for method, path in calls(made):
        answer = other_api.call(method, path, **body(method))
        assert answer.status_code == 404, (method, path)
    assert other_api.get(BASE).json["items"] == []
    assert other_api.get(f"{BASE}?cursor=sch_z").json["items"] == []
    assert api.get(made["links"]["self"]).json == made


def test_a_viewer_reads_and_does_not_write(app, api, issue_key, tenant_id):
    made = create(api)
    viewer = Caller(app, issue_key(tenant_id, role="viewer"))
    assert viewer.post(BASE, json={**NIGHTLY, "name": "x"}).status_code == 403
    for method, path in calls(made):
        wanted = 200 if method == "GET" else 403
        answer = viewer.call(method, path, **body(method))
        assert answer.status_code == wanted, (method, path)
    assert api.get(made["links"]["self"]).json == made


@pytest.fixture
def key() -> dict[str, str]:
    """The header with a key that nobody used."""
    return {"Idempotency-Key": uuid.uuid4().hex}


def test_a_repeated_creation_makes_one_schedule(api, key):
    first = api.post(BASE, headers=key, json=NIGHTLY)
    api.post(first.json["links"]["pause"])
    again = api.post(BASE, headers=key, json=NIGHTLY)
    assert first.status_code == again.status_code == 201
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json["id"] == first.json["id"]
    assert again.json["enabled"] is False
    other = api.post(BASE, headers=key, json={**NIGHTLY, "name": "other"})
    assert other.json["type"] == "/problems/key-reused"
    assert len(api.get(BASE).json["items"]) == 1


def test_a_repeated_run_submits_once(api, key):
    made = create(api)
    first = api.post(made["links"]["run"], headers=key)
    again = api.post(made["links"]["run"], headers=key)
    assert first.json == again.json
    assert again.headers["Idempotency-Replayed"] == "true"
    assert len(api.get(made["links"]["firings"]).json["items"]) == 1
    assert api.post(made["links"]["run"]).json["job_ids"] != first.json["job_ids"]


def test_what_is_done_to_a_schedule_is_in_the_audit(api, database, tenant_id):
    made = create(api)
    for method, path in calls(made):
        api.call(method, path, **body(method))
    with database.tenant(tenant_id) as connection:
        found = connection.execute(
            text("SELECT action, target, key_id IS NOT NULL FROM audit ORDER BY id")
        ).all()
    acts = ("create", "change", "pause", "resume", "run", "delete")
    assert [tuple(row) for row in found] == [
        (f"schedule.{act}", made["id"], True) for act in acts
    ]
