"""Puts secrets where a request names them, at the last moment before it is sent.

How a value is written follows from its place: in JSON and in forms it is escaped, and
after the word ``Basic`` of a header the whole is Base64, as a log-in by user and
password has to be.
"""

import base64
import html
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote_plus

from ingest.exchange import NotAllowed, Request

_HOLDER = re.compile(r"\{secret:([A-Za-z0-9_.-]+)\}")
_BASIC = "Basic "
_PRIVATE = frozenset({"authorization", "cookie", "proxy-authorization"})


class MissingSecret(Exception):
    """A request names a secret that the credential does not hold; nothing was sent."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"the credential holds no secret {self.name}"


class UnfitSecret(Exception):
    """A secret is not what its place can hold; nothing was sent."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"the secret {self.name} cannot be used where it belongs"


@dataclass(frozen=True)
class Filled:
    """A request as it is sent; it is never shown.

    Attributes:
        method: of HTTP.
        url: where to; in a redirect with its query.
        params: the query.
        headers: as they are sent.
        private: the names of headers that no other host may see.
        body: as it is sent.
        secretive: whether there is a secret in the body.
    """

    method: str
    url: str = field(repr=False)
    params: tuple[tuple[str, str], ...] = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    private: frozenset[str]
    body: bytes | None = field(repr=False)
    secretive: bool


def needed(request: Request) -> frozenset[str]:
    """Return the names of the secrets that a request needs.

    Example:
        >>> needed(Request("https://a.test", headers={"X-Api-Key": "{secret:key}"}))
        frozenset({'key'})
    """
    texts = [value for _, value in request.params]
    texts += [*request.headers.values(), request.body or ""]
    return frozenset(name for text in texts for name in _HOLDER.findall(text))


def filled(request: Request, secrets: Mapping[str, str]) -> Filled:
    """Return a request with its secrets in place.

    Raises:
        MissingSecret: there is none of a name.
        UnfitSecret: a header cannot hold one.
        NotAllowed: the address names a secret, which logs and referrers would show.
    """
    if _HOLDER.search(request.url):
        raise NotAllowed("a secret may not stand in an address")
    for name in sorted(needed(request)):
        if not secrets.get(name):
            raise MissingSecret(name)
    headers = {name: _header(text, secrets) for name, text in request.headers.items()}
    private = {
        name.lower()
        for name, text in request.headers.items()
        if _HOLDER.search(text) or name.lower() in _PRIVATE
    }
    body = None
    if request.body is not None:
        body = _put(request.body, secrets, _escape(request)).encode()
    return Filled(
        method=request.method,
        url=request.url,
        params=tuple((name, _put(text, secrets)) for name, text in request.params),
        headers=headers,
        private=frozenset(private),
        body=body,
        secretive=bool(_HOLDER.search(request.body or "")),
    )


def _put(
    text: str, secrets: Mapping[str, str], escape: Callable[[str], str] = str
) -> str:
    return _HOLDER.sub(lambda found: escape(secrets[found[1]]), text)


def _header(text: str, secrets: Mapping[str, str]) -> str:
    names = _HOLDER.findall(text)
    value = _put(text, secrets)
    if names and text.startswith(_BASIC):
        pair = value.removeprefix(_BASIC).encode()
        return _BASIC + base64.b64encode(pair).decode()
    for name in names:
        if not re.fullmatch(r"[ -~]+", secrets[name]):
            raise UnfitSecret(name)
    return value


def _escape(request: Request) -> Callable[[str], str]:
    """Return how a value is written in the body of a request."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    kind = headers.get("content-type", "").split(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        return quote_plus
    if kind.endswith("json"):
        return lambda value: json.dumps(value)[1:-1]
    return html.escape if kind.endswith("xml") else str
