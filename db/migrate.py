"""Bring a database to the newest migration, or back; one process at a time."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from db.session import Connection, with_driver

_FOLDER = Path(__file__).parent / "migrations"
_LOCK = 0x0F0EBA1  # any number that no other program takes as an advisory lock


def upgrade(url: str, revision: str = "head") -> str:
    """Migrate up to a revision and return where the observations are kept."""
    engine = create_engine(with_driver(url), poolclass=NullPool)
    with engine.begin() as connection:
        command.upgrade(_config(connection), revision)
        return observation_storage(connection) or "unknown"


def downgrade(url: str, revision: str = "base") -> None:
    """Migrate down to a revision; every table of later revisions is dropped."""
    engine = create_engine(with_driver(url), poolclass=NullPool)
    with engine.begin() as connection:
        command.downgrade(_config(connection), revision)


def head() -> str:
    """Return the newest revision that this code knows."""
    script = ScriptDirectory(str(_FOLDER))
    return str(script.get_current_head())


def current(connection: Connection) -> str | None:
    """Return the revision the database is at, or None before the first."""
    if connection.scalar(text("SELECT to_regclass('alembic_version')")) is None:
        return None
    found: str | None = connection.scalar(
        text("SELECT version_num FROM alembic_version")
    )
    return found


def observation_storage(connection: Connection) -> str | None:
    """Return which way the migration went: 'hypertable' or 'plain table'."""
    found: str | None = connection.scalar(
        text("SELECT obj_description(to_regclass('obs_current'), 'pg_class')")
    )
    return found


def _config(connection: Connection) -> Config:
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    config.attributes["connection"] = connection
    return config
