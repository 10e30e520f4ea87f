"""The same request twice makes one thing."""

import uuid
from typing import Any

import pytest
from sqlalchemy import text

from db import idempotency

pytestmark = pytest.mark.servers

ECHO = {"type": "system.echo"}
BODIES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "/v1/jobs": ({"json": ECHO}, {"json": {**ECHO, "priority": 1}}),
    "/v1/jobs/batch": ({"json": {"jobs": [ECHO]}}, {"json": {"jobs": [ECHO, ECHO]}}),
    "/v1/uploads": ({"data": b"ts,value\n"}, {"data": b"ts,value\nx"}),
}
ALL = pytest.mark.parametrize("path", BODIES)


@pytest.fixture
def key() -> dict[str, str]:
    """The header with a key that nobody used."""
    return {"Idempotency-Key": uuid.uuid4().hex}


def same_thing(first, second) -> bool:
    """Whether two answers name the same resources."""
    if "items" in first.json:
        return first.json["items"] == second.json["items"]
    return first.json["id"] == second.json["id"]


@ALL
def test_the_same_key_and_body_give_the_same_thing(api, key, path):
    body, _ = BODIES[path]
    first = api.post(path, headers=key, **body)
    second = api.post(path, headers=key, **body)
    assert first.status_code == second.status_code < 300
    assert same_thing(first, second)
    assert "Idempotency-Replayed" not in first.headers
    assert second.headers["Idempotency-Replayed"] == "true"


@ALL
def test_the_same_key_with_another_body_is_refused(api, key, path):
    body, other = BODIES[path]
    api.post(path, headers=key, **body)
    answer = api.post(path, headers=key, **other)
    assert answer.status_code == 422
    assert answer.json["type"] == "/problems/key-reused"
    assert "new key" in answer.json["detail"]


@ALL
def test_a_key_whose_first_request_has_not_ended_is_in_flight(
    api, key, path, database, tenant_id
):
    body, _ = BODIES[path]
    with database.tenant(tenant_id) as connection:
        idempotency.recall(
            connection,
            tenant_id=tenant_id,
            key=key["Idempotency-Key"],
            fingerprint=b"",
        )
        answer = api.post(path, headers=key, **body)
    assert answer.status_code == 409
    assert answer.json["type"] == "/problems/key-in-flight"
    assert int(answer.headers["Retry-After"]) >= 1
    assert api.post(path, headers=key, **body).status_code < 300


@ALL
def test_two_tenants_may_use_the_same_key(api, other_api, key, path):
    body, other = BODIES[path]
    first = api.post(path, headers=key, **body)
    second = other_api.post(path, headers=key, **other)
    assert second.status_code == first.status_code
    assert "Idempotency-Replayed" not in second.headers
    assert not same_thing(first, second)


@ALL
@pytest.mark.parametrize("bad", ["", "k" * 256])
def test_a_key_that_is_empty_or_too_long_is_refused(api, path, bad):
    body, _ = BODIES[path]
    answer = api.post(path, headers={"Idempotency-Key": bad}, **body)
    assert answer.status_code == 422
    assert "255" in answer.json["detail"]


@ALL
def test_a_refused_request_does_not_use_up_its_key(api, key, path):
    body, _ = BODIES[path]
    bad = {"data": b""} if path == "/v1/uploads" else {"json": {"x": 1}}
    assert api.post(path, headers=key, **bad).status_code == 422
    assert api.post(path, headers=key, **body).status_code < 300


def test_a_replay_shows_the_job_as_it_is_now(api, work, key):
    first = api.post("/v1/jobs", headers=key, json=ECHO).json
    work.end(first["id"])
    again = api.post("/v1/jobs", headers=key, json=ECHO)
    assert again.json["state"] == "succeeded"
    assert again.json["id"] == first["id"]


def test_the_order_of_a_body_s_members_makes_no_other_body(api, key):
    api.post("/v1/jobs", headers=key, json={"type": "system.echo", "priority": 2})
    again = api.post(
        "/v1/jobs", headers=key, json={"priority": 2, "type": "system.echo"}
    )
    assert again.headers["Idempotency-Replayed"] == "true"


def test_a_retry_with_a_key_makes_one_new_job(api, key):
    job = api.submit()
    path = f"/v1/jobs/{job['id']}"
    api.post(f"{path}/cancel")
    first = api.post(f"{path}/retry", headers=key)
    second = api.post(f"{path}/retry", headers=key)
    assert first.json["id"] == second.json["id"] != job["id"]
    assert second.headers["Idempotency-Replayed"] == "true"
    assert api.post(f"{path}/retry").json["id"] != first.json["id"]


def test_a_key_of_one_call_is_refused_by_another(api, key):
    api.post("/v1/jobs", headers=key, json=ECHO)
    answer = api.post("/v1/jobs/batch", headers=key, json={"jobs": [ECHO]})
    assert answer.json["type"] == "/problems/key-reused"


def test_a_replayed_upload_leaves_no_second_file(api, key, settings, tenant_id):
    for _ in range(2):
        api.post("/v1/uploads", headers=key, data=b"ts,value\n")
    folder = settings.artifacts_path / "uploads" / str(tenant_id)
    assert len(list(folder.iterdir())) == 1


def test_a_key_is_remembered_for_two_days(api, key, database, tenant_id):
    first = api.post("/v1/jobs", headers=key, json=ECHO).json["id"]

    def age(interval: str) -> str:
        with database.system() as connection:
            connection.execute(
                text(
                    "UPDATE idempotency_keys SET created_at = "
                    "now() - CAST(:age AS interval) WHERE tenant_id = :tenant"
                ),
                {"age": interval, "tenant": tenant_id},
            )
            idempotency.forget_old(connection)
        return api.post("/v1/jobs", headers=key, json=ECHO).json["id"]

    assert age("47 hours 59 minutes") == first
    assert age("48 hours 1 minute") != first
