"""Connections go to the judged address, and TLS still speaks of the name."""

import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ingest.exchange import NotAllowed, Request, Unreachable
from ingest.wire import Wire
from tests.ingest.carrying import transport
from tests.sources.scripted import reply, serve_script


@pytest.fixture
def only_numbers(monkeypatch):
    """Refuse to look any name up."""
    real = socket.getaddrinfo

    def resolve(host, *args, **more):
        assert host.replace(".", "").isdecimal(), f"{host} was looked up"
        return real(host, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Path:
    """A certificate of source.test with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "source.test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("source.test")]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


@pytest.fixture
def tls(certificate) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.mark.usefixtures("only_numbers")
def test_a_name_is_not_looked_up_again(tmp_path):
    with serve_script(reply(b"here")) as served, transport(tmp_path) as carrier:
        answer = carrier.send(Request(f"http://nowhere.test:{served.port}/"))
    assert answer.body == b"here"
    assert f"Host: nowhere.test:{served.port}".encode() in served.requests[0]


def test_the_second_address_is_tried_if_the_first_accepts_nothing(tmp_path):
    with (
        serve_script(reply(b"here")) as served,
        transport(tmp_path, judge=lambda _: ("127.0.0.2", "127.0.0.1")) as carrier,
    ):
        answer = carrier.send(Request(f"http://source.test:{served.port}/"))
    assert answer.body == b"here"


def test_another_judgement_means_another_connection(tmp_path):
    judgements = iter([("127.0.0.1",), ("127.0.0.2",)])
    with (
        serve_script(reply(b"1"), reply(b"2")) as served,
        transport(tmp_path, judge=lambda _: next(judgements)) as carrier,
    ):
        url = f"http://source.test:{served.port}/"
        carrier.send(Request(url))
        with pytest.raises(Unreachable, match="accepts a connection"):
            carrier.send(Request(url))
    assert len(served.requests) == 1


@pytest.mark.parametrize("addresses", [("localhost",), ("127.0.0.1", "a.test"), ()])
def test_only_numbers_are_connected_to(tmp_path, addresses):
    with (
        transport(tmp_path, judge=lambda _: addresses) as carrier,
        pytest.raises(NotAllowed),
    ):
        carrier.send(Request("http://source.test/"))


def test_what_is_not_allowed_is_not_sent_and_takes_nothing_of_the_limit(tmp_path):
    def never(_url: str) -> tuple[str, ...]:
        raise NotAllowed("a private address")

    paced = []
    with (
        serve_script(reply(b"")) as served,
        transport(tmp_path, judge=never, pace=paced.append) as carrier,
        pytest.raises(NotAllowed, match="a private address"),
    ):
        carrier.send(Request(f"http://source.test:{served.port}/"))
    assert (served.connections, paced) == (0, [])


def test_the_judge_sees_an_address_as_it_is_sent_without_its_query(tmp_path):
    judged = []

    def judge(url: str) -> tuple[str, ...]:
        judged.append(url)
        return ("127.0.0.1",)

    with (
        serve_script(reply(b"")) as served,
        transport(tmp_path, judge=judge) as carrier,
    ):
        place = f"http://source.test:{served.port}"
        carrier.send(Request(f"{place}/größe/a b%20c", params=(("a", "b"),)))
    assert judged == [f"{place}/gr%C3%B6%C3%9Fe/a%20b%20c"]
    assert served.requests[0].startswith(b"GET /gr%C3%B6%C3%9Fe/a%20b%20c?a=b ")


@pytest.mark.usefixtures("only_numbers")
def test_under_tls_the_certificate_is_that_of_the_name(tmp_path, certificate, tls):
    asked = []
    tls.sni_callback = lambda _socket, name, _context: asked.append(name)
    with (
        serve_script(reply(b"here"), tls=tls) as served,
        transport(tmp_path, wire=Wire(ca=certificate)) as carrier,
    ):
        answer = carrier.send(Request(f"https://source.test:{served.port}/"))
    assert answer.body == b"here"
    assert asked == ["source.test"]


def test_the_certificate_of_another_name_is_refused(tmp_path, certificate, tls):
    with (
        serve_script(tls=tls) as served,
        transport(tmp_path, wire=Wire(ca=certificate)) as carrier,
        pytest.raises(Unreachable, match=r"other\.test: its certificate is refused"),
    ):
        carrier.send(Request(f"https://other.test:{served.port}/"))


def test_a_certificate_that_nobody_signed_is_refused(tmp_path, tls):
    with (
        serve_script(tls=tls) as served,
        transport(tmp_path) as carrier,
        pytest.raises(Unreachable, match="its certificate is refused: self-signed"),
    ):
        carrier.send(Request(f"https://source.test:{served.port}/"))


def test_plain_text_where_tls_is_expected_is_no_answer(tmp_path):
    with (
        serve_script(reply(b"")) as served,
        transport(tmp_path) as carrier,
        pytest.raises(Unreachable, match="no TLS could be agreed upon"),
    ):
        carrier.send(Request(f"https://source.test:{served.port}/"))
