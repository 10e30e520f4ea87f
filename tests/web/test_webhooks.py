"""The webhook calls: whose they are, what they refuse, and when a secret is shown."""

import logging
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from standardwebhooks.webhooks import Webhook

from db.ids import new_id
from tasks.addresses import Unresolved
from tasks.webhooks import secret
from tests.db.patience import until
from tests.web.caller import Caller
from tests.workers.receiver import receiving
from workers.deliverer import Deliverer, Outside

pytestmark = pytest.mark.servers

URL = "https://93.184.215.14/hook"  # an address needs no name server
FINAL = ["job.succeeded", "job.failed", "job.cancelled"]


def create(api, **body):
    return api.post("/v1/webhooks", json={"url": URL, **body})


@pytest.fixture
def hook(api) -> dict:
    """A webhook of the tenant, with its secret."""
    answer = create(api)
    assert answer.status_code == 201, answer.text
    return answer.json


@pytest.fixture
def path(hook) -> str:
    return hook["links"]["self"]


@pytest.fixture
def listed_app(make_app, settings):
    return make_app(replace(settings, webhook_hosts="127.0.0.1"))


@pytest.fixture
def listed_api(listed_app, tenant_id, issue_key) -> Caller:
    """Call an application whose operator has listed this machine."""
    return Caller(listed_app, issue_key(tenant_id))


@pytest.fixture
def send(database, settings, tenant_id):
    """Send what is due in some seconds from now."""

    def run(*, later_s: float = 0) -> None:
        # Those of other tests name hosts of the internet.
        with database.system() as connection:
            connection.execute(
                text("DELETE FROM webhook_deliveries WHERE tenant_id <> :mine"),
                {"mine": tenant_id},
            )
        now = datetime.now(UTC) + timedelta(seconds=later_s)
        deliverer = Deliverer(
            database,
            replace(settings, webhook_hosts="127.0.0.1"),
            outside=Outside(now=lambda: now, draw=lambda: 0.0),
        )
        deliverer.look()
        until(lambda: not deliverer.sending)
        deliverer.stop()

    return run


def test_a_webhook_is_created_with_its_secret(api, settings):
    answer = create(api, description="mine")
    made = answer.json
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/v1/webhooks/{made['id']}"
    assert made["id"].startswith("whk_")
    assert made["secret"] == secret(
        settings.secret_key, webhook_id=made["id"], generation=1
    )
    assert (made["url"], made["description"], made["events"]) == (URL, "mine", FINAL)
    assert (made["enabled"], made["disabled_reason"]) == (True, None)
    assert made["warning"] is None
    assert api.get(answer.headers["Location"]).json == {
        name: value for name, value in made.items() if name != "secret"
    }


def test_the_secret_is_shown_at_creation_and_rotation_and_never_else(api, hook, path):
    rotated = api.post(f"{path}/rotate")
    assert rotated.status_code == 200
    assert rotated.json["rotated_at"]
    secrets = (hook["secret"], rotated.json["secret"])
    assert len(set(secrets)) == 2
    tested = api.post(f"{path}/test").json
    answers = [
        api.get("/v1/webhooks"),
        api.get(path),
        api.call("PATCH", path, json={"description": "x"}),
        api.get(f"{path}/deliveries"),
        api.get(tested["links"]["self"]),
        api.post(tested["links"]["resend"]),
    ]
    for answer in answers:
        assert answer.status_code in (200, 202)
        assert "whsec_" not in answer.text
        assert '"secret"' not in answer.text


def test_a_repeated_creation_shows_the_same_until_the_secret_is_rotated(api):
    once = {"Idempotency-Key": uuid.uuid4().hex}
    body = {"url": URL}
    first = api.post("/v1/webhooks", headers=once, json=body)
    again = api.post("/v1/webhooks", headers=once, json=body)
    assert again.json == first.json
    assert again.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first.headers
    api.post(f"{first.json['links']['self']}/rotate")
    later = api.post("/v1/webhooks", headers=once, json=body)
    assert (later.json["id"], later.json["secret"]) == (first.json["id"], None)
    other = api.post(
        "/v1/webhooks", headers=once, json={**body, "description": "other"}
    )
    assert other.json["type"] == "/problems/key-reused"
    assert len(api.get("/v1/webhooks").json["items"]) == 1


def test_a_repeated_creation_is_answered_although_the_name_is_gone(api, monkeypatch):
    once = {"Idempotency-Key": uuid.uuid4().hex}
    first = api.post("/v1/webhooks", headers=once, json={"url": URL})

    def away(*_given, **_more):
        raise Unresolved("the host has no address")

    monkeypatch.setattr("web.routes.webhooks.target", away)
    again = api.post("/v1/webhooks", headers=once, json={"url": URL})
    assert (again.status_code, again.json) == (201, first.json)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert create(api).status_code == 422
    fresh = {"Idempotency-Key": uuid.uuid4().hex}
    for _ in range(2):
        refused = api.post("/v1/webhooks", headers=fresh, json={"url": URL})
        assert refused.status_code == 422


def test_a_creation_that_overtakes_another_with_its_key_is_the_only_one(
    api, monkeypatch
):
    once, made = {"Idempotency-Key": uuid.uuid4().hex}, []

    def slow(*_given, **_more):
        if not made:
            made.append(None)
            made.append(api.post("/v1/webhooks", headers=once, json={"url": URL}))

    monkeypatch.setattr("web.routes.webhooks.target", slow)
    late = api.post("/v1/webhooks", headers=once, json={"url": URL})
    assert (late.status_code, late.json) == (201, made[1].json)
    assert late.headers["Idempotency-Replayed"] == "true"
    assert len(api.get("/v1/webhooks").json["items"]) == 1


@pytest.mark.parametrize(
    "url",
    [
        *("http://127.0.0.1:9/", "http://localhost/", "http://[::1]/", "http://0/"),
        *("http://169.254.169.254/latest/meta-data/", "http://10.0.0.1/"),
        *("http://2130706433/", "http://[::ffff:10.0.0.1]/", "http://[fe80::1]/"),
        *("https://u:p@93.184.215.14/", URL + "#f", "ftp://93.184.215.14/"),
        *("", "not a url", "/v1/jobs", "https://93.184.215.14\\@10.0.0.1/"),
    ],
)
def test_an_address_that_may_not_be_sent_to_is_refused(api, hook, path, url):
    for answer in (create(api, url=url), api.call("PATCH", path, json={"url": url})):
        assert answer.status_code == 422
        assert [one["pointer"] for one in answer.json["errors"]] == ["/url"]
    assert api.get(path).json["url"] == URL


def test_an_operator_may_list_a_private_host(api, listed_api):
    assert create(api, url="http://127.0.0.1:9/").status_code == 422
    assert create(listed_api, url="http://127.0.0.1:9/").status_code == 201
    assert create(listed_api, url="http://127.0.0.2:9/").status_code == 422


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"events": []}, "/events"),
        ({"events": ["job.progress"]}, "/events/0"),
        ({"events": ["succeeded"]}, "/events/0"),
        ({"events": ["webhook.test"]}, "/events/0"),
        ({"description": "x" * 501}, "/description"),
        ({"secret": "whsec_mine"}, "/secret"),
        ({"url": "https://a.example/" + "x" * 2_000}, "/url"),
    ],
)
def test_values_that_are_not_valid_are_named(api, path, body, pointer):
    for answer in (create(api, **body), api.call("PATCH", path, json=body)):
        assert answer.status_code == 422
        assert pointer in [one["pointer"] for one in answer.json["errors"]]


def test_a_url_is_needed(api):
    answer = api.post("/v1/webhooks", json={})
    assert answer.json["errors"][0]["pointer"] == "/url"


def test_a_tenant_has_at_most_twenty(api, other_api):
    for _ in range(20):
        assert create(api).status_code == 201
    answer = create(api)
    assert answer.status_code == 422
    assert "at most 20" in answer.json["detail"]
    assert create(other_api).status_code == 201
    newest = api.get("/v1/webhooks?limit=1").json["items"][0]
    assert api.call("DELETE", newest["links"]["self"]).status_code == 204
    assert create(api).status_code == 201


def test_webhooks_are_listed_page_by_page(api):
    ids = [create(api).json["id"] for _ in range(3)]
    first = api.get("/v1/webhooks?limit=2")
    assert 'rel="next"' in first.headers["Link"]
    rest = api.get(f"/v1/webhooks?limit=2&cursor={first.json['next_cursor']}").json
    assert [one["id"] for one in first.json["items"] + rest["items"]] == ids[::-1]
    assert rest["next_cursor"] is None


def test_given_fields_change_and_others_stay(api, hook, path):
    wanted = {"events": ["job.running", "job.running"], "description": "new"}
    changed = api.call("PATCH", path, json=wanted).json
    assert changed["events"] == ["job.running"]
    assert (changed["url"], changed["description"]) == (URL, "new")
    assert api.call("PATCH", path, json={}).json["description"] == "new"


def test_a_disabled_webhook_gets_nothing_until_it_is_enabled(api, path):
    api.post(f"{path}/test")
    disabled = api.call("PATCH", path, json={"enabled": False}).json
    assert disabled["disabled_reason"] == "disabled by request"
    (given_up,) = api.get(f"{path}/deliveries?state=failed").json["items"]
    for call in (f"{path}/test", given_up["links"]["resend"]):
        answer = api.post(call)
        assert answer.status_code == 409
        assert answer.json["type"] == "/problems/state-conflict"
    assert api.call("PATCH", path, json={"enabled": True}).json["enabled"]
    assert api.post(given_up["links"]["resend"]).json["state"] == "pending"


def test_a_deleted_webhook_is_gone_with_its_deliveries(api, path):
    delivery = api.post(f"{path}/test").json["links"]["self"]
    assert api.call("DELETE", path).status_code == 204
    for answer in (api.get(path), api.get(delivery), api.call("DELETE", path)):
        assert answer.status_code == 404


def test_a_test_event_is_sent_verified_and_logged(listed_api, send):
    with receiving() as receiver:
        made = create(listed_api, url=receiver.url).json
        queued = listed_api.post(f"{made['links']['self']}/test")
        assert queued.status_code == 202
        assert (queued.json["type"], queued.json["state"]) == (
            "webhook.test",
            "pending",
        )
        receiver.script = [(500, {})]
        send(later_s=1)
        send(later_s=10)
    first, second = receiver.calls
    verified = Webhook(made["secret"]).verify(second.body, second.headers)
    assert verified["type"] == "webhook.test"
    assert first.body == second.body
    found = listed_api.get(queued.json["links"]["self"]).json
    assert (found["state"], found["attempts"], found["last_status"]) == (
        "delivered",
        2,
        204,
    )
    assert [(one["status"], one["error"]) for one in found["log"]] == [
        (500, "answered 500"),
        (204, None),
    ]
    assert found["body"] == verified
    assert found["next_attempt_at"] is None
    assert found["ended_at"]


def test_a_delivery_is_sent_again_by_hand_under_its_id(listed_api, send):
    with receiving() as receiver:
        made = create(listed_api, url=receiver.url).json
        queued = listed_api.post(f"{made['links']['self']}/test").json
        send(later_s=1)
        again = listed_api.post(queued["links"]["resend"])
        assert again.status_code == 202
        assert (again.json["state"], again.json["attempts"]) == ("pending", 1)
        send(later_s=1)
    assert receiver.ids() == [queued["id"]] * 2
    assert len(listed_api.get(queued["links"]["self"]).json["log"]) == 2


def test_deliveries_are_listed_page_by_page_and_by_state(api, path):
    ids = [api.post(f"{path}/test").json["id"] for _ in range(3)]
    first = api.get(f"{path}/deliveries?limit=2").json
    rest = api.get(f"{path}/deliveries?cursor={first['next_cursor']}").json
    assert [one["id"] for one in first["items"] + rest["items"]] == ids[::-1]
    assert api.get(f"{path}/deliveries?state=delivered").json["items"] == []
    assert api.get(f"{path}/deliveries?state=lost").status_code == 422


def calls(path: str, delivery: str) -> list[tuple[str, str, dict]]:
    """Every call that names a webhook."""
    return [
        ("GET", path, {}),
        ("PATCH", path, {"json": {"description": "theirs"}}),
        ("PATCH", path, {"json": {"url": URL}}),
        ("POST", f"{path}/rotate", {}),
        ("POST", f"{path}/test", {}),
        ("GET", f"{path}/deliveries", {}),
        ("GET", delivery, {}),
        ("POST", f"{delivery}/resend", {}),
        ("DELETE", path, {}),
    ]


def test_what_is_another_tenant_s_is_not_found(api, other_api, path):
    delivery = api.post(f"{path}/test").json["links"]["self"]
    before = [api.get(one).json for one in (path, delivery)]
    for method, call, body in calls(path, delivery):
        assert other_api.call(method, call, **body).status_code == 404, (method, call)
    assert [api.get(one).json for one in (path, delivery)] == before
    assert other_api.get("/v1/webhooks").json["items"] == []


def test_a_delivery_of_another_webhook_is_not_found(api, path):
    other = create(api).json["links"]["self"]
    delivery_id = api.post(f"{path}/test").json["id"]
    found = f"{other}/deliveries/{delivery_id}"
    assert api.get(found).status_code == 404
    assert api.post(f"{found}/resend").status_code == 404


def test_a_viewer_reads_and_does_not_write(app, api, issue_key, tenant_id, path):
    viewer = Caller(app, issue_key(tenant_id, role="viewer"))
    delivery = api.post(f"{path}/test").json["links"]["self"]
    for method, call, body in [*calls(path, delivery), ("POST", "/v1/webhooks", {})]:
        status = viewer.call(method, call, **body).status_code
        assert status == (200 if method == "GET" else 403), (method, call)


def test_without_a_key_of_the_platform_the_answers_warn(
    make_app, settings, issue_key, tenant_id
):
    keyless = Caller(make_app(replace(settings, secret_key="")), issue_key(tenant_id))
    made = create(keyless).json
    assert made["secret"] is None
    for answer in (made, keyless.get(made["links"]["self"]).json):
        assert "FOREBAY_SECRET_KEY is not set" in answer["warning"]


def test_no_call_writes_a_secret_or_a_url_into_the_log(api, caplog):
    caplog.set_level(logging.DEBUG)
    token = uuid.uuid4().hex
    made = create(api, url=f"{URL}?t={token}").json
    rotated = api.post(f"{made['links']['self']}/rotate").json
    create(api, url=f"http://127.0.0.1/?t={token}")
    for hidden in (made["secret"], rotated["secret"], token):
        assert hidden not in caplog.text


def test_ids_that_never_were_are_not_found(api):
    path = f"/v1/webhooks/{new_id('whk')}"
    for method, call, body in calls(path, f"{path}/deliveries/{new_id('whd')}"):
        assert api.call(method, call, **body).status_code == 404, (method, call)
