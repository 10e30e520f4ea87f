"""The pages of incidents in a real browser: what they say is what the API says."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

pytestmark = pytest.mark.browser

WAIT_S = 20
COUNT = 400
LAST = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
SERIES = {"load.east": 3_000, "load.west": -2_500}
TAG = "console.load"
FIGURES = ("value", "expected", "threshold")


def _post(desk, path: str, body: dict | None = None) -> dict:
    answer = desk.call("POST", path, json=body)
    assert answer.ok, answer.text
    return answer.json()


def _observe(desk, key: str, *, count: int, spike: float) -> None:
    """Store hours of a daily cycle that would end now, a spike in the last day."""
    rows = [
        {
            "ts": (LAST - timedelta(hours=COUNT - at)).isoformat(),
            "value": round(
                4_000
                + 600 * math.sin(at * math.tau / 24)
                + 40 * math.sin(at * math.tau / 5.3)
                + (spike if at == COUNT - 20 else 0),
                1,
            ),
        }
        for at in range(count)
    ]
    desk.call("PUT", f"/v1/series/{key}", json={"tags": [TAG], "unit": "MW"})
    _post(desk, f"/v1/series/{key}/observations", {"observations": rows})


def _watch(desk) -> None:
    lasting = {"recover_s": 172_800}
    params = {"series": {"tag": TAG}, "name": "console", "grouping": lasting}
    job = _post(desk, "/v1/jobs", {"type": "analysis.watch", "params": params})
    state = "queued"
    while state in ("queued", "running"):
        path, held = f"/v1/jobs/{job['id']}", {"Prefer": "wait=30"}
        state = desk.call("GET", path, headers=held).json()["state"]
    assert state == "succeeded"


@pytest.fixture(scope="module")
def incident(desk) -> str:
    """An incident of two series that was told to a channel out of reach."""
    secrets = {"secrets": {"url": "https://forebay.invalid/alerts"}}
    desk.call("PUT", "/v1/credentials/ops", json=secrets)
    channel = {"name": "desk", "kind": "slack", "credential": "ops"}
    rule = {"name": "load is odd", "tags": [TAG]}
    rule["channels"] = [_post(desk, "/v1/channels", channel)["id"]]
    _post(desk, "/v1/alert-rules", rule)
    # The first look learns; what comes afterwards is judged.
    for count in (COUNT - 48, COUNT):
        for key, spike in SERIES.items():
            _observe(desk, key, count=count, spike=spike)
        _watch(desk)
    (found,) = desk.call("GET", f"/v1/incidents?tag={TAG}").json()["items"]
    base = found["links"]["self"]
    _post(desk, f"{base}/acknowledge")
    _post(desk, f"{base}/comments", {"text": "meter 7 was replaced at noon"})
    first = f"/v1/recommendations/{found['recommendations'][0]['id']}"
    _post(desk, f"{first}/apply")
    _post(desk, f"{first}/outcome", {"outcome": "helped", "note": "the fuse"})
    return found["id"]


def _open(browser, desk, path: str) -> None:
    browser.get(f"{desk.base}/?next={path}")
    browser.find_element(By.ID, "key").send_keys(desk.key)
    browser.find_element(By.CSS_SELECTOR, "main button").click()


def _await_all(browser, selector: str, count: int = 1) -> list:
    return WebDriverWait(browser, WAIT_S).until(
        lambda page: (
            found
            if len(found := page.find_elements(By.CSS_SELECTOR, selector)) >= count
            else None
        )
    )


def _texts(browser, selector: str) -> list[str]:
    return [one.text for one in browser.find_elements(By.CSS_SELECTOR, selector)]


def _assert_fits(browser, width: int) -> None:
    wide = browser.execute_script("return document.documentElement.scrollWidth")
    assert wide <= width
    for box in browser.find_elements(By.CSS_SELECTOR, ".wide, pre"):
        assert box.get_property("scrollWidth") <= box.get_property("clientWidth")
    complaints = [
        line["message"]
        for line in browser.get_log("browser")
        if line["level"] in ("WARNING", "SEVERE")
    ]
    assert complaints == []


SIZES = pytest.mark.parametrize(("width", "name"), [(1280, "desk"), (500, "phone")])


@SIZES
def test_the_list_shows_the_incidents_of_a_state(
    chromium, desk, incident, keep_screenshot, width, name
):
    browser = chromium(width=width, height=900)
    _open(browser, desk, "/console/incidents")
    _await_all(browser, "#incidents table:not([hidden]) tbody tr")
    listed = desk.call("GET", "/v1/incidents?open=true").json()["items"]
    rows = browser.find_elements(By.CSS_SELECTOR, "#incidents tbody tr")
    assert len(rows) == len(listed)
    cells = [one.text for one in rows[0].find_elements(By.TAG_NAME, "td")]
    told = listed[0]
    assert cells[:3] == [told["headline"], told["state"], told["severity"]]
    assert cells[3].split() == [one["unique_id"] for one in told["series"]]
    times = [told[at][:16].replace("T", " ") for at in ("start_at", "last_seen_at")]
    assert cells[4:] == [*times, f"{told['anomalies']:,}"]
    keep_screenshot(browser, f"{name}-incidents")
    _assert_fits(browser, width)
    browser.find_element(By.LINK_TEXT, "Resolved").click()
    WebDriverWait(browser, WAIT_S).until(
        lambda page: "None." in page.find_element(By.ID, "told").text
    )
    assert _texts(browser, "[aria-current]") == ["Resolved"]


@SIZES
def test_the_page_of_an_incident_shows_what_the_api_says(
    chromium, desk, incident, keep_screenshot, width, name
):
    browser = chromium(width=width, height=3000)
    base = f"/v1/incidents/{incident}"
    _open(browser, desk, f"/console/incidents/{incident}")
    _await_all(browser, "[data-drawn] svg", len(SERIES))
    found = desk.call("GET", base).json()
    headline = browser.find_element(By.ID, "headline").text
    assert headline.split() == [
        *found["headline"].split(),
        found["severity"],
        "acknowledged",
    ]
    query = f"?incident={incident}"
    advice = desk.call("GET", f"/v1/recommendations{query}").json()["items"]
    told = _texts(browser, "#advice li")
    ranked = sorted(
        advice, key=lambda one: (found["kinds"].index(one["kind"]), one["rank"])
    )
    assert len(told) == len(ranked)
    for text, one in zip(told, ranked, strict=True):
        assert text.startswith(one["text"])
        assert (("helped" in text), ("not applied" in text)) == (
            one["outcome"] == "helped",
            one["applied_at"] is None,
        )
    joined = desk.call("GET", f"{base}/anomalies").json()["items"]
    shown = _texts(browser, "#anomalies li")
    assert len(shown) == len(joined) == found["anomalies"]
    for text, one in zip(shown, joined, strict=True):
        assert one["explanation"] in text
        assert all(name in text for name in ("Value", "Expected", "Found as"))
        assert all(f"{one['evidence'][name]:,.6g} MW" in text for name in FIGURES)
        assert not any(name in text for name in ("surprise", "view reading", "key_"))
    entries = desk.call("GET", f"{base}/events").json()["items"]
    history = _texts(browser, "#history li")
    assert len(history) == len(entries)
    assert "meter 7 was replaced at noon" in history[0]
    (sent,) = desk.call("GET", f"/v1/notifications{query}").json()["items"]
    cells = _texts(browser, "#notifications td")
    assert cells[:3] == [sent["rule"], sent["channel"], sent["occasion"]]
    keep_screenshot(browser, f"{name}-incident")
    _assert_fits(browser, width)


def test_the_stretch_of_an_anomaly_is_marked_in_its_picture(chromium, desk, incident):
    browser = chromium(width=1280, height=1400)
    _open(browser, desk, f"/console/incidents/{incident}")
    _await_all(browser, "[data-drawn] svg", len(SERIES))
    for card in browser.find_elements(By.CSS_SELECTOR, "#pictures .chart"):
        (span,) = card.find_elements(By.CSS_SELECTOR, ".mark-rect path")
        points = card.find_elements(By.CSS_SELECTOR, ".role-mark.mark-symbol path")
        assert points
        assert span.size["height"] > 200
        left, right = span.rect["x"], span.rect["x"] + span.size["width"]
        assert all(left - 6 <= one.rect["x"] <= right + 6 for one in points)


def test_the_page_only_reads_and_says_how_to_act(chromium, desk, incident):
    browser = chromium()
    _open(browser, desk, f"/console/incidents/{incident}")
    _await_all(browser, "#acts pre", 2)
    # Vega puts an empty form beside each picture.
    acts = "main button, main form:not(.vega-bindings), .vega-bindings *"
    assert browser.find_elements(By.CSS_SELECTOR, acts) == []
    commands = _texts(browser, "#acts pre")
    assert f"{desk.base}/v1/incidents/{incident}/resolve" in commands[-1]
    assert not any("/acknowledge" in one for one in commands), "it is already"
