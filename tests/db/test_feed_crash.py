"""A mark of the tenant's stream stays true through a crash of the server."""

import pytest
from sqlalchemy import text

from db import feed, keys, migrate
from db.session import Database
from tests.db import rows
from tests.servers import choice

pytestmark = pytest.mark.servers


def test_an_event_after_a_crash_is_not_hidden_by_a_mark_from_before_it():
    """A commit that is seen but not on disk is forgotten; its number comes again."""
    with choice.postgres(fsync=True) as server:
        url = server.create_database("forebay_crash")
        migrate.upgrade(url)
        database = Database(url, pool_size=0)
        with database.system() as connection:
            tenant_id = keys.ensure_tenant(connection, name="t")
        rows.queued(database, tenant_id)
        for _ in range(5):
            with database.system(durable=False) as connection:
                connection.execute(text("UPDATE jobs SET dispatched_at = now()"))
        with database.tenant(tenant_id) as connection:
            mark = feed.now(connection)
        server.kill()
        server.start()
        later = [rows.queued(database, tenant_id) for _ in range(3)]
        with database.tenant(tenant_id) as connection:
            found, _ = feed.after(connection, tenant_id=tenant_id, mark=mark)
    assert [event.job_id for event, _ in found] == later
