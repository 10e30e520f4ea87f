"""Runs of sources in tests: a source's row, and attempts over a real database."""

from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import text

from db import sources
from db.ids import new_id
from db.session import Connection, Database
from tasks import credentials, pull_run
from tasks.errors import SourceUnavailable
from tasks.ingest import IngestParams, run
from tasks.settings import Settings

NOW = datetime(2026, 1, 4, tzinfo=UTC)


LOCAL = Settings(
    source_hosts="127.0.0.1", credentials_key=Fernet.generate_key().decode()
)
"""Settings under which sources of this machine may be read."""


@dataclass
class SourceAttempt:
    """An attempt of a job, with all that the run of a source asks of it."""

    database: Database
    tenant_id: int
    artifacts: Path
    job_id: str
    now: datetime = NOW
    attempt: int = 1
    part: int | None = None
    final: bool = True
    settings: Settings = LOCAL

    def progress(self, done: int, total: int, unit: str, message: str) -> None:
        """See JobContext."""

    def look(self) -> None:
        """See JobContext."""

    def read(self) -> AbstractContextManager[Connection]:
        return self.database.tenant(self.tenant_id)

    note = read

    def shared(self) -> AbstractContextManager[Connection]:
        return self.database.system()


@dataclass
class Desk:
    """Makes sources and runs them, as a worker would."""

    database: Database
    tenant_id: int
    artifacts: Path
    settings: Settings = LOCAL

    def source(
        self,
        name: str,
        connector: str,
        config: dict,
        *,
        credential: str | None = None,
        **options,
    ) -> None:
        setup = sources.Setup(
            name=name,
            connector=connector,
            config=config,
            credential=credential,
            options=options,
        )
        with self.database.tenant(self.tenant_id) as connection:
            assert sources.create(
                connection, tenant_id=self.tenant_id, setup=setup, now=NOW
            )

    def credential(self, name: str, **secrets: str) -> None:
        """Seal secrets under a name."""
        with self.database.tenant(self.tenant_id) as connection:
            credentials.put(
                connection,
                tenant_id=self.tenant_id,
                named=(name, secrets),
                keys=credentials.keys_of(self.settings),
                now=NOW,
            )

    def attempt(self, **more) -> SourceAttempt:
        job_id = new_id("job")
        with self.database.tenant(self.tenant_id) as connection:
            connection.execute(
                text(
                    "INSERT INTO jobs (id, tenant_id, type, queue, state, params, "
                    "labels, priority, timeout_s, attempt, max_attempts, version, "
                    "created_at) VALUES (:id, :tenant, 'ingest.run', 'ingest', "
                    "'running', '{}', '{}', 5, 60, 1, 3, 1, now())"
                ),
                {"id": job_id, "tenant": self.tenant_id},
            )
        more.setdefault("settings", self.settings)
        return SourceAttempt(
            self.database, self.tenant_id, self.artifacts, job_id, **more
        )

    def run(self, source: str, *, tries: int = 6, **given) -> dict[str, Any]:
        """Run a source whole: split, each part until it ends, and the finish."""
        more = {"now": given.pop("now")} if "now" in given else {}
        context = self.attempt(final=False, **more)
        params = IngestParams(source=source, **given)
        parts = pull_run.split(params, context)
        if len(parts) < 2:
            return self._ended(params, context, tries)
        results = [
            self._ended(one, replace(context, part=number), tries)
            for number, one in enumerate(parts)
        ]
        return self._stored(pull_run.merged(params, iter(results), context))

    def _ended(
        self, params: IngestParams, context: SourceAttempt, tries: int
    ) -> dict[str, Any]:
        for number in range(1, tries + 1):
            try:
                this = replace(context, attempt=number, final=number == tries)
                return self._stored(run(params, this))
            except SourceUnavailable:
                if number == tries:
                    raise
        raise AssertionError("not one try")

    def _stored(self, outcome) -> dict[str, Any]:
        with self.database.tenant(self.tenant_id) as connection:
            added = outcome.store(connection) if outcome.store else {}
        return {**outcome.result, **added}

    def rows(self, query: str, **given) -> list[tuple]:
        with self.database.tenant(self.tenant_id) as connection:
            return [tuple(row) for row in connection.execute(text(query), given)]

    def stored(self) -> dict[tuple[str, datetime], float]:
        """Return all current values by the series' key and time."""
        found = self.rows(
            "SELECT key, ts, value FROM obs_current JOIN series ON series.id = "
            "series_id WHERE value IS NOT NULL"
        )
        return {(key, ts): value for key, ts, value in found}


@pytest.fixture
def desk(database, tenant_id, tmp_path, monkeypatch) -> Desk:
    """A worker's desk at which pauses take no time."""
    monkeypatch.setattr("tasks.outside.pausing", lambda _context, _seconds: None)
    return Desk(database, tenant_id, tmp_path)


@pytest.fixture
def at_once(monkeypatch) -> None:
    """Let every source be asked as fast as it answers."""
    monkeypatch.setattr("db.rate_limits.take", lambda *_args, **_more: 0.0)
