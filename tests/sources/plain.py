"""The plainest transport: urllib, secrets put in, nothing else; for tests."""

import http.client
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from ingest.contract import (
    Connector,
    Partition,
)
from ingest.exchange import Answer, Request, Unreachable, secret
from ingest.fetch import Exchange, exchanges


@dataclass
class Plain:
    """Sends requests over urllib; keeps what was asked."""

    secrets: Mapping[str, str] = field(default_factory=dict)
    sent: list[Request] = field(default_factory=list)
    timeout_s: float = 5.0

    def send(self, request: Request) -> Answer:
        """Return the answer, whatever its status."""
        self.sent.append(request)
        query = urlencode([(key, self._filled(text)) for key, text in request.params])
        asked = urllib.request.Request(
            f"{request.url}?{query}" if query else request.url,
            data=None if request.body is None else self._filled(request.body).encode(),
            headers={k: self._filled(text) for k, text in request.headers.items()},
            method=request.method,
        )
        try:
            with urllib.request.urlopen(asked, timeout=self.timeout_s) as reply:
                return self._answer(reply.status, reply.headers, reply)
        except urllib.error.HTTPError as error:
            with error:
                return self._answer(error.code, error.headers, error)
        except (urllib.error.URLError, ConnectionError, TimeoutError) as error:
            raise Unreachable(str(error)) from error

    def _answer(self, status: int, headers: Any, reply: Any) -> Answer:
        whole = True
        try:
            body = reply.read()
        except http.client.IncompleteRead as error:
            body, whole = error.partial, False
        except ConnectionError as error:
            raise Unreachable(str(error)) from error
        lowered = {name.lower(): value for name, value in headers.items()}
        return Answer(status, lowered, datetime.now(UTC), body, whole=whole)

    def _filled(self, text: str) -> str:
        for name, value in self.secrets.items():
            text = text.replace(secret(name), value)
        return text


def read_all(
    connector: Connector,
    partitions: tuple[Partition, ...],
    *,
    secrets: Mapping[str, str] | None = None,
) -> list[Exchange]:
    """Return all exchanges of some partitions; pauses take no time."""
    transport = Plain(secrets or {})
    return [
        found
        for partition in partitions
        for found in exchanges(
            connector, partition, transport=transport, pause=lambda _seconds: None
        )
    ]
