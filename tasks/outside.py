"""The way out: judged addresses, shared limits, and secrets on the wire only."""

import socket
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from db import credentials as credential_rows
from db import keys, rate_limits
from tasks import addresses, credentials, taps
from tasks.context import JobContext
from tasks.source_plan import Opened

if TYPE_CHECKING:
    from ingest.contract import Limits, Partition
    from ingest.exchange import Answer, Request, Transport
    from ingest.transports import Places

LONGEST_SLEEP_S = 30.0
_SLICE_S = 0.25
_SCHEMES = addresses.WEB | {"sftp"}


@contextmanager
def transport(
    one: Opened, partition: "Partition", context: JobContext
) -> Iterator["Live"]:
    """Open what carries the requests of a source; its spool is gone afterwards.

    Raises:
        InvalidData: the credential is not there, or lacks a secret.
    """
    from ingest.login import LoggedIn, LogsIn
    from ingest.transports import Transports
    from ingest.wire import Outside

    secrets = _secrets(one, context)
    limits = Shared(context, one.spec.limits, credential_id=_asked_as(one, context))
    with tempfile.TemporaryDirectory(prefix="forebay-") as folder:
        outside = Outside(secrets, Path(folder), Judge(context), limits.take, _now)
        with Transports(outside, places=_places(one, context)) as carried:
            if isinstance(one.connector, LogsIn):
                inside = LoggedIn(carried, one.connector, partition=partition)
                yield Live(inside, limits)
            else:
                yield Live(carried, limits)


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
                schemes=_SCHEMES,
            )
        except addresses.Refused as error:
            raise NotAllowed(str(error)) from error
        except addresses.Unresolved as error:
            raise Unreachable(str(error)) from error
        return found.addresses


class Shared:
    """The source's rate limit, which all workers of the platform keep together.

    Args:
        context: of the job.
        limits: of the connector.
        credential_id: as whom the source is asked; the id stays when a credential is
            called otherwise, and two tenants' credentials of one name are two.
    """

    def __init__(
        self, context: JobContext, limits: "Limits", *, credential_id: str | None
    ) -> None:
        self._context = context
        self._limits = limits
        self._credential_id = credential_id
        self._asked = ""
        self.used_up = False
        """Whether it was this limit, and not the source, that asked for a pause."""

    def take(self, request: "Request") -> None:
        """Wait for a place.

        Raises:
            RateLimited: the next place is too far away to wait for it here.
            NotAllowed: a request costs more than there is for a day.
        """
        from ingest.exchange import NotAllowed, RateLimited

        self._asked = self.scope(request.url)
        while True:
            try:
                wait_s = self._taken(request)
            except ValueError as error:
                raise NotAllowed(str(error)) from error
            if wait_s <= 0:
                return
            if wait_s > LONGEST_SLEEP_S:
                self.used_up = True
                detail = "the shared rate limit of the source is used up, or it rests"
                raise RateLimited(wait_s, detail)
            pausing(self._context, wait_s)

    def rest(self, seconds: float) -> None:
        """Let every worker leave alone for a while what was asked last."""
        if seconds <= 0 or not self._asked:
            return
        with self._context.shared() as connection:
            rate_limits.cool_down(
                connection,
                scope=self._asked,
                until=_now() + timedelta(seconds=seconds),
            )

    def scope(self, url: str) -> str:
        """Return whose limit it is: that of a host and of a credential."""
        host = urlsplit(url).netloc
        return rate_limits.scope_of(host, credential_id=self._credential_id)

    def _taken(self, request: "Request") -> float:
        limits = self._limits
        with self._context.shared() as connection:
            return rate_limits.take(
                connection,
                scope=self._asked,
                cost=request.cost,
                rate=(limits.per_second, limits.burst, limits.per_day),
                now=_now(),
            )


class Live:
    """Carries the requests of a source; when it wants a rest, all workers rest."""

    def __init__(self, inner: "Transport", limits: Shared) -> None:
        self._inner = inner
        self._limits = limits

    def send(self, request: "Request") -> "Answer":
        """See ingest.exchange.Transport."""
        from ingest.exchange import RateLimited

        try:
            return self._inner.send(request)
        except RateLimited as error:
            if not self._limits.used_up:  # a log-in was refused for a while
                self._limits.rest(error.wait_s)
            raise

    def rest(self, seconds: float) -> None:
        """Let every worker leave the source alone for a while."""
        self._limits.rest(seconds)


def roots(setting: str, *, tenant_id: int) -> tuple[Path, ...]:
    """Return the folders that a tenant may read.

    Example:
        >>> roots("/drop/all,/drop/{tenant}", tenant_id=7)[1].name
        '7'
    """
    listed = setting.replace("{tenant}", str(tenant_id)).split(",")
    return tuple(Path(one.strip()) for one in listed if one.strip())


def _places(one: Opened, context: JobContext) -> "Places":
    """Return what the source's config and the operator say beside HTTP."""
    from ingest.buckets import Endpoint
    from ingest.transports import Places

    config: Mapping[str, Any] = one.source.config
    settings = context.settings
    given = {name: config[name] for name in ("region",) if config.get(name)}
    return Places(
        roots=roots(settings.source_folders, tenant_id=context.tenant_id),
        endpoint=Endpoint(str(config.get("endpoint") or ""), **given),
        host_key=str(config.get("host_key") or ""),
        taps=_taps(context),
    )


def _taps(context: JobContext) -> Mapping[str, tuple[str, ...]]:
    listed = taps.listed(context.settings.source_commands)
    if not listed:
        return {}
    with context.shared() as connection:
        known = keys.known(connection, tenant_id=context.tenant_id)
    return taps.of(taps.Runner(*known), listed)


def _asked_as(one: Opened, context: JobContext) -> str | None:
    if one.source.credential is None:
        return None
    with context.read() as connection:
        found = credential_rows.find(
            connection, tenant_id=context.tenant_id, name=one.source.credential
        )
    return None if found is None else found.id


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
