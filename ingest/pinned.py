"""Connects to the addresses that were judged and to no others.

Whoever owns a name can let it lead elsewhere a moment later, so a name that was judged
is not looked up again: the connection goes to the judged address, while certificate,
SNI and Host header still speak of the name.
"""

import ipaddress
import logging
from typing import Any
from urllib.parse import urlsplit

from requests import PreparedRequest
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, Retry
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import NewConnectionError
from urllib3.util.connection import create_connection

from ingest.exchange import NotAllowed

_AT_ONCE = 4  # connections to one host, kept open
_POOLS = 8  # redirects lead to others


def _quiet(record: logging.LogRecord) -> bool:
    """Cut out of what urllib3 logs all that was asked or answered: it may be secret."""
    if isinstance(record.args, tuple):
        record.args = tuple(_quiet_value(one) for one in record.args)
    record.exc_info = None
    return True


def _quiet_value(value: object) -> object:
    if isinstance(value, str):
        return value.partition("?")[0]
    return value if isinstance(value, int | float) else type(value).__name__


for _name in ("connection", "connectionpool", "util.retry"):
    logging.getLogger(f"urllib3.{_name}").addFilter(_quiet)


class _Pinned(HTTPConnection):
    """A connection whose name has been resolved."""

    def __init__(self, *args: Any, addresses: tuple[str, ...], **more: Any) -> None:
        super().__init__(*args, **more)
        self._addresses = addresses

    def _new_conn(self) -> Any:
        failure: Exception | None = None
        for address in self._addresses:
            try:
                return create_connection(
                    (address, self.port),
                    self.timeout,
                    socket_options=self.socket_options,
                )
            except OSError as error:
                failure = error
        raise NewConnectionError(self, f"no address answers: {failure}") from failure


class _PinnedTls(_Pinned, HTTPSConnection):
    """The same under TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Pinned


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _PinnedTls


class PinnedAdapter(HTTPAdapter):
    """Sends each request to the addresses that ``pin`` was given last."""

    def __init__(self) -> None:
        # Retries are decided upon by whoever reads the answer, never in here.
        never = Retry(0, read=False, respect_retry_after_header=False)
        super().__init__(max_retries=never)
        self._pools: dict[tuple[object, ...], HTTPConnectionPool] = {}
        self._addresses: tuple[str, ...] = ()

    def pin(self, addresses: tuple[str, ...]) -> None:
        """Say what the next request may connect to.

        Raises:
            NotAllowed: an address is a name, which could lead anywhere.
        """
        try:
            for one in addresses:
                ipaddress.ip_address(one)
        except ValueError as error:
            raise NotAllowed("only numeric addresses may be connected to") from error
        if not addresses:
            raise NotAllowed("no address may be connected to")
        self._addresses = addresses

    def get_connection_with_tls_context(
        self, request: PreparedRequest, *_: Any, **__: Any
    ) -> HTTPConnectionPool:
        """Return the pool of the request's host at the pinned addresses."""
        split = urlsplit(str(request.url))
        kind = _TlsPool if split.scheme == "https" else _Pool
        key = (split.scheme, split.hostname, split.port, self._addresses)
        if key not in self._pools:
            if len(self._pools) >= _POOLS:
                self._pools.pop(next(iter(self._pools))).close()
            self._pools[key] = kind(
                split.hostname or "",
                split.port,
                maxsize=_AT_ONCE,
                addresses=self._addresses,
            )
        return self._pools[key]

    def close(self) -> None:
        """Close all connections."""
        super().close()
        for pool in self._pools.values():
            pool.close()
        self._pools.clear()
