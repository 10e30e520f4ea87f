"""The same servers out of containers, for machines with a Docker engine.

A run that is killed leaves its containers behind; they carry the label
``forebay-test`` for ``docker rm -f $(docker ps -aq --filter label=forebay-test)``.
"""

import atexit
import shutil
import signal
import subprocess
import time
from typing import Self

from tests.servers.ports import free_port
from tests.servers.postgres import PostgresClient, settings_for_tests
from tests.servers.process import POLL_S, NotReadyError
from tests.servers.rabbitmq import CONSUMER_TIMEOUT_MS, RabbitMQClient
from tests.servers.redis import RedisClient


def engine_answers() -> bool:
    """Tell whether a Docker engine serves us; a client alone is not enough."""
    if shutil.which("docker") is None:
        return False
    asked = subprocess.run(["docker", "info"], check=False, capture_output=True)
    return asked.returncode == 0


class DockerServer:
    """A container with one published loopback port and the methods of ``Server``."""

    image: str
    inner_port: int
    options: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    ready_timeout_s = 180

    def __init__(self) -> None:
        self.port = free_port()
        self._id = ""

    def start(self) -> Self:
        """Start the container and wait until the server in it answers.

        Raises:
            NotReadyError: It does not answer in time.
        """
        if not self._id:
            address = f"127.0.0.1:{self.port}:{self.inner_port}"
            created = ("create", "--label", "forebay-test", "--publish", address)
            self._id = _docker(*created, *self.options, self.image, *self.command)
            atexit.register(self.close)
        _docker("start", self._id)
        deadline = time.monotonic() + self.ready_timeout_s
        while not self.answers():
            if time.monotonic() > deadline:
                raise NotReadyError(f"{self.image} is silent:\n{self.logs()[-3000:]}")
            time.sleep(POLL_S)
        return self

    def stop(self) -> None:
        """Shut the server down in good order; its content stays."""
        _docker("stop", self._id)

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal to the container."""
        _docker("kill", "--signal", str(int(number)), self._id)

    def restart(self) -> None:
        """Stop in good order and start again on the same port with the same content."""
        self.stop()
        self.start()

    def close(self) -> None:
        """Remove the container and its content; harmless when repeated."""
        if self._id:
            _docker("rm", "--force", "--volumes", self._id)
            self._id = ""
        atexit.unregister(self.close)

    def is_running(self) -> bool:
        """Tell whether the container runs."""
        state = ("inspect", "--format", "{{.State.Running}}", self._id)
        return bool(self._id) and _docker(*state) == "true"

    def logs(self) -> str:
        """Return all that the container printed."""
        return _docker("logs", self._id)

    def answers(self) -> bool:
        """Tell whether a real client is served; every server says how."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()


class DockerPostgres(PostgresClient, DockerServer):
    """PostgreSQL with TimescaleDB."""

    image = "timescale/timescaledb:latest-pg17"
    inner_port = 5432
    options = ("--env", "POSTGRES_HOST_AUTH_METHOD=trust", "--stop-signal", "INT")

    def __init__(
        self, *, fsync: bool = False, settings: dict[str, str] | None = None
    ) -> None:
        super().__init__()
        chosen = {**settings_for_tests(fsync=fsync), **(settings or {})}
        flags = [part for item in chosen.items() for part in ("-c", "=".join(item))]
        self.command = ("postgres", *flags)


class DockerRabbitMQ(RabbitMQClient, DockerServer):
    """RabbitMQ without plugins."""

    image = "rabbitmq:4"
    inner_port = 5672
    _arguments = f"-rabbit consumer_timeout {CONSUMER_TIMEOUT_MS}"
    options = ("--env", f"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS={_arguments}")

    def ctl(self, *arguments: str) -> str:
        """Run rabbitmqctl in the container and return what it prints."""
        return _docker("exec", self._id, "rabbitmqctl", "--quiet", *arguments)


class DockerRedis(RedisClient, DockerServer):
    """Redis that keeps nothing."""

    image = "redis:7"
    inner_port = 6379
    command = ("redis-server", "--save", "", "--appendonly", "no")


def _docker(*arguments: str) -> str:
    done = subprocess.run(
        ["docker", *arguments],
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return done.stdout.strip()
