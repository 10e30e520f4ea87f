"""What all private servers have in common."""

import atexit
import os
import signal
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.servers.directory import ServerDirectory
from tests.servers.ports import free_port
from tests.servers.process import ServerProcess


class Server(ABC):
    """A server that a test may start, stop, restart and kill at will.

    The port and the content survive ``stop`` and ``kill``, so a client that knows the
    address meets the same server again after ``start``. ``close`` ends it for good.
    """

    name: str
    stop_signal: int = signal.SIGTERM
    death_signal: str = "KILL"
    ready_timeout_s: float = 60
    stop_timeout_s: float = 30
    user: str | None = None

    def __init__(self) -> None:
        self.port = free_port()
        self._directory: ServerDirectory | None = None
        self._process: ServerProcess | None = None
        self._creator = os.getpid()

    def start(self) -> Self:
        """Start the server and wait until it answers; nothing happens if it runs."""
        if self.is_running():
            return self
        if self._directory is None:
            self._directory = ServerDirectory(self.name, owner=self.user)
            atexit.register(self.close)
            self._create(self.directory)
        self._process = ServerProcess(
            self.log, user=self.user, death_signal=self.death_signal
        )
        self._process.start(
            self._command(), env=self._environment(), cwd=self.directory
        )
        self._process.wait_until(
            self.answers, timeout_s=self.ready_timeout_s, what=self.name
        )
        return self

    def stop(self) -> None:
        """Shut the server down in good order."""
        if self._process:
            self._process.stop(self.stop_signal, timeout_s=self.stop_timeout_s)

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal; SIGKILL takes all child processes along at the same time."""
        if self._process is None:
            return
        if number == signal.SIGKILL:
            self._process.kill()
        else:
            self._process.send(number)

    def restart(self) -> None:
        """Stop in good order and start again on the same port with the same content."""
        self.stop()
        self.start()

    def close(self) -> None:
        """Stop and delete everything; harmless when repeated."""
        # A forked child inherits the exit handlers, but the server is not its own.
        if os.getpid() != self._creator:
            return
        self.stop()
        if self._directory:
            self._directory.remove()
            self._directory = None
        atexit.unregister(self.close)

    def is_running(self) -> bool:
        """Tell whether the server's process is alive."""
        return self._process is not None and self._process.is_running()

    @property
    def pid(self) -> int | None:
        """The process id, or None while the server is down."""
        return self._process.pid if self._process and self.is_running() else None

    @property
    def directory(self) -> Path:
        """Where the server keeps everything.

        Raises:
            RuntimeError: The server was never started, or is closed.
        """
        if self._directory is None:
            raise RuntimeError(f"{self.name} has no directory: start it first")
        return self._directory.path

    @property
    def log(self) -> Path:
        """The file with all that the server printed."""
        return self.directory / f"{self.name}.log"

    def logs(self) -> str:
        """Return all that the server printed since its first start."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @abstractmethod
    def answers(self) -> bool:
        """Tell whether a real client is served."""

    @abstractmethod
    def _command(self) -> list[str]:
        """Return the command that runs the server in the foreground."""

    def _create(self, directory: Path) -> None:  # noqa: B027 - most need nothing
        """Write what the server needs before its first start."""

    def _environment(self) -> Mapping[str, str]:
        """Return the whole environment of the server."""
        return os.environ
