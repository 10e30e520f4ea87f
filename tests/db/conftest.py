"""The tests of the database room share one database."""

from tests.db.emptied import database_url, kept_database_url
from tests.db.hooks import (
    backlog,
    change,
    claim,
    disable,
    made,
    record,
    tell,
)

__all__ = [
    "backlog",
    "change",
    "claim",
    "database_url",
    "disable",
    "kept_database_url",
    "made",
    "record",
    "tell",
]
