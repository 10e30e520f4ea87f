"""Trained versions through the API: shown, downloaded, promoted and rolled back."""

import hashlib

import pytest

from db import registry
from tasks import storage
from tests.db import trained
from tests.web.caller import Caller

pytestmark = pytest.mark.servers

BASE = "/v1/models/load-day-ahead"
CONTENT = b"what was fitted"


@pytest.fixture
def train(database, settings, tenant_id):
    """Keep an artifact and register a version of it; returns the number."""

    def run(content: bytes = CONTENT, **changes) -> int:
        sha256 = storage.opened(settings, tenant_id=tenant_id).put(content)
        return trained.add(
            database,
            tenant_id,
            changes.pop("name", "load-day-ahead"),
            artifact_sha256=sha256,
            artifact_bytes=len(content),
            **changes,
        )

    return run


@pytest.fixture
def move(api, work):
    """Ask for a move and let a worker do it; returns the job's result."""

    def run(act: str, **body) -> dict:
        answer = api.post(f"{BASE}/{act}", json=body)
        assert answer.status_code == 202, answer.text
        assert answer.headers["Location"] == f"/v1/jobs/{answer.json['id']}"
        assert work.run(answer.json["id"]) == "succeeded"
        return api.get(f"/v1/jobs/{answer.json['id']}/result").json

    return run


def every_page(api, path: str) -> list[dict]:
    seen, cursor = [], None
    while True:
        query = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        page = api.get(path, query_string=query)
        assert len(page.json["items"]) <= 2
        seen += page.json["items"]
        cursor = page.json["next_cursor"]
        assert ("Link" in page.headers) == (cursor is not None)
        if cursor is None:
            return seen


def test_a_version_is_shown_with_all_that_made_it(api, train):
    train(metrics={"crps": None}, compared={"version": 1, "metrics": {"mase": 1.0}})
    shown = api.get(f"{BASE}/versions/1").json
    assert (shown["name"], shown["version"], shown["stage"]) == (
        "load-day-ahead",
        1,
        "challenger",
    )
    assert shown["window_start"] == "2025-03-01T12:00:00Z"
    assert shown["metrics"]["crps"] is None
    assert shown["metrics"]["mase"] == 0.9
    assert shown["compared"] == {"version": 1, "metrics": {"mase": 1.0}}
    assert shown["artifact"] == {
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
        "bytes": len(CONTENT),
        "store": "file",
    }
    assert api.get(shown["links"]["self"]).json == shown


def test_models_and_versions_come_in_pages(api, train, move):
    for name in ("a", "b", "load-day-ahead"):
        for _ in range(3):
            train(name=name)
    move("promote", version=2)
    names = every_page(api, "/v1/models")
    assert [(one["name"], one["latest"], one["champion"]) for one in names] == [
        ("a", 3, None),
        ("b", 3, None),
        ("load-day-ahead", 3, 2),
    ]
    versions = every_page(api, f"{BASE}/versions")
    assert [(one["version"], one["stage"]) for one in versions] == [
        (3, "challenger"),
        (2, "champion"),
        (1, "archived"),
    ]
    assert api.get(f"{BASE}/versions/champion").json == versions[1]
    assert api.get(BASE).json == names[-1]
    for name, path in names[-1]["links"].items():
        if name in ("self", "versions", "history"):
            assert api.get(path).status_code == 200


def test_a_promotion_is_a_job_whose_key_is_in_the_history(api, train, move):
    train()
    train(metrics={"mase": 5.0})
    first = move("promote", version=1, reason="the first")
    assert (first["changed"], first["champion"]) == (True, 1)
    refused = move("promote", version=2)
    assert (refused["refused"], refused["champion"]) == (True, 1)
    forced = move("promote", version=2, force=True, reason="a test", expected=1)
    assert (forced["forced"], forced["champion"]) == (True, 2)
    back = move("rollback", reason="enough")
    assert (back["champion"], back["former"]) == (1, 2)
    history = every_page(api, f"{BASE}/history")
    told = ("act", "done", "forced", "from_version", "to_version", "reason")
    assert [tuple(one[name] for name in told) for one in history] == [
        ("rollback", True, False, 2, 1, "enough"),
        ("promote", True, True, 1, 2, "a test"),
        ("promote", False, False, 1, 2, ""),
        ("promote", True, False, None, 1, "the first"),
    ]
    assert history[0]["gate"] is None
    assert [one["gate"]["passed"] for one in history[1:]] == [False, False, True]
    (key_id,) = {one["key_id"] for one in history}
    acts = api.get("/v1/audit").json["items"]
    assert {one["key_id"] for one in acts} == {key_id}
    assert key_id.startswith("key_")
    assert [one["action"] for one in acts] == [
        "model.rollback",
        "model.rollback.ask",
        "model.promote",
        "model.promote.ask",
        "model.promote.refused",
        "model.promote.ask",
        "model.promote",
        "model.promote.ask",
    ]


def test_two_wishes_to_roll_back_the_same_champion_go_one_step_back(
    api, train, move, work
):
    for number in (1, 2, 3):
        train()
        move("promote", version=number)
    jobs = [api.post(f"{BASE}/rollback", json={}).json for _ in range(2)]
    assert {job["params"]["expected"] for job in jobs} == {3}
    for job in jobs:
        assert work.run(job["id"]) == "succeeded"
    results = [api.get(f"/v1/jobs/{job['id']}/result").json for job in jobs]
    assert [one["changed"] for one in results] == [True, False]
    assert api.get(BASE).json["champion"] == 2


def test_the_same_key_and_body_give_the_same_job_and_one_note(api, train):
    train()
    headers = {"Idempotency-Key": "once"}
    first, again = (
        api.post(f"{BASE}/promote", json={"version": 1}, headers=headers)
        for _ in range(2)
    )
    assert first.json["id"] == again.json["id"]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert len(api.get("/v1/audit").json["items"]) == 1
    other = api.post(
        f"{BASE}/promote", json={"version": 1, "expected": 0}, headers=headers
    )
    assert other.status_code == 422


def test_a_promotion_that_expected_another_champion_fails_its_job(
    api, train, move, work
):
    for _ in range(2):
        train()
    move("promote", version=1)
    job = api.post(f"{BASE}/promote", json={"version": 2, "expected": 0}).json
    assert work.run(job["id"]) == "failed"
    failed = api.job(job["id"])
    assert failed["reason"] == "invalid_data"
    assert failed["error"]["errors"][0]["pointer"] == "/params/expected"


@pytest.mark.parametrize(
    ("act", "body", "pointer"),
    [
        ("promote", {}, "/version"),
        ("promote", {"version": 0}, "/version"),
        ("promote", {"version": 1, "force": True}, ""),
        (
            "promote",
            {"version": 1, "rules": {"minimum_points": 0}},
            "/rules/minimum_points",
        ),
        ("promote", {"version": 1, "name": "other"}, "/name"),
        ("rollback", {"expected": 0}, "/expected"),
        ("rollback", {"version": 1}, "/version"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_the_field(api, train, act, body, pointer):
    train()
    answer = api.post(f"{BASE}/{act}", json=body)
    assert answer.status_code == 422
    assert [one["pointer"] for one in answer.json["errors"]] == [pointer]
    assert api.get("/v1/jobs").json["items"] == []


@pytest.mark.parametrize(
    "path",
    [
        "/v1/models/nobody",
        "/v1/models/nobody/versions",
        "/v1/models/nobody/history",
        *(f"{BASE}/versions/{n}" for n in ("2", "0", "-1", "x", "champion", "9" * 30)),
        f"{BASE}/versions/2/artifact",
    ],
)
def test_what_is_not_there_is_not_found(api, train, path):
    train()
    assert api.get(path).status_code == 404


def test_moves_of_what_is_not_there_are_not_submitted(api, train):
    train()
    for path, body in (
        ("/v1/models/nobody/promote", {"version": 1}),
        ("/v1/models/nobody/rollback", {}),
        (f"{BASE}/promote", {"version": 2}),
    ):
        assert api.post(path, json=body).status_code == 404
    assert api.get("/v1/jobs").json["items"] == []


def test_the_artifact_is_downloaded_as_it_was_put(api, train):
    train()
    path = f"{BASE}/versions/1/artifact"
    answer = api.get(path)
    assert answer.data == CONTENT
    assert answer.mimetype == "application/octet-stream"
    assert "load-day-ahead-1.bin" in answer.headers["Content-Disposition"]
    tag = answer.headers["ETag"]
    assert tag.strip('"') == hashlib.sha256(CONTENT).hexdigest()
    again = api.get(path, headers={"If-None-Match": tag})
    assert (again.status_code, again.data) == (304, b"")


def test_a_damaged_or_lost_artifact_is_not_sent(api, train, settings, tenant_id):
    train(b"soon broken")
    (path,) = settings.artifacts_path.rglob(hashlib.sha256(b"soon broken").hexdigest())
    path.write_bytes(b"broken")
    answer = api.get(f"{BASE}/versions/1/artifact")
    assert answer.status_code == 409
    assert "its hash changed" in answer.json["detail"]
    path.unlink()
    assert api.get(f"{BASE}/versions/1/artifact").status_code == 404


def test_a_viewer_reads_and_neither_downloads_nor_moves(
    app, issue_key, tenant_id, train
):
    train()
    viewer = Caller(app, issue_key(tenant_id, role="viewer"))
    for path in ("/v1/models", BASE, f"{BASE}/versions/1", f"{BASE}/history"):
        assert viewer.get(path).status_code == 200
    assert viewer.get(f"{BASE}/versions/1/artifact").status_code == 403
    for act in ("promote", "rollback"):
        assert viewer.post(f"{BASE}/{act}", json={"version": 1}).status_code == 403


def test_another_tenant_sees_and_moves_nothing(database, other_api, tenant_id, train):
    train()
    assert other_api.get("/v1/models").json["items"] == []
    for path in ("", "/versions", "/versions/1", "/versions/1/artifact", "/history"):
        assert other_api.get(f"{BASE}{path}").status_code == 404
    for act, body in (("promote", {"version": 1}), ("rollback", {})):
        assert other_api.post(f"{BASE}/{act}", json=body).status_code == 404
    with database.tenant(tenant_id) as connection:
        found = registry.find(connection, tenant_id=tenant_id, name="load-day-ahead")
    assert found.champion is None
