"""Doing each fault of a plan to a running platform, and undoing what was held."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import psycopg

from tests.chaos import messages
from tests.chaos.plan import Fault
from tests.stack import Stack

_HIGH_WATERMARK = "0.4"
_TARGET_WITHIN_S = 20.0
_BUSY = """
SELECT split_part(worker, '/', 2) FROM jobs
WHERE state = 'running' AND worker IS NOT NULL
"""
_PIECE = b"\0" * 65_536

Undo = Callable[[], None]


class NoTarget(Exception):
    """There is nothing this fault could strike right now."""


class NotPossible(Exception):
    """This machine does not allow this kind of fault."""


@dataclass
class Site:
    """The running platform, its servers, and the small file system, if any."""

    stack: Stack
    postgres: Any
    rabbitmq: Any
    vhost: str
    uploads: Path
    small: bool
    counted: Counter[str] = field(default_factory=Counter)


def worker_names(site: Site) -> list[str]:
    """Return the names of the living workers."""
    return [name for name in site.stack.supervisor.pids() if name.startswith("worker")]


def pool_children(site: Site, name: str) -> list[psutil.Process]:
    """Return the processes of a worker that run jobs."""
    try:
        found = site.stack.children(name)
        return [one for one in found if "spawn_main" in " ".join(one.cmdline())]
    except (psutil.Error, KeyError):
        return []


def _any_child(site: Site, rng: random.Random) -> psutil.Process:
    """Return a process that runs jobs, one that is busy if there is one."""
    children = [one for name in worker_names(site) for one in pool_children(site, name)]
    busy = _busy_pids(site)
    chosen = [one for one in children if one.pid in busy] or children
    if not chosen:
        raise NoTarget
    return rng.choice(chosen)


def _busy_pids(site: Site) -> set[int]:
    """Return the processes that run a job right now; none if nobody can tell."""
    try:
        with psycopg.connect(site.stack.environ["FOREBAY_DATABASE_URL"]) as connection:
            return {int(row[0]) for row in connection.execute(_BUSY)}
    except psycopg.Error:
        return set()


def _pid(site: Site, name: str) -> int:
    pid = site.stack.supervisor.pids().get(name)
    if pid is None:
        raise NoTarget
    return pid


def _any_worker(site: Site, rng: random.Random) -> str:
    names = worker_names(site)
    if not names:
        raise NoTarget
    return rng.choice(names)


def _kill_child(site: Site, fault: Fault) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        _any_child(site, random.Random(fault.seed)).kill()


def _kill_worker(site: Site, fault: Fault) -> None:
    name = _any_worker(site, random.Random(fault.seed))
    os.kill(_pid(site, name), signal.SIGKILL)


def _kill_named(name: str) -> Callable[[Site, Fault], None]:
    def strike(site: Site, fault: Fault) -> None:
        os.kill(_pid(site, name), signal.SIGKILL)

    return strike


def _kill_web(site: Site, fault: Fault) -> None:
    """Kill gunicorn's parent, or the process of it that answers."""
    parent = psutil.Process(_pid(site, "web"))
    children = parent.children()
    chosen = random.Random(fault.seed).choice([parent, *children])
    with contextlib.suppress(psutil.NoSuchProcess):
        chosen.kill()


def _pause_child(site: Site, fault: Fault) -> Undo:
    child = _any_child(site, random.Random(fault.seed))
    child.suspend()

    def undo() -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.resume()

    return undo


def _pause_group(site: Site, name: str) -> Undo:
    group = _pid(site, name)
    os.killpg(group, signal.SIGSTOP)

    def undo() -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGCONT)

    return undo


def _pause_worker(site: Site, fault: Fault) -> Undo:
    return _pause_group(site, _any_worker(site, random.Random(fault.seed)))


def _pause_named(name: str) -> Callable[[Site, Fault], Undo]:
    return lambda site, _fault: _pause_group(site, name)


def _restart_broker(site: Site, fault: Fault) -> None:
    site.rabbitmq.restart()


def _kill_broker(site: Site, fault: Fault) -> None:
    site.rabbitmq.kill()
    site.rabbitmq.start()


def _memory_alarm(site: Site, fault: Fault) -> Undo:
    site.rabbitmq.ctl("set_vm_memory_high_watermark", "0.00001")
    return lambda: _end_alarm(site)


def _end_alarm(site: Site) -> None:
    site.rabbitmq.ctl("set_vm_memory_high_watermark", _HIGH_WATERMARK)


def _restart_database(site: Site, fault: Fault) -> None:
    site.postgres.restart()


def _kill_database(site: Site, fault: Fault) -> None:
    site.postgres.kill()
    site.postgres.start()


def _full_artifacts(site: Site, fault: Fault) -> Undo:
    if not site.small:
        raise NotPossible("no file system of its own could be mounted")
    filler = site.uploads / f"filler-{fault.seed}"
    try:
        with filler.open("wb", buffering=0) as file:
            while True:
                file.write(_PIECE)
    except OSError:
        return lambda: filler.unlink(missing_ok=True)


def _clock_step(site: Site, fault: Fault) -> Undo:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.chaos.clock", str(fault.seed)],
        env=site.stack.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )

    def undo() -> None:
        said, _ = process.communicate()
        site.counted["jobs fired by a jumping clock"] += said.count("job_")

    return undo


def _while_piled_up(
    strike: Callable[[Site, random.Random], int], what: str
) -> Callable[[Site, Fault], None]:
    """Hold the workers still for a moment, so that messages wait in the broker."""

    def struck(site: Site, fault: Fault) -> None:
        undo = []
        for name in worker_names(site):
            with contextlib.suppress(NoTarget, ProcessLookupError):
                undo.append(_pause_group(site, name))
        try:
            time.sleep(1.0)
            site.counted[what] += strike(site, random.Random(fault.seed))
        finally:
            for one in undo:
                one()

    return struck


def _duplicate(site: Site, fault: Fault) -> None:
    rng = random.Random(fault.seed)
    site.counted["messages doubled"] += messages.duplicate(site, rng)


STRIKES: dict[str, Callable[[Site, Fault], Undo | None]] = {
    "kill child": _kill_child,
    "kill worker": _kill_worker,
    "kill dispatcher": _kill_named("dispatcher"),
    "kill web": _kill_web,
    "kill beat": _kill_named("beat"),
    "pause child": _pause_child,
    "pause worker": _pause_worker,
    "pause dispatcher": _pause_named("dispatcher"),
    "pause web": _pause_named("web"),
    "pause beat": _pause_named("beat"),
    "restart broker": _restart_broker,
    "kill broker": _kill_broker,
    "broker memory alarm": _memory_alarm,
    "restart database": _restart_database,
    "kill database": _kill_database,
    "duplicate messages": _duplicate,
    "reorder messages": _while_piled_up(messages.reorder, "messages reordered"),
    "lose messages": _while_piled_up(messages.lose, "messages lost"),
    "full artifacts": _full_artifacts,
    "clock step": _clock_step,
}
_NEEDS_BROKER = {"duplicate messages", "reorder messages", "lose messages"}


@dataclass(frozen=True)
class Struck:
    """A fault that was done, and when, in seconds of the machine's clock."""

    fault: Fault
    at: float


class Faults:
    """Strikes faults in order; some are held for a while beside later ones."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.struck: list[Struck] = []
        self.passed = 0
        self.not_possible: dict[str, str] = {}
        self._held: list[tuple[float, str, Undo]] = []

    def strike(self, fault: Fault) -> None:
        """Do a fault, as soon as it finds something to strike."""
        try:
            self._strike(fault)
        finally:
            self.passed += 1

    def _strike(self, fault: Fault) -> None:
        if fault.kind in _NEEDS_BROKER:
            # A broker in alarm reads nothing, so the fault would only wait for it.
            self.undo(kind="broker memory alarm")
        ends_at = time.monotonic() + _TARGET_WITHIN_S
        while True:
            self.tend()
            try:
                at = time.time()
                undo = STRIKES[fault.kind](self.site, fault)
            except (NoTarget, ProcessLookupError, psutil.NoSuchProcess):
                if time.monotonic() > ends_at:
                    raise
                time.sleep(0.1)
            except NotPossible as error:
                self.not_possible[fault.kind] = str(error)
                return
            else:
                break
        self.struck.append(Struck(fault, at))
        if undo is not None:
            self._held.append((time.monotonic() + fault.hold_s, fault.kind, undo))

    def tend(self) -> None:
        """Restart what died, and undo what was held long enough."""
        self.site.stack.supervisor.tend()
        now = time.monotonic()
        due = [one for one in self._held if one[0] <= now]
        self._held = [one for one in self._held if one[0] > now]
        for _, _, undo in due:
            undo()

    def undo(self, *, kind: str | None = None) -> None:
        """Undo all that is held, or all of a kind."""
        chosen = [one for one in self._held if kind in (None, one[1])]
        self._held = [one for one in self._held if one not in chosen]
        for _, _, undo in chosen:
            undo()
