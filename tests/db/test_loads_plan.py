"""What a load reads does not depend on how large or how well known the tables are."""

import psycopg
import pytest
import sqlalchemy as sa

from tests.db import loading
from tests.db.loading import rows_read

pytestmark = pytest.mark.servers

HOURS = 2_000
STORED = [(f"s{number}", hour, 1.0) for number in range(20) for hour in range(HOURS)]


@pytest.fixture
def unknown(database, tenant_id):
    """Tables with rows as a new installation has them before its first autovacuum."""
    loading.load(database, tenant_id, STORED, size=len(STORED))
    with psycopg.connect(database.url, autocommit=True) as connection:
        for table in ("obs_current", "obs_version"):
            connection.execute(
                "DELETE FROM pg_statistic WHERE starelid = %s::regclass", (table,)
            )


def read(database, tenant_id, rows) -> tuple[int, tuple[int, ...]]:
    """Load rows; return how many stored ones the comparison read, and the counts."""
    found: list[int] = []
    with database.tenant(tenant_id) as connection:

        @sa.event.listens_for(connection, "before_cursor_execute")
        def explain(_connection, cursor, statement, given, *_more):
            if "TABLE obs_change" in statement:
                _, _, query = statement.partition(" AS\n")
                cursor.execute(f"EXPLAIN (ANALYZE, FORMAT json) {query}", given)
                found.append(rows_read(cursor.fetchone()[0][0]["Plan"], "obs_current"))

        made = loading.batches(rows, size=len(rows))
        loaded = loading.merge(connection, tenant_id, made, run="run_2")
    (count,) = found
    return count, loading.effect(loaded)


@pytest.mark.usefixtures("unknown")
def test_of_what_is_stored_only_the_windows_of_the_load_are_read(database, tenant_id):
    rows = [row for row in STORED if row[0] == "s7" and 100 <= row[1] < 900]
    assert read(database, tenant_id, rows) == (800, (0, 0, 800, 0, 0))


@pytest.mark.usefixtures("unknown")
def test_a_window_is_read_once_and_not_for_each_row(database, tenant_id):
    rows = [row for row in STORED if row[1] < 400]
    assert read(database, tenant_id, rows) == (8_000, (0, 0, 8_000, 0, 0))


@pytest.mark.usefixtures("unknown")
def test_a_few_rows_far_apart_are_looked_up_one_by_one(database, tenant_id):
    rows = [("s3", 0, 1.0), ("s3", HOURS - 1, 2.0), ("s3", HOURS, 1.0)]
    count, effect = read(database, tenant_id, rows)
    assert count <= len(rows)
    assert effect == (1, 1, 1, 0, 0)
