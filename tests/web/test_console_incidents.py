"""The pages of incidents: behind the sign-in, of one tenant, without own figures."""

import json
import re
from html import unescape

import pytest

from db import series as series_rows
from tasks.grouping import Grouping
from tasks.incidents import settle
from tests.db.rows import AT
from tests.tasks.sightings import anomaly

pytestmark = pytest.mark.servers


@pytest.fixture
def incident(database, tenant_id) -> str:
    with database.tenant(tenant_id) as connection:
        (number,) = series_rows.ids(
            connection, tenant_id=tenant_id, keys=["east"], now=AT
        ).values()
        settled = settle(
            connection,
            tenant_id=tenant_id,
            found={number: [anomaly(0)]},
            seen={},
            grouping=Grouping(),
            now=AT,
        )
    return settled.opened[0]


@pytest.fixture
def visit(app):
    """Sign in with a key: ``visit(api)`` gives a browser."""

    def enter(caller):
        browser = app.test_client()
        form = {"key": caller.secret}
        assert browser.post("/console/sign-in", data=form).status_code == 302
        return browser

    return enter


@pytest.mark.parametrize("path", ["/console/incidents", "/console/incidents/inc_x"])
def test_strangers_are_sent_to_the_sign_in(app, path):
    answer = app.test_client().get(path)
    assert answer.status_code == 302
    assert "next=" in answer.headers["Location"]


def test_the_pages_bring_scripts_and_no_figure(visit, api, incident):
    browser = visit(api)
    assert 'href="/console/incidents"' in browser.get("/").text
    listed = browser.get("/console/incidents").text
    shown = browser.get(f"/console/incidents/{incident}").text
    assert "/static/incidents.js" in listed
    assert "/static/incident.js" in shown
    assert f'data-id="{incident}"' in shown
    assert incident not in listed
    assert "east" not in listed + shown
    assert "<form" not in re.sub(r"<form.*?sign-out.*?</form>", "", listed + shown)


def test_the_page_of_an_incident_of_another_is_not_found(
    visit, api, other_api, incident
):
    assert visit(api).get(f"/console/incidents/{incident}").status_code == 200
    for path in (f"/console/incidents/{incident}", "/console/incidents/inc_x"):
        assert visit(other_api).get(path).status_code == 404


def test_what_the_scripts_ask_is_answered_to_the_cookie_alone(visit, api, incident):
    browser = visit(api)
    of = f"?incident={incident}&limit=100"
    base = f"/v1/incidents/{incident}"
    asked = {
        "/v1/incidents?limit=50&open=true": 1,
        "/v1/incidents?limit=50&state=acknowledged": 0,
        f"{base}/events?limit=100": 1,
        f"{base}/anomalies?limit=100": 1,
        f"/v1/recommendations{of}": 1,
        f"/v1/notifications{of}": 0,
    }
    for path, count in asked.items():
        assert len(browser.get(path).json["items"]) == count, path
    assert browser.get(f"{base}/chart?series=east").status_code == 200
    assert browser.post(f"{base}/resolve").status_code == 401


def test_who_acted_is_told_by_the_name_of_the_key(visit, api, incident):
    assert api.post(f"/v1/incidents/{incident}/acknowledge").status_code == 200
    who = api.get(f"/v1/incidents/{incident}").json["acknowledged_by"]
    page = unescape(visit(api).get(f"/console/incidents/{incident}").text)
    (named,) = re.findall(r"data-names=\"({.*?})\"", page)
    assert json.loads(named) == {who: "test"}
