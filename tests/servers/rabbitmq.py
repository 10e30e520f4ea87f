"""A private RabbitMQ node that shares nothing with a broker of the machine.

Own node name, database, cookie, home, ports and own Erlang port mapper (epmd): with the
machine's epmd on its usual port, two nodes would meet and a stray one would outlive
the tests.
"""

import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import amqp

from tests.servers.ports import free_port
from tests.servers.process import ServerProcess
from tests.servers.server import Server

# Debian's /usr/sbin scripts change the user and the folder; these do not.
SCRIPTS = "lib/rabbitmq/lib/rabbitmq_server-*/sbin"
USER, PASSWORD = "guest", "guest"
# One day in milliseconds: RabbitMQ's own half hour closes the channel of a worker
# that is busy with a long task.
_NOT_YET = "requires the 'rabbit' app to be running"
_COMMANDS_WITHIN_S = 20.0
CONSUMER_TIMEOUT_MS = 86_400_000


class RabbitMQClient:
    """What a test asks of any RabbitMQ it owns, whoever started it."""

    port: int

    def url(self, vhost: str = "/") -> str:
        """Return the AMQP address of a virtual host."""
        place = quote(vhost, safe="")
        return f"amqp://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{place}"

    def add_vhost(self, vhost: str) -> str:
        """Create a virtual host that the test user may use; return its address."""
        self.ctl("add_vhost", vhost)
        self.ctl("set_permissions", "-p", vhost, USER, ".*", ".*", ".*")
        return self.url(vhost)

    def delete_vhost(self, vhost: str) -> None:
        """Delete a virtual host with its queues; its clients are disconnected."""
        self.ctl("delete_vhost", vhost)

    def queue_depth(self, queue: str, *, vhost: str = "/") -> int:
        """Return the number of messages that wait in a queue.

        Raises:
            amqp.NotFound: There is no such queue.
        """
        with self._connect(vhost) as connection:
            declared = connection.channel().queue_declare(queue, passive=True)
            # The stub allows None, which only nowait=True returns.
            _, messages, _ = declared or ("", 0, 0)
            return int(messages)

    def answers(self) -> bool:
        """Tell whether an AMQP connection opens the default virtual host."""
        try:
            self._connect("/").close()
        except (OSError, amqp.AMQPError):
            return False
        return True

    def ctl(self, *arguments: str) -> str:
        """Run rabbitmqctl, which takes a second or two, and return what it prints."""
        raise NotImplementedError

    def _connect(self, vhost: str) -> amqp.Connection:
        connection = amqp.Connection(
            host=f"127.0.0.1:{self.port}",
            userid=USER,
            password=PASSWORD,
            virtual_host=vhost,
            connect_timeout=5,
            read_timeout=10,
        )
        connection.connect()
        return connection


class RabbitMQServer(RabbitMQClient, Server):
    """RabbitMQ from the Debian packages.

    Args:
        settings: More lines of rabbitmq.conf by name.
    """

    name = "rabbitmq"
    ready_timeout_s = 120

    def __init__(self, *, settings: dict[str, str] | None = None) -> None:
        super().__init__()
        self.settings = settings or {}
        self.epmd_port = free_port()
        self.dist_port = free_port()
        self._epmd: ServerProcess | None = None

    def start(self) -> "RabbitMQServer":
        """Start the node, and with it a port mapper of its own."""
        super().start()
        return self

    def close(self) -> None:
        """Stop the node and its port mapper and delete everything."""
        # The port mapper goes last: a node that cannot reach it does not stop well.
        self.stop()
        if self._epmd and os.getpid() == self._creator:
            self._epmd.stop(signal.SIGTERM, timeout_s=5)
        super().close()

    def ctl(self, *arguments: str) -> str:
        """Run rabbitmqctl against this node and return what it prints.

        Raises:
            RuntimeError: rabbitmqctl refuses; the message is its answer.
        """
        # A node opens its port a moment before it takes commands.
        ends_at = time.monotonic() + _COMMANDS_WITHIN_S
        while True:
            done = subprocess.run(
                [str(scripts() / "rabbitmqctl"), "--quiet", *arguments],
                env=self._environment(),
                cwd=self.directory,
                capture_output=True,
                text=True,
                check=False,
            )
            if _NOT_YET not in done.stderr or time.monotonic() > ends_at:
                break
        if done.returncode:
            raise RuntimeError(f"rabbitmqctl {arguments}: {done.stdout}{done.stderr}")
        return done.stdout

    def _create(self, directory: Path) -> None:
        settings = {
            "listeners.tcp.1": f"127.0.0.1:{self.port}",
            "consumer_timeout": str(CONSUMER_TIMEOUT_MS),
            **self.settings,
        }
        lines = [f"{name} = {value}\n" for name, value in settings.items()]
        (directory / "rabbitmq.conf").write_text("".join(lines))
        (directory / "enabled_plugins").write_text("[].\n")

    def _command(self) -> list[str]:
        self._start_port_mapper()
        return [str(scripts() / "rabbitmq-server")]

    def _start_port_mapper(self) -> None:
        if self._epmd and self._epmd.is_running():
            return
        self._epmd = ServerProcess(self.directory / "epmd.log")
        self._epmd.start(
            ["epmd", "-address", "127.0.0.1", "-port", str(self.epmd_port)],
            env=self._environment(),
            cwd=self.directory,
        )

    def _environment(self) -> Mapping[str, str]:
        here = self.directory
        erlang = f"+S 1:1 -start_epmd false -setcookie forebay{self.port}"
        return {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(here),
            "ERL_EPMD_PORT": str(self.epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"forebay{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(self.dist_port),
            "RABBITMQ_MNESIA_BASE": str(here / "mnesia"),
            "RABBITMQ_LOG_BASE": str(here),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_PID_FILE": str(here / "rabbitmq.pid"),
            "RABBITMQ_CONFIG_FILE": str(here / "rabbitmq"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(here / "enabled_plugins"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": erlang,
            "RABBITMQ_CTL_ERL_ARGS": erlang,
            # The start script then becomes the Erlang machine instead of guarding it,
            # and a signal reaches the broker itself.
            "RUNNING_UNDER_SYSTEMD": "true",
        }


def scripts() -> Path:
    """Return the folder of RabbitMQ's own scripts, of the newest version.

    Raises:
        FileNotFoundError: RabbitMQ is not installed.
    """
    found = list(Path("/usr").glob(SCRIPTS))
    if not found:
        raise FileNotFoundError("rabbitmq-server: RabbitMQ is not installed")
    return max(found, key=_version)


def _version(folder: Path) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", folder.parent.name)]
