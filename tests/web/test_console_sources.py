"""The page of sources: behind the sign-in, and without figures of its own."""

import pytest

from tests.tasks.shelf import shelf
from tests.web.grid import create, read

__all__ = ["read", "shelf"]

pytestmark = [pytest.mark.servers, pytest.mark.usefixtures("shelf")]


@pytest.fixture
def browser(app, api):
    with app.test_client() as found:
        assert (
            found.post("/console/sign-in", data={"key": api.secret}).status_code == 302
        )
        yield found


def test_strangers_are_sent_to_the_sign_in(app):
    answer = app.test_client().get("/console/sources")
    assert answer.status_code == 302
    assert "next=" in answer.headers["Location"]


def test_the_page_brings_the_script_that_asks_and_no_source_of_anybody(browser, api):
    create(api)
    page = browser.get("/console/sources")
    assert page.status_code == 200
    assert "/static/sources.js" in page.text
    assert "grid" not in page.text
    assert 'href="/console/sources"' in browser.get("/").text


def test_what_the_script_asks_is_answered_to_the_cookie_alone(browser, api):
    create(api)
    with browser.get("/static/sources.js") as answer:
        script = answer.text
    paths = ("/v1/sources", "/runs?limit=1", "/windows?state=failed&limit=3")
    assert all(path in script for path in paths)
    assert browser.get("/v1/sources?limit=100").json["items"][0]["name"] == "grid"
    assert browser.get("/v1/sources/grid").json["freshness"] == {}
    assert browser.get("/v1/sources/grid/runs?limit=1").json["items"] == []
    assert (
        browser.get("/v1/sources/grid/windows?state=failed&limit=3").status_code == 200
    )


def test_the_page_of_a_source_brings_the_scripts_that_ask_and_no_figure(
    browser, api, read
):
    create(api)
    read()
    page = browser.get("/console/sources/grid")
    assert page.status_code == 200
    assert 'data-name="grid"' in page.text
    assert "/static/source.js" in page.text
    assert "bad_value" not in page.text


def test_what_the_script_of_one_source_asks_is_answered_to_the_cookie_alone(
    browser, api, read
):
    create(api)
    read()
    with browser.get("/static/source.js") as answer:
        script = answer.text
    asked = {
        "series?limit=20": "key",
        "runs?limit=10": "counts",
        "windows?limit=20": "state",
        "quarantine?limit=20": "code",
    }
    for path, field in asked.items():
        assert path in script
        (one,) = browser.get(f"/v1/sources/grid/{path}").json["items"]
        assert one[field]
    held = browser.get("/v1/sources/grid/quarantine?limit=20&state=held")
    assert len(held.json["items"]) == 1
    assert browser.post("/v1/sources/grid/run").status_code == 401


def test_the_page_of_a_source_of_another_is_not_found(app, api, other_api):
    create(api)
    with app.test_client() as found:
        found.post("/console/sign-in", data={"key": other_api.secret})
        assert found.get("/console/sources/grid").status_code == 404
