"""A server that sends given bytes, whole or not: for what no real server would send."""

import re
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

RESET = b"!reset"
"""In a script: break the connection off without a word."""

SILENT = b"!silent"
"""In a script: take the request and keep still."""

_TLS = b"\x16\x03"  # how a greeting begins that plain text cannot answer


@dataclass
class Scripted:
    """A running server: its port, what it was sent, and by how many connections."""

    port: int
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0


def reply(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """Return the bytes of a whole answer."""
    length = f"Content-Length: {len(body)}"
    head = "\r\n".join([f"HTTP/1.1 {status}", *headers, length, "", ""])
    return head.encode("latin-1") + body


@contextmanager
def serve_script(
    *answers: bytes, tls: ssl.SSLContext | None = None
) -> Iterator[Scripted]:
    """Answer the n-th request with the n-th bytes, on a free port of 127.0.0.1.

    The connection is closed after an answer that does not say how long it is, or is
    shorter than it says.
    """
    listening = socket.create_server(("127.0.0.1", 0))
    served = Scripted(listening.getsockname()[1])
    script = iter(answers)
    over = threading.Event()

    def accept() -> None:
        while not over.is_set():
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            served.connections += 1
            with suppress(OSError):
                if tls is not None:
                    connection = tls.wrap_socket(connection, server_side=True)
                _converse(connection, script, served, over)
            connection.close()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        over.set()
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


def _converse(
    connection: socket.socket,
    script: Iterator[bytes],
    served: Scripted,
    over: threading.Event,
) -> None:
    with connection:
        while (request := _request(connection)) is not None:
            served.requests.append(request)
            answer = next(script)
            if answer == RESET:
                linger = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                return
            if answer == SILENT:
                over.wait(5)
                return
            connection.sendall(answer)
            length = re.search(rb"Content-Length: (\d+)", answer)
            body = answer.partition(b"\r\n\r\n")[2]
            if length is None or int(length[1]) != len(body):
                return


def _request(connection: socket.socket) -> bytes | None:
    """Read the head of a request and its body."""
    found = b""
    while b"\r\n\r\n" not in found:
        if not (more := connection.recv(65_536)):
            return None
        found += more
        if found.startswith(_TLS):
            return found
    length = re.search(rb"(?i)content-length: (\d+)", found)
    wanted = found.index(b"\r\n\r\n") + 4 + int(length[1] if length else 0)
    while len(found) < wanted:
        found += connection.recv(65_536)
    return found
