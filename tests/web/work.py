"""What workers do to jobs, done by a test: in steps, or the real handler at once."""

from typing import Any

from db import attempts, jobs
from db.attempts import End
from db.session import Database
from tasks.settings import Settings
from workers.runner import Runtime, run

LEASE_S = 60.0


class Work:
    """Moves jobs along."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self.database = database
        self._runtime = Runtime(database, settings, "a test")

    def claim(self, job_id: str, *, attempt: int = 1) -> None:
        with self.database.system() as connection:
            taken = attempts.claim(
                connection,
                job_id=job_id,
                attempt=attempt,
                worker="a test",
                lease_s=LEASE_S,
            )
        assert taken is not None

    def progress(self, job_id: str, done: int, *, total: int = 10) -> None:
        told = {"done": done, "total": total, "unit": "steps", "message": "going on"}
        with self.database.system() as connection:
            attempts.heartbeat(
                connection, job_id=job_id, attempt=1, lease_s=LEASE_S, progress=told
            )

    def finish(self, job_id: str, state: str = "succeeded", **end: Any) -> None:
        """End a running job; ``reason``, ``error`` and ``result`` as in ``End``."""
        end.setdefault("result", {"payload": {}})
        with self.database.system() as connection:
            attempts.finish(connection, job_id=job_id, attempt=1, end=End(state, **end))

    def end(self, job_id: str, state: str = "succeeded", **end: Any) -> None:
        """Claim and end a job."""
        self.claim(job_id)
        self.finish(job_id, state, **end)

    def run(self, job_id: str) -> str:
        """Run a job's real handler and return the state it ends in."""
        return run(self._runtime, job_id=job_id, attempt=1)

    def row(self, job_id: str, tenant_id: int) -> jobs.Job:
        """Return a job's row."""
        with self.database.tenant(tenant_id) as connection:
            found = jobs.find(connection, tenant_id=tenant_id, job_id=job_id)
        assert found is not None
        return found
