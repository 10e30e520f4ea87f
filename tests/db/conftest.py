"""The tests of the database room share one database."""

from tests.db.emptied import database_url, kept_database_url

__all__ = ["database_url", "kept_database_url"]
