"""One database for a folder of tests, emptied for each: a copy each would cost more.

A folder's conftest imports both fixtures; every other fixture stays as it is.
"""

import itertools
from collections.abc import Iterator

import psycopg
import pytest

from db import (  # noqa: F401 - they fill the metadata
    tables,
    tables_delivery,
    tables_incidents,
    tables_monitoring,
    tables_registry,
    tables_sources,
)
from db.metadata import metadata

__all__ = ["database_url", "kept_database_url"]

_EMPTY = "; ".join(
    f"DELETE FROM {one.name}" for one in reversed(metadata.sorted_tables)
)
_HANG_UP = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def kept_database_url(postgres_server, _template) -> Iterator[str]:
    """The URL of the folder's own database."""
    name = f"forebay_kept_{next(_numbers)}"
    postgres_server.create_database(name, template=_template)
    yield postgres_server.url(name)
    postgres_server.drop_database(name)


@pytest.fixture
def database_url(kept_database_url) -> str:
    """The URL of a migrated database without a row, and without a client."""
    with psycopg.connect(kept_database_url, autocommit=True) as connection:
        connection.execute(_HANG_UP)
        connection.execute(_EMPTY)
    return kept_database_url
