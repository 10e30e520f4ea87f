"""The first command: what a newcomer gets from `make run`, and how it ends."""

import re
import shlex
import socket
import subprocess
import sys
import time

import psutil
import pytest

from tests.e2e.conftest import start_desk
from tests.processes import still_running


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """The folder of a desk whose supervisor was killed outright, and its children."""
    folder = tmp_path_factory.mktemp("killed")
    found = start_desk(folder)
    children = psutil.Process(found.process.pid).children(recursive=True)
    found.process.kill()
    found.process.wait()
    return folder, children


def test_it_prints_the_forecast_its_error_and_the_anomalies(desk):
    printed = desk.printed()
    assert "Ingested 52,707 observations (0 unchanged, 0 rejected)." in printed
    assert re.search(r"pjm\.comed\.load .* MAE .* MW, \d+% better than", printed)
    assert re.search(r"2018-08-03T04:00:00Z( +[\d,]+){4}", printed)
    assert "Anomalies of 2018-07" in printed
    assert f"Picture   {desk.base}/console/jobs/job_" in printed
    assert max(len(line) for line in printed.splitlines() if "curl" not in line) < 400


def test_the_curl_line_works_when_it_is_pasted(desk):
    line = re.search(r"^  (curl .*)$", desk.printed(), re.MULTILINE).group(1)
    answer = subprocess.run(shlex.split(line), capture_output=True, check=True)
    assert b'"state":"succeeded"' in answer.stdout
    assert b'"unique_id":"pjm.comed.load"' in answer.stdout


def test_the_forecast_of_the_bundled_series_beats_the_seasonal_naive(desk):
    params = {
        "series": {"tag": "pjm"},
        "horizon": 24,
        "backtest": {"windows": 14},
    }
    body = {"type": "forecast.run", "params": params}
    job = desk.call("POST", "/v1/jobs", json=body, headers={"Prefer": "wait=60"}).json()
    while job["state"] in ("queued", "running"):
        path = job["links"]["self"]
        job = desk.call("GET", path, headers={"Prefer": "wait=60"}).json()
    result = desk.call("GET", job["links"]["result"]).json()
    judged = [item["evaluation"] for item in result["series"]]
    assert [one["windows"] for one in judged] == [14, 14, 14]
    assert [one["points"] for one in judged] == [336, 336, 336]
    mean_skill = sum(one["skill_vs_naive"] for one in judged) / len(judged)
    assert mean_skill > 0, judged


def test_flower_shows_both_workers_and_tasks_that_lead_to_their_job(desk):
    job = desk.call("POST", "/v1/jobs", json={"type": "system.echo"}).json()
    flower = re.search(r"FLOWER_PORT=(\d+)", _environ(desk, "flower")).group(1)
    ends_at = time.monotonic() + 30
    page = ""
    while time.monotonic() < ends_at:
        page = desk_get(f"http://127.0.0.1:{flower}/task/{job['id']}:1")
        if job["id"] in page:
            break
        desk.call("POST", "/v1/jobs", json={"type": "system.echo"})
        time.sleep(0.5)
    assert f"{job['id']}:1" in page


def desk_get(url: str) -> str:
    import requests

    try:
        answer = requests.get(url, timeout=20)
    except requests.ConnectionError:
        return ""
    return answer.text if answer.ok else ""


def _environ(desk, word: str) -> str:
    for child in psutil.Process(desk.process.pid).children(recursive=True):
        if word in " ".join(child.cmdline()):
            return "\n".join(f"{k}={v}" for k, v in child.environ().items())
    raise AssertionError(f"no process {word}")


def test_the_processes_listen_on_loopback_or_a_private_socket_only(desk):
    parent = psutil.Process(desk.process.pid)
    addresses = {
        connection.laddr.ip
        for process in [parent, *parent.children(recursive=True)]
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert addresses == {"127.0.0.1"}
    assert (desk.home / "postgres").stat().st_mode & 0o077 == 0
    assert (desk.home / "api-key").stat().st_mode & 0o077 == 0


def test_no_log_holds_the_key(desk):
    for log in (desk.home / "logs").glob("*.log"):
        assert desk.key not in log.read_text(errors="replace"), log


def test_an_analysis_starts_soon_while_the_forecast_queue_is_saturated(desk):
    slow = {
        "type": "forecast.run",
        "params": {"series": {"tag": "pjm"}, "horizon": 168, "model": "ets"},
    }
    batch = desk.call("POST", "/v1/jobs/batch", json={"jobs": [slow] * 20}).json()
    assert batch["accepted"] == 20
    rows = [
        {"ds": f"2026-01-{day:02d}T00:00:00Z", "y": day % 7} for day in range(1, 31)
    ]
    body = {"type": "analysis.run", "params": {"data": rows, "frequency": "1D"}}
    job = desk.call("POST", "/v1/jobs", json=body, headers={"Prefer": "wait=30"}).json()
    waiting = desk.call("GET", "/v1/jobs?type=forecast.run&state=queued").json()
    for item in batch["items"]:
        desk.call("POST", f"/v1/jobs/{item['id']}/cancel")
    assert job["state"] == "succeeded"
    assert len(waiting["items"]) > 10


def test_a_second_start_is_refused_while_the_first_one_runs(desk):
    again = subprocess.run(
        [sys.executable, "-m", "embedded", "demo", f"--home={desk.home}"],
        capture_output=True,
        check=False,
    )
    assert again.returncode == 1
    assert b"another Forebay runs in" in again.stderr


def test_a_supervisor_killed_outright_takes_its_children_along(killed):
    _, children = killed
    assert still_running(children, within_s=40) == []


def test_ctrl_c_ends_every_child_and_a_second_start_keeps_the_data(killed):
    folder, _ = killed
    first = start_desk(folder)
    assert "(0 unchanged, 0 rejected)" in first.printed()
    assert "It ran at an earlier start" in first.printed()
    children = psutil.Process(first.process.pid).children(recursive=True)
    # postgres, web and its worker, dispatcher, two workers with children, beat, flower
    assert len(children) >= 8
    jobs = first.call("GET", "/v1/jobs").json()["items"]
    assert first.stop() < 10
    assert first.process.returncode == 0
    assert still_running(children, within_s=1) == []

    port = int(first.base.rpartition(":")[2])
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port))
        taken.listen()
        second = subprocess.run(
            [
                sys.executable,
                "-m",
                "embedded",
                "demo",
                f"--home={first.home}",
                f"--port={port}",
            ],
            capture_output=True,
            check=True,
            text=True,
        )
    # The port was taken, so it chose the next; the jobs are those of the first start.
    assert f"http://127.0.0.1:{port + 1}/" in second.stdout
    assert jobs[1]["id"] in second.stdout


@pytest.mark.parametrize("words", [["walk"], []])
def test_unknown_words_are_explained(words):
    told = subprocess.run(
        [sys.executable, "-m", "embedded", *words], capture_output=True, check=False
    )
    assert told.returncode == 2
    assert b"run" in told.stderr
