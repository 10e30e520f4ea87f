"""The part of docker-py's Container that pytest-celery uses, over a local server."""

import secrets
import shlex
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from tests.celery_local.worker import with_own_interpreter


class Machine(Protocol):
    """What a server must be able to do to be taken for a container."""

    name: str
    port: int

    def start(self) -> object: ...
    def stop(self) -> None: ...
    def kill(self, number: int) -> None: ...
    def is_running(self) -> bool: ...
    def logs(self) -> str: ...


class LocalProcess:
    """A server that looks like a container.

    Args:
        machine: The server, already started.
        inner_port: The port a container would have inside, like ``5672/tcp``; the
            server's real port is what it is published as.
        identity: Stands for a container's id and, shortened, its host name.
    """

    def __init__(
        self, machine: Machine, *, inner_port: str = "", identity: str = ""
    ) -> None:
        self.machine = machine
        self.id = identity or new_identity()
        self.name = f"{machine.name}-{self.id[:12]}"
        published = [{"HostIp": "127.0.0.1", "HostPort": str(machine.port)}]
        self.attrs: dict[str, Any] = {
            "Config": {"Hostname": f"127.0.0.1:{machine.port}", "Env": []},
            "HostConfig": {"PortBindings": {}},
            "NetworkSettings": {
                "Networks": {"local": {"IPAddress": "127.0.0.1"}},
                "Ports": {inner_port: published} if inner_port else {},
            },
        }

    @property
    def status(self) -> str:
        """Docker's word for the state of the process."""
        return "running" if self.machine.is_running() else "exited"

    def logs(self) -> bytes:
        """Return all that the process printed."""
        return self.machine.logs().encode()

    def kill(self, signal: str | int | None = None) -> None:
        """Send a signal; SIGKILL takes the whole process tree, as in a container."""
        self.machine.kill(_signal_number(signal))

    def restart(self, timeout: float = 10) -> None:  # noqa: ARG002 - docker's
        """Stop in good order and start again with the same address and content.

        How long it may take to stop is the server's own affair.
        """
        self.machine.stop()
        self.machine.start()

    def reload(self) -> None:
        """Nothing to fetch: the attributes are never older than the process."""

    def exec_run(self, command: str | Sequence[str], **_: object) -> tuple[int, bytes]:
        """Run a command beside the process, in its folder and environment."""
        parts = shlex.split(command) if isinstance(command, str) else list(command)
        place: Path | None = getattr(self.machine, "directory", None)
        environment: Mapping[str, str] | None = getattr(
            self.machine, "environment", None
        )
        done = subprocess.run(
            with_own_interpreter(parts),
            cwd=place,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        return done.returncode, done.stdout


def new_identity() -> str:
    """Return an identity in the form of a container's id."""
    return secrets.token_hex(32)


def _signal_number(name: str | int | None) -> int:
    if name is None:
        return signal.SIGKILL
    return signal.Signals[name] if isinstance(name, str) else name
