"""The only publisher: takes outbox rows to the broker, with confirms.

Woken by the database's notifications, it keeps a window of unclaimed messages in each
queue; who goes next is decided in ``db/line.py`` at the last moment. What it may
publish twice after a crash, the claim refuses. What waits beside the line is tended by
a thread beside it (``workers/tending.py``).
"""

import logging
import os
import socket
import threading
import time
from collections.abc import Collection
from typing import Any

from celery import Celery
from kombu.exceptions import OperationalError

from db import events, line, outbox, processes
from db.jobs import JOBS_CHANNEL, OUTBOX_CHANNEL
from db.line import Message
from db.session import Database
from tasks import traces
from tasks.catalog import QUEUES
from tasks.settings import Settings
from workers.settings import declare_queues
from workers.tending import Tending
from workers.window import Window

_log = logging.getLogger(__name__)

_SWEEP_EVERY_S = 1.0
_BATCH = 64
_REFILLS = 4  # of a full window, while it is worked off
_SILENT_AFTER_S = 4.0
_BATCH_S = 5.0  # well below the 20 s after which the server ends the session
_CONFIRM_TIMEOUT_S = 8
_SOCKET_TIMEOUT_S = 10
_LONGEST_PAUSE_S = 5.0


class Dispatcher:
    """Publishes until told to stop; two of them may run, each row is taken once."""

    def __init__(self, app: Celery, database: Database, settings: Settings) -> None:
        self._app = app
        self._database = database
        self._settings = settings
        self._wanted: set[str] = set(QUEUES)
        self._full: set[str] = set()
        self._claims = 0
        self._sweep_at = 0.0
        self._windows = {
            queue: Window(most=settings.dispatch_window) for queue in QUEUES
        }
        self._wake = threading.Event()
        self._over = threading.Event()
        self.broker: dict[str, Any] = {"state": "not connected"}
        self.name = f"dispatcher-{socket.gethostname()}-{os.getpid()}"
        self._tending = Tending(database, grown=self._want)

    def run(self) -> None:
        """Publish what there is, then wait for more; reconnect with backoff."""
        traces.configure(self._settings.traces_url, service="forebay-dispatcher")
        listener = threading.Thread(target=self._listen, name="listen", daemon=True)
        listener.start()
        self._tending.start()
        pause = 0.2
        while not self._over.is_set():
            try:
                self._publish_until_broken()
                pause = 0.2
            except Exception as error:  # noqa: BLE001 - any broker or database fault
                self.broker = {"state": "unreachable", "error": type(error).__name__}
                _log.warning("dispatch interrupted: %s", error)
                self._over.wait(pause)
                pause = min(_LONGEST_PAUSE_S, pause * 2)
        self._tending.stop()
        traces.finish()
        _log.info("dispatcher ended")

    def stop(self) -> None:
        """End after the batch at hand."""
        self._over.set()
        self._wake.set()

    def _publish_until_broken(self) -> None:
        options = dict(self._app.conf.broker_transport_options)
        if not self._settings.embedded:
            # A broker in alarm blocks a publish for ever unless sockets time out.
            options |= {
                "confirm_publish": True,
                "read_timeout": _SOCKET_TIMEOUT_S,
                "write_timeout": _SOCKET_TIMEOUT_S,
            }
        connection = self._app.connection_for_write(transport_options=options)
        with connection:
            connection.ensure_connection(max_retries=1, timeout=_SOCKET_TIMEOUT_S)
            with self._app.amqp.Producer(connection, auto_declare=False) as producer:
                declare_queues(self._app, connection)
                self.broker = {"state": "ok"}
                self._wanted.update(QUEUES)
                while not self._over.is_set():
                    self._drain(producer)
                    self._rest(connection)

    def _rest(self, connection: Any) -> None:
        """Wait to be woken; look at every queue once a second however busy one is.

        A retry becomes due without a notification, and must not wait for quiet.
        """
        self._wake.wait(max(0.0, self._sweep_at - time.monotonic()))
        self._wake.clear()
        if time.monotonic() >= self._sweep_at:
            self._sweep_at = time.monotonic() + _SWEEP_EVERY_S
            self._sweep()
            if not self._settings.embedded:
                connection.heartbeat_check()

    def _sweep(self) -> None:
        """Look at every queue, for what no notification told of."""
        with self._database.system() as connection:
            alive = processes.alive(connection, stale_after_s=_SILENT_AFTER_S)
        for queue, window in self._windows.items():
            window.slots = sum(
                one.detail.get("slots", 0) for one in alive if queue in one.queues
            )
        self._wanted.update(QUEUES)

    def _want(self, queues: Collection[str]) -> None:
        if queues:
            self._wanted.update(queues)
            self._wake.set()

    def _drain(self, producer: Any) -> None:
        while self._wanted:
            queue = self._wanted.pop()
            while self._dispatch(producer, queue):
                pass

    def _dispatch(self, producer: Any, queue: str) -> bool:
        """Publish one batch of a queue; return whether there may be more."""
        window = self._windows[queue]
        # Not durable: what a crash makes it publish again, the claim refuses.
        with self._database.system(durable=False) as connection:
            unclaimed = line.unclaimed(connection, queue=queue)
            room = window.room(unclaimed=unclaimed, now=time.monotonic())
            limit = min(_BATCH, room)
            messages = line.take(
                connection,
                queue=queue,
                queues=QUEUES,
                limit=limit,
                share=self._settings.backfill_share,
            )
            sent = self._send(producer, messages)
            if sent:
                outbox.mark_sent(connection, ids=[message.id for message in sent])
                line.paid(connection, queue=queue, sent=sent)
        window.sent(len(sent))
        if len(messages) == _BATCH:
            return True
        # Perhaps the window cut the batch short: then a claim makes room for more.
        if len(messages) == limit:
            self._full.add(queue)
        return False

    def _send(self, producer: Any, messages: list[Message]) -> list[Message]:
        """Publish until the broker refuses or is slow; return what it took."""
        sent: list[Message] = []
        ends_at = time.monotonic() + _BATCH_S
        try:
            for message in messages:
                self._publish(producer, message)
                sent.append(message)
                if time.monotonic() >= ends_at:
                    break
        except OperationalError:
            _log.warning("publishing stopped after %d", len(sent))
            if not sent:
                raise
        return sent

    def _publish(self, producer: Any, message: Message) -> None:
        delivery: dict[str, Any] = {}
        if not self._settings.embedded:
            delivery = {"mandatory": True, "confirm_timeout": _CONFIRM_TIMEOUT_S}
        span = traces.span(
            f"publish {message.type}",
            "producer",
            parent=message.traceparent,
            attributes=_told(message),
        )
        with span as now:
            headers = {"traceparent": now.traceparent} if now.traceparent else None
            self._app.send_task(
                message.type,
                kwargs={"job_id": message.job_id, "attempt": message.attempt},
                queue=message.queue,
                producer=producer,
                retry=False,
                task_id=f"{message.job_id}:{message.attempt}",
                headers=headers,
                **delivery,
            )
            _log.debug(
                "job published",
                extra={"job_id": message.job_id, "trace_id": now.trace_id},
            )

    def _listen(self) -> None:
        """Wake the publisher; after a lost connection listen again."""
        while not self._over.is_set():
            try:
                for payload in events.listen(
                    self._database,
                    channels=(OUTBOX_CHANNEL, JOBS_CHANNEL),
                    patience_s=_SWEEP_EVERY_S,
                ):
                    if self._over.is_set():
                        return
                    self._hear(payload)
            except Exception as error:  # noqa: BLE001 - the sweep goes on meanwhile
                _log.warning("listening interrupted: %s", error)
                time.sleep(_SWEEP_EVERY_S)

    def _hear(self, payload: str | None) -> None:
        self._tending.hear(payload)
        if payload in QUEUES:
            self._want((payload,))
        elif payload is not None and payload.endswith(":running"):
            self._want(self._with_room())

    def _with_room(self) -> tuple[str, ...]:
        """Count a claim; return the full queues once enough of them made room.

        Looking at every claim would cost a transaction each, and the workers still
        have three quarters of a window before them.
        """
        self._claims += 1
        now = time.monotonic()
        smallest = min((self._windows[one].size(now) for one in self._full), default=0)
        if self._claims < smallest / _REFILLS:
            return ()
        self._claims = 0
        found = tuple(self._full)
        self._full.clear()
        return found


def _told(message: Message) -> traces.Attributes:
    return traces.of_job(
        job_id=message.job_id,
        attempt=message.attempt,
        tenant_id=message.tenant_id,
        queue=message.queue,
    )
