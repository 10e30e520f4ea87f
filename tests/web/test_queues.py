"""The queues as a tenant sees them, paused and resumed; the place of a queued job."""

from datetime import datetime

import pytest

from db import keys, limits, processes
from db.limits import Limits
from tasks.catalog import QUEUES
from tests.db.lines import turn
from tests.web.caller import Caller

pytestmark = pytest.mark.servers

BASE = "/v1/queues"


def queue(api: Caller, name: str) -> dict:
    """Return one queue as the tenant sees it."""
    return {one["name"]: one for one in api.get(BASE).json["queues"]}[name]


def place(api: Caller, job: dict) -> dict:
    """Return where a job stands."""
    return api.job(job["id"])["queue"]


@pytest.fixture
def slots(database):
    """Let a worker with so many slots be seen; it is gone after the test."""

    def seen(count: int, *queues: str) -> None:
        with database.system() as connection:
            processes.seen(
                connection,
                name="a test's worker",
                role="worker",
                queues=queues,
                detail={"slots": count},
            )

    yield seen
    with database.system() as connection:
        processes.gone(connection, name="a test's worker")


@pytest.fixture
def limit(database, tenant_id):
    """Set the tenant's limits, as an operator does."""

    def put(**given) -> None:
        with database.system() as connection:
            limits.put(connection, tenant_id=tenant_id, limits=Limits(**given))

    return put


def test_every_queue_is_shown_with_the_tenant_s_own_jobs(api, other_api, work, slots):
    assert [one["name"] for one in api.get(BASE).json["queues"]] == list(QUEUES)
    for _ in range(3):
        api.submit()
    work.claim(api.submit()["id"])
    work.end(api.submit()["id"])
    other_api.submit()
    before = queue(api, "system")["slots"]
    slots(7, "system", "ingest")
    seen = queue(api, "system")
    assert (seen["queued"], seen["running"]) == (3, 1)
    assert seen["slots"] - before == 7
    assert (seen["paused_at"], seen["paused_by"]) == (None, None)
    untouched = queue(api, "forecast")
    assert (untouched["queued"], untouched["running"]) == (0, 0)


def test_the_limits_of_the_tenant_are_shown(api, other_api, limit):
    free = {
        "weight": 1.0,
        "max_running": None,
        "max_queued": None,
        "starts_per_minute": None,
    }
    assert api.get(BASE).json["limits"] == free
    given = {
        "weight": 2.5,
        "max_running": 3,
        "max_queued": 100,
        "starts_per_minute": 60,
    }
    limit(**given)
    assert api.get(BASE).json["limits"] == given
    assert other_api.get(BASE).json["limits"] == free


def test_a_paused_queue_tells_who_paused_it_and_holds_the_tenant_s_jobs(
    api, other_api, database
):
    job, other_job = api.submit(), other_api.submit()
    answer = api.post(f"{BASE}/system/pause")
    assert answer.status_code == 200
    seen = queue(api, "system")
    assert {one["name"]: one for one in answer.json["queues"]}["system"] == seen
    with database.system() as connection:
        key_id = keys.identify(connection, secret=api.secret).key_id
    assert seen["paused_by"] == key_id
    assert datetime.fromisoformat(seen["paused_at"]).tzinfo is not None
    assert queue(api, "ingest")["paused_at"] is None
    assert place(api, job)["blocked_by"] == "paused"
    assert queue(other_api, "system")["paused_at"] is None
    assert place(other_api, other_job)["blocked_by"] != "paused"


def test_a_paused_queue_lets_no_job_of_the_tenant_go_until_it_is_resumed(
    make_app, own_settings
):
    app = make_app(own_settings)
    database = app.extensions["forebay"].database
    with database.system() as connection:
        tenant = keys.ensure_tenant(connection, name="tenant")
        secret = keys.issue(connection, tenant_id=tenant, name="test", role="member")
    api = Caller(app, secret)
    job = api.submit()
    api.post(f"{BASE}/system/pause")
    assert turn(database) == []
    api.post(f"{BASE}/system/resume")
    assert [one.job_id for one in turn(database)] == [job["id"]]


def test_pausing_twice_keeps_the_first_pause_and_resuming_ends_it(api):
    api.post(f"{BASE}/system/pause")
    first = queue(api, "system")
    api.post(f"{BASE}/system/pause")
    assert queue(api, "system") == first
    for _ in range(2):
        assert api.post(f"{BASE}/system/resume").status_code == 200
    assert queue(api, "system")["paused_at"] is None


def test_a_queue_that_is_not_there_is_not_found(api):
    for act in ("pause", "resume"):
        answer = api.post(f"{BASE}/express/{act}")
        assert answer.status_code == 404
        assert "system" in answer.json["detail"]
    assert api.get("/v1/audit").json["items"] == []


def test_pausing_is_in_the_audit(api):
    api.post(f"{BASE}/ingest/pause")
    api.post(f"{BASE}/ingest/resume")
    found = api.get("/v1/audit").json["items"]
    assert [(one["action"], one["target"]) for one in found] == [
        ("queue.resume", "ingest"),
        ("queue.pause", "ingest"),
    ]


def test_a_viewer_looks_and_does_not_pause(app, api, issue_key, tenant_id):
    viewer = Caller(app, issue_key(tenant_id, role="viewer"))
    assert viewer.post(f"{BASE}/system/pause").status_code == 403
    assert queue(viewer, "system")["paused_at"] is None
    api.post(f"{BASE}/system/pause")
    assert viewer.post(f"{BASE}/system/resume").status_code == 403
    assert queue(viewer, "system")["paused_at"] is not None


def test_without_a_worker_a_queued_job_has_a_place_and_no_time(api):
    seen = place(api, api.submit())
    assert seen["blocked_by"] == "no_worker"
    assert seen["position"] >= 0
    assert (seen["estimated_start"], seen["estimated_start_p90"]) == (None, None)


def test_with_a_worker_a_queued_job_is_told_when_it_may_start(api, slots):
    slots(4, "system")
    job = api.submit()
    seen = place(api, job)
    assert seen["blocked_by"] is None
    assert job["created_at"] <= seen["estimated_start"] <= seen["estimated_start_p90"]


def test_a_tenant_at_its_limit_is_told_so(api, work, limit, slots):
    slots(4, "system")
    limit(max_running=1)
    work.claim(api.submit()["id"])
    assert place(api, api.submit())["blocked_by"] == "tenant_limit"


def test_what_is_not_queued_has_no_place(api, work):
    job = api.submit()
    work.claim(job["id"])
    nowhere = {
        "position": None,
        "blocked_by": None,
        "waits_for": [],
        "not_before": None,
        "estimated_start": None,
        "estimated_start_p90": None,
    }
    assert place(api, job) == nowhere
    work.finish(job["id"])
    assert place(api, job) == nowhere
