"""What one step of a bench takes: seconds, the processor's time, and memory."""

import multiprocessing
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Generic, TypeVar

import psutil

T = TypeVar("T")


class Clock:
    """Measures seconds and the time of the processor on both sides, since it began."""

    def __init__(self, backend: int) -> None:
        self._backend = psutil.Process(backend)
        self._began = time.perf_counter(), self._used()

    def read(self) -> tuple[float, float]:
        """Return the seconds that passed, and those of the processor."""
        return time.perf_counter() - self._began[0], self._used() - self._began[1]

    def _used(self) -> float:
        times = self._backend.cpu_times()
        return float(times.user + times.system) + time.process_time()


class Given(Generic[T]):
    """Passes things on, and measures what it takes to make them."""

    def __init__(self, things: Iterable[T]) -> None:
        self._things = iter(things)
        self.seconds = self.cpu_s = 0.0

    def __iter__(self) -> Iterator[T]:
        while True:
            began = time.perf_counter(), time.process_time()
            thing = next(self._things, None)
            self.seconds += time.perf_counter() - began[0]
            self.cpu_s += time.process_time() - began[1]
            if thing is None:
                return
            yield thing


def peak_mb() -> float:
    """Return the most memory this process ever had resident."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def alone(act: Callable[..., Any], *arguments: Any) -> Any:
    """Run a step in a new process."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        return pool.submit(act, *arguments).result()
