"""The only publisher, against real brokers."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import pytest
from amqp.exceptions import AMQPError
from kombu.exceptions import OperationalError
from sqlalchemy.engine import make_url

from db import dependencies, jobs, parts, processes
from db.dependencies import Edge
from db.jobs import FINAL_STATES
from db.session import Database
from tasks.catalog import QUEUES
from tests.db import rows
from tests.db.patience import until
from tests.workers.broker import Broker, Line
from workers import dispatcher as module
from workers.dispatcher import Dispatcher

pytestmark = pytest.mark.servers


@pytest.fixture(autouse=True)
def slots(database) -> Callable[[int], None]:
    """Say how many slots the workers of all queues have; many, if a test does not."""

    def say(count: int) -> None:
        with database.system() as connection:
            processes.seen(
                connection,
                name="worker",
                role="worker",
                queues=QUEUES,
                detail={"slots": count},
            )
        rows.change(
            database, "UPDATE processes SET seen_at = now() + interval '1 hour'"
        )

    say(1_000)
    return say


@contextmanager
def dispatching(broker: Broker, database: Database) -> Iterator[Dispatcher]:
    """Run a dispatcher until the block ends."""
    dispatcher = Dispatcher(broker.app, database, broker.settings)
    thread = threading.Thread(target=dispatcher.run)
    thread.start()
    try:
        yield dispatcher
    finally:
        dispatcher.stop()
        thread.join(30)
        assert not thread.is_alive()


@contextmanager
def publishing(broker: Broker, database: Database) -> Iterator[Dispatcher]:
    """A dispatcher with its producer, one batch at a time: ``d.publish(queue)``."""
    dispatcher = Dispatcher(broker.app, database, broker.settings)
    dispatcher._sweep()
    options = broker.app.conf.broker_transport_options
    with (
        broker.app.connection_for_write(transport_options=options) as connection,
        broker.app.amqp.Producer(connection, auto_declare=False) as producer,
    ):
        dispatcher.publish = lambda queue="system": dispatcher._dispatch(
            producer, queue
        )
        yield dispatcher


def _waiting(database) -> int:
    return rows.value(database, "SELECT count(*) FROM outbox")


def _all_sent(database) -> None:
    until(lambda: not _waiting(database))


def test_a_message_names_the_attempt_and_nothing_of_the_job(
    broker, database, tenant_id
):
    job_id = rows.queued(
        database, tenant_id, params={"payload": "private"}, traceparent="00-1-2-01"
    )
    with dispatching(broker, database) as dispatcher:
        _all_sent(database)
        assert dispatcher.broker == {"state": "ok"}
    (message,) = broker.drain()
    assert message.task_id == f"{job_id}:1"
    assert message.task == "system.echo"
    assert message.arguments == {"job_id": job_id, "attempt": 1}
    assert message.headers["traceparent"] == "00-1-2-01"
    assert message.durable
    assert "private" not in str(message)
    assert rows.job(database, tenant_id, job_id).dispatched_at is not None


def test_each_queue_gets_its_own_jobs_the_most_urgent_first(
    broker, database, tenant_id
):
    broker.declare()
    usual = [rows.queued(database, tenant_id) for _ in range(2)]
    urgent = rows.queued(database, tenant_id, priority=9)
    other = rows.queued(
        database, tenant_id, type="forecast.run", queue="forecast", params={}
    )
    with dispatching(broker, database):
        _all_sent(database)
    assert broker.ids() == [f"{one}:1" for one in (urgent, *usual)]
    assert broker.ids("forecast") == [f"{other}:1"]


def test_a_running_dispatcher_hears_of_new_jobs(
    broker, database, tenant_id, monkeypatch
):
    monkeypatch.setattr(module, "_SWEEP_EVERY_S", 20.0)
    with dispatching(broker, database) as dispatcher:
        until(lambda: dispatcher.broker["state"] == "ok")
        until(lambda: _listeners(database))
        job_id = rows.queued(database, tenant_id)
        until(lambda: not _waiting(database), within_s=10)
    assert broker.ids() == [f"{job_id}:1"]


def test_without_notifications_the_sweep_finds_new_jobs(
    rabbitmq, database, tenant_id, monkeypatch
):
    monkeypatch.setattr(module, "_SWEEP_EVERY_S", 0.05)
    monkeypatch.setattr(Dispatcher, "_listen", lambda _self: None)
    with dispatching(rabbitmq, database) as dispatcher:
        until(lambda: dispatcher.broker["state"] == "ok")
        rows.queued(database, tenant_id)
        _all_sent(database)


def test_a_listener_whose_connection_was_lost_listens_again(
    rabbitmq, database, monkeypatch
):
    monkeypatch.setattr(module, "_SWEEP_EVERY_S", 0.05)
    with dispatching(rabbitmq, database):
        until(lambda: _listeners(database))
        first = _listeners(database)
        rows.owners_value(database, f"SELECT pg_terminate_backend({first})")
        until(lambda: _listeners(database) not in (first, None))


def test_a_claim_makes_room_in_a_full_window(
    rabbitmq, database, tenant_id, monkeypatch
):
    monkeypatch.setattr(module, "_SWEEP_EVERY_S", 20.0)
    small = Broker(replace(rabbitmq.settings, dispatch_window=2))
    ids = [rows.queued(database, tenant_id) for _ in range(4)]
    with dispatching(small, database):
        until(lambda: _waiting(database) == 2)
        until(lambda: _listeners(database))
        for left in (1, 0):
            rows.claim(database, ids[1 - left])
            until(lambda left=left: _waiting(database) == left, within_s=10)
    assert small.ids() == [f"{one}:1" for one in ids]


def test_a_batch_is_one_short_transaction(rabbitmq, database, tenant_id, monkeypatch):
    monkeypatch.setattr(module, "_BATCH", 2)
    rabbitmq.declare()
    for _ in range(3):
        rows.queued(database, tenant_id)
    with publishing(rabbitmq, database) as dispatcher:
        assert dispatcher.publish() is True
        assert _waiting(database) == 1
        assert dispatcher.publish() is False
        assert _waiting(database) == 0
        assert dispatcher.publish() is False


@pytest.mark.parametrize("queue_type", ["classic", "quorum"])
def test_a_message_that_no_queue_takes_stays_in_the_outbox(
    settings, amqp_url, database, tenant_id, queue_type
):
    broker = Broker(
        replace(settings, broker_url=amqp_url(queue_type), queue_type=queue_type)
    )
    broker.declare()
    rows.queued(database, tenant_id)
    with publishing(broker, database) as dispatcher:
        dispatcher.publish()
        broker.delete_queues("system")
        job_id = rows.queued(database, tenant_id)
        with pytest.raises((AMQPError, OperationalError)):
            dispatcher.publish()
    assert _waiting(database) == 1
    assert rows.job(database, tenant_id, job_id).dispatched_at is None


def test_a_queue_that_was_deleted_comes_back_and_gets_its_messages(
    rabbitmq, database, tenant_id
):
    with dispatching(rabbitmq, database) as dispatcher:
        until(lambda: dispatcher.broker["state"] == "ok")
        rabbitmq.delete_queues("system")
        job_id = rows.queued(database, tenant_id)
        _all_sent(database)
    assert rabbitmq.ids() == [f"{job_id}:1"]


def test_what_was_confirmed_before_a_fault_is_not_sent_again(
    rabbitmq, database, tenant_id, monkeypatch
):
    rabbitmq.declare()
    ids = [rows.queued(database, tenant_id) for _ in range(3)]
    publish = Dispatcher._publish

    def fail_at_the_third(self, producer, message) -> None:
        if message.job_id == ids[2]:
            raise OperationalError
        publish(self, producer, message)

    monkeypatch.setattr(Dispatcher, "_publish", fail_at_the_third)
    with publishing(rabbitmq, database) as dispatcher:
        dispatcher.publish()
        assert _waiting(database) == 1
        with pytest.raises(OperationalError):
            dispatcher.publish()
        monkeypatch.undo()
        dispatcher.publish()
    assert rabbitmq.ids() == [f"{one}:1" for one in ids]


def test_while_the_broker_is_away_jobs_wait_and_are_sent_when_it_is_back(
    rabbitmq, database, tenant_id, monkeypatch
):
    monkeypatch.setattr(module, "_LONGEST_PAUSE_S", 0.2)
    monkeypatch.setattr(module, "_SWEEP_EVERY_S", 60.0)
    url = make_url(rabbitmq.settings.broker_url)
    line = Line(url.port)
    far = Broker(
        replace(
            rabbitmq.settings,
            broker_url=url.set(port=line.port).render_as_string(hide_password=False),
        )
    )
    first = rows.queued(database, tenant_id)
    with dispatching(far, database) as dispatcher:
        until(lambda: dispatcher.broker["state"] == "unreachable")
        assert dispatcher.broker["error"] == "OperationalError"
        assert _waiting(database) == 1
        line.mend()
        _all_sent(database)
        assert dispatcher.broker == {"state": "ok"}
        line.cut()
        second = rows.queued(database, tenant_id)
        until(lambda: dispatcher.broker["state"] == "unreachable")
        assert _waiting(database) == 1
        line.mend()
        _all_sent(database)
    line.cut()
    assert rabbitmq.ids() == [f"{first}:1", f"{second}:1"]


def test_two_dispatchers_never_send_a_message_twice(
    broker, database, database_url, tenant_id
):
    ids = [rows.queued(database, tenant_id) for _ in range(150)]
    broker.declare()
    broker.settings = replace(broker.settings, dispatch_window=1_000)
    with ExitStack() as both:
        for _ in range(2):
            own = Database(database_url, pool_size=2)
            both.callback(own.close)
            both.enter_context(dispatching(Broker(broker.settings), own))
        _all_sent(database)
    assert sorted(broker.ids()) == [f"{one}:1" for one in ids]


def test_a_database_that_goes_away_interrupts_and_does_not_end_it(
    rabbitmq, database, tenant_id
):
    with dispatching(rabbitmq, database) as dispatcher:
        until(lambda: dispatcher.broker["state"] == "ok")
        for _ in range(3):
            rows.owners_value(
                database,
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                "WHERE application_name = 'tests' AND datname = current_database()",
            )
            job_id = rows.queued(database, tenant_id)
            _all_sent(database)
    job = rows.job(database, tenant_id, job_id)
    assert job.state not in FINAL_STATES
    assert job.dispatched_at is not None


def test_without_a_worker_a_queue_holds_two_messages_and_the_rest_stays_in_line(
    rabbitmq, database, tenant_id, slots
):
    slots(0)
    ids = [rows.queued(database, tenant_id) for _ in range(5)]
    with dispatching(rabbitmq, database):
        until(lambda: _waiting(database) == 3)
        rows.queued(database, tenant_id)
        until(lambda: _waiting(database) == 4)
        slots(9)
        _all_sent(database)
    assert rabbitmq.ids()[:5] == [f"{one}:1" for one in ids]


def test_the_end_of_a_job_lets_go_what_waits_for_it_and_for_its_key(
    rabbitmq, database, tenant_id
):
    first = rows.queued(database, tenant_id, concurrency_key="k")
    second = rows.queued(database, tenant_id, concurrency_key="k")
    last = rows.queued(database, tenant_id, blocked=True)
    with database.tenant(tenant_id) as connection:
        dependencies.insert(
            connection, tenant_id=tenant_id, edges=[Edge(last, first, "cancel")]
        )
    with dispatching(rabbitmq, database):
        until(lambda: _listeners(database))
        until(lambda: rows.job(database, tenant_id, first).dispatched_at)
        assert rabbitmq.ids() == [f"{first}:1"]
        rows.claim(database, first)
        rows.finish(database, first, result={})
        for job_id in (second, last):
            until(lambda one=job_id: rows.job(database, tenant_id, one).dispatched_at)
    assert sorted(rabbitmq.ids()) == sorted(f"{one}:1" for one in (second, last))


def test_the_end_of_the_last_part_sends_the_finish(rabbitmq, database, tenant_id):
    parent = rows.queued(database, tenant_id)
    claimed = rows.claim(database, parent)
    rows.change(database, "DELETE FROM outbox")
    part = rows.new_job(parent_id=parent, step="part", part=0)
    finish = rows.new_job(parent_id=parent, step="finish", blocked=True)
    with database.tenant(tenant_id) as connection:
        parts.split(connection, job=claimed, parts=[part], finish=finish)
    with dispatching(rabbitmq, database):
        until(lambda: rows.job(database, tenant_id, part.id).dispatched_at)
        rows.claim(database, part.id)
        rows.finish(database, part.id, result={})
        until(lambda: rows.job(database, tenant_id, finish.id).dispatched_at)
        until(lambda: rows.job(database, tenant_id, parent).progress["done"] == 1)
        with database.tenant(tenant_id) as connection:
            jobs.cancel(connection, tenant_id=tenant_id, job_id=parent)
        until(lambda: rows.job(database, tenant_id, parent).state == "cancelled")
    assert rows.job(database, tenant_id, finish.id).state == "cancelled"


def _listeners(database) -> int | None:
    """The process that serves a listener, once it listens to both channels."""
    return rows.owners_value(
        database,
        "SELECT max(pid) FROM pg_stat_activity WHERE application_name = 'listen' "
        "AND datname = current_database() AND query LIKE 'LISTEN forebay_jobs%'",
    )
