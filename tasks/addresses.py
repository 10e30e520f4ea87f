"""Where Forebay may connect for a tenant: public addresses, or hosts on a list.

A tenant chooses the address and Forebay's own network is where it is sent from, so
whatever a name stands for is judged after it has been resolved, and what was judged is
what ``workers/addresses.py`` connects to.
"""

import ipaddress
import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

Resolve = Callable[..., Sequence[Any]]
"""Answers like ``socket.getaddrinfo``."""

LONGEST_URL = 2_000
WEB = frozenset({"http", "https"})
_PORTS = {"http": 80, "https": 443, "sftp": 22}
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}|[0-9A-Fa-f:.]{2,45}")
_UNICAST = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class Refused(Exception):
    """Nothing may be sent to the address; the message says why, not where it leads."""


class Unresolved(Exception):
    """The host has no address, or the name servers do not answer."""


@dataclass(frozen=True)
class Target:
    """A URL whose host was resolved: connect to ``addresses`` and to nothing else."""

    tls: bool
    host: str
    port: int
    path: str
    addresses: tuple[str, ...]


def listed_hosts(setting: str) -> frozenset[str]:
    """Return the hosts of a comma-separated setting in the form they are compared."""
    return frozenset(_plain(one) for one in setting.split(",") if one.strip())


def target(
    url: str,
    *,
    listed: frozenset[str],
    resolve: Resolve = socket.getaddrinfo,
    setting: str = "FOREBAY_WEBHOOK_HOSTS",
    schemes: frozenset[str] = WEB,
) -> Target:
    """Resolve a URL once and judge every address of it.

    Args:
        url: where a tenant wants to be told.
        listed: hosts that may be private, from ``listed_hosts``.
        resolve: what looks a host up.
        setting: where an operator lists hosts.
        schemes: what the URL may begin with.

    Raises:
        Refused: the URL is not one to send to, or an address of it is not public.
        Unresolved: there is no address.
    """
    split, port = _split(url, schemes)
    host = split.hostname or ""
    try:
        found = resolve(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Unresolved("the host has no address") from error
    addresses = tuple(dict.fromkeys(str(one[4][0]) for one in found))
    if not addresses:
        raise Unresolved("the host has no address")
    if _plain(host) not in listed and not all(map(is_public, addresses)):
        raise Refused(
            "the host has an address that is private, local or reserved, and is not "
            f"among those that {setting} lists"
        )
    path = (split.path or "/") + (f"?{split.query}" if split.query else "")
    return Target(split.scheme == "https", host, port, path, addresses)


def is_public(text: str) -> bool:
    """Return whether an address is one of the internet's, and of one machine there."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        inner = _inside(address)
        if inner is None:
            return address in _UNICAST and address.is_global
        address = inner
    return address.is_global and not address.is_multicast and not address.is_reserved


def _inside(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that a gateway would make of an IPv6 one, if any."""
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour


def _split(url: str, schemes: frozenset[str]) -> tuple[SplitResult, int]:
    """Take a URL apart; what two programs might read in two ways is refused."""
    if len(url) > LONGEST_URL or not re.fullmatch(r"[!-~]+", url):
        raise Refused(f"a URL has up to {LONGEST_URL} ASCII characters and no spaces")
    if set(url) & set('\\"<>^`{|}'):
        raise Refused('a URL holds none of \\ " < > ^ ` { | }: encode them')
    try:
        split = urlsplit(url)
        port = split.port
    except ValueError as error:
        raise Refused("this is no URL") from error
    if split.scheme not in schemes & _PORTS.keys():
        known = " or ".join(f"{one}://" for one in sorted(schemes, reverse=True))
        raise Refused(f"a URL begins with {known}")
    if "@" in split.netloc or "#" in url:
        raise Refused("a URL has no user, no password and no fragment")
    if port == 0 or not _HOST.fullmatch(split.hostname or ""):
        raise Refused("a URL names a host, and a port from 1 to 65535 or none")
    return split, port or _PORTS[split.scheme]


def _plain(host: str) -> str:
    """Return a host as it is compared: small letters, addresses in one spelling."""
    host = host.strip().strip("[]").lower()
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host
