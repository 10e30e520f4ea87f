"""Clients that submit jobs at a set rate and do not give up until each is accepted.

They note what they were told: the audit holds the platform to it. A request that
broke off is sent again with its idempotency key, as a real client would.
"""

import heapq
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import requests

from tests.chaos.submissions import Submission, make_submission, upload_file

GIVE_UP_AFTER_S = 150.0
_PAUSE_S = 0.2
_CONNECT_S = 3.0
PASSING = {
    409: "key-in-flight",
    429: "too-many-streams",
    503: "database-unavailable",
    507: "storage-full",
}
"""Answers that tell a client to try again, with the problem each must name."""


@dataclass
class Told:
    """What the clients were told, by submission number."""

    seed: int
    jobs: dict[int, str] = field(default_factory=dict)
    uploads: dict[int, str] = field(default_factory=dict)
    cancelled: set[str] = field(default_factory=set)
    after: dict[int, str] = field(default_factory=dict)
    answers: Counter[str] = field(default_factory=Counter)
    broken_promises: list[str] = field(default_factory=list)
    submitted_at: dict[int, float] = field(default_factory=dict)

    def submission(self, number: int) -> Submission:
        """Return what was submitted under a number."""
        return make_submission(self.seed, number)


@dataclass(frozen=True)
class Pace:
    """How many jobs, how fast, from how many connections."""

    jobs: int
    rate: float
    threads: int = 4


class Load:
    """Submits in threads of its own until all jobs are accepted."""

    def __init__(
        self,
        base: str,
        api_key: str,
        told: Told,
        pace: Pace,
        *,
        held_back: Callable[[int], bool],
        accepted: Callable[[str], None],
    ) -> None:
        """Prepare; ``held_back`` says whether a number must wait for a fault."""
        self.told = told
        self._base = base
        self._headers = {"Authorization": f"Bearer {api_key}"}
        self._pace = pace
        self._held_back = held_back
        self._accepted = accepted
        self._numbers = iter(range(pace.jobs))  # next() on it is atomic
        self._lock = threading.Lock()
        self._next_at = 0.0
        self._latest: str | None = None
        self._to_cancel: list[tuple[float, str]] = []
        self._over = threading.Event()
        self._threads = [
            threading.Thread(
                target=self._submit_all, name=f"load-{number}", daemon=True
            )
            for number in range(pace.threads)
        ]
        self._canceller = threading.Thread(
            target=self._cancel_all, name="cancel", daemon=True
        )

    def start(self) -> None:
        """Begin to submit."""
        for thread in (*self._threads, self._canceller):
            thread.start()

    @property
    def submitting(self) -> bool:
        """Whether there are jobs yet to be accepted or cancelled."""
        return any(thread.is_alive() for thread in self._threads) or bool(
            self._to_cancel
        )

    def stop(self) -> None:
        """End at once, accepted or not."""
        self._over.set()
        for thread in (*self._threads, self._canceller):
            thread.join()

    def _submit_all(self) -> None:
        with requests.Session() as session:
            session.headers.update(self._headers)
            for number in self._numbers:
                while self._held_back(number) and not self._over.is_set():
                    time.sleep(0.05)
                self._await_turn()
                if self._over.is_set():
                    return
                self._submit(session, make_submission(self.told.seed, number))

    def _await_turn(self) -> None:
        with self._lock:
            now = time.monotonic()
            self._next_at = max(now, self._next_at) + 1 / self._pace.rate
            wait_s = self._next_at - now
        self._over.wait(wait_s)

    def _submit(self, session: requests.Session, item: Submission) -> None:
        self.told.submitted_at[item.number] = time.time()
        body = self._body(session, item)
        job = body and self._insist(session, "/v1/jobs", item, json=body)
        if not job:
            return
        self.told.jobs[item.number] = self._latest = job["id"]
        self._accepted(job["id"])
        if item.cancel_after_s is not None:
            with self._lock:
                due = time.monotonic() + item.cancel_after_s
                heapq.heappush(self._to_cancel, (due, job["id"]))
        if item.again:
            again = self._insist(session, "/v1/jobs", item, json=body)
            if again is not None and again["id"] != job["id"]:
                self._break(f"{item.key}: {job['id']} became {again['id']}")

    def _body(
        self, session: requests.Session, item: Submission
    ) -> dict[str, Any] | None:
        """Return what to send; None where the file of an ingest was refused."""
        body = {
            "type": item.type,
            "params": item.params,
            "priority": item.priority,
            "labels": item.labels,
            **item.more,
        }
        if item.chained and self._latest is not None:
            self.told.after[item.number] = self._latest
            body["after"] = [self._latest]
        if item.deadline_s is not None:
            body["deadline"] = _instant(time.time() + item.deadline_s)
        if item.kind == "ingest":
            upload = self._upload(session, item)
            body["params"] = {"upload": upload}
            if upload is None:
                return None
        return body

    def _upload(self, session: requests.Session, item: Submission) -> str | None:
        path = f"/v1/uploads?filename={item.number}.csv"
        content = upload_file(item.number)
        headers = {"Content-Type": "text/csv"}
        found = self._insist(session, path, item, data=content, headers=headers)
        if found is None:
            return None
        upload: str = found["id"]
        self.told.uploads[item.number] = upload
        if item.again:
            again = self._insist(session, path, item, data=content, headers=headers)
            if again is not None and again["id"] != upload:
                self._break(f"{item.key}: {upload} became {again['id']}")
        return upload

    def _insist(
        self, session: requests.Session, path: str, item: Submission, **content: Any
    ) -> dict[str, Any] | None:
        """Send until accepted, always with the same key; None when it is refused."""
        key = item.key + path.partition("?")[0].replace("/", "-")
        headers = {"Idempotency-Key": key, **content.pop("headers", {})}
        ends_at = time.monotonic() + GIVE_UP_AFTER_S
        broke_off = False
        while time.monotonic() < ends_at and not self._over.is_set():
            try:
                answer = session.post(
                    self._base + path,
                    headers=headers,
                    timeout=(_CONNECT_S, item.patience_s),
                    **content,
                )
            except requests.RequestException:
                self._count("request broke off")
                broke_off = True
            else:
                if answer.status_code in (200, 201, 202):
                    self._count_accepted(answer, broke_off=broke_off)
                    found: dict[str, Any] = answer.json()
                    return found
                if not self._may_try_again(path, answer):
                    return None
            self._over.wait(_PAUSE_S)
        self._break(f"{path} {key} was never accepted")
        return None

    def _count_accepted(self, answer: requests.Response, *, broke_off: bool) -> None:
        self._count(f"answer {answer.status_code}")
        if answer.headers.get("Idempotency-Replayed"):
            self._count("replayed after a break" if broke_off else "replayed")

    def _may_try_again(self, path: str, answer: requests.Response) -> bool:
        self._count(f"answer {answer.status_code}")
        name = PASSING.get(answer.status_code)
        if name is not None and name in answer.text:
            return True
        self._break(f"{path} answered {answer.status_code}: {answer.text[:300]}")
        return answer.status_code >= requests.codes.server_error

    def _cancel_all(self) -> None:
        with requests.Session() as session:
            session.headers.update(self._headers)
            while not self._over.wait(0.05):
                with self._lock:
                    due = self._to_cancel and self._to_cancel[0]
                if due and due[0] <= time.monotonic():
                    self._cancel(session, due[1])
                    with self._lock:
                        self._to_cancel.remove(due)
                        heapq.heapify(self._to_cancel)

    def _cancel(self, session: requests.Session, job_id: str) -> None:
        """Cancel until told so; to cancel twice does no harm."""
        while not self._over.is_set():
            try:
                answer = session.post(
                    f"{self._base}/v1/jobs/{job_id}/cancel", timeout=(_CONNECT_S, 15)
                )
            except requests.RequestException:
                self._count("cancel broke off")
            else:
                if answer.ok:
                    self._count("cancel answered")
                    if answer.json()["state"] == "cancelled":
                        self.told.cancelled.add(job_id)
                    return
                if not self._may_try_again("cancel", answer):
                    return
            self._over.wait(_PAUSE_S)

    def _count(self, what: str) -> None:
        with self._lock:
            self.told.answers[what] += 1

    def _break(self, promise: str) -> None:
        with self._lock:
            self.told.broken_promises.append(promise)


def _instant(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
