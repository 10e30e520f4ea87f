"""Clients that follow jobs by server-sent events, whatever happens to the server.

Each reconnects with Last-Event-ID, as a browser does, and sometimes drops a
connection on purpose. What they kept must be the table's events, one for one. One
client follows the events of all jobs.
"""

import contextlib
import json
import queue
import random
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import requests

from db.jobs import FINAL_STATES

_PAUSE_S = 0.3
_TIMEOUT_S = (3.0, 20.0)
_DROP_SHARE = 0.15
_FEED_DROP_SHARE = 0.005

Seen = tuple[int, str]
"""An event's id and kind."""


class Told(NamedTuple):
    """A server-sent event."""

    id: str
    kind: str
    body: dict[str, Any]


def events(pieces: Iterable[bytes]) -> Iterator[Told]:
    """Yield events as they come, and comments with no kind; no half of an event."""
    waiting = b""
    for piece in pieces:
        waiting += piece
        while b"\n\n" in waiting:
            block, _, waiting = waiting.partition(b"\n\n")
            lines = [line.partition(": ") for line in block.decode().split("\n")]
            found = {name: text for name, _, text in lines}
            if "" in found:
                yield Told("", "", {})
            elif "data" in found:
                yield Told(found["id"], found["event"], json.loads(found["data"]))


class Streams:
    """Follows as many jobs at once as there are clients, and all jobs in one stream."""

    def __init__(self, base: str, api_key: str, *, clients: int, seed: int) -> None:
        self.seen: dict[str, list[Seen]] = {}
        self.feed: list[tuple[str, str]] = []
        self.counted: Counter[str] = Counter()
        self.unexpected: list[str] = []
        self._base = base
        self._headers = {"Authorization": f"Bearer {api_key}"}
        self._offered: queue.Queue[str] = queue.Queue(maxsize=clients)
        self._lock = threading.Lock()
        self._mark: str | None = None
        self._marked = threading.Event()
        self._no_more = threading.Event()
        self._over = threading.Event()
        self._threads = [
            threading.Thread(
                target=self._follow_all, args=(f"{seed}/{number}",), daemon=True
            )
            for number in range(clients)
        ]
        self._feeder = threading.Thread(
            target=self._feed, args=(f"{seed}/feed",), daemon=True
        )

    def start(self) -> None:
        """Begin to follow; returns once the stream of all jobs has begun."""
        for thread in (*self._threads, self._feeder):
            thread.start()
        self._marked.wait(_TIMEOUT_S[1])

    def offer(self, job_id: str) -> None:
        """Follow this job if a client has time for it."""
        with contextlib.suppress(queue.Full):
            self._offered.put_nowait(job_id)

    def finish(self, *, within_s: float, events: int) -> None:
        """Follow what was begun to its end, then stop; ends hard when time is up.

        Args:
            within_s: how long to wait.
            events: how many the stream of all jobs must have told.
        """
        self._no_more.set()
        ends_at = time.monotonic() + within_s
        for thread in self._threads:
            thread.join(max(0.0, ends_at - time.monotonic()))
        while len(self.feed) < events and time.monotonic() < ends_at:
            time.sleep(0.1)
        self._over.set()
        # The client of all jobs may be in a quiet stream: it ends by itself.
        for thread in self._threads:
            thread.join()

    def _follow_all(self, seed: str) -> None:
        rng = random.Random(seed)
        while not self._over.is_set():
            try:
                job_id = self._offered.get(timeout=0.2)
            except queue.Empty:
                if self._no_more.is_set():
                    return
                continue
            # Some come when there is something to catch up with.
            self._over.wait(rng.choice((0.0, 0.0, rng.uniform(0, 3))))
            self._follow(job_id, rng)

    def _follow(self, job_id: str, rng: random.Random) -> None:
        seen = self.seen[job_id] = []
        first = True
        while not self._over.is_set():
            self._count("connections" if first else "reconnections")
            first = False
            try:
                if self._read(job_id, seen, rng):
                    return
            except requests.RequestException:
                self._count("broke off")
            self._over.wait(_PAUSE_S)
        self._count("given up")

    def _read(self, job_id: str, seen: list[Seen], rng: random.Random) -> bool:
        """Read one connection to its end; return whether the job's end was told."""
        latest = str(seen[-1][0] if seen else 0)
        with self._open(f"/v1/jobs/{job_id}/events", latest) as answer:
            if answer.status_code == requests.codes.no_content:
                return True
            if not answer.ok:
                self._note(job_id, answer)
                return False
            for event in events(answer.iter_content(chunk_size=None)):
                if not event.kind:
                    continue
                seen.append((int(event.id), event.kind))
                self._count("events")
                if event.kind in FINAL_STATES:
                    return True
                if rng.random() < _DROP_SHARE:
                    self._count("dropped on purpose")
                    return False
        return False

    def _feed(self, seed: str) -> None:
        """Follow all jobs until the end."""
        rng = random.Random(seed)
        while not self._over.is_set():
            self._count("connections for all jobs")
            try:
                self._read_feed(rng)
            except requests.RequestException:
                self._count("broke off")
            self._over.wait(_PAUSE_S)

    def _read_feed(self, rng: random.Random) -> None:
        with self._open("/v1/events", self._mark) as answer:
            if not answer.ok:
                self._note("all jobs", answer)
                return
            for event in events(answer.iter_content(chunk_size=None)):
                if self._over.is_set():
                    return
                if not event.kind:
                    continue
                self._mark = event.id
                self._marked.set()
                if event.kind == "mark":
                    continue
                self.feed.append((event.body["job_id"], event.kind))
                if rng.random() < _FEED_DROP_SHARE:
                    return

    def _open(self, path: str, latest: str | None) -> requests.Response:
        headers = {**self._headers}
        if latest is not None:
            headers["Last-Event-ID"] = latest
        return requests.get(
            self._base + path, headers=headers, timeout=_TIMEOUT_S, stream=True
        )

    def _note(self, what: str, answer: requests.Response) -> None:
        self._count(f"answer {answer.status_code}")
        if answer.status_code not in (429, 503):
            self.unexpected.append(f"{what}: {answer.status_code} {answer.text[:200]}")

    def _count(self, what: str) -> None:
        with self._lock:
            self.counted[what] += 1
