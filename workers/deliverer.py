"""Sends webhook deliveries until they arrive, are refused for good, or a day is over.

Runs beside the dispatcher. A delivery is claimed in one transaction, sent outside of
any, and recorded in another: whatever breaks in between, the claim's lease runs out and
it is sent again under the same ``webhook-id``.
"""

import logging
import random
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from db import deliveries, events
from db.deliveries import WEBHOOKS_CHANNEL, Due, Outcome, Room
from db.session import Database
from tasks import webhooks
from tasks.addresses import Refused, Resolve, Unresolved, listed_hosts
from tasks.settings import Settings
from workers import lines
from workers.addresses import Answer, NotSent
from workers.lines import Around
from workers.receivers import Later

_log = logging.getLogger(__name__)

_THREADS = 8
_ROOM = Room(limit=_THREADS, tenant=_THREADS // 2, each=2)
_SWEEP_EVERY_S = 1.0  # a retry becomes due without a notification
_LEASE_S = 60.0
_SUCCESS, _GONE = 2, 410  # a class of status codes, and a code
_UNTOLD = "the job it tells of is gone"


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Outside:
    """What a sender takes from the world around it; tests give it another."""

    now: Callable[[], datetime] = _now
    resolve: Resolve = socket.getaddrinfo
    draw: Callable[[], float] = random.random
    tls: ssl.SSLContext = field(default_factory=ssl.create_default_context)


def _body(due: Due) -> str | None:
    """Return what to send, or None if it can no longer be told."""
    if due.body is not None or due.event is None:
        return due.body
    return webhooks.job_body(due.kind, due.event)


def _said(answer: Answer) -> str:
    return answer.final or f"answered {answer.status}"


class Deliverer:
    """Sends from threads of its own; any number of them may run on one database."""

    def __init__(
        self, database: Database, settings: Settings, *, outside: Outside | None = None
    ) -> None:
        self._database = database
        self._settings = settings
        self._outside = outside or Outside()
        self._around = Around(
            database,
            settings,
            listed_hosts(settings.webhook_hosts),
            self._outside.resolve,
            self._outside.tls,
        )
        self._busy: dict[tuple[str, int], Due] = {}
        self._wake = threading.Event()
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="deliver")
        self._thread = threading.Thread(target=self._run, name="deliverer")

    def start(self) -> None:
        """Begin to send; without a secret key only say that nothing can be sent."""
        if not self._settings.secret_key:
            _log.warning("webhooks are not sent: %s", webhooks.KEYLESS)
            return
        threading.Thread(target=self._listen, name="listen", daemon=True).start()
        self._thread.start()

    def stop(self) -> None:
        """End after what is being sent at hand."""
        self._over.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()
        self._pool.shutdown()

    @property
    def sending(self) -> Sequence[Due]:
        """What is being sent."""
        return tuple(self._busy.values())

    def look(self) -> int:
        """Claim what is due and there is room for, and begin to send it; say how much.

        To be called by one thread only, as the loop does.
        """
        busy = self.sending
        if len(busy) >= _THREADS or not self._settings.secret_key:
            return 0
        with self._database.system() as connection:
            claimed = deliveries.claim(
                connection,
                now=self._outside.now(),
                room=_ROOM,
                busy=busy,
                lease_s=_LEASE_S,
            )
        for due in claimed:
            self._busy[due.id, due.attempt] = due
            self._pool.submit(self._deliver, due)
        return len(claimed)

    def _run(self) -> None:
        while not self._over.is_set():
            # Cleared first: what ends while this looks must make it look again.
            self._wake.clear()
            try:
                self.look()
            except Exception as error:  # noqa: BLE001 - tried again in a moment
                _log.warning("delivering interrupted: %s", type(error).__name__)
                self._over.wait(_SWEEP_EVERY_S)
            self._wake.wait(_SWEEP_EVERY_S)

    def _listen(self) -> None:
        """Wake the loop when there are new deliveries; it looks by itself as well."""
        while not self._over.is_set():
            try:
                for payload in events.listen(
                    self._database,
                    channels=(WEBHOOKS_CHANNEL,),
                    patience_s=_SWEEP_EVERY_S,
                ):
                    if self._over.is_set():
                        return
                    if payload is not None:
                        self._wake.set()
            except Exception as error:  # noqa: BLE001 - the loop looks meanwhile
                _log.warning("listening interrupted: %s", type(error).__name__)
                self._over.wait(_SWEEP_EVERY_S)

    def _deliver(self, due: Due) -> None:
        words = {"delivery_id": due.id, "attempt": due.attempt}
        try:
            outcome = self._attempt(due)
            self._record(due, outcome)
            _log.info(
                "webhook delivered" if outcome.delivered else "webhook not delivered",
                extra={**words, "status": outcome.status, "error": outcome.error},
            )
        except Exception as error:  # noqa: BLE001 - its lease runs out: sent again
            kind = type(error).__name__
            _log.warning("delivery interrupted: %s", kind, extra=words)
        finally:
            del self._busy[due.id, due.attempt]
            self._wake.set()

    def _attempt(self, due: Due) -> Outcome:
        """Send once; whatever the other side does is an outcome."""
        at, began = self._outside.now(), time.monotonic()
        body = _body(due)
        if body is None:
            return Outcome(
                delivered=False, at=at, duration_ms=0, body="{}", error=_UNTOLD
            )
        answer, error = None, None
        try:
            answer = lines.send(due, body.encode(), at, self._around)
            body = answer.body or body
        except Later as found:
            error, body = str(found), found.body
        except (Refused, Unresolved, NotSent) as found:
            error = str(found)
        status = answer.status if answer else None
        delivered = status is not None and status // 100 == _SUCCESS
        return Outcome(
            delivered=delivered,
            at=at,
            duration_ms=round((time.monotonic() - began) * 1_000),
            body=body,
            status=status,
            error=error if answer is None or delivered else _said(answer),
            next_attempt_at=None if delivered else self._next(due, answer, at),
        )

    def _next(self, due: Due, answer: Answer | None, at: datetime) -> datetime | None:
        asked = None
        if answer is not None:
            if answer.status == _GONE or answer.final:
                return None
            asked = webhooks.retry_after_s(answer.status, answer.retry_after, now=at)
        wait_s = webhooks.retry_in_s(
            due.attempt, draw=self._outside.draw(), retry_after_s=asked
        )
        return None if wait_s is None else at + timedelta(seconds=wait_s)

    def _record(self, due: Due, outcome: Outcome) -> None:
        with self._database.system() as connection:
            deliveries.record(connection, due=due, outcome=outcome)
            if outcome.status == _GONE:
                deliveries.give_up(
                    connection,
                    webhook_id=due.webhook_id,
                    reason="the receiver answered 410 Gone",
                    now=outcome.at,
                )
