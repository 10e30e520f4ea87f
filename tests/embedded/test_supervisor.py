"""The supervisor restarts what dies, waits longer after each early death, ends all."""

import os
import signal
import sys
import time

import psutil
import pytest

from embedded.supervisor import Supervisor
from tests.processes import still_running

WITHIN_S = 15


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """A folder of programs that `python -m` finds."""
    (tmp_path / "sleeper.py").write_text("import time\ntime.sleep(600)\n")
    (tmp_path / "deaf.py").write_text(
        "import signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('deaf', flush=True)\ntime.sleep(600)\n"
    )
    (tmp_path / "broken.py").write_text("raise SystemExit('no')\n")
    (tmp_path / "parent.py").write_text(
        "import subprocess, sys, time\n"
        "subprocess.Popen([sys.executable, '-m', 'sleeper'])\n"
        "print('parent', flush=True)\ntime.sleep(600)\n"
    )
    return tmp_path


@pytest.fixture
def supervisor(programs):
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(programs)}
    found = Supervisor(environ=environ, logs=programs)
    yield found
    found.stop()


def _until(condition) -> None:
    ends_at = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < ends_at
        time.sleep(0.02)


def test_a_child_that_was_killed_is_started_again(supervisor):
    supervisor.start("sleeper", "sleeper")
    first = supervisor.pids()["sleeper"]
    os.kill(first, signal.SIGKILL)
    _until(
        lambda: supervisor.tend() or supervisor.pids().get("sleeper", first) != first
    )


def test_a_child_that_dies_early_is_given_longer_and_longer_pauses(
    supervisor, programs
):
    supervisor.start("broken", "broken")
    starts = []
    ends_at = time.monotonic() + 3
    while time.monotonic() < ends_at:
        supervisor.tend()
        starts.append((programs / "broken.log").read_text().count("no"))
        time.sleep(0.02)
    # 0.4 s, 0.8 s, 1.6 s: the second second sees fewer starts than without a pause.
    assert 2 <= max(starts) <= 5
    assert starts == sorted(starts)


def test_the_end_takes_grandchildren_and_the_deaf_along(supervisor, programs):
    supervisor.start("parent", "parent")
    supervisor.start("deaf", "deaf")
    _until((programs / "deaf.log").read_text)
    _until((programs / "parent.log").read_text)
    _until(lambda: psutil.Process(supervisor.pids()["parent"]).children())
    tree = [psutil.Process(pid) for pid in supervisor.pids().values()]
    tree += [child for process in tree for child in process.children(recursive=True)]
    assert len(tree) == 3
    supervisor.stop()
    alive = still_running(tree, within_s=5)
    assert alive == []


def test_what_a_child_says_goes_to_the_log_of_its_name(supervisor, programs):
    supervisor.start("deaf", "deaf")
    _until(lambda: "deaf" in (programs / "deaf.log").read_text())
    assert sys.executable in psutil.Process(supervisor.pids()["deaf"]).cmdline()[0]
