"""The console: signing in, and pages that show what the API knows."""

import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from urllib.parse import quote, urlsplit

import pytest
from sqlalchemy import text

from tests.web import samples
from tests.web.caller import Caller

pytestmark = pytest.mark.servers

HOSTILE = "\"><script>alert('x')</script>{{ 7 * 7 }}<img src=x onerror=alert(1)>"


@pytest.fixture
def browser(app, api):
    """A browser that has signed in."""
    with app.test_client() as found:
        answer = found.post("/console/sign-in", data={"key": api.secret})
        assert answer.status_code == 302
        yield found


def cookie_of(answer) -> tuple[str, set[str]]:
    """Return the value of a session cookie and its attributes."""
    (header,) = answer.headers.getlist("Set-Cookie")
    value, *attributes = header.split("; ")
    assert value.startswith("forebay=")
    return value, {attribute.partition("=")[0] for attribute in attributes}


def test_a_stranger_is_asked_for_a_key(app):
    answer = app.test_client().get("/")
    assert answer.status_code == 200
    assert 'name="key"' in answer.text
    assert 'type="password"' in answer.text
    assert "No jobs yet" not in answer.text


def test_a_good_key_signs_in(app, api):
    with app.test_client() as browser:
        answer = browser.post("/console/sign-in", data={"key": f"  {api.secret}\n"})
        assert (answer.status_code, answer.headers["Location"]) == (302, "/")
        assert "No jobs yet" in browser.get("/").text


def test_the_cookie_is_hidden_from_scripts_and_other_sites(app, api):
    answer = app.test_client().post("/console/sign-in", data={"key": api.secret})
    value, attributes = cookie_of(answer)
    assert {"HttpOnly", "SameSite", "Path"} <= attributes
    assert "SameSite=Strict" in answer.headers["Set-Cookie"]
    assert "Expires" not in attributes
    assert api.secret not in value


@pytest.mark.parametrize("key", ["", "fbk_wrong", "fbk_'; --", "\u00e9"])
def test_a_wrong_key_does_not_sign_in(app, key):
    with app.test_client() as browser:
        answer = browser.post("/console/sign-in", data={"key": key})
        assert answer.status_code == 401
        assert "unknown, expired or revoked" in answer.text
        assert "Set-Cookie" not in answer.headers
        assert 'name="key"' in browser.get("/").text


def test_a_revoked_key_ends_the_session(browser, database, tenant_id):
    assert browser.get("/v1/jobs").status_code == 200
    with database.system() as connection:
        connection.execute(
            text("UPDATE api_keys SET revoked_at = now() WHERE tenant_id = :id"),
            {"id": tenant_id},
        )
    assert 'name="key"' in browser.get("/").text
    assert browser.get("/v1/jobs").status_code == 401
    assert browser.get("/console/jobs/job_x").status_code == 302


def test_signing_out_forgets_the_key(browser):
    assert browser.post("/console/sign-out").headers["Location"] == "/"
    assert 'name="key"' in browser.get("/").text
    assert browser.get("/v1/jobs").status_code == 401


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/v1/jobs"), ("POST", "/v1/uploads"), ("PUT", "/v1/series/a")],
)
def test_the_cookie_alone_cannot_write(browser, api, method, path):
    answer = browser.open(path, method=method, json={"type": "system.echo"})
    assert answer.status_code == 401
    assert api.get("/v1/jobs").json["items"] == []
    assert browser.get("/v1/jobs").status_code == 200


def test_a_cookie_of_another_signature_is_nobody(app, make_app, settings, api):
    forged = make_app(replace(settings, secret_key="another secret"))
    answer = forged.test_client().post("/console/sign-in", data={"key": api.secret})
    value, _ = cookie_of(answer)
    stranger = Caller(app, None)
    assert stranger.get("/v1/jobs", headers={"Cookie": value}).status_code == 401


def test_a_page_asked_for_before_signing_in_comes_after_it(app, api):
    job = api.submit()
    with app.test_client() as browser:
        asked = browser.get(f"/console/jobs/{job['id']}")
        assert asked.status_code == 302
        form = browser.get(asked.headers["Location"]).text
        target = unescape(re.search(r'name="next" value="([^"]*)"', form)[1])
        data = {"key": api.secret, "next": target}
        answer = browser.post("/console/sign-in", data=data, follow_redirects=True)
        assert answer.status_code == 200
        assert job["id"] in answer.text


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "https://evil.example",
        "http:evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "\t//evil.example",
        " //evil.example",
        "javascript:alert(1)",
        "evil.example",
        "/ok\r\nSet-Cookie: a=b",
        "",
    ],
)
def test_no_target_leads_to_another_host(app, api, target):
    data = {"key": api.secret, "next": target}
    answer = app.test_client().post("/console/sign-in", data=data)
    location = answer.headers["Location"]
    assert answer.status_code == 302
    assert location == "/"
    assert urlsplit(location).netloc == ""


def test_home_shows_jobs_series_and_pictures(browser, api, work):
    api.post("/v1/series/load/observations", json=samples.observations(60))
    queued = api.submit()
    forecast = api.submit(**samples.forecast(series=["load"]))
    assert work.run(forecast["id"]) == "succeeded"
    page = browser.get("/").text
    assert f'href="/console/jobs/{queued["id"]}"' in page
    assert f'data-chart="/v1/jobs/{forecast["id"]}/chart"' in page
    assert "load" in page
    assert ">60<" in page


def test_home_says_what_each_job_is_about(browser, api, work):
    body = b"series,ts,value\na,2026-03-01T00:00:00Z,1.5\n"
    upload = api.post(
        "/v1/uploads?filename=meters.csv", data=body, content_type="text/csv"
    ).json
    params = {"source": "upload", "upload": upload["id"]}
    load = api.submit(type="ingest.run", params=params)
    assert work.run(load["id"]) == "succeeded"
    api.put("/v1/series/a", json={"frequency": "PT1H"})
    api.submit(**samples.forecast(series={"tag": "pjm"}))
    page = browser.get("/").text
    for said in ("meters.csv", f"{len(body)} bytes", "tag pjm", ">1 hour<"):
        assert said in page, said
    assert upload["id"] not in page
    shown = show(browser, load)
    assert "meters.csv" in shown
    assert re.search(r"<h2>All that was read</h2>.*?>1</td>", shown, re.DOTALL)
    assert "Result as JSON" in shown


@pytest.mark.parametrize(
    "path", ["jobs/job_x", "sources/none", "incidents/inc_x", "jobs", "a/b"]
)
def test_what_is_not_there_is_told_as_a_page_with_a_way_back(browser, path):
    answer = browser.get(f"/console/{path}")
    assert (answer.status_code, answer.mimetype) == (404, "text/html")
    assert "<h1>Not found</h1>" in answer.text
    assert 'href="/">Back' in answer.text
    assert 'href="/console/incidents"' in answer.text
    assert_harmless(answer.text)
    assert answer.headers["X-Trace-Id"] in answer.text


def test_the_page_of_what_is_not_there_shows_a_hostile_address_as_text(browser):
    answer = browser.get(f"/console/{quote(HOSTILE)}")
    assert answer.status_code == 404
    assert_harmless(answer.text)
    assert HOSTILE.partition("/")[0] in unescape(answer.text)


def test_problems_of_the_api_stay_json(browser):
    assert browser.get("/v1/jobs/job_x").mimetype == "application/problem+json"


def test_the_page_of_the_api_brings_its_mark(app):
    stranger = app.test_client()
    assert 'rel="icon"' in stranger.get("/docs").text
    with stranger.get("/favicon.ico") as answer:
        assert answer.mimetype == "image/svg+xml"


def test_home_of_a_new_tenant_says_what_to_do(browser):
    page = browser.get("/").text
    assert "No jobs yet" in page
    assert "No series yet" in page
    assert "data-chart" not in page


def show(browser, job: dict) -> str:
    answer = browser.get(job["links"]["page"])
    assert answer.status_code == 200
    assert answer.mimetype == "text/html"
    return answer.text


def test_the_page_of_a_queued_job_listens_for_its_events(browser, api):
    job = api.submit()
    page = show(browser, job)
    assert f'data-events="{job["links"]["events"]}"' in page
    assert "waiting for a worker" in page
    assert "/static/job.js" in page


def test_the_page_of_a_running_job_shows_its_progress(browser, api, work):
    job = api.submit()
    work.claim(job["id"])
    work.progress(job["id"], 4)
    page = show(browser, job)
    assert re.search(r'<progress id="progress" max="10"\s+value="4"', page)
    assert "going on" in page


def test_the_page_of_an_echo_shows_its_result(browser, api, work):
    job = api.submit(params={"payload": {"answer": 42}})
    assert work.run(job["id"]) == "succeeded"
    page = show(browser, job)
    assert re.search(r'"answer": 42', unescape(page))
    assert "data-chart" not in page
    assert 'id="progress"' not in page


def test_the_page_of_a_forecast_shows_model_error_and_steps(browser, api, work):
    data = samples.inline(96, unique_id="a&b c")
    job = api.submit(**samples.forecast(data=data))
    assert work.run(job["id"]) == "succeeded"
    page = show(browser, job)
    chart = re.search(r'data-chart="([^"]+)"', page)[1]
    assert browser.get(unescape(chart)).status_code == 200
    assert "MASE" in page
    assert "Coverage of the 80 % interval" in page
    (item,) = api.get(job["links"]["result"]).json["series"]
    assert item["model"] in page
    assert item["points"][0]["ds"] in page


def test_the_page_of_an_analysis_tells_what_was_found(browser, api, work):
    data = samples.inline(240, spike_at=200)
    job = api.submit(**samples.analysis(data=data))
    assert work.run(job["id"]) == "succeeded"
    page = unescape(show(browser, job))
    (item,) = api.get(job["links"]["result"]).json["series"]
    assert item["anomalies"]
    for found in item["anomalies"]:
        assert found["explanation"] in page
    quiet = api.submit(**samples.analysis(data=samples.inline(240)))
    assert work.run(quiet["id"]) == "succeeded"
    if not api.get(quiet["links"]["result"]).json["series"][0]["anomalies"]:
        assert "Nothing unusual was found" in show(browser, quiet)


def test_the_page_of_a_failed_job_says_why(browser, api, work):
    job = api.submit(**samples.forecast(series=["nowhere"]))
    assert work.run(job["id"]) == "failed"
    page = show(browser, job)
    assert 'role="alert"' in page
    assert "no series nowhere" in page
    assert "/params/series/0" in page


def test_the_page_of_a_job_that_is_not_there_is_not_found(browser):
    assert browser.get("/console/jobs/job_nowhere").status_code == 404


def test_pages_show_hostile_texts_as_text(browser, api, work):
    api.put("/v1/series/load", json={"title": HOSTILE, "unit": HOSTILE[:50]})
    echoed = api.submit(
        labels={HOSTILE[:100]: HOSTILE[:100]}, params={"payload": {HOSTILE: HOSTILE}}
    )
    assert work.run(echoed["id"]) == "succeeded"
    drawn = api.submit(**samples.forecast(data=samples.inline(96, unique_id=HOSTILE)))
    assert work.run(drawn["id"]) == "succeeded"
    failed = api.submit()
    fault = {"title": HOSTILE, "detail": HOSTILE, "errors": [{"pointer": HOSTILE}]}
    work.end(failed["id"], "failed", reason=HOSTILE, error=fault)
    running = api.submit()
    work.claim(running["id"])
    pages = [show(browser, job) for job in (echoed, drawn, failed, running)]
    pages += [browser.get("/").text]
    for page in pages:
        assert_harmless(page)
    assert "{{ 7 * 7 }}" in unescape(pages[2])
    assert "alert('x')" in unescape(pages[2])


class Elements(HTMLParser):
    """Collects the elements of a page and what their attributes are."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def assert_harmless(page: str) -> None:
    """Fail where a page runs or loads what is not ours."""
    for tag, attributes in Elements(page).found:
        assert not any(name.startswith("on") for name in attributes), attributes
        if tag in ("script", "img", "link"):
            source = attributes.get("src") or attributes.get("href") or ""
            assert source.startswith(("/static/", "/assets/")), attributes


def test_the_form_shows_a_hostile_target_as_text(app):
    asked = app.test_client().get("/", query_string={"next": HOSTILE})
    refused = app.test_client().post("/console/sign-in", data={"next": HOSTILE})
    for answer in (asked, refused):
        assert_harmless(answer.text)
        assert HOSTILE in unescape(answer.text)


def test_every_page_forbids_framing_and_guessing(browser):
    for path in ("/", "/docs", "/v1/jobs", "/console/jobs/job_nowhere"):
        headers = browser.get(path).headers
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'self'" in headers["Content-Security-Policy"]
