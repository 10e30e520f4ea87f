"""One application over one database for the whole room; tenants keep tests apart."""

import itertools
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import requests
from apiflask import APIFlask

from db import keys
from db.session import Database
from tasks.settings import Settings
from tests.servers.ports import free_port
from tests.servers.process import ServerProcess
from tests.web.caller import Caller
from tests.web.work import Work
from web.app import create_app

ROOT = Path(__file__).parents[2]
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def database_url(postgres_server, _template) -> Iterator[str]:
    """The URL of a migrated database that the tests of this room share."""
    name = "forebay_web"
    postgres_server.create_database(name, template=_template)
    yield postgres_server.url(name)
    postgres_server.drop_database(name)


@pytest.fixture(scope="session")
def database(database_url) -> Iterator[Database]:
    """The shared database, for what workers do."""
    found = Database(database_url, pool_size=3, name="tests")
    yield found
    found.close()


@pytest.fixture(scope="session")
def settings(database_url, tmp_path_factory) -> Settings:
    """Settings of the shared application."""
    return Settings(
        database_url=database_url,
        broker_url="filesystem://",
        artifacts=str(tmp_path_factory.mktemp("artifacts")),
        secret_key="a test's secret",
    )


@pytest.fixture(scope="session")
def app(settings) -> Iterator[APIFlask]:
    """The shared application."""
    shared = create_app(settings)
    yield shared
    shared.extensions["forebay"].close()


@pytest.fixture
def own_databases(postgres_server) -> Iterator[list[str]]:
    """Databases of this test alone, dropped after whatever used them is closed."""
    names: list[str] = []
    yield names
    for name in names:
        postgres_server.drop_database(name)


@pytest.fixture
def make_app(own_databases) -> Iterator[Callable[[Settings], APIFlask]]:
    """Make further applications; all are closed at the end of the test."""
    made: list[APIFlask] = []

    def make(settings: Settings) -> APIFlask:
        made.append(create_app(settings))
        return made[-1]

    yield make
    for one in made:
        one.extensions["forebay"].close()


@pytest.fixture
def own_settings(postgres_server, _template, own_databases, settings) -> Settings:
    """Settings with a database that no other test writes to."""
    name = f"forebay_web_{next(_numbers)}"
    postgres_server.create_database(name, template=_template)
    own_databases.append(name)
    return replace(settings, database_url=postgres_server.url(name))


def _tenant(database: Database) -> int:
    with database.system() as connection:
        return keys.ensure_tenant(connection, name=f"tenant {next(_numbers)}")


@pytest.fixture
def tenant_id(database) -> int:
    """A tenant of the test's own."""
    return _tenant(database)


@pytest.fixture
def other_tenant_id(database) -> int:
    """Another tenant of the test's own."""
    return _tenant(database)


@pytest.fixture
def api(app, tenant_id, issue_key) -> Caller:
    """Call the API as a member of the tenant."""
    return Caller(app, issue_key(tenant_id))


@pytest.fixture
def other_api(app, other_tenant_id, issue_key) -> Caller:
    """Call the API as a member of another tenant."""
    return Caller(app, issue_key(other_tenant_id))


@pytest.fixture
def work(database, settings) -> Work:
    """Do to jobs what workers would."""
    return Work(database, settings)


@pytest.fixture
def serve(tmp_path, settings) -> Iterator[Callable[..., "tuple[str, int]"]]:
    """Start ``python -m web``: ``serve(streams=3)`` gives its address and its pid."""
    servers: list[ServerProcess] = []

    def start(**changed) -> tuple[str, int]:
        port = free_port()
        chosen = asdict(replace(settings, port=port, **changed))
        environ = {k: v for k, v in os.environ.items() if not k.startswith("FOREBAY_")}
        environ |= {f"FOREBAY_{name.upper()}": str(v) for name, v in chosen.items()}
        server = ServerProcess(tmp_path / f"web-{port}.log")
        servers.append(server)
        server.start([sys.executable, "-m", "web"], env=environ, cwd=ROOT)
        base = f"http://127.0.0.1:{port}"
        server.wait_until(lambda: _answers(base), timeout_s=60, what="web")
        return base, server.pid

    yield start
    for server in servers:
        server.stop(signal.SIGTERM, timeout_s=10)


def _answers(base: str) -> bool:
    try:
        return requests.get(f"{base}/health", timeout=5).ok
    except (requests.ConnectionError, requests.Timeout):
        return False
