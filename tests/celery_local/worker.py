"""A Celery worker's process: a folder of generated modules, a command, variables."""

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.servers.server import Server

# Where pytest-celery mounts the generated modules in a container.
MOUNT = "/app"
# A worker that is still busy after this long is killed when its test is over.
STOP_TIMEOUT_S = 10


class WorkerServer(Server):
    """A worker that starts, stops and dies like any other private server.

    Args:
        command: What would be a container's command; ``python`` and ``celery`` mean
            the interpreter that runs the tests.
        variables: Added to the environment of the tests.
        content: Generated modules by file name, importable in the worker.
        root: The product's own code, importable as well, after the content.
    """

    name = "worker"
    stop_signal = signal.SIGTERM
    stop_timeout_s = STOP_TIMEOUT_S

    def __init__(
        self,
        command: Sequence[str],
        *,
        variables: Mapping[str, str],
        content: Mapping[str, bytes],
        root: Path,
    ) -> None:
        super().__init__()
        self.command = with_own_interpreter(command)
        self.variables = dict(variables)
        self.content = content
        self.root = root
        # What the worker prints when it is ready; nobody waits for it without one.
        self.prompt: str | None = None
        self._printed_before = 0

    @property
    def environment(self) -> dict[str, str]:
        """The whole environment of the worker."""
        chosen = {**os.environ, **self.variables}
        given = chosen.get("PYTHONPATH", "").replace(MOUNT, "").split(os.pathsep)
        places = [str(self.directory), *filter(None, given), str(self.root)]
        return {**chosen, "PYTHONPATH": os.pathsep.join(places)}

    def answers(self) -> bool:
        """Tell whether this start, and not an earlier one, printed the prompt."""
        return self.prompt is None or self.prompt in self.logs()[self._printed_before :]

    def _create(self, directory: Path) -> None:
        for name, source in self.content.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(source)

    def _command(self) -> list[str]:
        self._printed_before = len(self.logs())
        return self.command

    def _environment(self) -> Mapping[str, str]:
        return self.environment


def with_own_interpreter(command: Sequence[str]) -> list[str]:
    """Replace ``python`` and ``celery`` by the interpreter that runs the tests."""
    programs = {"python": [sys.executable], "celery": [sys.executable, "-m", "celery"]}
    return [*programs.get(command[0], [command[0]]), *command[1:]]
