"""What a tenant is allowed, and what it has paused."""

import psycopg
import pytest
from sqlalchemy.exc import IntegrityError, ProgrammingError

from db import limits
from db.limits import Limits
from tests.db import lines, rows

pytestmark = pytest.mark.servers


def _limits(database, tenant_id) -> Limits:
    with database.tenant(tenant_id) as connection:
        return limits.of_tenant(connection, tenant_id=tenant_id)


def _room(database, tenant_id) -> int | None:
    with database.tenant(tenant_id) as connection:
        return limits.queue_room(connection, tenant_id=tenant_id)


def _pause(database, tenant_id, queue, by="key_1") -> None:
    with database.tenant(tenant_id) as connection:
        limits.pause(connection, tenant_id=tenant_id, queue=queue, paused_by=by)


def test_without_limits_a_tenant_has_the_defaults(database, tenant_id):
    assert _limits(database, tenant_id) == Limits(1.0, None, None, None)
    assert _room(database, tenant_id) is None


def test_limits_are_kept_and_replaced_as_a_whole(database, tenant_id, other_tenant_id):
    lines.limit(database, tenant_id, weight=2.5, max_running=3, starts_per_minute=60)
    assert _limits(database, tenant_id) == Limits(2.5, 3, None, 60)
    lines.limit(database, tenant_id, max_queued=10)
    assert _limits(database, tenant_id) == Limits(1.0, None, 10, None)
    assert _limits(database, other_tenant_id) == Limits()


def test_a_tenant_cannot_set_its_own_limits(database, tenant_id):
    with (
        pytest.raises(ProgrammingError, match="permission denied"),
        database.tenant(tenant_id) as connection,
    ):
        limits.put(connection, tenant_id=tenant_id, limits=Limits(weight=9.0))


def test_a_weight_of_nothing_is_refused(database, tenant_id):
    with pytest.raises(IntegrityError):
        lines.limit(database, tenant_id, weight=0.0)


def test_the_room_in_the_queue_shrinks_with_what_is_queued(
    database, tenant_id, other_tenant_id
):
    lines.limit(database, tenant_id, max_queued=2)
    rows.queued(database, other_tenant_id)
    assert _room(database, tenant_id) == 2
    rows.queued(database, tenant_id, blocked=True)
    first = rows.queued(database, tenant_id)
    assert _room(database, tenant_id) == 0
    rows.claim(database, first)
    assert _room(database, tenant_id) == 1


def test_a_pause_says_who_paused_and_the_first_one_stays(
    database, tenant_id, other_tenant_id
):
    _pause(database, tenant_id, "system")
    _pause(database, tenant_id, "forecast")
    _pause(database, tenant_id, "system", by="key_2")
    with database.tenant(tenant_id) as connection:
        found = limits.pauses(connection, tenant_id=tenant_id)
    assert [(one.queue, one.paused_by) for one in found] == [
        ("forecast", "key_1"),
        ("system", "key_1"),
    ]
    with database.tenant(other_tenant_id) as connection:
        assert limits.pauses(connection, tenant_id=other_tenant_id) == []


def test_the_end_of_a_pause_wakes_the_dispatcher(database, database_url, tenant_id):
    _pause(database, tenant_id, "system")
    with psycopg.connect(database_url, autocommit=True) as listener:
        listener.execute("LISTEN forebay_outbox")
        for queue in ("forecast", "system"):  # the first was not paused
            with database.tenant(tenant_id) as connection:
                limits.resume(connection, tenant_id=tenant_id, queue=queue)
        heard = [note.payload for note in listener.notifies(timeout=5, stop_after=1)]
    assert heard == ["system"]
    with database.tenant(tenant_id) as connection:
        assert limits.pauses(connection, tenant_id=tenant_id) == []
