"""A local HTTP server around one behaviour, with faults on demand."""

import socket
import struct
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Protocol
from urllib.parse import parse_qsl, urlsplit

from tests.sources.faults import Fault, FaultPlan

SLOW_S = 0.2
_HTML = b"<!DOCTYPE html><html><body>Will be right back</body></html>"


@dataclass(frozen=True)
class Call:
    """One request as a behaviour sees it; header names in lower case."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    body: bytes = b""

    def one(self, name: str, default: str = "") -> str:
        """Return the last value of a parameter."""
        return dict(self.query).get(name, default)

    def all(self, name: str) -> list[str]:
        """Return all values of a parameter, in order."""
        return [value for key, value in self.query if key == name]


@dataclass(frozen=True)
class Reply:
    """What a behaviour answers."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Behaviour(Protocol):
    """A source: what it answers follows from its truth and the call alone."""

    def answer(self, call: Call) -> Reply:
        """Return the answer to one call."""
        ...


@dataclass
class Served:
    """A running server: its address, the calls so far, and the faults to come."""

    url: str
    plan: FaultPlan
    calls: list[Call]


class _Server(ThreadingHTTPServer):
    """Knows its behaviour; a client that left is no error."""

    def __init__(self, behaviour: Behaviour, plan: FaultPlan, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.behaviour = behaviour
        self.served = Served(f"http://127.0.0.1:{self.server_port}", plan, [])
        self._lock = threading.Lock()

    def noted(self, call: Call) -> Fault | None:
        """Keep a call and return what goes wrong with it."""
        with self._lock:
            self.served.calls.append(call)
            return self.served.plan.next()

    def handle_error(self, *_: object) -> None:
        """See the class."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    # A body after its head would wait for the client to have acknowledged that.
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        call = self._call()
        fault = self.server.noted(call)
        if fault == "reset":
            self._reset()
            return
        if fault == "slow":
            time.sleep(SLOW_S)
        reply = _FAULTY.get(fault or "") or self.server.behaviour.answer(call)
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if fault == "truncate":
            self.close_connection = True
            self.wfile.write(reply.body[: len(reply.body) // 2])
        elif call.method != "HEAD":
            self.wfile.write(reply.body)

    do_POST = do_HEAD = do_GET  # noqa: N815 - names that http.server looks for

    def log_message(self, *args: object) -> None:
        """Say nothing: what is asked may hold a secret."""

    def _reset(self) -> None:
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True
        self.connection.close()

    def _call(self) -> Call:
        split = urlsplit(self.path)
        size = int(self.headers.get("content-length") or 0)
        headers = {name.lower(): value for name, value in self.headers.items()}
        query = tuple(parse_qsl(split.query, keep_blank_values=True))
        return Call(self.command, split.path, query, headers, self.rfile.read(size))


@contextmanager
def serve(
    behaviour: Behaviour, plan: FaultPlan | None = None, *, port: int = 0
) -> Iterator[Served]:
    """Serve a behaviour on a port of 127.0.0.1, by default on a free one."""
    server = _Server(behaviour, plan or FaultPlan(), port)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server.served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


_FAULTY = {
    "429": Reply(429, b"Too Many Requests", {"Retry-After": "0"}),
    "500": Reply(500, _HTML, {"Content-Type": "text/html"}),
    "503": Reply(503, b"Service Unavailable", {"Content-Type": "text/plain"}),
    "html": Reply(200, _HTML, {"Content-Type": "text/html"}),
}
