"""Credentials through the API: put, listed without a value, never seen again."""

import base64
import logging
from dataclasses import replace

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import text

from db.session import Database
from tasks import credentials
from tests.web.caller import Caller

pytestmark = pytest.mark.servers

BASE = "/v1/credentials"
SECRET = "hunter2-of-a-test-that-greps-for-it"
KEY = Fernet.generate_key().decode()
_TABLES = text(
    "SELECT tablename FROM pg_tables WHERE schemaname = 'public' "
    "AND tablename <> 'alembic_version'"
)


@pytest.fixture
def give(app, monkeypatch):
    """Give the shared application a key for the length of the test."""

    def run(key: str) -> None:
        door = app.extensions["forebay"]
        settings = replace(door.settings, credentials_key=key)
        monkeypatch.setitem(app.extensions, "forebay", replace(door, settings=settings))

    return run


@pytest.fixture
def sealing(give, api) -> Caller:
    """Call an application that has a key."""
    give(KEY)
    return api


def put(api, name="eia", **secrets):
    return api.put(f"{BASE}/{name}", json={"secrets": secrets or {"api_key": SECRET}})


def dump(database: Database) -> str:
    """Return every row of every table as text."""
    with database.system() as connection:
        return "\n".join(
            row
            for table in connection.scalars(_TABLES).all()
            for row in connection.scalars(
                text(f"SELECT CAST(to_jsonb(t) AS text) FROM {table} AS t")
            )
        )


def forms(secret: str) -> list[str]:
    """Return how a secret might lie about, in clear or thinly veiled."""
    plain = secret.encode()
    return [
        secret,
        plain.hex(),
        *(base64.b64encode(plain[start:])[:20].decode() for start in range(3)),
    ]


def test_a_credential_is_put_and_shown_without_its_values(sealing):
    made = put(sealing, api_key=SECRET, user="ann")
    assert made.status_code == 200
    assert made.json["fields"] == ["api_key", "user"]
    assert set(made.json) == {"name", "fields", "created_at", "updated_at", "links"}
    assert sealing.get(BASE).json == {"items": [made.json], "next_cursor": None}


def test_a_second_put_replaces_the_whole(sealing):
    first = put(sealing, api_key=SECRET, user="ann").json
    second = put(sealing, token="t").json
    assert second["fields"] == ["token"]
    assert second["created_at"] == first["created_at"]
    assert second["updated_at"] > first["updated_at"]


def test_the_worker_opens_what_the_door_sealed(sealing, database, tenant_id):
    put(sealing)
    with database.tenant(tenant_id) as connection:
        found = credentials.opened(
            connection,
            tenant_id=tenant_id,
            name="eia",
            keys=credentials.Keys((KEY,)),
        )
    assert found == {"api_key": SECRET}


def test_a_secret_is_in_no_row_no_log_and_no_answer(
    sealing, database, caplog, monkeypatch
):
    caplog.set_level(logging.DEBUG)
    spoilt = [
        {"secrets": {"api_key": [SECRET]}},
        {"secrets": {"api_key": {"nested": SECRET}}},
        {"secrets": {"api_key": SECRET * 1_000}},
        {"secrets": [SECRET]},
        {"secrets": SECRET},
        {"secret": SECRET},
        [SECRET],
    ]
    told = [put(sealing)]
    told += [sealing.put(f"{BASE}/eia", json=body) for body in spoilt]
    broken = f'{{"secrets": {{"api_key": "{SECRET}"'
    headers = {"Content-Type": "application/json", "Idempotency-Key": "once"}
    told.append(sealing.put(f"{BASE}/eia", data=broken, headers=headers))
    told.append(sealing.put(f"{BASE}/eia", data=SECRET))
    assert [one.status_code for one in told] == [200, *[422] * 7, 400, 400]
    told += [sealing.get(BASE), sealing.get("/v1/audit")]

    def fails(*_args, **_given):
        raise RuntimeError("a bug")

    monkeypatch.setattr(credentials, "_seal", fails)
    told.append(put(sealing))
    assert told[-1].status_code == 500
    seen = {
        "rows": dump(database),
        "logs": "\n".join(f"{vars(one)} {one.getMessage()}" for one in caplog.records),
        "answers": "\n".join(f"{one.headers} {one.text}" for one in told),
    }
    assert "unforeseen error" in seen["logs"]
    assert "credential.put" in seen["rows"]
    for place, all_of_it in seen.items():
        for form in forms(SECRET):
            assert form not in all_of_it, (place, form)


def test_what_was_done_is_in_the_audit_trail_without_a_value(sealing):
    put(sealing)
    assert sealing.call("DELETE", f"{BASE}/eia").status_code == 204
    deleted, stored = sealing.get("/v1/audit").json["items"]
    assert (stored["action"], stored["target"]) == ("credential.put", "eia")
    assert stored["detail"] == {"fields": ["api_key"]}
    assert (deleted["action"], deleted["target"]) == ("credential.delete", "eia")


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("", "Fernet.generate_key"),
        ("x", "FOREBAY_CREDENTIALS_KEY holds what is no key"),
    ],
)
def test_without_a_key_the_answer_says_how_to_make_one(give, api, key, told):
    give(key)
    answer = put(api)
    assert answer.status_code == 409
    assert told in answer.json["detail"]
    assert SECRET not in answer.text


@pytest.mark.parametrize(
    ("name", "secrets", "pointer"),
    [
        ("eia", {}, "/secrets"),
        ("eia", {"a b": "x"}, "/secrets/a b"),
        ("eia", {"api_key": ""}, "/secrets/api_key"),
        ("eia", {"api_key": "x" * 16_385}, "/secrets/api_key"),
        ("eia", {"api_key": None}, "/secrets/api_key"),
        ("eia", {f"f{number}": "x" for number in range(21)}, "/secrets"),
        ("EIA", {"api_key": "x"}, ""),
        ("-", {"api_key": "x"}, ""),
    ],
)
def test_what_cannot_be_kept_is_refused_with_the_field(sealing, name, secrets, pointer):
    answer = sealing.put(f"{BASE}/{name}", json={"secrets": secrets})
    assert answer.status_code == 422
    assert answer.json["errors"][0]["pointer"].startswith(pointer)
    assert sealing.get(BASE).json["items"] == []


def test_a_credential_in_use_is_kept(sealing):
    put(sealing, token="t", api_key="k")
    source = {"name": "grid", "connector": "ncei", "credential": "eia"}
    config = {"stations": ["USW00094728"], "elements": ["TMAX"]}
    made = sealing.post("/v1/sources", json={**source, "config": config})
    assert made.status_code == 201, made.text
    kept = sealing.call("DELETE", f"{BASE}/eia")
    assert kept.status_code == 409
    assert "grid" in kept.json["detail"]
    changed = sealing.call("PATCH", "/v1/sources/grid", json={"credential": None})
    assert changed.json["credential"] is None
    assert sealing.call("DELETE", f"{BASE}/eia").status_code == 204
    assert sealing.call("DELETE", f"{BASE}/eia").status_code == 404


def test_the_list_comes_in_pages_by_name(sealing):
    for name in ("noaa", "eia", "fred"):
        put(sealing, name)
    first = sealing.get(f"{BASE}?limit=2")
    assert [one["name"] for one in first.json["items"]] == ["eia", "fred"]
    assert "cursor=fred" in first.headers["Link"]
    rest = sealing.get(f"{BASE}?limit=2&cursor=fred").json
    assert [one["name"] for one in rest["items"]] == ["noaa"]
    assert rest["next_cursor"] is None


def test_another_tenant_sees_and_deletes_nothing(sealing, other_api):
    put(sealing)
    assert other_api.get(BASE).json["items"] == []
    assert other_api.call("DELETE", f"{BASE}/eia").status_code == 404
    put(other_api, token="mine")
    assert sealing.get(BASE).json["items"][0]["fields"] == ["api_key"]


def test_a_viewer_may_read_the_names_only(app, sealing, issue_key, tenant_id):
    put(sealing)
    viewer = Caller(app, issue_key(tenant_id, role="viewer"))
    assert viewer.get(BASE).json["items"][0]["name"] == "eia"
    assert put(viewer).status_code == 403
    assert viewer.call("DELETE", f"{BASE}/eia").status_code == 403
