"""The raw archive: what sources answered, under its SHA-256, before anything is parsed.

Each answer has a row that says what was asked, without secrets, and what came of it.
Parsing again from here needs no network and gives the same rows.
"""

import itertools
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from db import raw_fetches, raw_upkeep
from db.raw_fetches import Fetch
from db.session import Connection
from tasks.artifacts import FileStore, digest
from tasks.context import JobContext

if TYPE_CHECKING:
    from ingest.contract import Partition
    from ingest.exchange import Answer, Request, Transport
    from ingest.fetch import Exchange

_NEW = timedelta(days=1)
_SWEPT_AT_ONCE = 5_000
KEPT_HEADERS = frozenset(
    {
        *("content-type", "content-encoding", "content-length"),
        *("etag", "last-modified", "retry-after", "link"),
    }
)
"""What connectors judge answers by: from the archive they have to judge the same."""


def store(context: JobContext) -> FileStore:
    """Return the tenant's archive; a folder that all workers share."""
    return FileStore(folder(context.artifacts, context.tenant_id))


def folder(artifacts: Path, tenant_id: int) -> Path:
    """Return where a tenant's answers lie."""
    return artifacts / "raw" / str(tenant_id)


class Keeping:
    """Carries requests to the source, and keeps each answer once it is judged.

    What the same job has read already, before a crash, is not asked for again.
    """

    def __init__(
        self,
        live: "Transport",
        context: JobContext,
        *,
        source_id: str,
        partition: "Partition",
    ) -> None:
        """Begin with what earlier attempts of the job left."""
        self._live = live
        self._context = context
        self._source_id = source_id
        self._partition = partition
        self._store = store(context)
        found = _found(context, partition, context.job_id)
        self._kept = {
            fingerprint: row
            for fingerprint, row in found.items()
            if self._store.holds(row.sha256)
        }
        self.asked = 0
        """Requests that went to the source."""

    def send(self, request: "Request") -> "Answer":
        """See ingest.exchange.Transport."""
        known = self._kept.get(request.fingerprint)
        if known is not None:
            return answer(known, self._store)
        self.asked += 1
        return self._live.send(request)

    def judged(self, found: "Exchange") -> None:
        """Keep an answer, whatever it means, and say so in its own transaction."""
        request, reply = found.request, found.answer
        if not request.kept or request.fingerprint in self._kept:
            return
        sha256, size = self._keep(reply)
        new = raw_fetches.NewFetch(
            source_id=self._source_id,
            job_id=self._context.job_id,
            partition_id=self._partition.id,
            request=described(request),
            fingerprint=request.fingerprint,
            status=reply.status,
            headers={
                name: text
                for name, text in reply.headers.items()
                if name in KEPT_HEADERS
            },
            whole=reply.whole,
            verdict=found.page.verdict.cls,
            sha256=sha256,
            bytes=size,
            fetched_at=reply.fetched_at,
        )
        with self._context.note() as connection:
            raw_fetches.insert(connection, tenant_id=self._context.tenant_id, new=new)

    def _keep(self, reply: "Answer") -> tuple[str, int]:
        if reply.path is None:
            body = reply.body
            sha256 = self._store.put(body)
            self._store.path(sha256).touch()  # so that no sweep takes it for an old one
            return sha256, len(body)
        size = reply.path.stat().st_size
        sha256 = reply.sha256 or digest(reply.body)
        spare = reply.path.with_name(f"{reply.path.name}.kept")
        shutil.copyfile(reply.path, spare)
        self._store.take(spare, sha256=sha256)
        return sha256, size


class Archived:
    """Answers from the archive what a job was answered; opens no connection."""

    def __init__(
        self,
        context: JobContext,
        *,
        partition: "Partition",
        job_id: str,
    ) -> None:
        """Look up what the job was answered for the partition."""
        self.job_id = job_id
        self._store = store(context)
        self.kept = _found(context, partition, job_id)

    def send(self, request: "Request") -> "Answer":
        """See ingest.exchange.Transport."""
        from ingest.exchange import Unreachable

        known = self.kept.get(request.fingerprint)
        if known is None or not self._store.holds(known.sha256):
            raise Unreachable("the raw archive does not hold the answer any more")
        return answer(known, self._store)

    def sha256(self, request: "Request") -> str | None:
        """Return the hash of the body that answers a request."""
        known = self.kept.get(request.fingerprint)
        return None if known is None else known.sha256


def answer(known: Fetch, archive: FileStore) -> "Answer":
    """Return a kept answer as it was when it came."""
    from ingest.exchange import Answer

    return Answer(
        status=known.status,
        headers=known.headers,
        fetched_at=known.fetched_at,
        path=archive.path(known.sha256),
        whole=known.whole,
        sha256=known.sha256,
    )


def described(request: "Request") -> dict[str, object]:
    """Return a request as it is kept: place-holders stand where secrets go."""
    return {
        "method": request.method,
        "url": request.url,
        "params": [list(pair) for pair in request.params],
        "headers": dict(request.headers),
        "body": request.body,
        "place": dict(request.place),
    }


def forget(connection: Connection, context: JobContext, *, keep: timedelta) -> int:
    """Delete answers older than ``keep``, and bodies that no row names any more.

    A body that only this transaction leaves without a name is for the next sweep: if it
    is rolled back, the rows are there and so are their bodies.

    Returns:
        How many answers were deleted.
    """
    sweep(context)
    return raw_upkeep.forget(
        connection, tenant_id=context.tenant_id, before=context.now - keep
    )


def sweep(context: JobContext) -> int:
    """Delete bodies that no row names, as after a source was deleted; return how many.

    A body is laid down before its row, so what is new is left alone.
    """
    archive, gone = store(context), 0
    digests = archive.digests()
    while hashes := list(itertools.islice(digests, _SWEPT_AT_ONCE)):
        old = [one for one in hashes if _age(archive.path(one), context) > _NEW]
        with context.read() as connection:
            unnamed = raw_upkeep.unnamed(
                connection, tenant_id=context.tenant_id, hashes=old
            )
        for sha256 in unnamed:
            archive.path(sha256).unlink(missing_ok=True)
        gone += len(unnamed)
    return gone


def _age(path: Path, context: JobContext) -> timedelta:
    try:
        return context.now - datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except FileNotFoundError:
        return timedelta(0)


def _found(
    context: JobContext, partition: "Partition", job_id: str
) -> dict[str, Fetch]:
    from ingest.verdicts import GOOD

    with context.read() as connection:
        rows = raw_fetches.of_job(
            connection,
            tenant_id=context.tenant_id,
            job_id=job_id,
            partition_id=partition.id,
        )
    usable = {*GOOD, "not_available"}
    return {row.fingerprint: row for row in rows if row.verdict in usable}
