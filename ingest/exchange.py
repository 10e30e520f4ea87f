"""One question to a source and its answer, as connectors see them: no sockets here.

A request is a template: where a secret belongs stands its name in braces, such as
``{secret:api_key}``. The transport puts the value in on the wire only, so a request can
be logged, archived and compared as it is.
"""

import hashlib
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, Protocol


def secret(name: str) -> str:
    """Return the place-holder of a secret of the source's credential."""
    return f"{{secret:{name}}}"


@dataclass(frozen=True)
class Request:
    """What a connector asks for.

    Attributes:
        url: absolute, without query: http, https, file, sftp or s3.
        params: the query, in order; a name may come more than once.
        headers: as they are sent, with place-holders for secrets.
        method: GET, or POST where a source reads that way.
        body: of a POST, with place-holders for secrets.
        cost: what it takes from the source's rate limit.
        place: what the connector needs to know when it reads the answer, such as the
            number of the page; JSON.
        kept: whether the answer goes to the raw archive; false for log-ins.
    """

    url: str
    params: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "GET"
    body: str | None = None
    cost: float = 1.0
    place: Mapping[str, Any] = field(default_factory=dict)
    kept: bool = True

    @cached_property
    def fingerprint(self) -> str:
        """The SHA-256 of all that decides what is asked; never of a secret."""
        asked = [self.method, self.url, self.params, dict(self.headers), self.body]
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Answer:
    """What came back, with the secrets taken out.

    Attributes:
        status: of HTTP; 200 for files.
        headers: with names in lower case.
        content: the body in memory, or None where it lies in a file.
        path: the file of the body.
        fetched_at: when the first byte came, aware, in UTC.
        whole: whether as many bytes came as were promised.
        sha256: of the body.
    """

    status: int
    headers: Mapping[str, str]
    fetched_at: datetime
    content: bytes | None = None
    path: Path | None = None
    whole: bool = True
    sha256: str = ""

    @property
    def body(self) -> bytes:
        """The whole body; for what fits into memory."""
        if self.content is not None:
            return self.content
        return b"" if self.path is None else self.path.read_bytes()

    @property
    def media_type(self) -> str:
        """The media type without parameters, in lower case."""
        return self.headers.get("content-type", "").split(";")[0].strip().lower()

    def open(self) -> BinaryIO:
        """Open the body at its beginning; seekable."""
        if self.content is None and self.path is not None:
            return self.path.open("rb")
        return io.BytesIO(self.body)


class Transport(Protocol):
    """What carries requests: the outside world, or the archive of earlier answers."""

    def send(self, request: Request) -> Answer:
        """Return the answer, whatever its status.

        Raises:
            Unreachable: no whole head of an answer came.
            RateLimited: the source's limit leaves no room soon.
        """
        ...


class Unreachable(Exception):
    """No answer came: refused, reset, timed out, name not found."""


class NotAllowed(Exception):
    """The address may not be reached: private, or not on the list of hosts."""


class RateLimited(Exception):
    """The source wants a pause longer than a worker should sit through."""

    def __init__(self, wait_s: float, detail: str) -> None:
        super().__init__(wait_s, detail)
        self.wait_s = wait_s
        self.detail = detail


Pause = Callable[[float], None]
"""Waits some seconds, or stops the job if it was cancelled meanwhile."""
