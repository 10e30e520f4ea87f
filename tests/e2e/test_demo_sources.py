"""`make demo-sources`: three sources without a key, and the page that shows them."""

import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from tests.e2e.conftest import Desk, start_desk
from tests.sources import eia, fred

ROOT = Path(__file__).parents[2]
NAMES = ["eia", "fred", "weather"]
READ = r"  {} +succeeded +{} new +{} revised +{} unchanged"
NUMBER = r"[\d,]+"
WAIT_S = 20


@pytest.fixture(scope="module")
def played(tmp_path_factory) -> Iterator[Desk]:
    """The demo, which stays up when it has told all."""
    folder = tmp_path_factory.mktemp("sources")
    found = start_desk(folder, words=("demo-sources", "--stay"))
    yield found
    if found.process.poll() is None:
        found.stop()


def part(printed: str, head: str) -> str:
    """Return the lines below a heading, up to the next blank one."""
    (found,) = re.findall(rf"^{head}.*\n((?:  .*\n)+)", printed, re.MULTILINE)
    return found


def test_the_make_target_runs_the_demo_with_what_embedded_installs():
    makefile = (ROOT / "Makefile").read_text()
    (rule,) = re.findall(r"^demo-sources: (.+)\n\t(.+)", makefile, re.MULTILINE)
    assert rule[0].startswith("$(VENV)/embedded.done")
    assert "python -m embedded demo-sources --home $(HOME_DIR)" in rule[1]


def test_the_servers_need_nothing_but_numpy_beside_python():
    code = (
        "import sys; before = set(sys.modules); import tests.sources.__main__;"
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before})"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    installed = set(packages_distributions()) - {"tests"}
    assert set(found.stdout.split()) & installed == {"numpy"}


def test_each_source_is_asked_once_before_anything_is_stored(played):
    shown = part(played.printed(), "One question to each")
    assert re.findall(r"^  (\w+) +ok ", shown, re.MULTILINE) == NAMES


def test_all_that_the_servers_told_is_stored_as_they_told_it(played):
    printed = played.printed()
    equal = re.findall(
        rf"  (\w+) +({NUMBER}) of ({NUMBER}) equal",
        part(printed, "Stored values against what the servers told"),
    )
    assert [name for name, *_ in equal] == NAMES
    assert all(one == all_ for _, one, all_ in equal)
    first = part(printed, "First read")
    for name in NAMES:
        new = re.search(READ.format(name, f"({NUMBER})", NUMBER, "0"), first)
        assert int(new[1].replace(",", "")) > 500


def test_a_second_read_writes_nothing(played):
    again = part(played.printed(), "Second read")
    for name in NAMES:
        assert re.search(READ.format(name, 0, 0, NUMBER), again), again


def test_so_many_values_as_were_revised_are_written(played):
    head = "The servers publish other values, 7 of eia, 5 of weather"
    revised = part(played.printed(), head)
    assert re.search(READ.format("eia", 0, 7, NUMBER), revised)
    assert re.search(READ.format("weather", 0, 5, NUMBER), revised)


def test_faults_are_got_over(played):
    survived = part(played.printed(), "The next answers of EIA are 503, then 429")
    assert re.search(READ.format("eia", 0, 0, NUMBER), survived)


def test_a_forecast_is_made_of_what_was_read_and_all_is_shown_where_to_look(played):
    printed = played.printed()
    assert re.search(r"MAE [\d.]+ over 7 days that it had not seen", printed)
    assert re.search(r"Sources +http://127.0.0.1:\d+/console/sources", printed)
    assert "fresh" in part(printed, "How fresh the series are")
    assert "were known" in part(printed, "fred.dgs10 as it was known on")


def test_the_keys_of_the_sources_are_in_no_file_of_the_platform(played):
    files = [
        path
        for path in played.home.rglob("*")
        if path.is_file() and "pg_wal" not in path.parts
    ]
    assert [path for path in files if path.match("logs/worker-*.log")]
    assert [path for path in files if path.is_relative_to(played.home / "artifacts")]
    for path in files:
        body = path.read_bytes()
        assert eia.KEY.encode() not in body, path
        assert fred.KEY.encode() not in body, path


@pytest.mark.browser
@pytest.mark.parametrize(("width", "name"), [(1280, "desk"), (500, "phone")])
def test_the_page_of_sources_shows_what_the_api_says(
    chromium, played, keep_screenshot, width, name
):
    browser = chromium(width=width, height=1100)
    browser.get(f"{played.base}/?next=/console/sources")
    browser.find_element(By.ID, "key").send_keys(played.key)
    browser.find_element(By.CSS_SELECTOR, "main button").click()
    WebDriverWait(browser, WAIT_S).until(
        lambda page: page.find_elements(By.CSS_SELECTOR, "#sources table:not([hidden])")
    )
    rows = browser.find_elements(By.CSS_SELECTOR, "#sources tbody tr")
    assert len(rows) == len(NAMES)
    for row, source in zip(rows, NAMES, strict=True):
        told = [cell.text for cell in row.find_elements(By.TAG_NAME, "td")]
        base = f"/v1/sources/{source}"
        found = played.call("GET", base).json()
        run = played.call("GET", f"{base}/runs?limit=1").json()["items"][0]
        assert told[0].split() == [source, found["connector"]]
        assert told[1] == "enabled"
        (fresh,) = found["freshness"].items()
        assert told[2] == f"{fresh[1]} {fresh[0]}"
        assert told[3].split() == [
            *run["created_at"][:16].split("T"),
            run["state"],
        ]
        counts = [run["counts"][one] for one in ("written", "revised", "unchanged")]
        held = sum(found["quarantined"].values())
        assert told[4:] == [*(f"{one:,}" for one in [*counts, held]), "no schedule"]
    keep_screenshot(browser, f"{name}-sources")
    wide = browser.execute_script("return document.documentElement.scrollWidth")
    assert wide <= width
    for box in browser.find_elements(By.CSS_SELECTOR, "#sources .wide"):
        assert box.get_property("scrollWidth") <= box.get_property("clientWidth")


@pytest.mark.browser
@pytest.mark.parametrize(("width", "name"), [(1280, "desk"), (500, "phone")])
def test_the_page_of_a_source_shows_what_the_api_says(
    chromium, played, keep_screenshot, width, name
):
    browser = chromium(width=width, height=1900)
    browser.get(f"{played.base}/?next=/console/sources")
    browser.find_element(By.ID, "key").send_keys(played.key)
    browser.find_element(By.CSS_SELECTOR, "main button").click()
    wait = WebDriverWait(browser, WAIT_S)
    wait.until(lambda page: page.find_elements(By.PARTIAL_LINK_TEXT, "weather"))[
        0
    ].click()
    wait.until(lambda page: page.find_elements(By.CSS_SELECTOR, "#acts pre"))
    base = "/v1/sources/weather"
    found = played.call("GET", base).json()
    told = browser.find_element(By.CSS_SELECTOR, "#source").text
    assert all(one in told for one in ("enabled", found["connector"], "none planned"))
    for section, path in (
        ("series", "series"),
        ("runs", "runs"),
        ("windows", "windows"),
    ):
        items = played.call("GET", f"{base}/{path}").json()["items"]
        rows = browser.find_elements(By.CSS_SELECTOR, f"#{section} tbody tr")
        assert len(rows) == len(items) > 0
        if section != "series":
            counts = [f"{items[0]['counts'][one]:,}" for one in ("written", "revised")]
            cells = rows[0].find_elements(By.CSS_SELECTOR, ".number")
            assert [cell.text for cell in cells[:2]] == counts
    assert "No row is held" in browser.find_element(By.ID, "quarantine").text
    keep_screenshot(browser, f"{name}-source")
    wide = browser.execute_script("return document.documentElement.scrollWidth")
    assert wide <= width
    for box in browser.find_elements(By.CSS_SELECTOR, "main .wide"):
        assert box.get_property("scrollWidth") <= box.get_property("clientWidth")


def test_the_demo_goes_on_with_what_it_read_before_and_leaves_with_zero(played):
    played.stop()
    assert played.process.returncode == 0
    again = subprocess.run(
        [
            sys.executable,
            *("-m", "embedded", "demo-sources", f"--home={played.home}"),
            f"--port={played.base.rpartition(':')[2]}",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert again.returncode == 0, again.stdout + again.stderr
    # The servers begin anew, so what they revised last time is as it was before.
    first = part(again.stdout, "First read")
    assert re.search(READ.format("eia", NUMBER, "[1-9].*", NUMBER), first)
    revised = part(again.stdout, "The servers publish other values")
    assert re.search(READ.format("eia", 0, 7, NUMBER), revised)
