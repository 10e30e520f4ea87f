"""Alembic's entry: the caller hands over an open connection (see db/migrate.py)."""

from alembic import context

from db import (  # noqa: F401 - they fill the metadata
    tables,
    tables_delivery,
    tables_incidents,
    tables_monitoring,
    tables_registry,
    tables_sources,
)
from db.metadata import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
