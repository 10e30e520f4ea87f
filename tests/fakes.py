"""Stand-ins for what a test does not start; each passes the real one's tests."""

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from db.session import Connection, Database
from tasks.artifacts import ArtifactStore, FileStore
from tasks.errors import JobCancelled


@dataclass
class FakeContext:
    """A JobContext outside of any worker; ``tests/workers/test_context.py`` compares.

    Notes each call of progress in ``steps``; ``cancelled`` makes the next one raise.
    """

    tenant_id: int = 1
    job_id: str = "job_fake"
    attempt: int = 1
    now: datetime = datetime(2026, 3, 1, 12, tzinfo=UTC)
    part: int | None = None
    artifacts: Path = Path("no artifacts")
    database: Database | None = None
    cancelled: bool = False
    steps: list[tuple[int, int, str, str]] = field(default_factory=list)

    @property
    def artifact_store(self) -> ArtifactStore:
        """See JobContext.artifact_store."""
        return FileStore(self.artifacts / "models" / str(self.tenant_id))

    def progress(self, done: int, total: int, unit: str, message: str) -> None:
        """See JobContext.progress."""
        if self.cancelled:
            raise JobCancelled
        self.steps.append((done, total, unit, message))

    def look(self) -> None:
        """See JobContext.look."""
        if self.cancelled:
            raise JobCancelled

    def read(self) -> AbstractContextManager[Connection]:
        """See JobContext.read."""
        assert self.database is not None, "this context was made without a database"
        return self.database.tenant(self.tenant_id)
