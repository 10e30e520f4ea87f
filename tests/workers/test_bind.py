"""A Celery task for each job type, and what a worker does when children die."""

import logging
import os
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
from billiard.exceptions import WorkerLostError
from kombu.exceptions import OperationalError

from db import processes
from tasks.catalog import QUEUES, job_types
from tests.db import rows
from tests.db.patience import until
from tests.servers.ports import free_port
from tests.workers.beat import door_module

pytestmark = pytest.mark.servers


@pytest.fixture
def bind(settings, monkeypatch):
    """workers.bind with this test's settings; Celery allows one import a process."""
    found = sys.modules.get("workers.bind") or door_module(
        "workers.bind", settings, monkeypatch
    )
    # The import names this process a worker, which no child of the tests is to inherit.
    os.environ.pop(found._NAME, None)
    monkeypatch.setattr(found, "settings", settings)
    found.runtime.cache_clear()
    yield found
    found.runtime(os.getpid()).database.close()


@pytest.fixture
def lost_database(bind, monkeypatch):
    """workers.bind in a process whose database is away."""
    url = f"postgresql://nobody@127.0.0.1:{free_port()}/nothing"
    monkeypatch.setattr(bind, "settings", replace(bind.settings, database_url=url))
    return bind


def _died(bind, job_id, error=None) -> None:
    bind._child_died(
        exception=WorkerLostError("exitcode 9") if error is None else error,
        kwargs={"job_id": job_id, "attempt": 1},
        task_id=f"{job_id}:1",
        sender=None,
    )


def _alive(database) -> list[processes.Process]:
    with database.system() as connection:
        return processes.alive(connection)


def _worker(queues, slots=1) -> SimpleNamespace:
    """What Celery hands over when a worker is ready."""
    return SimpleNamespace(
        task_consumer=SimpleNamespace(queues=queues),
        pool=SimpleNamespace(num_processes=slots),
    )


def _here(database, tenant_id, child: str) -> str:
    """A running job of a child of some worker."""
    job_id = rows.running(database, tenant_id)
    rows.change(
        database, "UPDATE jobs SET worker = :w WHERE id = :id", w=child, id=job_id
    )
    return job_id


def test_every_job_type_is_a_task_of_the_same_name(bind):
    assert set(job_types()) <= set(bind.app.tasks)


def test_a_task_runs_the_attempt_that_its_message_names(bind, database, tenant_id):
    job_id = rows.queued(database, tenant_id)
    task = bind.app.tasks["system.echo"]
    assert task(job_id=job_id, attempt=1, a_field_of_later="x") == "succeeded"
    assert task(job_id=job_id, attempt=1) == "refused"
    worker = rows.job(database, tenant_id, job_id).worker
    assert worker == f"{bind.WORKER}/{os.getpid()}"


def test_one_process_has_one_runtime_and_another_its_own(bind):
    mine = bind.runtime(os.getpid())
    assert bind.runtime(os.getpid()) is mine
    assert bind.runtime(os.getpid() + 1) is not mine


def test_the_job_of_a_dead_child_is_given_back_at_once(bind, database, tenant_id):
    job_id = rows.running(database, tenant_id)
    _died(bind, job_id)
    job = rows.job(database, tenant_id, job_id)
    assert (job.state, job.attempt, job.reason) == ("queued", 2, "worker_lost")


def test_a_job_whose_children_die_each_time_fails(bind, database, tenant_id):
    job_id = rows.running(database, tenant_id, max_attempts=1)
    _died(bind, job_id)
    job = rows.job(database, tenant_id, job_id)
    assert (job.state, job.reason) == ("failed", "worker_lost")
    assert "process died" in job.error["detail"]


def test_a_child_that_had_ended_its_job_changes_nothing(bind, database, tenant_id):
    job_id = rows.running(database, tenant_id)
    rows.finish(database, job_id, result={})
    _died(bind, job_id)
    assert rows.job(database, tenant_id, job_id).state == "succeeded"


def test_an_error_of_a_living_child_is_not_its_death(bind, database, tenant_id):
    job_id = rows.running(database, tenant_id)
    _died(bind, job_id, error=KeyError("x"))
    bind._child_died(exception=WorkerLostError("exitcode 9"), kwargs=None)
    assert rows.job(database, tenant_id, job_id).state == "running"


def test_celery_tells_of_dead_children(bind):
    from celery import signals

    receivers = signals.task_failure.receivers
    heard = [receiver() for _, receiver in receivers if callable(receiver)]
    assert bind._child_died in heard


def test_without_a_database_dead_children_are_left_to_the_reaper(lost_database, caplog):
    _died(lost_database, "job_1")
    lost_database.give_back_all()
    assert [record.message for record in caplog.records] == [
        "could not give back a job of a dead child",
        "could not give back the jobs at hand",
    ]


def test_a_stopped_worker_gives_back_the_jobs_of_its_own_children(
    bind, database, tenant_id
):
    mine = [_here(database, tenant_id, f"{bind.WORKER}/{child}") for child in (1, 2)]
    others = [
        _here(database, tenant_id, f"{bind.WORKER}0/1"),
        _here(database, tenant_id, f"another-{os.getpid()}/1"),
    ]
    ended = _here(database, tenant_id, f"{bind.WORKER}/3")
    rows.finish(database, ended, result={})
    bind.give_back_all()
    for job_id in mine:
        job = rows.job(database, tenant_id, job_id)
        assert (job.state, job.attempt, job.reason) == ("queued", 2, "worker_lost")
    for job_id in others:
        assert rows.job(database, tenant_id, job_id).state == "running"
    assert rows.job(database, tenant_id, ended).state == "succeeded"


def test_a_stop_of_the_worker_costs_a_job_none_of_its_attempts_and_no_pause(
    bind, database, tenant_id
):
    job_id = _here(database, tenant_id, f"{bind.WORKER}/1")
    rows.change(database, "DELETE FROM outbox")
    rows.change(database, "UPDATE jobs SET max_attempts = 1")
    bind.give_back_all()
    job = rows.job(database, tenant_id, job_id)
    assert (job.state, job.attempt, job.forgiven) == ("queued", 2, 1)
    assert rows.value(database, "SELECT available_at <= now() FROM outbox")
    rows.claim(database, job_id, 2)
    assert rows.give_back(database, job_id, attempt=2) == "failed"


def test_a_worker_says_that_it_lives_and_signs_off(bind, database, monkeypatch):
    presence = bind._Presence()
    queues = [SimpleNamespace(name="system"), SimpleNamespace(name="ingest")]
    presence.start(_worker(queues, slots=3))
    until(lambda: _alive(database))
    (found,) = _alive(database)
    assert (found.name, found.role) == (bind.WORKER, "worker")
    assert found.queues == ["system", "ingest"]
    assert found.detail == {"slots": 3}
    presence.stop()
    assert _alive(database) == []


def test_a_worker_without_a_database_works_on(lost_database, caplog, monkeypatch):
    monkeypatch.setattr(lost_database, "_SEEN_EVERY_S", 0.01)
    presence = lost_database._Presence()
    presence.start(_worker([]))
    told = "could not say that this worker lives"
    until(lambda: [one.message for one in caplog.records].count(told) > 1)
    presence.stop()
    assert caplog.records[-1].levelno == logging.ERROR


def test_a_worker_that_starts_first_makes_the_queues(bind, rabbitmq, monkeypatch):
    monkeypatch.setattr(bind, "app", rabbitmq.app)
    bind._declare_queues()
    for queue in QUEUES:
        assert rabbitmq.drain(queue) == []


def test_a_worker_that_finds_no_broker_starts_all_the_same(bind, monkeypatch, caplog):
    def away(*_given) -> None:
        raise OperationalError("away")

    monkeypatch.setattr(bind, "declare_queues", away)
    bind._declare_queues()
    assert caplog.messages == ["the broker is away: away"]


def test_the_log_of_parent_and_children_is_ours(bind, monkeypatch):
    levels = []
    monkeypatch.setattr(bind.telemetry, "configure", levels.append)
    bind._configure_logging()
    bind._configure_child()
    assert levels == ["INFO", "INFO"]
