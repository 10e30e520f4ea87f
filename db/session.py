"""Connections: every transaction says whose rows it may see.

A tenant's transaction runs as the role ``forebay_tenant`` with the tenant's number
in a setting that the row-level policies read; a query that forgot its WHERE still
sees one tenant. ``forebay_system`` is for the dispatcher, the reaper and key look-up.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool, QueuePool

__all__ = ["Connection", "Database", "with_driver"]

_ENTER = text(
    "SELECT set_config('role', :role, true),"
    " set_config('forebay.tenant', :tenant, true)"
)
_CONNECT_TIMEOUT_S = 5


class Database:
    """A pool of connections to one PostgreSQL database.

    Safe to create before a fork only if unused until after it; worker children build
    their own. Sessions are pinned to UTC whatever the server's default.
    """

    def __init__(self, url: str, *, pool_size: int = 5, name: str = "forebay") -> None:
        """Prepare the pool; nothing connects yet. A pool of 0 keeps none open."""
        self.url = url
        arguments: dict[str, object] = {
            "application_name": name,
            "connect_timeout": _CONNECT_TIMEOUT_S,
            "options": "-c timezone=UTC",
        }
        if pool_size:
            self._engine: Engine = create_engine(
                with_driver(url),
                connect_args=arguments,
                poolclass=QueuePool,
                pool_size=pool_size,
                max_overflow=0,
                pool_pre_ping=True,
                pool_timeout=10,
            )
        else:
            self._engine = create_engine(
                with_driver(url), connect_args=arguments, poolclass=NullPool
            )

    @contextmanager
    def tenant(self, tenant_id: int) -> Iterator[Connection]:
        """Open a transaction that sees one tenant's rows; commits if nothing raised."""
        with self._engine.begin() as connection:
            connection.execute(
                _ENTER, {"role": "forebay_tenant", "tenant": str(tenant_id)}
            )
            yield connection

    @contextmanager
    def system(self) -> Iterator[Connection]:
        """Open a transaction that sees all tenants, for Forebay's own processes."""
        with self._engine.begin() as connection:
            connection.execute(_ENTER, {"role": "forebay_system", "tenant": ""})
            yield connection

    def close(self) -> None:
        """Close all pooled connections."""
        self._engine.dispose()


def with_driver(url: str) -> str:
    """Name psycopg 3 explicitly, so that a plain postgresql:// URL always works."""
    parsed = make_url(url)
    return parsed.set(drivername="postgresql+psycopg").render_as_string(
        hide_password=False
    )
