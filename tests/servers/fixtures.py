"""Fixtures that start a server when the first test asks for it."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from selenium import webdriver

from tests.servers import choice
from tests.servers.chromium import start_chromium
from tests.servers.docker import DockerPostgres, DockerRabbitMQ, DockerRedis
from tests.servers.postgres import PostgresServer
from tests.servers.rabbitmq import RabbitMQServer
from tests.servers.redis import RedisServer


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer | DockerPostgres]:
    """PostgreSQL of this test run; a test makes databases of its own in it."""
    with choice.postgres() as server:
        yield server


@pytest.fixture(scope="session")
def rabbitmq_server() -> Iterator[RabbitMQServer | DockerRabbitMQ]:
    """RabbitMQ of this test run; a test makes a virtual host of its own in it."""
    with choice.rabbitmq() as server:
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer | DockerRedis]:
    """Redis of this test run."""
    with choice.redis() as server:
        yield server


@pytest.fixture
def chromium(tmp_path: Path) -> Iterator[Callable[..., webdriver.Chrome]]:
    """Start browsers: ``chromium(width=1280, height=900)``; all are quit afterwards."""
    with contextlib.ExitStack() as stack:
        count = 0

        def start(*, width: int = 1280, height: int = 900) -> webdriver.Chrome:
            nonlocal count
            count += 1
            profile = tmp_path / f"chromium-{count}"
            driver = start_chromium(profile, width=width, height=height)
            stack.callback(driver.quit)
            return driver

        yield start
