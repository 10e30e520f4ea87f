"""The way out: judged addresses, shared limits, and secrets on the wire only."""

import socket
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from db import rate_limits
from tasks import addresses, credentials
from tasks.context import JobContext
from tasks.source_plan import Opened

if TYPE_CHECKING:
    from ingest.contract import Limits, Partition
    from ingest.exchange import Request, Transport

LONGEST_SLEEP_S = 30.0
_SLICE_S = 0.25


@contextmanager
def transport(
    one: Opened, partition: "Partition", context: JobContext
) -> Iterator["Transport"]:
    """Open what carries the requests of a source; its spool is gone afterwards.

    Raises:
        InvalidData: the credential is not there, or lacks a secret.
    """
    from ingest.login import LoggedIn, LogsIn
    from ingest.transports import Places, Transports
    from ingest.wire import Outside

    secrets = _secrets(one, context)
    limits = Shared(context, one.spec.limits, credential=one.source.credential)
    roots = tuple(map(Path, filter(None, context.settings.source_folders.split(","))))
    with tempfile.TemporaryDirectory(prefix="forebay-") as folder:
        outside = Outside(secrets, Path(folder), Judge(context), limits.take, _now)
        with Transports(outside, places=Places(roots=roots)) as carried:
            if isinstance(one.connector, LogsIn):
                yield LoggedIn(carried, one.connector, partition=partition)
            else:
                yield carried


def pausing(context: JobContext, seconds: float) -> None:
    """Wait, and look now and then whether the job was cancelled.

    Raises:
        JobCancelled: it was.
        JobTimedOut: the job has run too long.
    """
    ends = time.monotonic() + seconds
    while (left := ends - time.monotonic()) > 0:
        context.look()
        time.sleep(min(_SLICE_S, left))
    context.look()


class Judge:
    """Says to which addresses of a URL a connection may go."""

    def __init__(self, context: JobContext) -> None:
        self._listed = addresses.listed_hosts(context.settings.source_hosts)

    def __call__(self, url: str) -> tuple[str, ...]:
        """Return the addresses.

        Raises:
            NotAllowed: the host is private and not on the list.
            Unreachable: the host has no address.
        """
        from ingest.exchange import NotAllowed, Unreachable

        try:
            found = addresses.target(
                url,
                listed=self._listed,
                resolve=socket.getaddrinfo,
                setting="FOREBAY_SOURCE_HOSTS",
            )
        except addresses.Refused as error:
            raise NotAllowed(str(error)) from error
        except addresses.Unresolved as error:
            raise Unreachable(str(error)) from error
        return found.addresses


class Shared:
    """The source's rate limit, which all workers of the platform keep together."""

    def __init__(
        self, context: JobContext, limits: "Limits", *, credential: str | None
    ) -> None:
        self._context = context
        self._limits = limits
        self._credential = credential

    def take(self, request: "Request") -> None:
        """Wait for a place.

        Raises:
            RateLimited: the next place is too far away to wait for it here.
        """
        from ingest.exchange import RateLimited

        with self._context.shared() as connection:
            wait_s = rate_limits.take(
                connection,
                scope=self.scope(request.url),
                cost=request.cost,
                rate=(
                    self._limits.per_second,
                    self._limits.burst,
                    self._limits.per_day,
                ),
                now=_now(),
            )
        if wait_s <= 0:
            return
        if wait_s > LONGEST_SLEEP_S:
            raise RateLimited(wait_s, "the shared rate limit of the source is used up")
        pausing(self._context, wait_s)
        self.take(request)

    def cool_down(self, url: str, *, until: datetime) -> None:
        """Let every worker leave the source alone for a while."""
        with self._context.shared() as connection:
            rate_limits.cool_down(connection, scope=self.scope(url), until=until)

    def scope(self, url: str) -> str:
        """Return whose limit it is: that of a host and of a credential."""
        host = urlsplit(url).netloc
        return rate_limits.scope_of(host, credential_id=self._credential)


def _secrets(one: Opened, context: JobContext) -> Mapping[str, str]:
    if one.source.credential is None:
        return {}
    with context.read() as connection:
        return credentials.opened(
            connection,
            tenant_id=context.tenant_id,
            name=one.source.credential,
            keys=credentials.keys_of(context.settings),
        )


def _now() -> datetime:
    return datetime.now(UTC)
