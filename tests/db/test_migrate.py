"""The migrations make the tables of the code, and can be taken back."""

from collections.abc import Iterator
from contextlib import nullcontext
from datetime import timedelta

import psycopg
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.exc import DBAPIError

from db import migrate
from db.metadata import metadata
from db.session import Database, with_driver

pytestmark = pytest.mark.servers

# A table's comment tells which way the migration went, so it cannot be in the code.
STORAGE_COMMENTS = [
    ("remove_table_comment", "obs_current"),
    ("remove_table_comment", "obs_version"),
]
FAKE_OFFER = """
CREATE SCHEMA fake;
CREATE VIEW fake.pg_available_extensions AS SELECT 'timescaledb'::name AS name;
"""
LYING = "?options=-csearch_path%3Dpublic,fake,pg_catalog"
FAKE_INSTALLED = """
SET allow_system_table_mods = on;
INSERT INTO pg_extension SELECT 4711, 'timescaledb', extowner, extnamespace,
    extrelocatable, '0', NULL, NULL FROM pg_extension LIMIT 1;
CREATE TABLE fake.calls (relation text, time_column text, chunk interval, ix bool);
CREATE FUNCTION create_hypertable(relation regclass, time_column name,
    chunk_time_interval interval, create_default_indexes boolean) RETURNS void
    LANGUAGE sql AS 'INSERT INTO fake.calls VALUES ($1, $2, $3, $4)';
"""
FAKE_CALLS = """
SELECT relation, time_column, chunk FROM fake.calls WHERE NOT ix ORDER BY relation
"""
REAL_CALLS = """
SELECT hypertable_name, column_name, time_interval
FROM timescaledb_information.dimensions ORDER BY hypertable_name
"""


@pytest.fixture
def empty_url(postgres_server) -> Iterator[str]:
    """The URL of a database before the first migration."""
    yield postgres_server.create_database("forebay_unmigrated")
    postgres_server.drop_database("forebay_unmigrated")


@pytest.fixture
def inspected(database_url) -> Iterator[sa.Connection]:
    """A connection of the owner to a migrated database."""
    engine = sa.create_engine(with_driver(database_url), poolclass=sa.NullPool)
    with engine.connect() as connection:
        yield connection


def _differences(connection: sa.Connection, tables: sa.MetaData) -> list[tuple]:
    context = MigrationContext.configure(
        connection, opts={"compare_type": True, "compare_server_default": True}
    )
    return compare_metadata(context, tables)


def _tables(url: str) -> int:
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
        ).fetchone()[0]


def _offers_timescale(connection: psycopg.Connection) -> bool:
    return connection.execute(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_available_extensions "
        "WHERE name = 'timescaledb')"
    ).fetchone()[0]


def test_up_down_and_up_again(empty_url):
    assert migrate.upgrade(empty_url) in ("plain table", "hypertable")
    assert _tables(empty_url) == len(metadata.tables) + 1
    migrate.downgrade(empty_url)
    assert _tables(empty_url) == 1  # alembic's own
    migrate.upgrade(empty_url)
    assert _tables(empty_url) == len(metadata.tables) + 1


def test_upgrading_twice_changes_nothing(empty_url):
    once = migrate.upgrade(empty_url)
    assert migrate.upgrade(empty_url) == once


def test_the_current_revision_is_known_before_and_after(empty_url):
    database = Database(empty_url, pool_size=0)
    with database._engine.connect() as connection:  # the roles may not exist yet
        assert migrate.current(connection) is None
        assert migrate.observation_storage(connection) is None
    migrate.upgrade(empty_url)
    with database.system() as connection:
        assert migrate.current(connection) == migrate.head()


def test_the_migrations_make_exactly_the_tables_of_the_code(inspected):
    found = _differences(inspected, metadata)
    assert [(one[0], one[1].name) for one in found] == STORAGE_COMMENTS


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda jobs: jobs.append_column(sa.Column("colour", sa.Text)), "add_column"),
        (lambda jobs: jobs.c.priority.__setattr__("type", sa.Text()), "modify_type"),
        (lambda jobs: jobs.c.queue.__setattr__("nullable", True), "modify_nullable"),
        (lambda jobs: sa.Index("ix_jobs_type", jobs.c.type), "add_index"),
        (
            lambda jobs: jobs.append_constraint(sa.UniqueConstraint("worker")),
            "add_constraint",
        ),
    ],
)
def test_the_comparison_sees_a_change_made_in_the_code_alone(inspected, change, kind):
    changed = sa.MetaData(naming_convention=metadata.naming_convention)
    for table in metadata.sorted_tables:
        table.to_metadata(changed)
    change(changed.tables["jobs"])
    found = _differences(inspected, changed)
    kinds = {one[0] if isinstance(one, tuple) else one[0][0] for one in found}
    assert kinds == {kind, "remove_table_comment"}


def test_what_the_comparison_leaves_out_is_the_same_too(inspected):
    inspector = sa.inspect(inspected)
    for table in metadata.sorted_tables:
        key = inspector.get_pk_constraint(table.name)
        assert key["name"] == f"pk_{table.name}"
        assert key["constrained_columns"] == [one.name for one in table.primary_key]
        checks = {one["name"] for one in inspector.get_check_constraints(table.name)}
        assert checks == {
            one.name for one in table.constraints if isinstance(one, sa.CheckConstraint)
        }
        for column in inspector.get_columns(table.name):
            identity = table.c[column["name"]].identity
            found = column.get("identity")
            assert (found is None) == (identity is None), (table.name, column["name"])
            assert found is None or found["always"]
        for found in inspector.get_indexes(table.name):
            expected = [one for one in table.indexes if one.name == found["name"]]
            if not expected:  # the index of a unique constraint
                assert found["duplicates_constraint"]
                continue
            where = expected[0].dialect_options["postgresql"]["where"]
            assert ("postgresql_where" in found["dialect_options"]) == (
                where is not None
            )


def test_the_storage_is_what_the_server_offers(database, database_url):
    with database.system() as connection:
        storage = migrate.observation_storage(connection)
    with psycopg.connect(database_url) as connection:
        offered = _offers_timescale(connection)
    assert storage == ("hypertable" if offered else "plain table")


def test_a_server_that_offers_timescale_is_asked_for_it(empty_url):
    """Without TimescaleDB the catalogue of extensions is made to lie about it."""
    with psycopg.connect(empty_url) as connection:
        offered = _offers_timescale(connection)
        connection.execute(FAKE_OFFER)
    refusal = pytest.raises(
        DBAPIError, match='extension "timescaledb" is not available'
    )
    with nullcontext() if offered else refusal:
        migrate.upgrade(empty_url + LYING)
    assert _tables(empty_url) == (len(metadata.tables) + 1 if offered else 0)


def test_both_tables_of_observations_become_hypertables_by_month(empty_url):
    """Without TimescaleDB a function of its name notes what it is asked for."""
    with psycopg.connect(empty_url) as connection:
        connection.execute(FAKE_OFFER)
        if not _offers_timescale(connection):
            connection.execute(FAKE_INSTALLED)
    assert migrate.upgrade(empty_url + LYING) == "hypertable"
    with psycopg.connect(empty_url) as connection:
        calls = connection.execute(
            REAL_CALLS if _offers_timescale(connection) else FAKE_CALLS
        ).fetchall()
    month = timedelta(days=30)
    assert calls == [("obs_current", "ts", month), ("obs_version", "ts", month)]
