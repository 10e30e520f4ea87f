"""pytest-celery's Docker fixtures, overridden by local processes.

A test file asks for them with ``pytest_plugins = ["tests.celery_local.fixtures"]``.
The set-up is one RabbitMQ broker, one Redis for results and one worker. Brokers and
results get a place of their own for each test, so nothing is left for the next one.
To test another worker than the plugin's own, override its fixtures as usual:
``default_worker_command``, ``default_worker_env``, ``default_worker_container_cls``,
``default_worker_initial_content``; ``start_local_worker`` starts more workers.

PYTEST_DONT_REWRITE: the doctest collector imports this file before a test file names it
as a plugin, and pytest warns that it is too late to rewrite assertions; there are none.
"""

import contextlib
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery
from pytest_celery import CeleryBackendCluster, CeleryBrokerCluster

from tests.celery_local.connections import close_connections
from tests.celery_local.containers import local
from tests.celery_local.process import LocalProcess, new_identity
from tests.celery_local.worker import WorkerServer

BACKEND_NUMBER, BROKER_NUMBER = 0, 1


@pytest.fixture
def default_pytest_celery_network() -> SimpleNamespace:
    return SimpleNamespace(name="local")


@pytest.fixture
def default_worker_volume() -> SimpleNamespace:
    return SimpleNamespace(name="local")


@pytest.fixture
def default_rabbitmq_broker(rabbitmq_server, default_rabbitmq_broker_cls):
    """The run's RabbitMQ, in a virtual host that lives as long as the test."""
    vhost = f"test-{new_identity()[:12]}"
    rabbitmq_server.start()
    rabbitmq_server.add_vhost(vhost)
    machine = LocalProcess(rabbitmq_server, inner_port="5672/tcp")
    yield local(default_rabbitmq_broker_cls, machine, vhost=vhost)
    # The test may have killed the broker.
    rabbitmq_server.start()
    rabbitmq_server.delete_vhost(vhost)


@pytest.fixture
def default_redis_backend(redis_server, default_redis_backend_cls):
    """The run's Redis, emptied after the test."""
    yield from _redis(redis_server, default_redis_backend_cls, BACKEND_NUMBER)


@pytest.fixture
def default_redis_broker(redis_server, default_redis_broker_cls):
    """The run's Redis in another numbered database, emptied after the test."""
    yield from _redis(redis_server, default_redis_broker_cls, BROKER_NUMBER)


@pytest.fixture
def celery_broker_cluster(celery_rabbitmq_broker) -> Iterator[CeleryBrokerCluster]:
    """RabbitMQ only: by default the plugin runs every test on every broker."""
    cluster = CeleryBrokerCluster(celery_rabbitmq_broker)
    yield cluster
    cluster.teardown()


@pytest.fixture
def celery_backend_cluster(celery_redis_backend) -> Iterator[CeleryBackendCluster]:
    cluster = CeleryBackendCluster(celery_redis_backend)
    yield cluster
    cluster.teardown()


@pytest.fixture
def celery_setup_app(celery_setup_app: Celery) -> Iterator[Celery]:
    yield celery_setup_app
    close_connections(celery_setup_app)


@pytest.fixture(scope="session")
def celery_session_app(celery_session_app: Celery) -> Iterator[Celery]:
    """celery.contrib.pytest's application, without sockets left open at the end."""
    yield celery_session_app
    close_connections(celery_session_app)


@pytest.fixture
def start_local_worker(
    request: pytest.FixtureRequest,
    default_worker_container_cls,
    default_worker_command,
    default_worker_env,
    default_worker_initial_content,
) -> Iterator[Callable[[], Any]]:
    """Start a worker with a node name of its own; all are stopped after the test."""
    with contextlib.ExitStack() as stack:

        def start() -> Any:
            # Two workers of one node name cannot live side by side, so each gets an
            # identity in the place of a container's host name.
            identity = new_identity()
            worker = WorkerServer(
                [part.replace("%h", identity[:12]) for part in default_worker_command],
                variables=default_worker_env,
                content=default_worker_initial_content,
                root=request.config.rootpath,
            )
            stack.callback(worker.close)
            machine = LocalProcess(worker, identity=identity)
            container = local(default_worker_container_cls, machine)
            worker.prompt = container.ready_prompt
            worker.start()
            return container

        yield start


@pytest.fixture
def default_worker_container(start_local_worker):
    return start_local_worker()


def _redis(server, cls: type, number: int) -> Iterator[Any]:
    machine = LocalProcess(server.start(), inner_port="6379/tcp")
    container = local(cls, machine, vhost=str(number))
    yield container
    server.start()
    server.empty(number)
