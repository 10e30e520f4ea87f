"""Posting to the address that was judged, in the time there is."""

import itertools
import socket
import ssl
import threading

import pytest

from tasks.addresses import Target
from tests.servers.ports import free_port
from tests.workers.receiver import certificate, receiving, speaking
from workers.addresses import Answer, NotSent, post

HOST = "hook.test"  # is no name of the internet, so nothing but a pin leads to it


def at(port: int, *addresses: str, tls: bool = False, path: str = "/hook") -> Target:
    return Target(tls, HOST, port, path, addresses or ("127.0.0.1",))


def send(target: Target, *, timeout_s: float = 20, trust=None, **headers) -> Answer:
    return post(
        target,
        headers=headers,
        body=b'{"a": 1}',
        timeout_s=timeout_s,
        tls=trust or ssl.create_default_context(),
    )


@pytest.fixture
def receiver():
    with receiving() as found:
        yield found


@pytest.fixture(scope="module")
def contexts(tmp_path_factory):
    """Contexts of a server that is HOST, and of a client that trusts it."""
    return certificate(tmp_path_factory.mktemp("tls"), HOST)


def test_the_pinned_address_gets_the_call_meant_for_the_host(receiver):
    answer = send(at(receiver.port, path="/a?b=c"), **{"X-One": "1"})
    assert answer == Answer(204, None)
    (call,) = receiver.calls
    assert (call.path, call.body) == ("/a?b=c", b'{"a": 1}')
    assert call.headers["Host"] == f"{HOST}:{receiver.port}"
    assert call.headers["X-One"] == "1"


def test_nothing_is_resolved_again(receiver, monkeypatch):
    asked = []
    real = socket.getaddrinfo

    def resolve(host, *more, **named):
        asked.append(host)
        return real(host, *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    send(at(receiver.port))
    assert set(asked) <= {"127.0.0.1"}


def test_the_next_address_is_tried_where_one_refuses(receiver):
    assert send(at(receiver.port, "127.0.0.77", "127.0.0.1")).status == 204


@pytest.mark.parametrize("status", [200, 301, 302, 307, 308, 404, 410, 500])
def test_every_status_is_an_answer_and_none_is_followed(receiver, status):
    away = {"Location": f"http://127.0.0.1:{receiver.port}/elsewhere"}
    receiver.script = [(status, away)]
    assert send(at(receiver.port)).status == status
    assert [call.path for call in receiver.calls] == ["/hook"]


def test_retry_after_is_handed_on(receiver):
    receiver.script = [(503, {"Retry-After": "7"})]
    assert send(at(receiver.port)) == Answer(503, "7")


def test_no_proxy_of_the_environment_is_asked(receiver, monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    assert send(at(receiver.port)).status == 204


def test_a_certificate_is_checked_against_the_host_and_not_the_address(contexts):
    server, trust = contexts
    with receiving(server) as found:
        assert send(at(found.port, tls=True), trust=trust).status == 204
        other = Target(True, "other.test", found.port, "/", ("127.0.0.1",))
        with pytest.raises(NotSent, match="certificate is not valid: Hostname mism"):
            send(other, trust=trust)
        with pytest.raises(NotSent, match="certificate is not valid: self"):
            send(at(found.port, tls=True))
        assert len(found.calls) == 1
        assert found.calls[0].headers["Host"] == f"{HOST}:{found.port}"


def test_tls_to_whom_does_not_speak_it_fails(receiver):
    with pytest.raises(NotSent, match="TLS failed"):
        send(at(receiver.port, tls=True))
    assert receiver.calls == []


def test_nobody_at_the_port_is_told():
    with pytest.raises(NotSent, match="the connection was refused"):
        send(at(free_port()))


def _hangs_up(line: socket.socket) -> None:
    line.recv(65_536)


def _talks(line: socket.socket) -> None:
    line.sendall(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
    line.recv(65_536)


@pytest.mark.parametrize(
    ("speak", "told"), [(_hangs_up, "failed or broke"), (_talks, "not HTTP")]
)
def test_an_answer_that_is_none_is_told(speak, told):
    with speaking(speak) as port, pytest.raises(NotSent, match=told):
        send(at(port))


def _listens(line: socket.socket) -> None:
    while line.recv(65_536):
        pass


def _drips(*pieces: bytes):
    """Send without an end, each piece long before a timeout of its own."""

    def speak(line: socket.socket) -> None:
        pause = threading.Event()
        for piece in itertools.chain(pieces[:-1], itertools.repeat(pieces[-1])):
            line.sendall(piece)
            pause.wait(0.005)

    return speak


@pytest.mark.parametrize(
    "speak",
    [
        _drips(b"H", b"T", b"T", b"P", b"/", b"1", b".", b"1", b" "),
        _drips(b"HTTP/1.1 200 OK\r\nX: ", b"x"),
        _drips(b"HTTP/1.1 100 Continue\r\n\r\n"),
        _listens,
    ],
    ids=["status", "header", "continue", "silence"],
)
def test_whoever_drips_or_says_nothing_is_cut_off(speak):
    with (
        speaking(speak) as port,
        pytest.raises(NotSent, match=r"no answer within 0\.3 s"),
    ):
        send(at(port), timeout_s=0.3)


def test_a_handshake_that_does_not_end_is_cut_off():
    # A record of TLS that announces 16 kB, and then comes byte by byte.
    with (
        speaking(_drips(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xf0", b"\x03")) as port,
        pytest.raises(NotSent, match="no answer within"),
    ):
        send(at(port, tls=True), timeout_s=0.3)


def test_a_body_without_an_end_is_not_read():
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n"
    with speaking(_drips(head, b"x" * 4_096)) as port:
        assert send(at(port)).status == 200
