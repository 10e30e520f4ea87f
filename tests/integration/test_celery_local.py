"""pytest-celery's own set-up on local processes, and what its tests rely on."""

import signal
import textwrap

import pytest
from celery import Celery
from pytest_celery import CeleryTestWorker, CeleryWorkerCluster, ping, sleep
from pytest_docker_tools.utils import wait_for_callable

pytest_plugins = ["tests.celery_local.fixtures"]
pytestmark = [pytest.mark.servers, pytest.mark.slow]


def test_a_set_up_answers_task_control_and_container_questions(celery_setup):
    assert celery_setup.ready(ping=True, control=True, docker=True)
    assert len(celery_setup) == 3
    worker = celery_setup.worker
    [answer] = celery_setup.app.control.ping(timeout=5, limit=1)
    assert answer == {worker.hostname(): {"ok": "pong"}}
    worker.assert_log_exists(f"{worker.hostname()} ready.")
    assert worker.container.exec_run("python -c 'import app; print(app.app.main)'") == (
        0,
        b"celery_test_app\n",
    )


def test_a_worker_told_to_end_finishes_its_task_first(celery_setup):
    worker = celery_setup.worker
    result = sleep.s(2).apply_async(queue=worker.worker_queue)
    worker.wait_for_log(f"[{result.id}] received", timeout=20)
    worker.kill(signal="SIGTERM")
    assert result.get(timeout=20) is True
    wait_for_callable("the worker ends", lambda: worker.container.status == "exited")


class TestTwoWorkers:
    @pytest.fixture
    def default_worker_command(self, default_worker_command):
        """One task at a time, so that the second worker has room for a second try."""
        return [*default_worker_command, "-c", "1", "--prefetch-multiplier=1"]

    @pytest.fixture
    def default_worker_app(self, default_worker_app: Celery) -> Celery:
        default_worker_app.conf.task_acks_late = True
        return default_worker_app

    @pytest.fixture
    def celery_worker_cluster(
        self, celery_worker, start_local_worker, default_worker_app
    ):
        second = CeleryTestWorker(start_local_worker(), app=default_worker_app)
        return CeleryWorkerCluster(celery_worker, second)

    def test_a_task_of_a_killed_worker_is_redelivered_to_the_other(self, celery_setup):
        first, second = celery_setup.worker_cluster
        assert first.hostname() != second.hostname()
        result = sleep.s(3).apply_async(queue=first.worker_queue)
        received = f"[{result.id}] received"
        wait_for_callable(
            "a worker has the task",
            lambda: received in first.logs() + second.logs(),
        )
        holder, other = (first, second) if received in first.logs() else (second, first)
        assert received not in other.logs()
        holder.kill()
        assert holder.container.status == "exited"
        assert result.get(timeout=30) is True
        other.assert_log_exists(f"[{result.id}] succeeded")


def test_a_worker_survives_a_killed_and_restarted_broker(celery_setup):
    assert celery_setup.ready(ping=True)
    celery_setup.broker.kill()
    assert celery_setup.broker.container.status == "exited"
    celery_setup.broker.restart()
    result = ping.s().apply_async(queue=celery_setup.worker.worker_queue)
    assert result.get(timeout=60) == "pong"
    assert celery_setup.worker.logs().count(" ready.") == 1


class TestOwnWorkerCommand:
    """Another worker than the plugin's: other command, own module, own node name."""

    @pytest.fixture
    def default_worker_command(self) -> list[str]:
        options = ["--loglevel=INFO", "--pool=solo", "-n", "own@%h"]
        return ["python", "-m", "product", "worker", *options]

    @pytest.fixture
    def default_worker_initial_content(self) -> dict[str, bytes]:
        source = """
            import os, sys
            from celery import Celery
            app = Celery("product", broker=os.environ["CELERY_BROKER_URL"])
            app.conf.result_backend = os.environ["CELERY_RESULT_BACKEND"]
            @app.task(name="product.double")
            def double(value):
                return 2 * value
            app.start(sys.argv[1:])
        """
        return {"product.py": textwrap.dedent(source).encode()}

    def test_it_runs_the_tests_tasks_and_is_killed_like_any_other(self, celery_setup):
        worker = celery_setup.worker
        result = celery_setup.app.send_task("product.double", (21,))
        assert result.get(timeout=20) == 42
        worker.container.kill(signal.SIGKILL)
        assert worker.container.status == "exited"
        worker.restart()
        assert worker.logs().count(" ready.") == 2
        again = celery_setup.app.send_task("product.double", (4,))
        assert again.get(timeout=20) == 8


# What follows is celery.contrib.pytest's worker, a thread of the test run: good for
# wiring, useless for crashes. pytest-celery shadows its fixture ``celery_worker``, so
# only the session's worker can be used.


@pytest.fixture(scope="session")
def celery_config(rabbitmq_server) -> dict[str, str]:
    rabbitmq_server.start()
    return {
        "broker_url": rabbitmq_server.add_vhost("embedded-worker"),
        "result_backend": "rpc://",
    }


@pytest.fixture(scope="session")
def celery_includes() -> list[str]:
    # The worker's own check that it is up sends a task of this module.
    return ["celery.contrib.testing.tasks"]


def test_an_embedded_worker_runs_a_task_through_the_real_broker(
    celery_session_app, celery_session_worker
):
    @celery_session_app.task
    def triple(value: int) -> int:
        return 3 * value

    celery_session_worker.reload()
    assert triple.delay(14).get(timeout=20) == 42
