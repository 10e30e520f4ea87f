"""The events of a job in order, and the notifications of new ones."""

import psycopg
import pytest

from db import events, jobs
from db.session import Database
from tests.db import rows
from tests.db.patience import until

pytestmark = pytest.mark.servers

CHANNELS = (jobs.JOBS_CHANNEL, jobs.OUTBOX_CHANNEL)


def _after(database, tenant_id, job_id, event_id=0) -> list[events.Event]:
    with database.tenant(tenant_id) as connection:
        return events.after(
            connection, tenant_id=tenant_id, job_id=job_id, event_id=event_id
        )


def _hear(listening) -> str:
    """The next notification; quiet moments between are passed over."""
    return next(payload for payload in listening if payload is not None)


def test_a_reader_goes_on_after_the_event_it_saw_last(database, tenant_id):
    job_id = rows.running(database, tenant_id)
    rows.queued(database, tenant_id)
    rows.finish(database, job_id, result={})
    queued, running, succeeded = _after(database, tenant_id, job_id)
    assert [queued.kind, running.kind, succeeded.kind] == [
        "queued",
        "running",
        "succeeded",
    ]
    assert queued.id < running.id < succeeded.id
    assert queued.at <= running.at <= succeeded.at
    assert {one.job_id for one in (queued, running, succeeded)} == {job_id}
    assert _after(database, tenant_id, job_id, queued.id) == [running, succeeded]
    assert _after(database, tenant_id, job_id, succeeded.id) == []


def test_the_events_of_another_tenants_job_are_not_shown(
    database, tenant_id, other_tenant_id
):
    job_id = rows.queued(database, tenant_id)
    assert _after(database, other_tenant_id, job_id) == []


def test_a_listener_hears_what_happens_after_it_says_it_listens(database, tenant_id):
    rows.queued(database, tenant_id, queue="ingest")
    listening = events.listen(database, channels=CHANNELS, patience_s=0.05)
    assert next(listening) is None
    job_id = rows.queued(database, tenant_id)
    assert _hear(listening) == "system"
    assert _hear(listening) == f"{tenant_id}:{job_id}:0:queued"
    rows.claim(database, job_id)
    assert _hear(listening).endswith(":running")
    listening.close()


def test_a_quiet_while_is_told_too(database):
    listening = events.listen(database, channels=CHANNELS, patience_s=0.01)
    assert [next(listening) for _ in range(3)] == [None, None, None]
    listening.close()


def test_a_listener_may_have_a_url_with_a_driver(database_url):
    url = database_url.replace("postgresql://", "postgresql+psycopg://")
    with_driver = Database(url, pool_size=0)
    listening = events.listen(with_driver, channels=CHANNELS, patience_s=0.01)
    assert next(listening) is None
    listening.close()


def test_a_lost_connection_ends_the_listening_with_an_error(database):
    listening = events.listen(database, channels=CHANNELS, patience_s=0.05)
    next(listening)
    ended = rows.owners_value(
        database,
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
        "WHERE application_name = 'listen' AND datname = current_database()",
    )
    assert ended == 1
    with pytest.raises(psycopg.OperationalError):
        until(lambda: next(listening))
