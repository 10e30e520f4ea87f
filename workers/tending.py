"""Tends what waits beside the line: keyed jobs, jobs after others, jobs in parts.

A thread of its own in the dispatcher's process, so that one tenant's thousand waits
never hold up the publishing of others. Every look may be repeated or overtaken.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection

from db import dependencies, line, parts
from db.jobs import FINAL_STATES
from db.session import Database

_log = logging.getLogger(__name__)

_SWEEP_EVERY_S = 1.0
_SHARE = 0.1
_FOLLOWED = 200
KEYED = "keyed"
"""What is notified in place of a queue where a job with a concurrency key waits."""
_ENDS = (*FINAL_STATES, "cancel_requested")


class Tending:
    """Looks after each end of a job, and at everything once a second."""

    def __init__(
        self, database: Database, *, grown: Callable[[Collection[str]], None]
    ) -> None:
        """Prepare; ``grown`` is called with the queues whose line grew."""
        self._database = database
        self._grown = grown
        self._lock = threading.Lock()
        self._ended: set[str] = set()
        self._keyed = True
        self._waits = True
        self._sweep_at = 0.0
        self._admit_at = 0.0
        self._wake = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tending", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """End after the look at hand."""
        self._over.set()
        self._wake.set()
        self._thread.join()

    def hear(self, payload: str | None) -> None:
        """Take note of a notification; None means that some may have been lost."""
        if payload is None:
            self._sweep_at = 0.0
        elif payload == KEYED:
            self._keyed = True
        elif ":" not in payload:
            return
        else:
            _tenant, job_id, _event, kind = payload.split(":")
            if kind not in _ENDS or not (self._waits or self._keyed):
                return
            with self._lock:
                self._ended.add(job_id)
        self._wake.set()

    def look(self) -> None:
        """Follow what was heard; once a second look at everything."""
        self._follow()
        # A look over very much must not become all that the database does: the longer
        # it took, the longer the next one can wait.
        if time.monotonic() >= self._sweep_at:
            rest_s = self._timed(self._sweep)
            self._sweep_at = time.monotonic() + max(_SWEEP_EVERY_S, rest_s)
        if self._keyed and time.monotonic() >= self._admit_at:
            rest_s = self._timed(self._admit)
            self._admit_at = time.monotonic() + rest_s

    @staticmethod
    def _timed(look: Callable[[], None]) -> float:
        """Run a look; return the seconds to rest from it."""
        began = time.monotonic()
        look()
        return (time.monotonic() - began) / _SHARE

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                self.look()
            except Exception as error:  # noqa: BLE001 - the next sweep sees it all
                _log.warning("tending interrupted: %s", error)
                self._sweep_at = 0.0
                self._over.wait(1)
            self._rest()

    def _rest(self) -> None:
        """Wait to be woken, or for the next look that is due."""
        due_at = min(self._sweep_at, self._admit_at) if self._keyed else self._sweep_at
        self._wake.wait(max(0.0, due_at - time.monotonic()))
        self._wake.clear()

    def _follow(self) -> None:
        with self._lock:
            ended = [self._ended.pop() for _ in range(min(_FOLLOWED, len(self._ended)))]
            if self._ended:
                self._wake.set()
        if not ended:
            return
        with self._database.system() as connection:
            dependencies.release(connection, after_ids=ended)
            parts.settle(connection, children=ended)

    def _sweep(self) -> None:
        with self._database.system() as connection:
            self._waits = parts.waiting(connection)
            if self._waits:
                dependencies.release(connection)
                parts.settle(connection)
        self._keyed = True

    def _admit(self) -> None:
        # Before the look: what is heard while it runs must be looked at again.
        self._keyed = False
        # Not durable: after a crash the keyed jobs are let in again.
        with self._database.system(durable=False) as connection:
            grown, more = line.admit(connection)
        if more:
            self._keyed = True
        if grown:
            self._grown(grown)
            self._wake.set()
