"""A receiver of webhooks on this machine, which answers as it is told."""

import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass(frozen=True)
class Call:
    """A request that came in."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """What came, and what to answer next: (status, headers), else 204."""

    port: int = 0
    calls: list[Call] = field(default_factory=list)
    script: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    hold: threading.Event | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def ids(self) -> list[str]:
        """The webhook-id of each call."""
        return [call.headers["webhook-id"] for call in self.calls]


@contextmanager
def receiving(tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """Serve on a port of 127.0.0.1 until the block ends."""
    found = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = dict(self.headers.items())
            status, more = found.script.pop(0) if found.script else (204, {})
            found.calls.append(Call(self.path, headers, body))
            if found.hold is not None:
                found.hold.wait(30)
            self.send_response(status)
            for name, value in {"Content-Length": "0", **more}.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_words: object) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_words: None  # a client that does not trust us
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    found.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def speaking(speak: Callable[[socket.socket], None]) -> Iterator[int]:
    """Let ``speak`` talk to whoever connects to the port, until the other hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            line, _ = server.accept()
            with line, suppress(OSError):
                speak(line)

        thread = threading.Thread(target=accept)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


def certificate(folder: Path, host: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return the contexts of a server ``host`` and of a client that trusts it."""
    key, crt = folder / f"{host}.key", folder / f"{host}.crt"
    words = (
        f"req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={host} "
        f"-addext subjectAltName=DNS:{host}"
    )
    subprocess.run(
        ["openssl", *words.split(), "-keyout", str(key), "-out", str(crt)],
        check=True,
        capture_output=True,
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(crt, key)
    return server, ssl.create_default_context(cafile=str(crt))
