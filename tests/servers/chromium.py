"""Headless Chromium with nothing of the person's own browser in it."""

from pathlib import Path

from selenium import webdriver

from tests.servers.packages import find_program

# Nothing but the pages under test may cause traffic or dialogues; the sandbox cannot
# be set up by root, and QUIC would go around a proxy.
SWITCHES = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--lang=en-US",
)


def start_chromium(
    profile: Path, *, width: int = 1280, height: int = 900
) -> webdriver.Chrome:
    """Start Chromium with an empty profile folder and return its driver.

    The driver program is named, so selenium never looks for one on the network. What
    pages write to the console is kept: ``driver.get_log("browser")``.

    Raises:
        FileNotFoundError: Chromium or its driver is not installed.
    """
    options = webdriver.ChromeOptions()
    options.binary_location = _program("chromium")
    for switch in SWITCHES:
        options.add_argument(switch)
    options.add_argument(f"--user-data-dir={profile}")
    options.add_argument(f"--window-size={width},{height}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(executable_path=_program("chromedriver"))
    return webdriver.Chrome(options=options, service=service)


def _program(name: str) -> str:
    path = find_program(name)
    if path is None:
        raise FileNotFoundError(f"{name} is not installed")
    return path
