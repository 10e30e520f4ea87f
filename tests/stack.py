"""The platform as real processes on private servers, for integration tests and benches.

The same commands as in production, kept running by the embedded supervisor.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import requests

from db import keys, migrate
from db.session import Database
from embedded.platform import free_port
from embedded.supervisor import Supervisor
from tests.servers.ports import first_port

READY_WITHIN_S = 60.0
BASE_ENVIRON = {
    name: os.environ[name]
    for name in ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV")
    if name in os.environ
} | {name: text for name, text in os.environ.items() if name.startswith("COVERAGE_")}


class Stack:
    """A running platform with one tenant and its key."""

    def __init__(self, environ: dict[str, str], logs: Path) -> None:
        self.environ = environ
        self.logs = logs
        self.base = f"http://127.0.0.1:{environ['FOREBAY_PORT']}"
        self.database = Database(environ["FOREBAY_DATABASE_URL"], pool_size=0)
        with self.database.system() as connection:
            self.tenant_id = keys.ensure_tenant(connection, name="stack")
        self.key = self.new_key(self.tenant_id)
        self.supervisor = Supervisor(environ=environ, logs=logs)

    def new_key(self, tenant_id: int, *, role: str = "member") -> str:
        with self.database.system() as connection:
            return keys.issue(connection, tenant_id=tenant_id, name="t", role=role)

    def start(self, *, workers: tuple[tuple[str, int], ...]) -> None:
        """Start the doors; each worker is (queues, concurrency)."""
        self.supervisor.start("web", "web")
        self.supervisor.start("dispatcher", "workers", "dispatcher")
        self.supervisor.start("beat", "workers", "beat")
        for number, (queues, concurrency) in enumerate(workers):
            self.supervisor.start(
                f"worker-{number}",
                "workers",
                "worker",
                f"--queues={queues}",
                f"--concurrency={concurrency}",
            )
        self.await_ready()

    def await_ready(self) -> None:
        ends_at = time.monotonic() + READY_WITHIN_S
        told = "no answer"
        while time.monotonic() < ends_at:
            self.supervisor.tend()
            try:
                answer = requests.get(f"{self.base}/ready", timeout=20)
            except requests.RequestException as error:
                told = str(error)
            else:
                told = answer.text
                if answer.ok:
                    return
            time.sleep(0.1)
        raise AssertionError(f"not ready: {told}\n{self.tails()}")

    def call(self, method: str, path: str, **more: Any) -> requests.Response:
        """Call the API with the tenant's key."""
        headers = {"Authorization": f"Bearer {self.key}", **more.pop("headers", {})}
        return requests.request(
            method, self.base + path, headers=headers, timeout=90, **more
        )

    def submit(self, kind: str, params: dict[str, Any], **more: Any) -> dict[str, Any]:
        body = {"type": kind, "params": params, **more}
        answer = self.call("POST", "/v1/jobs", json=body)
        assert answer.status_code == 202, answer.text
        return answer.json()

    def run(self, kind: str, params: dict[str, Any], **more: Any) -> dict[str, Any]:
        """Submit a job and return it when it has ended, with its result."""
        return self.ended(self.submit(kind, params, **more)["id"])

    def ended(self, job_id: str, *, within_s: float = 60) -> dict[str, Any]:
        ends_at = time.monotonic() + within_s
        while time.monotonic() < ends_at:
            self.supervisor.tend()
            path = f"/v1/jobs/{job_id}"
            job = self.call("GET", path, headers={"Prefer": "wait=1"}).json()
            if job["state"] not in ("queued", "running"):
                return job
        raise AssertionError(f"{job_id} did not end: {job}\n{self.tails()}")

    def children(self, name: str) -> list[psutil.Process]:
        """Return the pool children of a process."""
        return psutil.Process(self.supervisor.pids()[name]).children(recursive=True)

    def kill(self, name: str) -> None:
        """Kill a process outright; the supervisor starts another."""
        os.kill(self.supervisor.pids()[name], signal.SIGKILL)

    def tails(self) -> str:
        """The ends of all logs, for a failure's message."""
        return "\n".join(
            f"--- {log.name}\n" + log.read_text(errors="replace")[-3000:]
            for log in sorted(self.logs.glob("*.log"))
        )

    def stop(self) -> None:
        self.supervisor.stop()
        self.database.close()


@contextmanager
def running_stack(
    *,
    database_url: str,
    broker: dict[str, str],
    folder: Path,
    workers: tuple[tuple[str, int], ...] = (
        ("forecast", 1),
        ("ingest,analysis,system", 1),
    ),
    tuned: dict[str, str] | None = None,
) -> Iterator[Stack]:
    """Migrate the database and run the platform until the block ends."""
    migrate.upgrade(database_url)
    logs = folder / "logs"
    logs.mkdir(parents=True)
    environ = BASE_ENVIRON | {
        "PYTHONUNBUFFERED": "1",
        "FOREBAY_DATABASE_URL": database_url,
        "FOREBAY_ARTIFACTS": str(folder / "artifacts"),
        "FOREBAY_SECRET_KEY": "a test's secret",
        "FOREBAY_PORT": str(free_port(first_port(18_080))),
        **broker,
        **(tuned or {}),
    }
    stack = Stack(environ, logs)
    try:
        stack.start(workers=workers)
        yield stack
    finally:
        stack.stop()
