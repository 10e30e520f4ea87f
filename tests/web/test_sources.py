"""Sources through the API."""

from datetime import datetime

import pytest

from db import credentials as credential_rows
from db.credentials import NewCredential
from tests.db.rows import AT
from tests.tasks.shelf import shelf
from tests.web.caller import Caller
from tests.web.grid import BASE, CRON, GRID, audited, create, pointers, read

__all__ = ["read", "shelf"]

pytestmark = [pytest.mark.servers, pytest.mark.usefixtures("shelf")]


def planned(api) -> list[dict]:
    """Return the schedules of sources, without that of their freshness."""
    found = api.get("/v1/schedules").json["items"]
    return [one for one in found if one["name"] != "sources:freshness"]


@pytest.fixture
def put(database, tenant_id):
    def run(name, *fields):
        new = NewCredential(name, list(fields), b"sealed")
        with database.tenant(tenant_id) as connection:
            credential_rows.put(connection, tenant_id=tenant_id, new=new, now=AT)

    return run


def test_a_source_is_created_as_given_with_defaults_filled_in(api):
    answer = api.post(BASE, json={**GRID, "schedule": CRON})
    made = answer.json
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"{BASE}/grid" == made["links"]["self"]
    assert made["id"].startswith("src_")
    assert made["config"] == GRID["config"]
    assert made["mapping"] == {"prefix": None, "keys": {}, "unit": None, "tags": []}
    assert (made["schedule"], made["enabled"], made["warnings"]) == (CRON, True, [])
    assert (made["failures"], made["open_until"], made["withdraw"]) == (0, None, True)
    shown = api.get(f"{BASE}/grid").json
    assert {**shown, **made} == shown
    local = datetime.fromisoformat(shown["next_fire_at"])
    assert local.minute == 30
    assert (shown["freshness"], shown["windows"], shown["quarantined"]) == ({}, {}, {})
    assert [one["name"] for one in api.get("/v1/schedules").json["items"]] == [
        "sources:freshness",
        "source:grid",
    ]
    assert audited(api) == ["source.create"]


def test_all_that_can_be_given_comes_back(api, put):
    put("mine", "api_key")
    given = {
        "connector": "keyed",
        "credential": "mine",
        "mapping": {
            "prefix": "load.",
            "keys": {"pjm.d": "load-pjm"},
            "unit": "MW",
            "tags": ["load"],
        },
        "schedule": CRON,
        "since": "2020-01-01T00:00:00Z",
        "lookback_h": 240.0,
        "withdraw": False,
        "quality": {
            "max_rejected": 5,
            "max_rejected_share": 0.01,
            "min_score": 0.9,
            "max_withdrawn_share": 0.1,
        },
        "expected": {
            "cron": "0 8 * * *",
            "timezone": "Europe/Berlin",
            "calendar": "DE",
            "reach_h": 12.0,
            "grace_s": 600.0,
        },
        "watch": {"name": "night", "sensitivity": 60},
    }
    made = create(api, **given)
    assert {name: made[name] for name in given} == given


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"config": {}}, ["/config/regions"]),
        ({"config": {"regions": ["a"], "x": 1}}, ["/config/x"]),
        ({"config": None}, ["/config"]),
        ({"connector": "none"}, ["/connector"]),
        ({"connector": "keyed"}, ["/credential"]),
        ({"credential": "gone"}, ["/credential"]),
        ({"name": "upload"}, ["/name"]),
        ({"name": "Grid"}, ["/name"]),
        ({"name": ""}, ["/name"]),
        ({"schedule": {"cron": "61 * * * *"}}, ["/schedule/cron"]),
        ({"schedule": {**CRON, "timezone": "Mars"}}, ["/schedule/timezone"]),
        ({"expected": {"cron": "x"}}, ["/expected/cron"]),
        ({"expected": {**CRON, "calendar": "?"}}, ["/expected/calendar"]),
        ({"expected": {**CRON, "calendar": "XNYZ"}}, ["/expected/calendar"]),
        ({"since": "2020-01-01"}, ["/since"]),
        ({"lookback_h": -1}, ["/lookback_h"]),
        ({"quality": {"min_score": 2}}, ["/quality/min_score"]),
        ({"mapping": {"prefix": "A"}}, ["/mapping/prefix"]),
        ({"mapping": {"keys": {"a": "x", "b": "x"}}}, ["/mapping/keys"]),
        ({"mapping": {"keys": {"a": "A B"}}}, ["/mapping/keys/a"]),
        ({"mapping": {"tags": [""]}}, ["/mapping/tags/0"]),
        ({"watch": {"sensitivity": 101}}, ["/watch/sensitivity"]),
        ({"colour": "red"}, ["/colour"]),
    ],
)
def test_what_is_not_valid_is_refused_with_the_field(api, changes, wanted):
    assert pointers(api.post(BASE, json={**GRID, **changes})) == wanted
    assert api.get(BASE).json["items"] == []
    assert api.get("/v1/schedules").json["items"] == []


def test_each_answer_that_shows_one_source_says_when_it_is_read_next(api):
    made = create(api, schedule=CRON)
    change = {"schedule": {"cron": "0 5 * * *"}}
    changed = api.call("PATCH", f"{BASE}/grid", json=change).json
    shown = api.get(f"{BASE}/grid").json
    assert changed["next_fire_at"] == shown["next_fire_at"] != made["next_fire_at"]
    assert changed["fault"] is None
    assert api.post(f"{BASE}/grid/pause").json["next_fire_at"] is None
    enabled = api.post(f"{BASE}/grid/enable").json
    assert enabled["next_fire_at"] == shown["next_fire_at"]


def test_a_source_that_is_off_by_default_names_its_licence(api):
    made = create(api, connector="wary", schedule=CRON)
    assert not made["enabled"]
    assert "Personal use only." in made["warnings"][0]
    assert api.get(f"{BASE}/grid").json["next_fire_at"] is None
    assert api.post(f"{BASE}/grid/run").status_code == 409
    assert api.post(f"{BASE}/grid/test").status_code == 202
    enabled = api.post(f"{BASE}/grid/enable").json
    assert enabled["enabled"]
    assert api.get(f"{BASE}/grid").json["next_fire_at"]
    assert api.post(f"{BASE}/grid/run").status_code == 202


def test_a_name_is_given_once_in_a_tenant(api, other_api):
    create(api)
    again = api.post(BASE, json=GRID)
    assert again.status_code == 409
    assert "grid" in again.json["detail"]
    create(other_api)


def test_the_same_creation_twice_makes_one_source(api):
    headers = {"Idempotency-Key": "k"}
    first = api.post(BASE, json=GRID, headers=headers)
    second = api.post(BASE, json=GRID, headers=headers)
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.headers["Idempotency-Replayed"] == "true"
    assert second.json == first.json


def test_the_list_comes_in_pages_by_name(api):
    for name in ("c", "a", "b"):
        create(api, name=name)
    first = api.get(f"{BASE}?limit=2").json
    assert [one["name"] for one in first["items"]] == ["a", "b"]
    rest = api.get(f"{BASE}?limit=2&cursor={first['next_cursor']}").json
    assert [one["name"] for one in rest["items"]] == ["c"]


def test_given_fields_change_null_takes_away_and_the_others_stay(api, put):
    put("mine", "api_key")
    made = create(api, schedule=CRON, credential="mine", lookback_h=24)
    path = made["links"]["self"]
    changed = api.call("PATCH", path, json={"config": {"regions": ["a", "b"]}}).json
    assert changed["config"] == {"regions": ["a", "b"]}
    same = ("config", "updated_at")
    assert {k: v for k, v in changed.items() if k not in same} == {
        k: v for k, v in made.items() if k not in same
    }
    gone = {"schedule": None, "credential": None, "lookback_h": None}
    changed = api.call("PATCH", path, json=gone).json
    assert {name: changed[name] for name in gone} == gone
    assert planned(api) == []
    changed = api.call("PATCH", path, json={"schedule": {"cron": "0 6 * * *"}}).json
    assert changed["schedule"] == {"cron": "0 6 * * *", "timezone": "UTC"}
    assert planned(api)[0]["cron"] == "0 6 * * *"
    assert api.call("PATCH", path, json={}).json == changed
    assert audited(api) == ["source.change"] * 3 + ["source.create"]


def test_a_bad_change_is_refused_and_changes_nothing(api):
    made = create(api, schedule=CRON)
    path = made["links"]["self"]
    for body, wanted in (
        ({"config": {}}, ["/config/regions"]),
        ({"config": None}, ["/config"]),
        ({"credential": "gone"}, ["/credential"]),
        ({"schedule": {"cron": "x"}}, ["/schedule/cron"]),
        ({"name": "other"}, ["/name"]),
        ({"connector": "wary"}, ["/connector"]),
        ({"enabled": False}, ["/enabled"]),
    ):
        assert pointers(api.call("PATCH", path, json=body)) == wanted
    shown = api.get(path).json
    assert {**shown, **made} == shown


def test_pausing_and_enabling_carry_the_schedule_along(api):
    made = create(api, schedule=CRON)
    paused = api.post(made["links"]["pause"]).json
    assert not paused["enabled"]
    assert not planned(api)[0]["enabled"]
    assert api.post(made["links"]["enable"]).json["enabled"]
    assert planned(api)[0]["enabled"]
    assert audited(api) == ["source.enable", "source.pause", "source.create"]


def test_deleting_takes_the_ledger_and_leaves_the_series(api, read):
    create(api, schedule=CRON)
    read()
    assert api.call("DELETE", f"{BASE}/grid").status_code == 204
    assert api.get(f"{BASE}/grid").status_code == 404
    assert api.call("DELETE", f"{BASE}/grid").status_code == 404
    assert api.get("/v1/schedules").json["items"] == []
    assert api.get("/v1/series/grid.pjm").status_code == 200
    create(api)


def test_connectors_are_shown_with_a_schema_for_a_form(api):
    items = api.get("/v1/connectors").json["items"]
    assert [one["name"] for one in items] == ["keyed", "open", "wary"]
    one = api.get("/v1/connectors/keyed").json
    assert one == items[0]
    assert one["config"]["properties"]["regions"]["title"] == "Regions"
    assert one["secrets"][0]["name"] == "api_key"
    assert api.get("/v1/connectors/none").status_code == 404


def with_a_source(app) -> list[tuple[str, str]]:
    return sorted(
        (method, rule.rule)
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith(f"{BASE}/<name>")
        for method in rule.methods - {"OPTIONS"}
    )


def test_no_call_shows_or_changes_another_tenant_s_source(app, api, other_api, read):
    create(api, schedule=CRON)
    read()
    before = api.get(f"{BASE}/grid").json
    bodies = {
        "backfill": {"start": "2020-01-01T00:00:00Z"},
        "discard": {"partition": "p1"},
    }
    table = with_a_source(app)
    assert len(table) >= 16
    for method, route in table:
        verb = route.rpartition("/")[2]
        given = {} if method in ("GET", "HEAD") else {"json": bodies.get(verb, {})}
        answer = other_api.call(method, route.replace("<name>", "grid"), **given)
        assert answer.status_code == 404, (method, route)
    assert other_api.get(BASE).json["items"] == []
    assert other_api.get("/v1/jobs").json["items"] == []
    assert api.get(f"{BASE}/grid").json == before


def test_a_credential_of_another_tenant_is_none(api, other_api, put):
    put("mine", "api_key")
    keyed = {**GRID, "connector": "keyed", "credential": "mine"}
    assert pointers(other_api.post(BASE, json=keyed)) == ["/credential"]
    create(api, **keyed)


def test_a_viewer_reads_and_does_not_write(app, api, issue_key, tenant_id):
    create(api)
    viewer = Caller(app, issue_key(tenant_id, role="viewer"))
    assert viewer.get(f"{BASE}/grid").json["name"] == "grid"
    for method, route in with_a_source(app):
        if method not in ("GET", "HEAD"):
            answer = viewer.call(method, route.replace("<name>", "grid"), json={})
            assert answer.status_code == 403, (method, route)
    assert viewer.post(BASE, json=GRID).status_code == 403
