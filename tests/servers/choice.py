"""Where the servers come from: Debian packages or containers.

``FOREBAY_TEST_SERVERS`` is ``debian``, ``docker`` or ``auto`` (the default): Debian's
programs when they are all there, else containers when a Docker engine answers, else
the packages are installed.
"""

import functools
import os
from collections.abc import Callable, Mapping
from typing import Literal

from tests.servers import docker, packages
from tests.servers.postgres import PostgresServer
from tests.servers.rabbitmq import RabbitMQServer
from tests.servers.redis import RedisServer

VARIABLE = "FOREBAY_TEST_SERVERS"
CHOICES = ("auto", "debian", "docker")
# Containers bring the servers; the browser and Prometheus are the machine's own always.
OWN = {"chromium", "chromium-driver", "prometheus"}

Place = Literal["debian", "docker"]


def choose(
    environ: Mapping[str, str],
    *,
    missing: list[str],
    engine_answers: Callable[[], bool],
) -> Place:
    """Return where the servers come from.

    Raises:
        ValueError: The variable has another value than the three choices.
    """
    wanted = environ.get(VARIABLE, "auto")
    if wanted not in CHOICES:
        raise ValueError(f"{VARIABLE}={wanted!r}: choose from {', '.join(CHOICES)}")
    if wanted == "docker":
        return "docker"
    servers_missing = set(missing) - OWN
    if wanted == "auto" and servers_missing and engine_answers():
        return "docker"
    return "debian"


def prepare() -> str:
    """Install what the choice needs; return one sentence on what was found or done."""
    missing = packages.missing()
    where = choose(os.environ, missing=missing, engine_answers=docker.engine_answers)
    if where == "docker":
        missing = [package for package in missing if package in OWN]
    if missing:
        packages.install(missing)
        return f"Test servers: {where}; installed {', '.join(missing)}."
    return f"Test servers: {where}; nothing to install."


@functools.cache
def place() -> Place:
    """Return the choice for this run."""
    return choose(
        os.environ, missing=packages.missing(), engine_answers=docker.engine_answers
    )


def postgres(
    *, fsync: bool = False, settings: dict[str, str] | None = None
) -> PostgresServer | docker.DockerPostgres:
    """Return a private PostgreSQL that is not started yet."""
    if place() == "docker":
        return docker.DockerPostgres(fsync=fsync, settings=settings)
    return PostgresServer(fsync=fsync, settings=settings)


def rabbitmq() -> RabbitMQServer | docker.DockerRabbitMQ:
    """Return a private RabbitMQ node that is not started yet."""
    return docker.DockerRabbitMQ() if place() == "docker" else RabbitMQServer()


def redis() -> RedisServer | docker.DockerRedis:
    """Return a private Redis that is not started yet."""
    return docker.DockerRedis() if place() == "docker" else RedisServer()
