"""Taps of the operator's list, for the tenants that it names."""

from dataclasses import replace

import pytest

from db import keys
from tests.web.caller import Caller
from tests.web.grid import BASE, pointers

pytestmark = pytest.mark.servers

TAPPED = {
    "name": "load",
    "connector": "singer_tap",
    "config": {"tap": "tap-own", "stream": "load"},
}


@pytest.fixture
def name(database, tenant_id) -> str:
    with database.system() as connection:
        return keys.known(connection, tenant_id=tenant_id)[0]


@pytest.fixture
def member(make_app, settings, tenant_id, issue_key):
    """Call the API of an operator who lists taps: ``member("tap-own=/opt/own")``."""

    def make(listed: str) -> Caller:
        app = make_app(replace(settings, source_commands=listed))
        return Caller(app, issue_key(tenant_id))

    return make


def test_a_tap_that_names_the_tenant_can_be_read(member, name):
    api = member(f"tap-own@{name}=/opt/own")
    assert api.post(BASE, json=TAPPED).status_code == 201


@pytest.mark.parametrize("tenants", ["", "@another"])
def test_a_tap_of_others_is_refused_with_those_there_are(
    member, name, other_tenant_id, tenants
):
    assert other_tenant_id
    api = member(f"tap-own{tenants}=/opt/own; tap-all@*=/opt/all")
    answer = api.post(BASE, json=TAPPED)
    assert pointers(answer) == ["/config/tap"]
    detail = "no tap 'tap-own' is listed for this tenant; there are: tap-all"
    assert answer.json["errors"][0]["detail"] == detail
    assert api.get(BASE).json["items"] == []


def test_a_source_cannot_go_over_to_a_tap_of_others(member):
    api = member("tap-own@another=/opt/own; tap-all@*=/opt/all")
    config = {**TAPPED["config"], "tap": "tap-all"}
    assert api.post(BASE, json={**TAPPED, "config": config}).status_code == 201
    assert api.post(f"{BASE}/load/enable").status_code == 200
    changed = api.call("PATCH", f"{BASE}/load", json={"config": TAPPED["config"]})
    assert pointers(changed) == ["/config/tap"]


def test_a_source_whose_tap_was_taken_away_cannot_be_enabled(member, name):
    api = member(f"tap-own@{name}=/opt/own")
    assert api.post(BASE, json=TAPPED).status_code == 201
    without = member("tap-own@another=/opt/own")
    assert pointers(without.post(f"{BASE}/load/enable")) == ["/config/tap"]
