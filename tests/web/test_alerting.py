"""Channels, alert rules and notifications through the API."""

import threading
from dataclasses import replace

import pytest
from cryptography.fernet import Fernet

from db import alert_rules, channels
from db import series as series_rows
from tasks.grouping import Grouping
from tasks.incidents import settle
from tests.db import rows
from tests.db.patience import until
from tests.db.rows import AT
from tests.tasks.sightings import anomaly
from tests.web.caller import Caller
from tests.web.grid import audited, pointers
from web.app import create_app

pytestmark = pytest.mark.servers

URL = "https://127.0.0.1/hook"
HOOK = {"name": "hook", "kind": "webhook", "config": {"url": URL}}
MAIL = {
    "host": "127.0.0.1",
    "security": "none",
    "from": "forebay@a.example",
    "to": ["desk@b.example"],
}


@pytest.fixture(scope="module")
def app(settings):
    """An application that may send to this machine, and has a key for credentials."""
    shared = create_app(
        replace(
            settings,
            webhook_hosts="127.0.0.1",
            credentials_key=Fernet.generate_key().decode(),
        )
    )
    yield shared
    shared.extensions["forebay"].close()


@pytest.fixture
def plug(api):
    """Create a channel and return it."""

    def make(**changes):
        answer = api.post("/v1/channels", json={**HOOK, **changes})
        assert answer.status_code == 201, answer.text
        return answer.json

    return make


@pytest.fixture
def rule(api, plug):
    """Create a rule with a channel and return it."""

    def make(**changes):
        given = {"name": "desk", "channels": [plug()["id"]], **changes}
        answer = api.post("/v1/alert-rules", json=given)
        assert answer.status_code == 201, answer.text
        return answer.json

    return make


def put(api, name="mine", **secrets):
    answer = api.put(f"/v1/credentials/{name}", json={"secrets": secrets})
    assert answer.status_code == 200, answer.text


def test_a_channel_is_created_shown_changed_and_deleted(api, plug):
    made = plug()
    base = made["links"]["self"]
    assert made["secret"].startswith("whsec_")
    shown = api.get(base).json
    assert "secret" not in shown
    assert {**made, **shown} == made
    changed = api.call("PATCH", base, json={"name": "new", "enabled": False}).json
    assert (changed["name"], changed["enabled"]) == ("new", False)
    assert changed["disabled_reason"] == "disabled by request"
    assert api.post(f"{base}/test").status_code == 409
    assert api.call("PATCH", base, json={"enabled": True}).json["enabled"]
    assert api.call("DELETE", base).status_code == 204
    assert api.get(base).status_code == 404
    assert audited(api) == [
        *("channel.delete", "channel.change", "channel.change", "channel.create")
    ]


def test_a_channel_s_webhook_is_not_among_the_webhooks(api, plug):
    line = plug()["links"]["deliveries"].removesuffix("/deliveries")
    assert api.get("/v1/webhooks").json["items"] == []
    assert api.call("PATCH", line, json={"enabled": False}).status_code == 404
    assert api.call("DELETE", line).status_code == 404
    assert api.get(f"{line}/deliveries").json["items"] == []
    assert api.post(f"{line}/test").status_code == 409


def test_a_secret_is_named_and_never_shown(api, plug):
    secret = "https://hooks.example/T0/B0/abc"
    put(api, url=secret)
    made = plug(name="slack", kind="slack", config={}, credential="mine")
    assert (made["credential"], made["secret"]) == ("mine", None)
    for path in ("/v1/channels", made["links"]["self"], "/v1/audit"):
        assert secret not in api.get(path).text
    refused = api.call("DELETE", "/v1/credentials/mine")
    assert refused.status_code == 409
    assert "slack" in refused.json["detail"]


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"config": {}}, ["/config/url"]),
        ({"config": {"url": "ftp://a"}}, ["/config/url"]),
        ({"config": {"url": "http://10.0.0.1/"}}, ["/config/url"]),
        ({"config": {"url": URL, "x": 1}}, ["/config/x"]),
        ({"kind": "pigeon"}, ["/kind"]),
        ({"credential": "gone"}, ["/credential"]),
        ({"name": ""}, ["/name"]),
        ({"kind": "slack", "config": {}}, ["/credential"]),
        ({"kind": "email", "config": {**MAIL, "to": []}}, ["/config/to"]),
        ({"kind": "email", "config": {**MAIL, "to": ["a b"]}}, ["/config/to"]),
        (
            {"kind": "email", "config": {**MAIL, "from": "a@b\r\nX: y"}},
            ["/config/from"],
        ),
        ({"kind": "email", "config": {**MAIL, "to": ["a@b."]}}, ["/config/to"]),
        ({"kind": "email", "config": {**MAIL, "port": 0}}, ["/config/port"]),
        ({"kind": "email", "config": {**MAIL, "port": True}}, ["/config/port"]),
        ({"kind": "email", "config": {**MAIL, "security": "x"}}, ["/config/security"]),
        ({"kind": "email", "config": {**MAIL, "host": "10.0.0.1"}}, ["/config/host"]),
        ({"kind": "email", "config": {**MAIL, "host": "a/b"}}, ["/config/host"]),
    ],
)
def test_a_channel_that_could_never_send_is_refused_with_the_field(api, given, wanted):
    assert pointers(api.post("/v1/channels", json={**HOOK, **given})) == wanted
    assert api.get("/v1/channels").json["items"] == []


def test_a_password_is_not_to_go_in_the_clear(api):
    put(api, username="u", password="p")
    given = {"name": "m", "kind": "email", "config": MAIL, "credential": "mine"}
    assert pointers(api.post("/v1/channels", json=given)) == ["/config/security"]
    put(api, "other", token="t")
    given = {**given, "credential": "other"}
    assert "/credential" in pointers(api.post("/v1/channels", json=given))


def test_two_channels_or_rules_of_one_name_are_one_too_many(api, plug, rule):
    rule()
    second = plug(name="second")
    assert pointers(api.post("/v1/channels", json=HOOK)) == ["/name"]
    taken = {"name": "desk", "channels": [second["id"]]}
    assert pointers(api.post("/v1/alert-rules", json=taken)) == ["/name"]
    other = api.post("/v1/alert-rules", json={**taken, "name": "other"}).json
    again = api.call("PATCH", other["links"]["self"], json={"name": "desk"})
    assert pointers(again) == ["/name"]
    hook = second["links"]["self"]
    assert pointers(api.call("PATCH", hook, json={"name": "hook"})) == ["/name"]
    assert api.call("PATCH", hook, json={"name": "second"}).status_code == 200


def test_the_same_key_makes_one_channel_and_one_rule(api):
    headers = {"Idempotency-Key": "k1"}
    made = [api.post("/v1/channels", json=HOOK, headers=headers) for _ in range(2)]
    assert made[0].json == made[1].json
    assert made[1].headers["Idempotency-Replayed"] == "true"
    given = {"name": "desk", "channels": [made[0].json["id"]]}
    headers = {"Idempotency-Key": "k2"}
    rules = [api.post("/v1/alert-rules", json=given, headers=headers) for _ in "ab"]
    assert rules[0].json == rules[1].json
    reused = api.post("/v1/alert-rules", json={**given, "name": "x"}, headers=headers)
    assert reused.json["type"] == "/problems/key-reused"


def test_a_rule_is_created_with_defaults_changed_and_deleted(api, rule, plug):
    made = rule()
    base = made["links"]["self"]
    assert (made["min_severity"], made["cooldown_s"]) == ("low", 3_600)
    assert (made["tags"], made["tell_resolved"], made["enabled"]) == ([], True, True)
    changes = {"tags": ["load"], "min_severity": "high", "enabled": False}
    changed = api.call("PATCH", base, json=changes).json
    assert {**changed, **changes} == changed
    assert api.get(base).json == changed
    assert [one["id"] for one in api.get("/v1/alert-rules").json["items"]] == [
        made["id"]
    ]
    used = api.call("DELETE", f"/v1/channels/{made['channels'][0]}")
    assert used.status_code == 409
    assert api.call("DELETE", base).status_code == 204
    for method in ("GET", "DELETE"):
        assert api.call(method, base).status_code == 404
    assert api.call("PATCH", base, json={}).status_code == 404
    assert audited(api)[0] == "alert_rule.delete"


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"channels": []}, ["/channels"]),
        ({"channels": ["chn_x"]}, ["/channels/0"]),
        ({"min_severity": "worst"}, ["/min_severity"]),
        ({"cooldown_s": -1}, ["/cooldown_s"]),
        ({"name": ""}, ["/name"]),
        ({"tags": [""]}, ["/tags/0"]),
        ({"colour": "red"}, ["/colour"]),
    ],
)
def test_a_rule_that_is_not_valid_is_refused_with_the_field(api, plug, changes, wanted):
    given = {"name": "desk", "channels": [plug()["id"]]}
    assert pointers(api.post("/v1/alert-rules", json={**given, **changes})) == wanted


def test_a_test_goes_through_all_channels_and_is_seen(api, rule, plug):
    made = rule(channels=[plug(name="a")["id"], plug(name="b")["id"]])
    sent = api.post(f"{made['links']['self']}/test")
    assert sent.status_code == 202
    assert sorted(one["channel"] for one in sent.json["items"]) == ["a", "b"]
    listed = api.get(f"/v1/notifications?rule={made['id']}&state=pending").json["items"]
    assert len(listed) == 2
    assert {one["occasion"] for one in listed} == {"test"}
    delivery = api.get(listed[0]["links"]["delivery"]).json
    assert delivery["type"] == "alert.test"
    assert api.post(listed[0]["links"]["resend"]).status_code == 202
    assert api.get("/v1/notifications?state=failed").json["items"] == []


def test_a_channel_is_tested_and_its_address_changed(api, plug):
    made = plug()
    base = made["links"]["self"]
    sent = api.post(f"{base}/test")
    assert (sent.status_code, sent.json["rule"]) == (202, "test of hook")
    moved = {"config": {"url": "https://127.0.0.1/new"}}
    assert api.call("PATCH", base, json=moved).json["config"] == moved["config"]
    line = made["links"]["deliveries"].removesuffix("/deliveries")
    assert api.get(line).json["url"] == "https://127.0.0.1/new"
    inside = {"config": {"url": "http://10.0.0.1/"}}
    assert pointers(api.call("PATCH", base, json=inside)) == ["/config/url"]


def test_what_a_rule_told_of_an_incident_is_listed_with_it(
    api, rule, database, tenant_id
):
    made = rule()
    with database.tenant(tenant_id) as connection:
        ids = series_rows.ids(connection, tenant_id=tenant_id, keys=["e"], now=AT)
        settled = settle(
            connection,
            tenant_id=tenant_id,
            found={ids["e"]: [anomaly(0)]},
            seen={},
            grouping=Grouping(),
            now=AT,
        )
    (incident,) = settled.opened
    (told,) = api.get(f"/v1/notifications?incident={incident}").json["items"]
    assert (told["occasion"], told["rule_id"]) == ("opened", made["id"])
    assert told["links"]["incident"] == f"/v1/incidents/{incident}"


@pytest.fixture
def meanwhile(database):
    """Call something in a thread, and return when it waits for a transaction."""
    waiting = (
        "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'advisory' "
        "AND datname = current_database()"
    )
    threads: list[threading.Thread] = []
    answers: list = []

    def start(call):
        threads.append(threading.Thread(target=lambda: answers.append(call())))
        threads[-1].start()
        until(lambda: rows.owners_value(database, waiting))
        assert answers == []

    def end():
        for thread in threads:
            thread.join()
        return answers

    return start, end


def test_a_channel_is_not_deleted_under_a_rule_that_is_being_made(
    api, rule, plug, meanwhile, database, tenant_id
):
    start, end = meanwhile
    (fields,) = api.get("/v1/alert-rules").json["items"] if rule() else ()
    channel = plug(name="other")["id"]
    with database.tenant(tenant_id) as connection:
        alert_rules.hold(connection, tenant_id=tenant_id)
        assert channels.by_ids(connection, tenant_id=tenant_id, ids=[channel])
        start(lambda: api.call("DELETE", f"/v1/channels/{channel}"))
        alert_rules.create(
            connection,
            tenant_id=tenant_id,
            fields={**fields, "name": "late", "channels": [channel]},
            most=9,
            now=AT,
        )
    (answer,) = end()
    assert answer.status_code == 409, answer.text
    assert "late" in answer.json["detail"]
    assert api.get(f"/v1/channels/{channel}").status_code == 200


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_a_rule_does_not_take_a_channel_that_is_being_deleted(
    api, rule, meanwhile, database, tenant_id, method
):
    start, end = meanwhile
    path = rule()["links"]["self"] if method == "PATCH" else "/v1/alert-rules"
    channel = api.post("/v1/channels", json={**HOOK, "name": "other"}).json["id"]
    with database.tenant(tenant_id) as connection:
        alert_rules.hold(connection, tenant_id=tenant_id)
        channels.delete(connection, tenant_id=tenant_id, channel_id=channel)
        given = {"name": "late", "channels": [channel]}
        start(lambda: api.call(method, path, json=given))
    (answer,) = end()
    assert pointers(answer) == ["/channels/0"]


def test_another_tenant_sees_and_changes_nothing(api, other_api, rule, plug):
    made = rule()
    channel = f"/v1/channels/{made['channels'][0]}"
    mine = made["links"]["self"]
    api.post(f"{mine}/test")
    for method, path in (
        *(("GET", channel), ("DELETE", channel), ("POST", f"{channel}/test")),
        *(("GET", mine), ("DELETE", mine), ("POST", f"{mine}/test")),
    ):
        assert other_api.call(method, path).status_code == 404, path
    for path in (channel, mine):
        assert other_api.call("PATCH", path, json={"name": "x"}).status_code == 404
    for path in ("/v1/channels", "/v1/alert-rules", "/v1/notifications"):
        assert other_api.get(path).json["items"] == []
        assert api.get(path).json["items"]
    theirs = {"name": "theirs", "channels": made["channels"]}
    assert pointers(other_api.post("/v1/alert-rules", json=theirs)) == ["/channels/0"]


def test_a_viewer_may_look_and_not_send(app, issue_key, tenant_id, rule):
    viewer = Caller(app, issue_key(tenant_id, role="viewer"))
    made = rule()
    assert viewer.get(made["links"]["self"]).status_code == 200
    assert viewer.post(f"{made['links']['self']}/test").status_code == 403
    assert viewer.post("/v1/channels").status_code == 403
