"""Posts to the very address that was judged, within a time that nobody can stretch.

An HTTP library would resolve the host again, and might then be led elsewhere; and its
timeouts begin anew with each byte that arrives.
"""

import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse

from tasks.addresses import Target

_LARGEST_ANSWER = 1_024  # bytes that are read, so that the receiver need not notice


class NotSent(Exception):
    """No answer came; the message says what happened instead."""


@dataclass(frozen=True)
class Answer:
    """What a receiver answered; its body is of no interest.

    ``final`` says why no other attempt would be answered otherwise; ``body`` is what
    is to be kept of the delivery instead of what was sent.
    """

    status: int
    retry_after: str | None
    final: str | None = None
    body: str | None = None


def post(
    target: Target,
    *,
    headers: Mapping[str, str],
    body: bytes,
    timeout_s: float,
    tls: ssl.SSLContext,
) -> Answer:
    """Post a body; a redirect is an answer like any other.

    Args:
        target: where to; its addresses were judged.
        headers: what to send beside Host and Content-Length.
        body: what to send.
        timeout_s: seconds from the first connection to the end of the answer.
        tls: whom to trust.

    Raises:
        NotSent: there was no answer in time, or none that is HTTP.
    """
    ends_at = time.monotonic() + timeout_s
    try:
        with (
            _dialled(target, ends_at) as plain,
            _cut_off(plain, ends_at),
            _wrapped(target, plain, tls) as sock,
        ):
            response = _exchange(target, sock, headers, body)
            if time.monotonic() >= ends_at:
                raise TimeoutError
            with response, suppress(OSError, ValueError, HTTPException):
                response.read(_LARGEST_ANSWER)
            return Answer(response.status, response.headers.get("Retry-After"))
    except (OSError, ValueError, HTTPException) as error:
        if isinstance(error, TimeoutError) or time.monotonic() >= ends_at:
            raise NotSent(f"no answer within {timeout_s:g} s") from error
        raise NotSent(told(error)) from error


@contextmanager
def connected(target: Target, *, timeout_s: float) -> Iterator[socket.socket]:
    """Connect to what was judged; after the time the line is cut, whatever goes on.

    Raises:
        NotSent: nothing answers there, or the line broke or was cut.
    """
    ends_at = time.monotonic() + timeout_s
    try:
        with _dialled(target, ends_at) as line, _cut_off(line, ends_at):
            yield line
    except OSError as error:
        if isinstance(error, TimeoutError) or time.monotonic() >= ends_at:
            raise NotSent(f"no answer within {timeout_s:g} s") from error
        raise NotSent(told(error)) from error


def _exchange(
    target: Target, sock: socket.socket, headers: Mapping[str, str], body: bytes
) -> HTTPResponse:
    connection = HTTPConnection(target.host, target.port)
    if target.tls:
        connection.default_port = 443  # decides how the Host header is written
    connection.auto_open = 0  # it would resolve the host by itself
    connection.sock = sock
    connection.request("POST", target.path, body=body, headers=dict(headers))
    return connection.getresponse()


@contextmanager
def _dialled(target: Target, ends_at: float) -> Iterator[socket.socket]:
    """Connect to the first address that answers."""
    *others, final = target.addresses
    for address in others:
        with suppress(OSError):
            sock = _connect(address, target.port, ends_at)
            break
    else:
        sock = _connect(final, target.port, ends_at)
    with sock:
        yield sock


def _connect(address: str, port: int, ends_at: float) -> socket.socket:
    left = ends_at - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return socket.create_connection((address, port), timeout=left)


@contextmanager
def _cut_off(sock: socket.socket, ends_at: float) -> Iterator[None]:
    """Hang up at the end of the time, however busily the other side drips bytes."""
    with sock.dup() as line:  # TLS takes the socket itself away

        def hang_up() -> None:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(max(0.0, ends_at - time.monotonic()), hang_up)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()


def _wrapped(target: Target, sock: socket.socket, tls: ssl.SSLContext) -> socket.socket:
    if not target.tls:
        return sock
    return tls.wrap_socket(sock, server_hostname=target.host.rstrip("."))


def told(error: Exception) -> str:
    """Say what went wrong in words that are the same for every receiver."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not valid: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return "TLS failed"
    if isinstance(error, ConnectionRefusedError):
        return "the connection was refused"
    if isinstance(error, OSError):
        return "the connection failed or broke"
    return "the answer is not HTTP"
