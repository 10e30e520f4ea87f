"""Starts the platform's processes, restarts what dies, and ends them all together."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which

_SHORTEST_LIFE_S = 5.0
_LONGEST_PAUSE_S = 10.0
_STOP_WITHIN_S = 4.0


# The kernel ends each child when the supervisor is killed outright.
_DIE_TOGETHER = ["setpriv", "--pdeathsig=TERM", "--"] if which("setpriv") else []


@dataclass
class Child:
    """One process of the platform and how it has fared."""

    name: str
    words: list[str]
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    deaths: int = 0
    start_after: float = field(default=0.0)


class Supervisor:
    """Keeps its children running until ``stop``."""

    def __init__(self, *, environ: Mapping[str, str], logs: Path) -> None:
        """Run children with this environment; each logs to a file of its name."""
        self._environ = {**environ}
        self._logs = logs
        self._children: list[Child] = []

    def start(self, name: str, *words: str) -> None:
        """Start ``python -m`` words."""
        child = Child(name, [*_DIE_TOGETHER, sys.executable, "-m", *words])
        self._children.append(child)
        self._spawn(child)

    def tend(self) -> None:
        """Restart every child that has died; to be called every moment."""
        now = time.monotonic()
        for child in self._children:
            if child.process is None or child.process.poll() is None:
                continue
            if not child.start_after:
                short = now - child.started_at < _SHORTEST_LIFE_S
                child.deaths = child.deaths + 1 if short else 1
                pause = min(_LONGEST_PAUSE_S, 0.2 * 2**child.deaths) if short else 0.2
                child.start_after = now + pause
                self._end_group(child, signal.SIGKILL)
                print(
                    f"  {child.name} died; starting it again (log: {self._log(child)})"
                )
            elif now >= child.start_after:
                self._spawn(child)

    def pids(self) -> dict[str, int]:
        """Return the process ids of the living children by name."""
        return {
            child.name: child.process.pid
            for child in self._children
            if child.process is not None and child.process.poll() is None
        }

    def stop(self) -> None:
        """Ask all to end, the last started first, and make those that do not."""
        for child in reversed(self._children):
            self._end_group(child, signal.SIGTERM)
        ends_at = time.monotonic() + _STOP_WITHIN_S
        for child in self._children:
            try:
                if child.process is not None:
                    child.process.wait(timeout=max(0.0, ends_at - time.monotonic()))
            except subprocess.TimeoutExpired:
                pass  # its jobs are given to another attempt when the lease runs out
            self._end_group(child, signal.SIGKILL)
        for child in self._children:
            if child.process is not None:
                child.process.wait()

    def _spawn(self, child: Child) -> None:
        with self._log(child).open("ab") as log:
            child.process = subprocess.Popen(
                child.words,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        child.started_at = time.monotonic()
        child.start_after = 0.0

    def _log(self, child: Child) -> Path:
        return self._logs / f"{child.name}.log"

    @staticmethod
    def _end_group(child: Child, how: signal.Signals) -> None:
        if child.process is None:
            return
        try:
            os.killpg(child.process.pid, how)
        except ProcessLookupError:
            return
