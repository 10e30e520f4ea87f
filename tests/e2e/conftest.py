"""The embedded platform, started once by its own command, for the journeys."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from selenium import webdriver

from embedded.platform import free_port
from tests.servers.ports import first_port


@dataclass
class Desk:
    """A platform started by `python -m embedded run`, and what it printed."""

    home: Path
    base: str
    process: subprocess.Popen
    output: Path

    @property
    def key(self) -> str:
        return (self.home / "api-key").read_text()

    def printed(self) -> str:
        return self.output.read_text()

    def call(self, method: str, path: str, **more) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.key}", **more.pop("headers", {})}
        return requests.request(
            method, self.base + path, headers=headers, timeout=90, **more
        )

    def stop(self) -> float:
        """Press Ctrl-C; return how long the end took in seconds."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=30)
        return time.monotonic() - began


def start_desk(
    folder: Path,
    *,
    port: int | None = None,
    words: tuple[str, ...] = ("run",),
) -> Desk:
    """Run the command in a new home and wait until its main job is done."""
    folder.mkdir(parents=True, exist_ok=True)
    port = port or free_port(first_port(19_080))
    output = folder / "printed.txt"
    with output.open("w") as file:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "embedded",
                *words,
                f"--home={folder / 'home'}",
                f"--port={port}",
            ],
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
    desk = Desk(folder / "home", f"http://127.0.0.1:{port}", process, output)
    ends_at = time.monotonic() + 240
    while "Ctrl-C ends it" not in desk.printed():
        if process.poll() is not None or time.monotonic() > ends_at:
            process.kill()
            raise AssertionError(f"it did not come up:\n{desk.printed()}")
        time.sleep(0.1)
    return desk


@pytest.fixture
def keep_screenshot() -> Callable[..., Path]:
    """Keep pictures in build/screenshots of the clone."""
    folder = Path(__file__).parents[2] / "build" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)

    def keep(browser: webdriver.Chrome, name: str) -> Path:
        path = folder / f"{name}.png"
        browser.save_screenshot(str(path))
        assert path.stat().st_size > 5_000
        return path

    return keep


@pytest.fixture(scope="session")
def desk(tmp_path_factory) -> Iterator[Desk]:
    """A platform at a desk, its main job done."""
    found = start_desk(tmp_path_factory.mktemp("desk"))
    yield found
    if found.process.poll() is None:
        found.stop()
