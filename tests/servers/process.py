"""A child process that behaves like a machine: it can be stopped, killed and read."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

POLL_S = 0.05
# How long the kernel may take to end what was killed.
KILL_TIMEOUT_S = 10


class NotReadyError(RuntimeError):
    """A server ended, or did not answer in time; carries the end of its log."""


class ServerProcess:
    """One process in its own session, with its output in a file.

    It dies with the test run even when the run is killed, because the kernel signals
    it at its parent's death (setpriv does this, without Python code between fork and
    exec). That signal is tied to the thread that starts the process, so a process
    started outside the main thread goes without it.
    """

    def __init__(
        self, log: Path, *, user: str | None = None, death_signal: str = "KILL"
    ) -> None:
        self.log = log
        self.user = user
        self.death_signal = death_signal
        self._child: subprocess.Popen[bytes] | None = None

    def start(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        """Start the command; its output is appended to the log."""
        with self.log.open("ab") as output:
            self._child = subprocess.Popen(
                [*self._launcher(), *command],
                env=env,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def stop(self, stop_signal: int, *, timeout_s: float) -> None:
        """Ask the process to end; kill what is left after the timeout."""
        if self._child is None:
            return
        self.send(stop_signal)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(timeout_s)
        self.kill()

    def send(self, number: int) -> None:
        """Send a signal to the process itself and not to its children."""
        if self._child is not None:
            self._child.send_signal(number)

    def kill(self) -> None:
        """Kill the process and all that descend from it, as a lost machine would.

        The group alone is not enough: every PostgreSQL backend leads its own session.
        """
        if self._child is None:
            return
        descendants = self._descendants()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        for process in descendants:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._child.wait()
        deadline = time.monotonic() + KILL_TIMEOUT_S
        while any(map(lives, descendants)) and time.monotonic() < deadline:
            time.sleep(POLL_S)
        self._child = None

    def is_running(self) -> bool:
        """Tell whether the process was started and has not ended."""
        return self._child is not None and self._child.poll() is None

    @property
    def pid(self) -> int:
        """The process id.

        Raises:
            NotReadyError: The process is not running.
        """
        if self._child is None or self._child.poll() is not None:
            raise NotReadyError(f"the process of {self.log} is not running")
        return self._child.pid

    def wait_until(
        self, answers: Callable[[], bool], *, timeout_s: float, what: str
    ) -> None:
        """Poll until the server answers.

        Raises:
            NotReadyError: The process ended or the time is over.
        """
        deadline = time.monotonic() + timeout_s
        while not answers():
            if not self.is_running() or time.monotonic() > deadline:
                state = "is silent" if self.is_running() else "has ended"
                raise NotReadyError(f"{what} {state}; its log ends:\n{self._tail()}")
            time.sleep(POLL_S)

    def _launcher(self) -> list[str]:
        options = []
        if threading.current_thread() is threading.main_thread():
            options += ["--pdeathsig", self.death_signal]
        if self.user:
            options += [f"--reuid={self.user}", f"--regid={self.user}"]
            options += ["--init-groups"]
        return ["setpriv", *options, "--"] if options else []

    def _descendants(self) -> list[psutil.Process]:
        if self._child is None:
            return []
        try:
            return psutil.Process(self._child.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def _tail(self) -> str:
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return text[-3000:]


def lives(process: psutil.Process) -> bool:
    """Tell whether a process still runs; one that waits to be reaped does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
