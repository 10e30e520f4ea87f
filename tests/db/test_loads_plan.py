"""What a load reads does not depend on when the tables were last analysed."""

import psycopg
import pytest
import sqlalchemy as sa

from tests.db import loading

pytestmark = pytest.mark.servers

ROWS = [(f"s{number}", hour, 1.0) for number in range(20) for hour in range(5_000)]


def forget_statistics(database) -> None:
    """Leave the tables as a new installation has them before its first autovacuum."""
    with psycopg.connect(database.url, autocommit=True) as connection:
        for table in ("obs_current", "obs_version"):
            connection.execute(
                "DELETE FROM pg_statistic WHERE starelid = %s::regclass", (table,)
            )


def plans(connection) -> list[str]:
    """Have every comparison with what is stored explained before it runs."""
    found: list[str] = []

    @sa.event.listens_for(connection, "before_cursor_execute")
    def explain(_connection, cursor, statement, given, *_more):
        if "TABLE obs_change" in statement:
            cursor.execute(f"EXPLAIN {statement}", given)
            found.append("\n".join(line for (line,) in cursor.fetchall()))

    return found


def test_rows_are_not_each_compared_with_all_that_is_stored(database, tenant_id):
    loading.load(database, tenant_id, ROWS, size=len(ROWS))
    forget_statistics(database)
    again = [row for row in ROWS if row[1] < 400]
    made = loading.batches(again, size=len(again))
    with database.tenant(tenant_id) as connection:
        found = plans(connection)
        loaded = loading.merge(connection, tenant_id, made, run="run_2")
    assert loading.effect(loaded) == (0, 0, len(again), 0, 0)
    (plan,) = found
    assert "obs_current" in plan
    assert "Join Filter: ((c.series_id" not in plan
