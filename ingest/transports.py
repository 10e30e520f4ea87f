"""Chooses what carries a request by the scheme of its address."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from ingest.buckets import BucketTransport, Endpoint
from ingest.exchange import Answer, NotAllowed, Request
from ingest.folders import FolderTransport
from ingest.http import HttpTransport
from ingest.wire import Outside


@dataclass(frozen=True)
class Places:
    """What the schemes beside HTTP need to know of a source.

    Attributes:
        roots: folders of this machine that may be read.
        endpoint: where buckets are.
        host_key: of the SFTP server, if it is no secret of the credential.
        taps: the commands of Singer taps that may be run, by name.
    """

    roots: tuple[Path, ...] = ()
    endpoint: Endpoint = field(default_factory=Endpoint)
    host_key: str = ""
    taps: Mapping[str, Sequence[str]] = field(default_factory=dict)


class Carrier(Protocol):
    """A transport for one scheme, with connections that can be closed."""

    def send(self, request: Request) -> Answer:
        """See ``ingest.exchange.Transport``."""
        ...

    def close(self) -> None:
        """Close all connections."""
        ...


class Transports:
    """Carries any request of a source; each transport is opened at its first use.

    Args:
        outside: the outside world.
        places: what the schemes beside HTTP need to know.
    """

    def __init__(self, outside: Outside, *, places: Places | None = None) -> None:
        self._outside = outside
        self._places = places or Places()
        self._open: dict[str, Carrier] = {}
        self._http = HttpTransport(
            secrets=outside.secrets,
            folder=outside.folder,
            judge=outside.judge,
            pace=outside.pace,
            clock=outside.clock,
            wire=outside.wire,
        )

    def send(self, request: Request) -> Answer:
        """See ``ingest.exchange.Transport``.

        Raises:
            NotAllowed: the scheme is none that is carried.
        """
        scheme = request.url.partition("://")[0]
        if scheme in {"http", "https"}:
            return self._http.send(request)
        if scheme not in self._open:
            openers: Mapping[str, Callable[[], Carrier]] = {
                "file": self._folders,
                "sftp": self._sftp,
                "s3": self._buckets,
                "singer": self._taps,
            }
            if scheme not in openers:
                known = ", ".join(("http", "https", *openers))
                raise NotAllowed(f"the address is none of {known}")
            self._open[scheme] = openers[scheme]()
        return self._open[scheme].send(request)

    def learn(self, name: str, value: str) -> None:
        """Take a secret that the source gave, such as the token of a log-in."""
        self._http.learn(name, value)

    def close(self) -> None:
        """Close all connections."""
        for one in (*self._open.values(), self._http):
            one.close()
        self._open.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _folders(self) -> Carrier:
        return FolderTransport(self._outside, roots=self._places.roots)

    def _sftp(self) -> Carrier:
        from ingest.sftp import SftpTransport  # noqa: PLC0415 - few sources need SSH

        return SftpTransport(self._outside, host_key=self._places.host_key)

    def _buckets(self) -> Carrier:
        return BucketTransport(
            self._http,
            endpoint=self._places.endpoint,
            secrets=self._outside.secrets,
            clock=self._outside.clock,
        )

    def _taps(self) -> Carrier:
        from ingest.singer import SingerTransport  # noqa: PLC0415 - few sources need it

        return SingerTransport(self._outside, taps=self._places.taps)
