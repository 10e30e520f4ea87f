"""Where a webhook may send to, judged after the name was resolved."""

import socket
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.addresses import (
    Refused,
    Unresolved,
    is_public,
    listed_hosts,
    target,
)

PUBLIC, PRIVATE = "93.184.215.14", "10.0.0.5"
NOBODY = frozenset[str]()


def answering(*addresses: str) -> Callable:
    """A resolver that always gives these addresses."""
    return lambda _host, port, **_more: [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in addresses
    ]


@pytest.mark.parametrize(
    "address",
    [
        *("10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "127.0.0.1"),
        *("127.255.255.254", "0.0.0.0", "0.1.2.3", "169.254.169.254", "100.64.0.1"),
        *("192.0.0.1", "192.0.2.1", "198.18.0.1", "203.0.113.7", "224.0.0.1"),
        *("239.255.255.255", "240.0.0.1", "255.255.255.255"),
        *("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1", "ff02::1"),
        *("fec0::1", "2001:db8::1", "2001::1", "100::1", "::127.0.0.1", "5f00::1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254"),
        *("2002:7f00:1::", "2002:a00:1::1", "2002:a9fe:a9fe::"),
        *("64:ff9b::127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b::a9fe:a9fe"),
        *("64:ff9b:1::1", "64:ff9b:1::5db8:d70e"),
        *("", "localhost", "not an address"),
    ],
)
def test_what_is_not_of_the_internet_is_not_public(address):
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *(PUBLIC, "1.1.1.1", "172.32.0.1", "100.128.0.1", "169.253.1.1"),
        *("2606:4700::1111", "2a00:1450::1", f"::ffff:{PUBLIC}", "2002:5db8:d70e::1"),
        f"64:ff9b::{PUBLIC}",
    ],
)
def test_what_is_of_the_internet_is_public(address):
    assert is_public(address)


@settings(deadline=None, max_examples=200)
@given(st.ip_addresses(v=4))
def test_no_disguise_makes_an_address_public(address):
    for disguise in ("::ffff:{}", "64:ff9b::{}"):
        assert is_public(disguise.format(address)) == is_public(str(address))
    high, low = divmod(int(address), 1 << 16)
    assert is_public(f"2002:{high:x}:{low:x}::1") == is_public(str(address))


def test_a_url_is_taken_apart_and_resolved_once():
    asked = []

    def resolve(host, port, **more):
        asked.append((host, port))
        return answering(PUBLIC, PUBLIC, "2606:4700::1111")(host, port)

    found = target("https://Hooks.Example/a/b?c=d", listed=NOBODY, resolve=resolve)
    assert asked == [("hooks.example", 443)]
    assert (found.tls, found.host, found.port) == (True, "hooks.example", 443)
    assert found.path == "/a/b?c=d"
    assert found.addresses == (PUBLIC, "2606:4700::1111")


@pytest.mark.parametrize(
    ("url", "port", "path"),
    [
        ("http://a.example", 80, "/"),
        ("http://a.example:8080?x", 8080, "/?x"),
        ("https://a.example:65535/", 65535, "/"),
        ("http://a.example:/p", 80, "/p"),
    ],
)
def test_a_url_may_leave_out_port_and_path(url, port, path):
    found = target(url, listed=NOBODY, resolve=answering(PUBLIC))
    assert (found.port, found.path) == (port, path)


@pytest.mark.parametrize(
    "url",
    [
        *("", "a.example", "//a.example/", "ftp://a.example/", "file:///etc/passwd"),
        *("gopher://a.example/", "javascript:alert(1)", "http:///x", "https://"),
        *("http://u:p@a.example/", "http://u@a.example/", "http://@a.example/"),
        *("http://a.example/#f", "http://a.example/#", "http://a.example:0/"),
        *("http://a.example:65536/", "http://a.example:x/", "http://[::1/"),
        *("http://a.example\\@b.example/", "http://a b/", "http://a/\r\nX: y"),
        *("http://a.example/\t", "http://b\u00fccher.example/", "http://a%2eb/"),
        *("http://[fe80::1%25eth0]/", "http://a,b/", "http://a.example/{x}"),
        "http://a.example/" + "x" * 2_000,
    ],
)
def test_a_url_that_is_none_or_has_two_readings_is_refused(url):
    with pytest.raises(Refused):
        target(url, listed=NOBODY, resolve=answering(PUBLIC))


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.1", "0x7f.1", "2130706433", "0177.0.0.1", "0"),
        *("[::1]", "[::ffff:127.0.0.1]", "[::]", "localhost", "localhost."),
    ],
)
def test_no_spelling_of_this_machine_is_sent_to(host):
    with pytest.raises((Refused, Unresolved)):
        target(f"http://{host}:1/", listed=NOBODY)


@pytest.mark.parametrize("addresses", [(PRIVATE,), (PUBLIC, PRIVATE), ("::1", PUBLIC)])
def test_one_private_address_among_others_is_enough_to_refuse(addresses):
    with pytest.raises(Refused) as found:
        target("https://a.example/", listed=NOBODY, resolve=answering(*addresses))
    for one in (PRIVATE, "::1", PUBLIC):
        assert one not in str(found.value)  # it would tell a stranger of our network


@pytest.mark.parametrize(
    ("setting", "host"),
    [
        ("a.example", "a.example"),
        (" b.example , A.Example ", "a.example"),
        ("a.example", "A.EXAMPLE"),
        ("10.0.0.5", "10.0.0.5"),
        ("FD00:0::1", "[fd00::1]"),
    ],
)
def test_a_listed_host_may_be_private(setting, host):
    found = target(
        f"http://{host}/", listed=listed_hosts(setting), resolve=answering(PRIVATE)
    )
    assert found.addresses == (PRIVATE,)


@pytest.mark.parametrize(
    ("setting", "host"),
    [
        ("", "a.example"),
        (",", "a.example"),
        ("example", "a.example"),
        ("a.example", "b.a.example"),
        ("a.example", "a.example.evil.example"),
        ("10.0.0.5", "a.example"),  # the address of a name somebody else may choose
        ("10.0.0.0", "10.0.0.5"),
    ],
)
def test_only_the_very_host_is_listed(setting, host):
    with pytest.raises(Refused):
        target(
            f"http://{host}/", listed=listed_hosts(setting), resolve=answering(PRIVATE)
        )


def test_a_host_without_an_address_is_not_resolved():
    def resolve(*_asked, **_more):
        raise socket.gaierror(socket.EAI_NONAME, "no such host")

    for one in (resolve, answering()):
        with pytest.raises(Unresolved):
            target("http://a.example/", listed=NOBODY, resolve=one)


def test_sftp_is_judged_like_the_web_where_it_is_allowed_at_all():
    url, both = "sftp://files.test:2222/in/", frozenset({"https", "sftp"})
    public, private = answering(PUBLIC), answering(PRIVATE)
    with pytest.raises(Refused, match="begins with https:// or http://"):
        target(url, listed=NOBODY, resolve=public)
    found = target(url, listed=NOBODY, resolve=public, schemes=both)
    assert (found.host, found.port, found.addresses) == ("files.test", 2222, (PUBLIC,))
    assert (
        target("sftp://files.test/", listed=NOBODY, resolve=public, schemes=both).port
        == 22
    )
    with pytest.raises(Refused, match="private"):
        target(url, listed=NOBODY, resolve=private, schemes=both)
    listed = listed_hosts("files.test")
    assert target(url, listed=listed, resolve=private, schemes=both).addresses
