"""The servers of a bench, private and started for it, with fsync as in production."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from bench import machine
from tests.servers import choice

# The memory PostgreSQL has by default; a history must not wait for its log.
_SETTINGS = {"shared_buffers": "128MB", "max_wal_size": "4GB", "max_connections": "600"}


@dataclass(frozen=True)
class Servers:
    """The running servers, and what a reader needs to judge the numbers."""

    postgres: Any
    rabbitmq: Any
    about: dict[str, str]

    def broker(self, name: str) -> dict[str, str]:
        """Return the settings of a virtual host of its own."""
        return {"FOREBAY_BROKER_URL": self.rabbitmq.add_vhost(name)}


@contextmanager
def running_servers(*, broker: bool = True) -> Iterator[Servers]:
    """Run PostgreSQL, and RabbitMQ where it is needed, until the block ends."""
    with choice.postgres(fsync=True, settings=_SETTINGS) as postgres:
        about = machine.describe(postgres.url())
        if not broker:
            yield Servers(postgres, None, about)
            return
        with choice.rabbitmq() as rabbitmq:
            yield Servers(postgres, rabbitmq, about)
