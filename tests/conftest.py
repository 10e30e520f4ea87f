"""Fixtures every room may use: a migrated database for each test that asks."""

import itertools
import logging
from collections.abc import Callable, Iterator

import pytest
import structlog

from db import keys, migrate
from db.session import Database
from tasks.settings import Settings

pytest_plugins = ["tests.servers.fixtures"]

_TEMPLATE = "forebay_template"
_numbers = itertools.count(1)


@pytest.fixture(autouse=True)
def _no_ids_of_other_tests() -> None:
    """What one test's requests bound to the log must not show in another's.

    Nor must the level count that Celery's embedded worker gives the root logger.
    """
    structlog.contextvars.clear_contextvars()
    logging.getLogger().setLevel(logging.WARNING)


@pytest.fixture(scope="session")
def _template(postgres_server) -> str:
    postgres_server.create_database(_TEMPLATE)
    migrate.upgrade(postgres_server.url(_TEMPLATE))
    return _TEMPLATE


@pytest.fixture
def database_url(postgres_server, _template) -> Iterator[str]:
    """The URL of a fresh, migrated database, dropped after the test."""
    name = f"forebay_{next(_numbers)}"
    postgres_server.create_database(name, template=_template)
    yield postgres_server.url(name)
    postgres_server.drop_database(name)


@pytest.fixture
def database(database_url) -> Iterator[Database]:
    """A fresh, migrated database with two tenants."""
    found = Database(database_url, pool_size=5, name="tests")
    yield found
    found.close()


def _tenant(database: Database, name: str) -> int:
    with database.system() as connection:
        return keys.ensure_tenant(connection, name=name)


@pytest.fixture
def tenant_id(database) -> int:
    """A tenant."""
    return _tenant(database, "tenant")


@pytest.fixture
def other_tenant_id(database) -> int:
    """Another tenant, who must not see the first one's rows."""
    return _tenant(database, "other tenant")


@pytest.fixture
def issue_key(database) -> Callable[..., str]:
    """Issue an API key: ``issue_key(tenant_id, role="member")``."""

    def issue(tenant_id: int, *, role: str = "member", **more) -> str:
        with database.system() as connection:
            return keys.issue(
                connection, tenant_id=tenant_id, name="test", role=role, **more
            )

    return issue


@pytest.fixture
def settings(database_url, tmp_path) -> Settings:
    """Settings of the embedded profile in a folder of the test's own."""
    return Settings(
        database_url=database_url,
        broker_url="filesystem://",
        broker_folder=str(tmp_path / "broker"),
        artifacts=str(tmp_path / "artifacts"),
        secret_key="a test's secret",
    )
