"""What fell by the wayside is found."""

from dataclasses import replace

import pytest

from db import idempotency, incidents, processes
from tasks.incidents import settle
from tests.db import rows
from tests.db.patience import until
from tests.servers.ports import free_port
from tests.tasks.sightings import HOURLY, anomaly
from tests.workers.broker import Broker
from workers.dispatcher import Dispatcher
from workers.housekeeping import Housekeeping

pytestmark = pytest.mark.servers


def _housekeeping(broker, database, **changes) -> Housekeeping:
    return Housekeeping(
        broker.app,
        database,
        replace(broker.settings, **changes),
        name="dispatcher-1",
        broker_state=lambda: {"state": "ok"},
    )


def _alive(database) -> list[processes.Process]:
    with database.system() as connection:
        return processes.alive(connection)


def _publish(broker, database) -> None:
    dispatcher = Dispatcher(broker.app, database, broker.settings)
    with (
        broker.app.connection_for_write() as connection,
        broker.app.amqp.Producer(connection, auto_declare=False) as producer,
    ):
        dispatcher._dispatch(producer, "system")


def _age(database) -> None:
    rows.change(
        database,
        "UPDATE jobs SET dispatched_at = dispatched_at - interval '1 minute', "
        "lease_until = lease_until - interval '1 hour'",
    )


def _outbox(database) -> list[str] | None:
    return rows.value(database, "SELECT array_agg(job_id ORDER BY id) FROM outbox")


@pytest.fixture
def folder(settings) -> Broker:
    """A broker without a server, for what has nothing to do with messages."""
    found = Broker(settings)
    found.declare()
    return found


def test_an_incident_without_news_for_long_is_ended_and_says_why(
    folder, database, tenant_id
):
    series_id = rows.series(database, tenant_id, "a")
    with database.tenant(tenant_id) as connection:
        (old, fresh) = (
            settle(
                connection,
                tenant_id=tenant_id,
                found={series_id: [anomaly(at)]},
                seen={},
                grouping=HOURLY,
                now=rows.AT,
            ).opened[0]
            for at in (0, 99)
        )
    rows.change(
        database,
        "UPDATE incidents SET updated_at = now() - "
        "CASE id WHEN :old THEN interval '31 days' ELSE interval '29 days' END",
        old=old,
    )
    _housekeeping(folder, database, quiet_days=0).look()
    tidy = _housekeeping(folder, database)
    tidy.look()
    tidy.look()
    with database.tenant(tenant_id) as connection:
        states = {
            one.id: (one.state, one.reason, one.version)
            for one in incidents.by_ids(
                connection, tenant_id=tenant_id, ids=[old, fresh]
            )
        }
    assert states == {old: ("resolved", "quiet", 2), fresh: ("open", None, 1)}
    query = (
        "SELECT body ->> 'reason' FROM incident_events "
        "WHERE incident_id = :old AND kind = 'resolved'"
    )
    assert rows.value(database, query, old=old) == "quiet"
    told = "SELECT body -> 'incident' ->> 'reason' FROM job_events WHERE kind = :kind"
    assert rows.value(database, told, kind="incident.resolved") == "quiet"


def test_a_job_whose_lease_ran_out_is_queued_for_its_next_attempt(
    folder, database, tenant_id
):
    job_id = rows.running(database, tenant_id)
    rows.change(database, "DELETE FROM outbox")
    _age(database)
    _housekeeping(folder, database, retry_delay_s=100).look()
    job = rows.job(database, tenant_id, job_id)
    assert (job.state, job.attempt, job.reason) == ("queued", 2, "worker_lost")
    wait_s = rows.value(
        database, "SELECT extract(epoch FROM available_at - now()) FROM outbox"
    )
    assert 45 < wait_s <= 100


def test_a_job_whose_workers_die_each_time_fails(folder, database, tenant_id):
    job_id = rows.running(database, tenant_id, max_attempts=1)
    _age(database)
    _housekeeping(folder, database).look()
    job = rows.job(database, tenant_id, job_id)
    assert (job.state, job.reason) == ("failed", "worker_lost")
    assert job.error["type"] == "/problems/worker-lost"
    assert "lease ran out" in job.error["detail"]


def test_a_living_lease_is_left_alone(folder, database, tenant_id):
    job_id = rows.running(database, tenant_id)
    before = rows.job(database, tenant_id, job_id)
    _housekeeping(folder, database).look()
    assert rows.job(database, tenant_id, job_id) == before


def test_a_job_past_its_deadline_fails_with_a_problem(folder, database, tenant_id):
    job_id = rows.queued(database, tenant_id)
    rows.change(database, "UPDATE jobs SET deadline = now()")
    _housekeeping(folder, database).look()
    job = rows.job(database, tenant_id, job_id)
    assert (job.state, job.reason) == ("failed", "never_started")
    assert job.error["title"] == "Never started"


def test_old_keys_and_processes_are_forgotten(folder, database, tenant_id):
    with database.tenant(tenant_id) as connection:
        idempotency.remember(
            connection,
            tenant_id=tenant_id,
            key="old",
            fingerprint=b"",
            resource_id="job_1",
        )
    with database.system() as connection:
        processes.seen(connection, name="long dead", role="worker")
    rows.change(
        database, "UPDATE idempotency_keys SET created_at = now() - interval '49 hours'"
    )
    rows.change(database, "UPDATE processes SET seen_at = now() - interval '2 hours'")
    _housekeeping(folder, database).look()
    assert rows.value(database, "SELECT count(*) FROM idempotency_keys") == 0
    assert rows.value(database, "SELECT array_agg(name) FROM processes") == [
        "dispatcher-1"
    ]


def test_the_dispatcher_says_that_it_lives_and_how_full_the_queues_are(
    broker, database, tenant_id
):
    broker.declare()
    for _ in range(2):
        rows.queued(database, tenant_id)
    _publish(broker, database)
    _housekeeping(broker, database).look()
    (found,) = _alive(database)
    assert (found.name, found.role) == ("dispatcher-1", "dispatcher")
    assert found.detail == {
        "broker": {"state": "ok"},
        "ready": {"forecast": 0, "ingest": 0, "analysis": 0, "system": 2},
    }


def test_a_message_that_was_lost_is_sent_again(broker, database, tenant_id):
    broker.declare()
    job_id = rows.queued(database, tenant_id)
    _publish(broker, database)
    assert broker.ids() == [f"{job_id}:1"]  # taken by nobody who would claim it
    _housekeeping(broker, database).look()
    assert _outbox(database) is None  # perhaps it is just being claimed
    _age(database)
    _housekeeping(broker, database).look()
    assert _outbox(database) == [job_id]
    _publish(broker, database)
    assert broker.ids() == [f"{job_id}:1"]


def test_a_message_that_waits_in_its_queue_is_not_sent_again(
    broker, database, tenant_id
):
    broker.declare()
    rows.queued(database, tenant_id)
    _publish(broker, database)
    _age(database)
    _housekeeping(broker, database).look()
    assert _outbox(database) is None


@pytest.mark.parametrize("queue_type", ["classic", "quorum"])
def test_the_messages_of_a_queue_that_is_gone_are_sent_again(
    settings, amqp_url, database, tenant_id, queue_type
):
    broker = Broker(
        replace(settings, broker_url=amqp_url(queue_type), queue_type=queue_type)
    )
    broker.declare()
    job_id = rows.queued(database, tenant_id)
    _publish(broker, database)
    _age(database)
    broker.delete_queues("system", "forecast")
    _housekeeping(broker, database).look()
    assert _outbox(database) == [job_id]
    (found,) = _alive(database)
    assert found.detail["ready"]["system"] == 0


def test_while_the_broker_is_away_the_rest_is_done(settings, database, tenant_id):
    away = Broker(replace(settings, broker_url=f"amqp://127.0.0.1:{free_port()}"))
    job_id = rows.running(database, tenant_id)
    _age(database)
    _housekeeping(away, database).look()
    assert rows.job(database, tenant_id, job_id).attempt == 2
    (found,) = _alive(database)
    assert found.detail["ready"] == {}


def test_it_looks_around_until_it_is_stopped_and_signs_off(folder, database, tenant_id):
    housekeeping = _housekeeping(folder, database, housekeeping_s=0.01)
    job_id = rows.running(database, tenant_id)
    _age(database)
    housekeeping.start()
    until(lambda: rows.job(database, tenant_id, job_id).attempt == 2)
    until(lambda: _alive(database))
    housekeeping.stop()
    assert _alive(database) == []


def test_a_look_that_fails_is_not_the_last(folder, database, monkeypatch):
    housekeeping = _housekeeping(folder, database, housekeeping_s=0.01)
    looks = []

    def look() -> None:
        looks.append(None)
        raise OSError

    monkeypatch.setattr(housekeeping, "look", look)
    housekeeping.start()
    until(lambda: len(looks) > 2)
    housekeeping.stop()
