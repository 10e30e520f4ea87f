"""Every table is protected, and the ones of tenants twice."""

import pytest
import sqlalchemy as sa

from db.tables import metadata

pytestmark = pytest.mark.servers

_NAMES = set(metadata.tables)
_HIDDEN = {"processes", "flows", "pace", "rate_limits"}
_TENANTS = _NAMES - _HIDDEN
_READ_ONLY = {"tenants", "api_keys", "tenant_limits", "pace"}
_APPEND_ONLY = {"audit", "registry_versions", "registry_moves"}


def _pairs(database, query: str) -> set[tuple]:
    with database.system() as connection:
        return {tuple(row) for row in connection.execute(sa.text(query))}


def test_the_database_has_the_tables_of_the_code_and_no_others(database):
    found = _pairs(
        database, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    )
    assert found == {(name,) for name in [*_NAMES, "alembic_version"]}


def test_every_table_has_row_level_security(database):
    found = _pairs(
        database,
        "SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace "
        "WHERE relrowsecurity AND nspname = 'public'",
    )
    assert found == {(name,) for name in _NAMES}


def test_every_table_but_the_hidden_ones_has_a_policy_for_each_role(database):
    found = _pairs(
        database,
        "SELECT tablename, policyname, roles::text, cmd, permissive FROM pg_policies",
    )
    assert found == {
        *((name, "system", "{forebay_system}", "ALL", "PERMISSIVE") for name in _NAMES),
        *(
            (name, "tenant", "{forebay_tenant}", "ALL", "PERMISSIVE")
            for name in _TENANTS
        ),
        ("pace", "tenant", "{forebay_tenant}", "SELECT", "PERMISSIVE"),
    }


def test_a_tenants_policy_compares_the_tenant_for_reads_and_for_writes(database):
    found = _pairs(
        database,
        "SELECT tablename, qual, with_check FROM pg_policies "
        "WHERE policyname = 'tenant' AND tablename <> 'pace'",
    )
    for table, reads, writes in found:
        column = "id" if table == "tenants" else "tenant_id"
        assert reads == writes
        assert reads.startswith(f"({column} = ")
        assert "forebay.tenant" in reads


def test_every_table_of_tenants_names_its_tenant():
    for name in _TENANTS - {"tenants"}:
        column = metadata.tables[name].c.tenant_id
        assert not column.nullable, name
        assert isinstance(column.type, sa.Integer), name


def test_the_tenant_role_may_write_its_rows_but_not_what_limits_or_watches_it(database):
    found = _pairs(
        database,
        "SELECT tablename, right_ FROM pg_tables, unnest(ARRAY['SELECT', 'INSERT', "
        "'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS right_ "
        "WHERE schemaname = 'public' "
        "AND has_table_privilege('forebay_tenant', quote_ident(tablename), right_)",
    )
    rights = {"SELECT", "INSERT", "UPDATE", "DELETE"}
    writable = _TENANTS - _READ_ONLY - _APPEND_ONLY
    assert found == {
        *((name, "SELECT") for name in _READ_ONLY),
        *((name, right) for name in _APPEND_ONLY for right in ("SELECT", "INSERT")),
        *((name, right) for name in writable for right in rights),
    }
