"""The load: how many requests, over how many connections, and what it refuses."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from bench.load import Order, Refused, run, run_apart

BODY = '{"text": "a"}'


class _Platform(ThreadingHTTPServer):
    """Takes jobs and gives them back; notes who asked for what."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[tuple[str, str, str | None, int]] = []
        self.status = 202


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Platform

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer({"id": "j1", "sent": json.loads(sent)})

    def do_GET(self) -> None:
        self._answer({"result": {"a": 1}})

    def _answer(self, body: object) -> None:
        client = self.client_address[1]
        name = self.headers.get("X-Name")
        self.server.asked.append((self.command, self.path, name, client))
        told = json.dumps(body).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    def log_message(self, *_words: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def platform() -> Iterator[_Platform]:
    with _Platform() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def _order(platform: _Platform, **more) -> Order:
    chosen = {"count": 30, "threads": 3, **more}
    return Order(platform.server_port, "/jobs", BODY, **chosen)


@pytest.mark.parametrize("runner", [run, run_apart])
def test_every_request_is_sent_once_and_timed(platform, runner):
    told = runner(_order(platform, headers={"X-Name": "me"}))
    assert [one[:3] for one in platform.asked] == [("POST", "/jobs", "me")] * 30
    assert len(told.each_s) == 30
    assert 0 < max(told.each_s) <= told.took_s


def test_each_thread_keeps_one_connection(platform):
    run(_order(platform))
    assert 1 <= len({client for *_, client in platform.asked}) <= 3


def test_a_result_is_asked_for_with_the_id_of_the_answer(platform):
    run(_order(platform, count=1, threads=1, follow="/jobs/{id}?w=2", result={"a": 1}))
    assert [one[:2] for one in platform.asked] == [
        ("POST", "/jobs"),
        ("GET", "/jobs/j1?w=2"),
    ]


def test_a_wrong_result_breaks_the_run(platform):
    order = _order(platform, follow="/jobs/{id}", result={"a": 2})
    with pytest.raises(Refused, match="another result than expected"):
        run(order)


@pytest.mark.parametrize("runner", [run, run_apart])
def test_a_refusal_breaks_the_run(platform, runner):
    platform.status = 503
    with pytest.raises(Refused, match="HTTP 503"):
        runner(_order(platform))


def test_a_platform_that_is_away_is_an_error_and_no_endless_wait(platform):
    platform.server_close()
    with pytest.raises(Refused, match=r"refused|reset"):
        run_apart(_order(platform))
