"""Where a redirect leads, and what may be taken along."""

from dataclasses import replace
from urllib.parse import urldefrag, urljoin, urlsplit

import requests

from ingest.exchange import NotAllowed
from ingest.placeholders import Filled
from ingest.redaction import Redactor

_KEEPS_METHOD = frozenset({307, 308})
_REDIRECTS = frozenset({301, 302, 303}) | _KEEPS_METHOD
_PORTS = {"http": 80, "https": 443}


def onward(
    asked: Filled, response: requests.Response, redactor: Redactor
) -> Filled | None:
    """Return what a redirect asks for, or None if the answer is none.

    Another scheme, host or port is another place: what is private stays behind.

    Raises:
        NotAllowed: a secret would have to be taken to another place.
    """
    location = response.headers.get("location")
    if response.status_code not in _REDIRECTS or not location:
        return None
    # Header values stand for bytes; addresses in them are UTF-8 these days.
    location = location.encode("latin-1", errors="replace").decode(errors="replace")
    url = urldefrag(urljoin(str(response.url), location)).url
    following = replace(asked, url=url, params=())
    if response.status_code not in _KEEPS_METHOD and asked.method != "HEAD":
        following = replace(following, method="GET", body=None, secretive=False)
    if _place(url) == _place(str(response.url)):
        return following
    if following.secretive or redactor.holds(url):
        raise NotAllowed("a redirect would take a secret to another host")
    headers = {
        name: value
        for name, value in asked.headers.items()
        if name.lower() not in asked.private
    }
    return replace(following, headers=headers)


def _place(url: str) -> tuple[str, str | None, int | None]:
    split = urlsplit(url)
    return split.scheme, split.hostname, split.port or _PORTS.get(split.scheme)
