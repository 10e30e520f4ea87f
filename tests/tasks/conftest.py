"""The tests of the middle share one database, and may register job types."""

from tests.db.emptied import database_url, kept_database_url
from tests.tasks.registered import register

__all__ = ["database_url", "kept_database_url", "register"]
