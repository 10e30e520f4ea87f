"""Connections: every transaction says whose rows it may see.

A tenant's transaction runs as the role ``forebay_tenant`` with the tenant's number
in a setting that the row-level policies read; a query that forgot its WHERE still
sees one tenant. ``forebay_system`` is for the dispatcher, the reaper and key look-up.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, cast

import psycopg
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool, QueuePool

__all__ = ["Connection", "Database", "with_driver", "without_driver"]

# SQLAlchemy is told that connections commit by themselves, because each transaction is
# begun here, in one trip with all that it needs to know.
_TENANT = "BEGIN; SET LOCAL ROLE forebay_tenant; SET LOCAL forebay.tenant = '{:d}'"
_SYSTEM = "BEGIN; SET LOCAL ROLE forebay_system"
_LAZY = "; SET LOCAL synchronous_commit = off"
_CONNECT_TIMEOUT_S = 5
# Compiling a plan takes seconds, and all our statements take milliseconds.
_ALWAYS = {"timezone": "UTC", "jit": "off"}


class Database:
    """A pool of connections to one PostgreSQL database.

    Safe to create before a fork only if unused until after it; worker children build
    their own. Sessions are pinned to UTC whatever the server's default.
    """

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 5,
        name: str = "forebay",
        patience: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Prepare the pool; nothing connects yet.

        Args:
            url: of the login role.
            pool_size: connections that are kept open; 0 keeps none.
            name: what the server's list of sessions shows.
            patience: timeouts of PostgreSQL for each session, such as ``lock_timeout``.
        """
        self.url = url
        self._pool_size = pool_size
        arguments: dict[str, object] = {
            "application_name": name,
            "connect_timeout": _CONNECT_TIMEOUT_S,
            "options": " ".join(
                f"-c {key}={value}" for key, value in {**_ALWAYS, **patience}.items()
            ),
        }
        if pool_size:
            self._engine: Engine = create_engine(
                with_driver(url),
                connect_args=arguments,
                hide_parameters=True,
                poolclass=QueuePool,
                pool_size=pool_size,
                max_overflow=0,
                pool_timeout=10,
                isolation_level="AUTOCOMMIT",
            )
        else:
            self._engine = create_engine(
                with_driver(url),
                connect_args=arguments,
                hide_parameters=True,
                poolclass=NullPool,
                isolation_level="AUTOCOMMIT",
            )

    @contextmanager
    def tenant(self, tenant_id: int) -> Iterator[Connection]:
        """Open a transaction that sees one tenant's rows; commits if nothing raised."""
        with self._transaction(_TENANT.format(tenant_id)) as connection:
            yield connection

    @contextmanager
    def system(self, *, durable: bool = True) -> Iterator[Connection]:
        """Open a transaction that sees all tenants, for Forebay's own processes.

        One that is not durable may be forgotten by a server that crashes right after;
        it is for what is harmless to do twice, and does not wait for the disk.
        """
        with self._transaction(_SYSTEM if durable else _SYSTEM + _LAZY) as connection:
            yield connection

    @contextmanager
    def _transaction(self, opening: str) -> Iterator[Connection]:
        with self._engine.connect() as connection:
            self._open(connection, opening)
            with connection.begin():
                yield connection

    def _open(self, connection: Connection, opening: str) -> None:
        # After a restart of the server every pooled connection may be dead. Dropping
        # the whole pool instead would leak what other threads have in their hands.
        for _ in range(self._pool_size):
            try:
                _send(connection, opening)
            except psycopg.OperationalError:
                connection.invalidate()
            else:
                return
        _send(connection, opening)

    def close(self) -> None:
        """Close all pooled connections."""
        self._engine.dispose()


def _send(connection: Connection, statements: str) -> None:
    driver = cast("psycopg.Connection[Any]", connection.connection.driver_connection)
    driver.execute(statements, prepare=False)


def with_driver(url: str) -> str:
    """Name psycopg 3 explicitly, so that a plain postgresql:// URL always works."""
    parsed = make_url(url)
    return parsed.set(drivername="postgresql+psycopg").render_as_string(
        hide_password=False
    )


def without_driver(url: str) -> str:
    """Name no driver, so that psycopg and libpq understand the URL."""
    parsed = make_url(url)
    return parsed.set(drivername="postgresql").render_as_string(hide_password=False)
