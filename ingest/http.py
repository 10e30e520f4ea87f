"""Carries requests over HTTP: each once, to judged addresses, with limits, no secrets.

What makes an answer good or bad is not decided here: every status is an answer. Nothing
that leaves this file, an answer, an exception or a line of the log, holds a secret.
"""

import ssl
from collections.abc import Mapping
from dataclasses import replace
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import SplitResult, quote, urlsplit

import requests
from requests.auth import AuthBase
from requests.structures import CaseInsensitiveDict
from urllib3.exceptions import HTTPError, NewConnectionError

from ingest.arrivals import Deadline, answered
from ingest.exchange import Answer, NotAllowed, Request, Unreachable
from ingest.http_body import HttpBody
from ingest.pinned import PinnedAdapter
from ingest.placeholders import Filled, filled
from ingest.redaction import Redactor
from ingest.redirects import onward
from ingest.wire import Clock, Judge, Outside, Pace, Wire

_PATH = "/%:@!$&'()*+,;=~-._"  # what stands in a path as it is


class HttpTransport:
    """Sends each request once; asking again is for ``ingest/fetch.py`` to decide.

    Args:
        secrets: the values of place-holders, by name.
        folder: where large bodies are laid down; whoever opened the transport removes
            them.
        judge: returns the IP addresses that may be connected to.
        pace: is called once for each request, before it is sent.
        clock: gives the time, aware, in UTC.
        wire: limits.
    """

    def __init__(
        self,
        *,
        secrets: Mapping[str, str],
        folder: Path,
        judge: Judge,
        pace: Pace,
        clock: Clock,
        wire: Wire | None = None,
    ) -> None:
        self._outside = Outside(secrets, folder, judge, pace, clock, wire or Wire())
        self._given = self._redactor = Redactor(secrets.values())
        self._learned: tuple[str, ...] = ()
        self._adapter = PinnedAdapter()
        self._session = requests.Session()
        self._session.trust_env = False  # no proxies, no .netrc: nothing unseen is sent
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
        agent = self._outside.wire.user_agent
        self._session.headers = CaseInsensitiveDict(
            {"User-Agent": agent, "Accept": "*/*", "Accept-Encoding": "gzip"}
        )

    def learn(self, name: str, value: str) -> None:
        """Take a secret that the source gave, such as the token of a log-in."""
        self._outside = replace(
            self._outside, secrets={**self._outside.secrets, name: value}
        )
        self._learned += (value,)
        known = [*self._outside.secrets.values(), *self._learned]
        self._redactor = Redactor(known)

    def send(self, request: Request) -> Answer:
        """Return the answer, whatever its status.

        Raises:
            Unreachable: no whole head of an answer came, or not in time.
            RateLimited: the source's limit leaves no room soon.
            NotAllowed: the address may not be reached, or a redirect would carry a
                secret away.
            TooLarge: the body is larger than the limit.
            MissingSecret: the request names a secret that is not there.
            UnfitSecret: a secret cannot be sent where it belongs.
        """
        return self.carry(request)

    def carry(self, request: Request, *, auth: AuthBase | None = None) -> Answer:
        """Send a request that may have to be signed; see ``send``.

        A signature holds for one address, so that a signed request is not redirected.
        """
        wire = self._outside.wire
        asked = filled(request, self._outside.secrets)
        deadline = Deadline(self._outside.clock, wire.total_s)
        self._judge(asked.url)
        self._outside.pace(request)
        for left in reversed(range(wire.redirects + 1)):
            response = self._head(asked, deadline, auth)
            with response:
                following = onward(asked, response, self._redactor)
                if auth is not None or not left or following is None:
                    return self._answer(request, response, deadline)
            asked = following
            self._judge(asked.url)
        raise AssertionError  # the last round returns

    def close(self) -> None:
        """Close all connections."""
        self._adapter.close()
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _judge(self, url: str) -> None:
        split = _split(url)
        path = quote(split.path, safe=_PATH)
        self._adapter.pin(self._outside.judge(f"{split.scheme}://{split.netloc}{path}"))

    def _head(
        self, asked: Filled, deadline: Deadline, auth: AuthBase | None
    ) -> requests.Response:
        wire, left_s = self._outside.wire, deadline.left_s()
        try:
            prepared = self._session.prepare_request(_plain(asked, auth))
            return self._adapter.send(
                prepared,
                stream=True,
                timeout=(min(wire.connect_s, left_s), min(wire.read_s, left_s)),
                verify=str(wire.ca) if wire.ca else True,
            )
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            reason = _reason(error)
        # Not raised above: its context would show the whole address to whoever prints
        # the chain of exceptions.
        raise Unreachable(f"{urlsplit(asked.url).hostname}: {reason}")

    def _answer(
        self, request: Request, response: requests.Response, deadline: Deadline
    ) -> Answer:
        body = HttpBody(response.raw, deadline)
        headers = {name.lower(): value for name, value in response.headers.items()}
        if request.kept:
            headers.pop("set-cookie", None)
        if body.packed:
            headers = {
                name: value
                for name, value in headers.items()
                if name not in {"content-encoding", "content-length"}
            }
        return answered(
            (response.status_code, headers),
            body,
            outside=self._outside,
            # What a log-in gives must be seen by who asked for it, also if it is what
            # was given before.
            redactor=self._redactor if request.kept else self._given,
        )


def _split(url: str) -> SplitResult:
    try:
        split = urlsplit(url)
        known = split.scheme in {"http", "https"} and split.hostname and split.port != 0
    except ValueError:
        known = False
    if not known:
        raise NotAllowed("only addresses of http and https can be asked")
    if "@" in split.netloc:
        raise NotAllowed("user and password belong into a credential, not an address")
    return split


def _plain(asked: Filled, auth: AuthBase | None) -> requests.Request:
    return requests.Request(
        asked.method,
        asked.url,
        params=list(asked.params),
        headers=dict(asked.headers),
        data=asked.body,
        auth=auth,
    )


def _reason(error: BaseException) -> str:
    """Say why no answer came, in words that hold nothing of what was asked."""
    chain = _chain(error)
    for one in chain:
        if isinstance(one, ssl.SSLCertVerificationError):
            return f"its certificate is refused: {one.verify_message}"
    reasons: tuple[tuple[type[BaseException], str], ...] = (
        (requests.exceptions.SSLError, "no TLS could be agreed upon"),
        (requests.ConnectTimeout, "the connection was not accepted in time"),
        (requests.ReadTimeout, "nothing came in time"),
        (NewConnectionError, "no address accepts a connection"),
        (ConnectionError, "the connection broke off before an answer"),
        (requests.ConnectionError, "the connection broke off before an answer"),
    )
    for kind, words in reasons:
        if any(isinstance(one, kind) for one in chain):
            return words
    return f"nothing could be sent ({type(error).__name__})"


def _chain(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found
