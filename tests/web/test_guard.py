"""Who may come in: the open doors are spelled out here, all others need a key."""

from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
from sqlalchemy import text

from tests.web.caller import Caller

pytestmark = pytest.mark.servers

OPEN = {
    ("GET", "/"),
    ("GET", "/health"),
    ("GET", "/ready"),
    ("GET", "/metrics"),
    ("GET", "/openapi.json"),
    ("GET", "/docs"),
    ("GET", "/favicon.ico"),
    ("GET", "/docs/assets/<path:name>"),
    ("GET", "/assets/vega.js"),
    ("GET", "/problems/<name>"),
    ("GET", "/static/<path:filename>"),
    ("POST", "/console/sign-in"),
    ("POST", "/console/sign-out"),
}


def calls(app) -> set[tuple[str, str]]:
    """Return every method and route of the application."""
    return {
        (method, rule.rule)
        for rule in app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }


def test_every_route_but_the_open_ones_refuses_a_stranger(app):
    assert calls(app) >= OPEN
    closed = calls(app) - OPEN
    assert len(closed) >= 40
    stranger = Caller(app, None)
    for method, route in closed:
        path = route.replace("<job_id>", "job_x").replace("<key>", "a")
        answer = stranger.call(method, path)
        if route.startswith("/console/"):
            assert answer.status_code == 302
            assert answer.headers["Location"] == f"/?{urlencode({'next': path})}"
        else:
            assert answer.status_code == 401, (method, route)


def test_every_open_route_answers_a_stranger(app):
    stranger = Caller(app, None)
    names = {"path:name": "swagger-ui.css", "path:filename": "forebay.css", "name": "x"}
    for method, route in OPEN:
        path = route
        for name, example in names.items():
            path = path.replace(f"<{name}>", example)
        with stranger.call(method, path) as answer:
            wanted = {
                "/console/sign-in": {401},
                "/console/sign-out": {302},
                "/ready": {200, 503},
            }
            assert answer.status_code in wanted.get(route, {200}), route


@pytest.fixture
def revoke(database):
    """Revoke all keys of a tenant."""

    def run(tenant_id: int) -> None:
        with database.system() as connection:
            connection.execute(
                text("UPDATE api_keys SET revoked_at = now() WHERE tenant_id = :id"),
                {"id": tenant_id},
            )

    return run


def refused(app, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    for method, path in (("GET", "/v1/jobs"), ("POST", "/v1/jobs")):
        answer = Caller(app, None).call(method, path, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert answer.json["type"] == "/problems/unauthenticated"


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", "Bearer fbk_wrong", "Basic YTpi", "Bearer \xe9"],
)
def test_a_call_without_a_good_key_is_unauthenticated(app, authorization):
    refused(app, authorization)


def test_a_good_key_under_another_scheme_is_no_key(app, api):
    refused(app, api.secret)
    refused(app, f"Basic {api.secret}")
    answer = Caller(app, None).get(
        "/v1/jobs", headers={"Authorization": f"bearer {api.secret}"}
    )
    assert answer.status_code == 200


def test_a_key_works_until_it_expires(app, issue_key, tenant_id):
    now = datetime.now(UTC)
    later = issue_key(tenant_id, expires_at=now + timedelta(hours=1))
    assert Caller(app, later).get("/v1/jobs").status_code == 200
    past = issue_key(tenant_id, expires_at=now - timedelta(seconds=1))
    refused(app, f"Bearer {past}")


def test_a_key_works_until_it_is_revoked(app, api, revoke, tenant_id):
    assert api.get("/v1/jobs").status_code == 200
    revoke(tenant_id)
    refused(app, f"Bearer {api.secret}")


def test_the_id_of_a_key_is_no_key(app, api, database):
    with database.system() as connection:
        for key_id in connection.scalars(text("SELECT id FROM api_keys")):
            refused(app, f"Bearer {key_id}")


def test_a_viewer_reads_and_does_not_write(app, api, issue_key, tenant_id):
    viewer = Caller(app, issue_key(tenant_id, role="viewer"))
    job = api.submit()
    assert viewer.job(job["id"])["id"] == job["id"]
    for method, path in (
        ("POST", "/v1/jobs"),
        ("POST", "/v1/jobs/batch"),
        ("POST", f"/v1/jobs/{job['id']}/cancel"),
        ("POST", f"/v1/jobs/{job['id']}/retry"),
        ("POST", "/v1/jobs/replay"),
        ("POST", "/v1/queues/system/pause"),
        ("POST", "/v1/queues/system/resume"),
        ("POST", "/v1/uploads"),
        ("PUT", "/v1/series/a"),
        ("POST", "/v1/series/a/observations"),
    ):
        answer = viewer.call(method, path, json={})
        assert answer.status_code == 403, path
        assert answer.json["type"] == "/problems/forbidden"
    assert api.job(job["id"])["state"] == "queued"
