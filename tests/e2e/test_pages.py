"""The console in a real browser: signed in with the key, at desk and phone width."""

import time

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

pytestmark = pytest.mark.browser

WAIT_S = 20


def _sign_in(browser, desk) -> None:
    browser.get(desk.base)
    browser.find_element(By.ID, "key").send_keys(desk.key)
    browser.find_element(By.CSS_SELECTOR, "main button").click()
    WebDriverWait(browser, WAIT_S).until(
        lambda page: page.find_elements(By.CLASS_NAME, "tenant")
    )


def _done(desk, kind: str) -> str:
    """Return the first job of a kind that succeeded: that of the demo."""
    path = f"/v1/jobs?type={kind}&state=succeeded"
    return desk.call("GET", path).json()["items"][-1]["id"]


def _await_drawn(browser, count: int) -> None:
    WebDriverWait(browser, WAIT_S).until(
        lambda page: (
            len(page.find_elements(By.CSS_SELECTOR, "[data-drawn] svg")) >= count
        )
    )


def _complaints(browser) -> list[str]:
    return [
        line["message"]
        for line in browser.get_log("browser")
        if line["level"] in ("WARNING", "SEVERE")
    ]


@pytest.mark.parametrize(("width", "name"), [(1280, "desk"), (500, "phone")])
def test_the_pictures_are_drawn_and_nothing_overflows(
    chromium, desk, keep_screenshot, width, name
):
    browser = chromium(width=width, height=1400)
    _sign_in(browser, desk)
    _await_drawn(browser, 2)
    keep_screenshot(browser, f"{name}-home")
    for kind in ("forecast.run", "analysis.run"):
        browser.get(f"{desk.base}/console/jobs/{_done(desk, kind)}")
        _await_drawn(browser, 3)
        keep_screenshot(browser, f"{name}-{kind}")
        wide = browser.execute_script("return document.documentElement.scrollWidth")
        assert wide <= width
    assert _complaints(browser) == []


def test_the_band_of_the_picture_lies_around_its_line(chromium, desk):
    browser = chromium(width=1280, height=1400)
    _sign_in(browser, desk)
    browser.get(f"{desk.base}/console/jobs/{_done(desk, 'forecast.run')}")
    _await_drawn(browser, 3)
    areas = browser.find_elements(By.CSS_SELECTOR, ".mark-area path")
    lines = browser.find_elements(By.CSS_SELECTOR, ".mark-line path")
    assert areas
    assert len(lines) >= 2
    assert areas[0].size["width"] > 10
    assert areas[0].size["height"] > 10


def test_progress_moves_live_and_the_page_ends_by_itself(chromium, desk):
    browser = chromium()
    _sign_in(browser, desk)
    job = desk.call(
        "POST", "/v1/jobs", json={"type": "system.echo", "params": {"duration_s": 4}}
    ).json()
    browser.get(f"{desk.base}/console/jobs/{job['id']}")
    seen: list[float] = []
    ends_at = time.monotonic() + WAIT_S
    while time.monotonic() < ends_at:
        value = browser.execute_script(
            "const bar = document.getElementById('progress');"
            "return bar ? bar.value : null"
        )
        if value is None:
            break
        seen.append(value)
        time.sleep(0.2)
    assert len(set(seen)) >= 3, seen
    assert seen == sorted(seen)
    state = browser.find_element(By.ID, "state").text
    assert state == "succeeded"


def test_a_wrong_key_is_refused_in_words(chromium, desk):
    browser = chromium()
    browser.get(desk.base)
    browser.find_element(By.ID, "key").send_keys("fbk_wrong")
    browser.find_element(By.CSS_SELECTOR, "main button").click()
    WebDriverWait(browser, WAIT_S).until(
        lambda page: "unknown, expired or revoked" in page.page_source
    )


def test_the_api_page_lists_the_calls_without_the_network(
    chromium, desk, keep_screenshot
):
    browser = chromium(width=1280, height=1400)
    browser.get(f"{desk.base}/docs")
    WebDriverWait(browser, WAIT_S).until(
        lambda page: "/v1/jobs" in page.find_element(By.ID, "docs").text
    )
    keep_screenshot(browser, "docs")
    assert [text for text in _complaints(browser) if "favicon" not in text] == []
