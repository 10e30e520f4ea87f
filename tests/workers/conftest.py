"""Workers on one database, and brokers of every kind that Forebay runs on."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from tasks.settings import Settings
from tests.db.emptied import database_url, kept_database_url
from tests.tasks.registered import register
from tests.workers.broker import Broker
from tests.workers.receiver import Receiver, receiving
from tests.workers.world import World
from workers.runner import Runtime

__all__ = ["database_url", "kept_database_url", "register"]

_numbers = itertools.count(1)


@pytest.fixture
def runtime(database, settings) -> Runtime:
    """A worker that looks at its jobs often and is not patient."""
    quick = replace(settings, heartbeat_s=0.05, grace_s=0.1, retry_delay_s=0.01)
    return Runtime(database, quick, "here/1")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver of webhooks on this machine."""
    with receiving() as found:
        yield found


@pytest.fixture
def world(database, settings, tenant_id) -> Iterator[World]:
    """A sender that may send to this machine."""
    listed = replace(settings, webhook_hosts="127.0.0.1,hook.test")
    found = World(database, listed, tenant_id)
    yield found
    found.deliverer.stop()


@pytest.fixture(scope="session")
def amqp_url(rabbitmq_server) -> Callable[[str], str]:
    """Return the URL of a virtual host for a type of queues."""
    made: dict[str, str] = {}

    def find(queue_type: str) -> str:
        if queue_type not in made:
            name = f"workers_{queue_type}_{next(_numbers)}"
            made[queue_type] = rabbitmq_server.add_vhost(name)
        return made[queue_type]

    return find


@pytest.fixture(params=["classic", "quorum", "folder"])
def broker(request, settings) -> Iterator[Broker]:
    """An empty broker: RabbitMQ with either type of queues, and the folder."""
    yield from _empty_broker(request, settings, request.param)


@pytest.fixture
def rabbitmq(request, settings) -> Iterator[Broker]:
    """An empty RabbitMQ with the queues of production."""
    yield from _empty_broker(request, settings, "quorum")


def _empty_broker(request, settings: Settings, kind: str) -> Iterator[Broker]:
    if kind != "folder":
        url = request.getfixturevalue("amqp_url")(kind)
        settings = replace(settings, broker_url=url, queue_type=kind)
    found = Broker(settings)
    found.delete_queues()
    yield found
    found.close()
