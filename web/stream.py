"""Waiting for jobs: one LISTEN thread wakes every held request of the process.

A notification is only a hint to look at the tables; a lost one costs a delay of
``_LOOK_AGAIN_S``, never an event. Held requests are capped, since each holds a thread.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import orjson

from db import events
from db.events import Event
from db.jobs import FINAL_STATES, JOBS_CHANNEL, Job
from db.session import Database

_log = logging.getLogger(__name__)

_TENANT = "tenant "
_LOOK_AGAIN_S = 5.0
COMMENT_EVERY_S = 15.0
LONGEST_STREAM_S = 300.0
RECONNECT_AFTER_MS = 1_000


class TooManyStreams(Exception):
    """The process or the tenant holds as many requests as it may."""


class Hub:
    """Wakes requests that wait for a job."""

    def __init__(self, database: Database, *, limit: int, tenant_limit: int) -> None:
        self._database = database
        self._limit = limit
        self._tenant_limit = tenant_limit
        self._lock = threading.Lock()
        self._waiting: dict[str, dict[threading.Event, bool]] = {}
        self._held: Counter[int] = Counter()
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()

    @property
    def held(self) -> int:
        """How many requests are being held right now."""
        return self._held.total()

    @contextmanager
    def watch(
        self, *, tenant_id: int, job_id: str | None = None, until_end: bool = False
    ) -> Iterator[threading.Event]:
        """Hold a request; the event is set whenever something happened to the job.

        Without a job, whatever happens to any job of the tenant counts. With
        ``until_end`` only an end does, which saves looks at the tables.

        Raises:
            TooManyStreams: the process or the tenant holds too many requests.
        """
        signal = threading.Event()
        wanted = job_id or f"{_TENANT}{tenant_id}"
        with self._lock:
            if (
                self._held.total() >= self._limit
                or self._held[tenant_id] >= self._tenant_limit
            ):
                raise TooManyStreams
            self._held[tenant_id] += 1
            self._waiting.setdefault(wanted, {})[signal] = until_end
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._listen, name="listen", daemon=True
                )
                self._thread.start()
        try:
            yield signal
        finally:
            with self._lock:
                self._held[tenant_id] -= 1
                del self._waiting[wanted][signal]
                if not self._waiting[wanted]:
                    del self._waiting[wanted]

    def close(self) -> None:
        """Stop listening, as soon as the next notification or quiet while is over."""
        self._closed.set()

    def _listen(self) -> None:
        while not self._closed.is_set():
            try:
                for payload in events.listen(
                    self._database, channels=(JOBS_CHANNEL,), patience_s=_LOOK_AGAIN_S
                ):
                    # None: listening began or it was quiet; something may be missed.
                    self._wake(payload)
                    if self._closed.is_set():
                        return
            except Exception as error:  # noqa: BLE001 - the database will come back
                if self._closed.is_set():
                    return
                _log.warning("listening interrupted: %s", error)
                self._closed.wait(1)

    def _wake(self, payload: str | None) -> None:
        with self._lock:
            if payload is None:
                signals = [one for group in self._waiting.values() for one in group]
            else:
                tenant, job_id, _event, kind = payload.split(":")
                signals = [
                    signal
                    for wanted in (job_id, f"{_TENANT}{tenant}")
                    for signal, until_end in self._waiting.get(wanted, {}).items()
                    if kind in FINAL_STATES or not until_end
                ]
        for signal in signals:
            signal.set()


def stream_job(
    hub: Hub, database: Database, *, job: Job, after: int
) -> Iterator[bytes]:
    """Yield a job's events as server-sent events, from the one after ``after`` on.

    Ends with the job's last event, or after five minutes, when the client comes back
    with Last-Event-ID. Yields nothing where the job has ended and all was told.

    Raises:
        TooManyStreams: before anything is yielded.
    """
    ends_at = time.monotonic() + LONGEST_STREAM_S
    with hub.watch(tenant_id=job.tenant_id, job_id=job.id) as signal:
        new = _after(database, job, after)
        if not new and job.state in FINAL_STATES:
            return
        yield f"retry: {RECONNECT_AFTER_MS}\n\n".encode()
        said_at = time.monotonic()
        while time.monotonic() < ends_at:
            for event in new:
                yield encode(event, event_id=str(event.id))
                said_at = time.monotonic()
                after = event.id
                if event.kind in FINAL_STATES:
                    return
            if time.monotonic() - said_at >= COMMENT_EVERY_S:
                yield b": still here\n\n"
                said_at = time.monotonic()
            comment_in_s = said_at + COMMENT_EVERY_S - time.monotonic()
            signal.wait(min(_LOOK_AGAIN_S, comment_in_s))
            signal.clear()
            new = _after(database, job, after)


def _after(database: Database, job: Job, event_id: int) -> list[Event]:
    with database.tenant(job.tenant_id) as connection:
        return events.after(
            connection, tenant_id=job.tenant_id, job_id=job.id, event_id=event_id
        )


def encode(event: Event, *, event_id: str) -> bytes:
    """Return an event as a server-sent event."""
    body = {"job_id": event.job_id, "at": event.at, "kind": event.kind, **event.body}
    text = orjson.dumps(body, option=orjson.OPT_UTC_Z)
    return b"id: %s\nevent: %s\ndata: %s\n\n" % (
        event_id.encode(),
        event.kind.encode(),
        text,
    )
