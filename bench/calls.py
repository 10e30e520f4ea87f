"""Calls from this process: one kept connection, each call timed."""

import http.client
import json
import time
from dataclasses import dataclass, field
from typing import Any, Self

from bench.load import Refused

_TIMEOUT_S = 120
_IDLE_S = 15.0  # the HTTP door hangs up after thirty


@dataclass
class Caller:
    """Calls the API with a key; ``each_s`` keeps how long every named call took."""

    port: int
    key: str
    each_s: dict[str, list[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._connection = http.client.HTTPConnection(
            "127.0.0.1", self.port, timeout=_TIMEOUT_S
        )
        self._used_at = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up; the next call opens another connection."""
        self._connection.close()

    def get(self, path: str, *, name: str = "") -> bytes:
        """Return the body of a GET.

        Raises:
            Refused: the answer is no success.
        """
        return self._call("GET", path, None, name)

    def post(self, path: str, body: Any, *, name: str = "") -> Any:
        """Return the JSON that a POST is answered with.

        Raises:
            Refused: the answer is no success.
        """
        return json.loads(self._call("POST", path, json.dumps(body), name))

    def note(self, name: str, took_s: float) -> None:
        """Keep how long something else took."""
        self.each_s.setdefault(name, []).append(took_s)

    def _call(self, method: str, path: str, body: str | None, name: str) -> bytes:
        headers = {
            "Authorization": f"Bearer {self.key}",
            "Content-Type": "application/json",
        }
        if time.monotonic() - self._used_at > _IDLE_S:
            self.close()
        began = time.perf_counter()
        try:
            self._connection.request(method, path, body, headers)
            answer = self._connection.getresponse()
            read = answer.read()
        except OSError:
            self.close()
            raise
        self.note(name or path, time.perf_counter() - began)
        self._used_at = time.monotonic()
        if answer.status not in (200, 202):
            raise Refused(f"{method} {path}: HTTP {answer.status}: {read[:500]!r}")
        return read
