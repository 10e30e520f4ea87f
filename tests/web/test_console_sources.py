"""The page of sources: behind the sign-in, and without figures of its own."""

import pytest

from tests.tasks.shelf import shelf
from tests.web.grid import create

__all__ = ["shelf"]

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
