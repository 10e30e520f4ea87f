"""Row-level security: what a connection sees, whoever wrote the query."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError, ProgrammingError

from db.session import Database, with_driver, without_driver
from db.tables import metadata
from tests.db import rows
from tests.db.patience import until
from tests.servers.ports import free_port

pytestmark = pytest.mark.servers

# A flow is of a tenant, and only Forebay's own processes see it.
HIDDEN = {"processes", "flows", "pace", "rate_limits"}
MINE = [
    table
    for table in metadata.sorted_tables
    if "tenant_id" in table.c and table.name not in HIDDEN
]
READ_ONLY = {"api_keys", "tenant_limits"}
APPEND_ONLY = {"audit", "registry_versions", "registry_moves"}
READER = "a_reader_of_one_tenant"


@pytest.fixture
def filled(database, tenant_id, other_tenant_id) -> dict[int, dict[str, dict]]:
    """One row of each tenant in every table, by tenant and table."""
    with database.system() as connection:
        return {
            tenant: rows.fill(connection, tenant_id=tenant)
            for tenant in (tenant_id, other_tenant_id)
        }


@pytest.fixture
def reader(database_url) -> Iterator[sa.Engine]:
    """A login role that owns nothing and is only a member of forebay_tenant."""
    owner = sa.create_engine(with_driver(database_url), poolclass=sa.NullPool)
    with owner.begin() as connection:
        connection.execute(
            sa.text(f"CREATE ROLE {READER} LOGIN PASSWORD 'r' IN ROLE forebay_tenant")
        )
    url = make_url(with_driver(database_url)).set(username=READER, password="r")
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    yield engine
    with owner.begin() as connection:
        connection.execute(sa.text(f"DROP ROLE {READER}"))


def _enter(connection: sa.Connection, tenant: object) -> None:
    connection.execute(
        sa.text("SELECT set_config('forebay.tenant', :tenant, true)"),
        {"tenant": str(tenant)},
    )


def _writable(shut: set[str]) -> list[sa.Table]:
    return [table for table in MINE if table.name not in shut]


def test_a_member_of_the_tenant_role_sees_its_own_rows_alone_in_every_table(
    reader, filled, tenant_id
):
    assert len(MINE) == len(metadata.tables) - len(HIDDEN) - 1  # and without tenants
    with reader.begin() as connection:
        _enter(connection, tenant_id)
        for table in MINE:
            seen = connection.scalars(sa.select(table.c.tenant_id)).all()
            assert seen == [tenant_id], table.name
        assert connection.scalars(sa.select(metadata.tables["tenants"].c.id)).all() == [
            tenant_id
        ]


def test_a_member_cannot_change_or_delete_rows_of_another_tenant(
    reader, filled, tenant_id, other_tenant_id
):
    with reader.begin() as connection:
        _enter(connection, tenant_id)
        for table in _writable(READ_ONLY | APPEND_ONLY):
            theirs = table.c.tenant_id == other_tenant_id
            update = table.update().where(theirs).values(tenant_id=tenant_id)
            assert connection.execute(update).rowcount == 0, table.name
            assert connection.execute(table.delete().where(theirs)).rowcount == 0


def test_a_member_cannot_insert_for_another_tenant(
    reader, filled, tenant_id, other_tenant_id
):
    with reader.begin() as connection:
        _enter(connection, tenant_id)
        for table in _writable(READ_ONLY):
            theirs = rows.row_of(
                table, tenant_id=other_tenant_id, rows=filled[other_tenant_id]
            )
            with (
                pytest.raises(ProgrammingError, match="row-level security policy"),
                connection.begin_nested(),
            ):
                connection.execute(table.insert(), theirs)


def test_a_member_cannot_give_its_own_row_to_another_tenant(
    reader, filled, tenant_id, other_tenant_id
):
    with reader.begin() as connection:
        _enter(connection, tenant_id)
        for table in _writable(READ_ONLY | APPEND_ONLY):
            with (
                pytest.raises(ProgrammingError, match="row-level security policy"),
                connection.begin_nested(),
            ):
                connection.execute(table.update().values(tenant_id=other_tenant_id))


@pytest.mark.parametrize("tenant", ["", None])
def test_without_a_tenant_a_member_sees_nothing(reader, filled, tenant):
    with reader.begin() as connection:
        if tenant is not None:
            _enter(connection, tenant)
        for table in [*MINE, metadata.tables["tenants"]]:
            query = sa.select(sa.func.count()).select_from(table)
            assert connection.scalar(query) == 0, table.name


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM processes",
        "SELECT * FROM flows",
        "INSERT INTO flows VALUES ('system', 'normal', 1, 0)",
        "UPDATE pace SET mean_s = 0",
        "DELETE FROM pace",
        "UPDATE tenant_limits SET weight = 100",
        "DELETE FROM tenant_limits",
        "INSERT INTO tenant_limits (tenant_id) VALUES (1)",
        "UPDATE audit SET action = 'nothing'",
        "DELETE FROM audit",
        "UPDATE registry_versions SET seed = 1",
        "DELETE FROM registry_versions",
        "UPDATE registry_moves SET reason = 'nothing'",
        "DELETE FROM registry_moves",
        "UPDATE api_keys SET role = 'admin'",
        "DELETE FROM api_keys",
        "SELECT * FROM alembic_version",
        "INSERT INTO tenants (name, created_at) VALUES ('mine', now())",
        "UPDATE tenants SET name = 'mine'",
        "DELETE FROM tenants",
        "TRUNCATE jobs",
        "DROP TABLE jobs",
        "SET ROLE forebay_system",
    ],
)
def test_a_member_has_no_right_to_what_is_not_a_tenants(reader, filled, statement):
    refusal = pytest.raises(ProgrammingError, match=r"permission denied|must be owner")
    with reader.connect() as connection, refusal:
        connection.execute(sa.text(statement))


def test_a_tenant_transaction_sees_one_tenant_without_any_where(
    database, filled, tenant_id
):
    with database.tenant(tenant_id) as connection:
        for table in MINE:
            seen = connection.scalars(sa.select(table.c.tenant_id)).all()
            assert seen == [tenant_id], table.name


def test_a_system_transaction_sees_all_tenants(
    database, filled, tenant_id, other_tenant_id
):
    with database.system() as connection:
        for table in MINE:
            seen = connection.scalars(sa.select(table.c.tenant_id)).all()
            assert sorted(seen) == [tenant_id, other_tenant_id], table.name


def test_the_tenant_does_not_stay_on_a_pooled_connection(database_url, tenant_id):
    pooled = Database(database_url, pool_size=1)
    with pooled.tenant(tenant_id) as connection:
        assert connection.scalar(sa.text("SELECT current_user")) == "forebay_tenant"
    with pooled._engine.connect() as connection:
        role, tenant = connection.execute(
            sa.text("SELECT current_user, current_setting('forebay.tenant', true)")
        ).one()
    pooled.close()
    assert role != "forebay_tenant"
    assert tenant == ""


def test_a_transaction_that_raises_leaves_nothing(database, tenant_id):
    def fill_and_fail() -> None:
        with database.system() as connection:
            rows.fill(connection, tenant_id=tenant_id)
            raise KeyError

    with pytest.raises(KeyError):
        fill_and_fail()
    assert rows.value(database, "SELECT count(*) FROM jobs") == 0


def test_a_pool_whose_connections_all_died_makes_new_ones(database_url, database):
    pooled = Database(database_url, pool_size=3, name="doomed")
    with pooled.system(), pooled.system(), pooled.system() as connection:
        pass
    killed = rows.owners_value(
        database,
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
        "WHERE application_name = 'doomed' AND datname = current_database()",
    )
    assert killed == 3
    with pooled.system() as connection:
        assert connection.scalar(sa.text("SELECT current_user")) == "forebay_system"
    pooled.close()


def test_a_connection_that_died_in_use_is_replaced_and_the_others_stay(
    database_url, database
):
    pooled = Database(database_url, pool_size=2, name="doomed")
    with pooled.system() as held:
        mine = held.scalar(sa.text("SELECT pg_backend_pid()"))
        with pooled.system():
            pass
        rows.owners_value(
            database,
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            f"WHERE application_name = 'doomed' AND pid <> {mine}",
        )
        with pooled.system() as connection:
            connection.execute(sa.text("SELECT 1"))
        assert held.scalar(sa.text("SELECT pg_backend_pid()")) == mine
    pooled.close()
    left = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'doomed'"
    until(lambda: rows.owners_value(database, left) == 0)


def test_a_database_that_is_away_is_an_error(database_url):
    url = make_url(database_url).set(port=free_port())
    away = Database(url.render_as_string(hide_password=False), pool_size=1)
    with pytest.raises(OperationalError), away.system():
        pass


def test_work_that_may_be_lost_does_not_wait_for_the_disk(database):
    for durable, expected in ((True, "on"), (False, "off")):
        with database.system(durable=durable) as connection:
            found = connection.scalar(
                sa.text("SELECT current_setting('synchronous_commit')")
            )
        assert found == expected


def test_a_session_is_in_utc_and_names_itself(database_url):
    named = Database(database_url, pool_size=0, name="a test")
    with named.system() as connection:
        zone, name = connection.execute(
            sa.text("SELECT current_setting('timezone'), current_setting(:name)"),
            {"name": "application_name"},
        ).one()
    named.close()
    assert (zone, name) == ("UTC", "a test")


def test_a_database_without_a_pool_keeps_no_connection_open(database_url):
    loose = Database(database_url, pool_size=0, name="loose")
    with loose.system():
        pass
    with Database(database_url, pool_size=0).system() as connection:
        open_still = connection.scalar(
            sa.text(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'loose'"
                " AND datname = current_database()"
            )
        )
    assert open_still == 0


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:p%40s@h:1/d?sslmode=require",
        "postgresql+psycopg://u:p%40s@h:1/d?sslmode=require",
    ],
)
def test_a_url_may_name_the_driver_or_not(url):
    assert with_driver(url) == "postgresql+psycopg://u:p%40s@h:1/d?sslmode=require"
    assert without_driver(url) == "postgresql://u:p%40s@h:1/d?sslmode=require"


def test_sessions_have_the_patience_they_were_given(database_url):
    patience = {"idle_in_transaction_session_timeout": "20s", "lock_timeout": "3s"}
    given = Database(database_url, pool_size=0, patience=patience)
    with given.system() as connection:
        for name, value in patience.items():
            assert connection.scalar(sa.text(f"SHOW {name}")) == value
        assert connection.scalar(sa.text("SHOW timezone")) == "UTC"


def test_plans_are_never_compiled_which_takes_longer_than_running_them(database):
    with database.system() as connection:
        assert connection.scalar(sa.text("SHOW jit")) == "off"
