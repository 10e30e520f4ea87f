"""What a handler is given beside its params, and what it gives back."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from db.session import Connection
from tasks.artifacts import ArtifactStore
from tasks.settings import Settings


class JobContext(Protocol):
    """The world as one attempt of one job sees it."""

    job_id: str
    tenant_id: int
    attempt: int
    now: datetime
    """The instant the attempt began, aware, in UTC."""
    part: int | None
    """Which part of a job in parts this is; None for a whole job."""
    artifacts: Path
    """The folder of uploaded files."""
    settings: Settings
    final: bool
    """Whether a failure of this attempt would be the job's."""

    @property
    def artifact_store(self) -> ArtifactStore:
        """Where the tenant's trained versions are kept."""
        ...

    def progress(self, done: int, total: int, unit: str, message: str) -> None:
        """Tell how far the work is; a cheap call that may be made for each item.

        Raises:
            JobCancelled: the job was cancelled meanwhile.
            JobTimedOut: the job has run longer than its timeout.
        """
        ...

    def read(self) -> AbstractContextManager[Connection]:
        """Open a transaction that sees the rows of the job's tenant."""
        ...

    def look(self) -> None:
        """See whether to stop; a cheap call that may be made at any time.

        Raises:
            JobCancelled: the job was cancelled meanwhile.
            JobTimedOut: the job has run longer than its timeout.
        """
        ...

    def shared(self) -> AbstractContextManager[Connection]:
        """Open a transaction for what all tenants share, such as rate limits."""
        ...

    def note(self) -> AbstractContextManager[Connection]:
        """Open a transaction for what may be written twice, and stays if the job fails.

        Evidence of what was seen, never a result.
        """
        ...


@dataclass(frozen=True)
class Outcome:
    """What a handler returns: the result, and what must be stored with it.

    ``store`` runs in the very transaction that marks the job succeeded, and may add
    to the result; if the attempt was fenced off meanwhile, all of it is rolled back.
    """

    result: Mapping[str, Any]
    store: Callable[[Connection], Mapping[str, Any]] | None = None
