"""``python -m web``: what only a real process can show."""

import concurrent.futures
import http.client
import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
import requests

from tests.servers.process import lives
from tests.web import sse

pytestmark = pytest.mark.servers

ROOT = Path(__file__).parents[2]
MIB = 1024**2
PIECE = b"x" * MIB


@pytest.fixture
def headers(api) -> dict[str, str]:
    return {"Authorization": f"Bearer {api.secret}"}


def memory(pid: int) -> int:
    """Return the resident bytes of a process and its children."""
    process = psutil.Process(pid)
    return sum(
        one.memory_info().rss for one in (process, *process.children(recursive=True))
    )


def files(settings, tenant_id: int) -> list[Path]:
    return list((settings.artifacts_path / "uploads" / str(tenant_id)).glob("*"))


def connection(base: str) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(urlsplit(base).netloc, timeout=30)


def until(reached: Callable[[], object]) -> None:
    """Wait for something that has to come soon."""
    ends_at = time.monotonic() + 20
    while not reached():
        assert time.monotonic() < ends_at, "it did not come"
        time.sleep(0.02)


def test_a_large_upload_goes_to_the_disk_and_not_through_memory(
    serve, headers, settings, tenant_id
):
    base, pid = serve()
    small = requests.post(f"{base}/v1/uploads", data=PIECE, headers=headers, timeout=30)
    assert small.status_code == 201
    before, highest = memory(pid), 0

    def pieces() -> Iterator[bytes]:
        nonlocal highest
        for _ in range(200):
            yield PIECE
            highest = max(highest, memory(pid))

    answer = requests.post(
        f"{base}/v1/uploads", data=pieces(), headers=headers, timeout=60
    )
    assert answer.status_code == 201
    assert answer.json()["bytes"] == 200 * MIB
    assert max(highest, memory(pid)) - before < 50 * MIB
    stored = files(settings, tenant_id)
    assert sorted(path.stat().st_size for path in stored) == [MIB, 200 * MIB]
    for path in stored:
        path.unlink()


def test_two_gigabytes_are_refused_by_their_length_at_once(
    serve, headers, settings, tenant_id
):
    base, pid = serve()
    before = memory(pid)
    for path in ("/v1/uploads", "/v1/jobs", "/v1/series/a/observations"):
        call = connection(base)
        call.putrequest("POST", path)
        for name, value in {**headers, "Content-Length": str(2 * 1024**3)}.items():
            call.putheader(name, value)
        call.endheaders(PIECE[:1000])
        answer = call.getresponse()
        assert answer.status == 413
        assert answer.getheader("Content-Type") == "application/problem+json"
        call.close()
    assert memory(pid) - before < 50 * MIB
    assert files(settings, tenant_id) == []


@pytest.mark.parametrize("path", ["/v1/uploads", "/v1/series/a/observations"])
def test_a_chunked_body_without_end_is_refused_at_the_limit(
    serve, headers, settings, tenant_id, path
):
    base, pid = serve(max_upload_bytes=8 * MIB, max_body_bytes=8 * MIB)
    before, sent = memory(pid), 0
    call = connection(base)
    call.putrequest("POST", path)
    for name, value in {
        **headers,
        "Content-Type": "text/csv",
        "Transfer-Encoding": "chunked",
    }.items():
        call.putheader(name, value)
    call.endheaders()
    with pytest.raises((ConnectionError, StopIteration)):  # noqa: PT012 - one loop
        for _ in itertools.repeat(None, 300):
            call.send(b"%x\r\n%b\r\n" % (MIB, PIECE))
            sent += MIB
        raise StopIteration
    assert sent < 200 * MIB
    assert memory(pid) - before < 50 * MIB
    assert files(settings, tenant_id) == []
    call.close()
    assert requests.get(f"{base}/health", timeout=10).ok


def test_a_chunked_body_just_above_the_limit_reads_its_refusal(serve, headers):
    base, _ = serve(max_upload_bytes=1000, max_body_bytes=1000)
    for path in ("/v1/uploads", "/v1/series/a/observations", "/v1/jobs"):
        answer = requests.post(
            f"{base}{path}", data=iter([b"x" * 1001]), headers=headers, timeout=10
        )
        assert answer.status_code == 413
        assert answer.json()["type"] == "/problems/too-large"


def test_a_client_that_dies_while_uploading_leaves_no_file(
    serve, headers, settings, tenant_id
):
    base, _ = serve()
    host, port = urlsplit(base).netloc.split(":")
    with socket.create_connection((host, int(port))) as raw:
        head = f"POST /v1/uploads HTTP/1.1\r\nHost: x\r\nContent-Length: {9 * MIB}\r\n"
        key = headers["Authorization"]
        raw.sendall(f"{head}Authorization: {key}\r\n\r\n".encode() + PIECE)
        until(lambda: files(settings, tenant_id))
        assert [path.suffix for path in files(settings, tenant_id)] == [".part"]
    until(lambda: not files(settings, tenant_id))


def test_events_reach_the_client_as_they_happen(serve, headers, api, work):
    base, _ = serve()
    job = api.submit()
    with requests.get(
        f"{base}{job['links']['events']}", headers=headers, stream=True, timeout=30
    ) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        found = sse.events(answer.iter_content(None))
        assert next(found).kind == "queued"
        work.claim(job["id"])
        assert next(found).kind == "running"
        work.progress(job["id"], 4)
        assert next(found).body["progress"]["done"] == 4
        work.finish(job["id"])
        assert [one.kind for one in found] == ["succeeded"]


def test_held_requests_leave_threads_for_the_others(serve, headers, api, work):
    base, _ = serve(streams=12, tenant_streams=12, threads=16)
    job = api.submit()
    path = f"{base}{job['links']['events']}"
    held = [
        requests.get(path, headers=headers, stream=True, timeout=30) for _ in range(12)
    ]
    try:
        assert {answer.status_code for answer in held} == {200}
        refused = requests.get(path, headers=headers, timeout=10)
        assert refused.status_code == 429
        assert "Retry-After" in refused.headers
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            quick = pool.map(
                lambda _: (
                    requests.get(
                        f"{base}/v1/jobs", headers=headers, timeout=10
                    ).status_code
                ),
                range(40),
            )
            assert set(quick) == {200}
    finally:
        work.end(job["id"])
        for answer in held:
            answer.close()


def test_many_requests_at_once_wait_together(serve, headers, api, work):
    base, _ = serve()
    job = api.submit()
    waiting = {**headers, "Prefer": "wait=30"}
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        held = [
            pool.submit(
                requests.get,
                f"{base}{job['links']['self']}",
                headers=waiting,
                timeout=40,
            )
            for _ in range(10)
        ]
        until(lambda: "_held_requests 10.0" in requests.get(f"{base}/metrics").text)
        work.end(job["id"])
        states = {one.result().json()["state"] for one in held}
    assert states <= {"running", "succeeded"}


def test_a_stop_signal_ends_the_server(serve):
    _, pid = serve()
    processes = [psutil.Process(pid), *psutil.Process(pid).children()]
    assert len(processes) == 2
    os.kill(pid, signal.SIGTERM)
    _, left = psutil.wait_procs(processes[1:], timeout=10)
    assert left == []
    assert not any(lives(one) for one in processes[1:])


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({}, "FOREBAY_DATABASE_URL"),
        ({"FOREBAY_DATABASE_URL": "postgresql://x/y"}, "FOREBAY_SECRET_KEY"),
        ({"FOREBAY_COLOUR": "red"}, "FOREBAY_COLOUR"),
        (
            {"FOREBAY_DATABASE_URL": "postgresql://x/y", "FOREBAY_PORT": "high"},
            "FOREBAY_PORT",
        ),
    ],
)
def test_a_server_without_usable_settings_says_which(environ, told):
    kept = {k: v for k, v in os.environ.items() if not k.startswith("FOREBAY_")}
    ended = subprocess.run(
        [sys.executable, "-m", "web"],
        env=kept | environ,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode != 0
    assert told in ended.stderr
