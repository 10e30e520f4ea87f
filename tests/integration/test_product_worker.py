"""Our own worker command under pytest-celery: a killed worker's message is refused.

The crash tests run the whole platform; here one message meets two workers and no
dispatcher or housekeeping, to see what the claim alone guarantees.
"""

import time
from pathlib import Path

import pytest
from pytest_celery import CeleryTestWorker, CeleryWorkerCluster
from pytest_docker_tools.utils import wait_for_callable

from db import jobs
from db.events import after
from tasks.settings import Settings
from tasks.submission import Submission
from tasks.submit import find, submit
from workers.dispatcher import Dispatcher

pytest_plugins = ["tests.celery_local.fixtures"]
pytestmark = [pytest.mark.servers, pytest.mark.slow]


@pytest.fixture
def product_settings(database_url, default_rabbitmq_broker, tmp_path) -> Settings:
    return Settings(
        database_url=database_url,
        broker_url=default_rabbitmq_broker.celeryconfig["host_url"],
        artifacts=str(tmp_path),
        secret_key="a test's secret",
    )


@pytest.fixture
def default_worker_command() -> list[str]:
    return ["python", "-m", "workers", "worker", "--queues=system"]


@pytest.fixture
def default_worker_env(default_worker_env, product_settings) -> dict[str, str]:
    return {
        **default_worker_env,
        "FOREBAY_DATABASE_URL": product_settings.database_url,
        "FOREBAY_BROKER_URL": product_settings.broker_url,
        "FOREBAY_ARTIFACTS": product_settings.artifacts,
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }


@pytest.fixture
def celery_worker_cluster(celery_worker, start_local_worker, default_worker_app):
    second = CeleryTestWorker(start_local_worker(), app=default_worker_app)
    return CeleryWorkerCluster(celery_worker, second)


def _dispatch(database, settings: Settings) -> None:
    """Let the dispatcher publish what the outbox holds, then end."""
    import threading

    from workers.settings import make_app

    app = make_app(settings)
    dispatcher = Dispatcher(app, database, settings)
    thread = threading.Thread(target=dispatcher.run)
    thread.start()
    wait_for_callable("published", lambda: not _outbox(database))
    dispatcher.stop()
    thread.join()
    app.pool.force_close_all()


def _outbox(database) -> int:
    with database.system() as connection:
        return connection.exec_driver_sql("SELECT count(*) FROM outbox").scalar_one()


def test_a_message_of_a_killed_worker_is_refused_by_the_next_one(
    celery_setup, database, tenant_id, product_settings
):
    first, second = celery_setup.worker_cluster
    with database.tenant(tenant_id) as connection:
        wanted = Submission("system.echo", {"duration_s": 30})
        job, _ = submit(connection, tenant_id=tenant_id, submission=wanted)
    _dispatch(database, product_settings)

    def now() -> jobs.Job:
        with database.tenant(tenant_id) as connection:
            return find(connection, tenant_id=tenant_id, job_id=job.id)

    wait_for_callable("a worker runs the job", lambda: now().state == "running")
    holder = first if f"-{_pid(now())}" in _pids(first) else second
    other = second if holder is first else first
    holder.kill()
    wait_for_callable(
        "the broker gave the message to the other worker",
        lambda: "job not to be had" in other.logs(),
        timeout=30,
    )
    time.sleep(0.5)
    left = now()
    assert (left.state, left.attempt) == ("running", 1)
    assert left.lease_until is not None
    with database.tenant(tenant_id) as connection:
        events = after(connection, tenant_id=tenant_id, job_id=job.id, event_id=0)
    assert [event.kind for event in events if event.kind != "progress"] == [
        "queued",
        "running",
    ]


def _pid(job: jobs.Job) -> int:
    assert job.worker is not None
    return int(job.worker.rpartition("/")[2])


def _pids(worker: CeleryTestWorker) -> str:
    """Return the process ids of a worker's children, each after a dash."""
    import psutil

    parent = psutil.Process(worker.container._container.machine.pid)
    return " ".join(f"-{child.pid}" for child in parent.children(recursive=True))
