"""The only publisher: takes outbox rows to the broker, with confirms.

Woken by the database's notifications, it keeps a window of unclaimed messages in each
queue and decides by priority only at the last moment. What it may publish twice after
a crash, the claim refuses.
"""

import logging
import os
import socket
import threading
import time
from collections.abc import Iterable
from typing import Any

from celery import Celery
from kombu.exceptions import OperationalError

from db import events, outbox
from db.jobs import JOBS_CHANNEL, OUTBOX_CHANNEL
from db.outbox import Message
from db.session import Database
from tasks.catalog import QUEUES
from tasks.settings import Settings
from workers.settings import declare_queues

_log = logging.getLogger(__name__)

_SWEEP_EVERY_S = 1.0
_BATCH = 64
_REFILLS = 4  # of a full window, while it is worked off
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
        self._wake = threading.Event()
        self._over = threading.Event()
        self.broker: dict[str, Any] = {"state": "not connected"}
        self.name = f"dispatcher-{socket.gethostname()}-{os.getpid()}"

    def run(self) -> None:
        """Publish what there is, then wait for more; reconnect with backoff."""
        listener = threading.Thread(target=self._listen, name="listen", daemon=True)
        listener.start()
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
            self._wanted.update(QUEUES)
            if not self._settings.embedded:
                connection.heartbeat_check()

    def _drain(self, producer: Any) -> None:
        while self._wanted:
            queue = self._wanted.pop()
            while self._dispatch(producer, queue):
                pass

    def _dispatch(self, producer: Any, queue: str) -> bool:
        """Publish one batch of a queue; return whether there may be more."""
        # Not durable: what a crash makes it publish again, the claim refuses.
        with self._database.system(durable=False) as connection:
            messages = outbox.take(
                connection,
                queue=queue,
                window=self._settings.dispatch_window,
                limit=_BATCH,
            )
            sent: list[int] = []
            try:
                for message in messages:
                    self._publish(producer, message)
                    sent.append(message.id)
            except OperationalError:
                _log.warning("publishing stopped after %d", len(sent))
                if not sent:
                    raise
            if sent:
                outbox.mark_sent(connection, ids=sent)
        if len(messages) == _BATCH:
            return True
        # Perhaps the window cut the batch short: then a claim makes room for more.
        self._full.add(queue)
        return False

    def _publish(self, producer: Any, message: Message) -> None:
        delivery: dict[str, Any] = {}
        if not self._settings.embedded:
            delivery = {"mandatory": True, "confirm_timeout": _CONFIRM_TIMEOUT_S}
        headers = {"traceparent": message.traceparent} if message.traceparent else None
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
        wanted: Iterable[str] = ()
        if payload in QUEUES:
            wanted = (payload,)
        elif payload is not None and payload.endswith(":running"):
            wanted = self._with_room()
        if wanted:
            self._wanted.update(wanted)
            self._wake.set()

    def _with_room(self) -> tuple[str, ...]:
        """Count a claim; return the full queues once enough of them made room.

        Looking at every claim would cost a transaction each, and the workers still
        have three quarters of a window before them.
        """
        self._claims += 1
        if self._claims < self._settings.dispatch_window / _REFILLS:
            return ()
        self._claims = 0
        found = tuple(self._full)
        self._full.clear()
        return found
