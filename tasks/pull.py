"""One partition of a source: read, kept, then loaded in the transaction that ends it.

What the source answers goes to the raw archive first, page by page; the load parses
the archive. So a parser can be mended and run again without asking the source, and a
crash costs no page twice.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from db import source_progress, sources
from db.session import Connection
from tasks import outside, pull_store
from tasks.context import JobContext, Outcome
from tasks.errors import SourceUnavailable
from tasks.pull_store import Ended
from tasks.raw import Archived, Keeping
from tasks.source_plan import Opened

if TYPE_CHECKING:
    from ingest.contract import Partition
    from ingest.exchange import Transport
    from ingest.fetch import Refused

_SHORTEST = timedelta(hours=1)
_MINUTE_S = 60.0


def pull(
    one: Opened, partition: "Partition", context: JobContext, *, moves: bool
) -> Outcome:
    """Read a partition and return what stores it.

    A failure that may pass is raised, so that the job is tried again, until the last
    attempt; then, and after one that will not pass, the outcome says that it failed.

    Args:
        one: the source.
        partition: what to read.
        context: of the job.
        moves: whether the watermarks go on; a backfill leaves them.

    Raises:
        SourceUnavailable: to be tried again later.
    """
    _check_breaker(one, context)
    if (lasting := _lasting(one, context)) is not None:
        return _failed(one, partition, context, lasting)
    try:
        pieces = _captured(one, partition, context)
    except _GivenUp as error:
        return _failed(one, partition, context, error.ended)

    def store(connection: Connection) -> Mapping[str, Any]:
        return _stored(connection, one, pieces, context, moves=moves)

    return Outcome({}, store)


def pulled_again(
    connection: Connection,
    one: Opened,
    partition: "Partition",
    context: JobContext,
    *,
    job_id: str,
) -> dict[str, Any]:
    """Load a partition from the archive of an earlier job, without a network."""
    archived = Archived(context, partition=partition, job_id=job_id)
    how = pull_store.Load(context, archived, moves=False)
    ended = pull_store.store(connection, one, partition, how)
    return pull_store.told(ended, partition)


class _GivenUp(Exception):
    def __init__(self, ended: Ended) -> None:
        super().__init__(ended)
        self.ended = ended


def _captured(
    one: Opened, partition: "Partition", context: JobContext
) -> list["Partition"]:
    """Read a partition into the archive; halves of it where it is too large to ask.

    Returns:
        The pieces that were read, which together are the partition.
    """
    from ingest.exchange import NotAllowed, RateLimited
    from ingest.fetch import Refused

    try:
        with outside.transport(one, partition, context) as live:
            _read(one, partition, context, live)
    except Refused as error:
        if error.verdict.cls == "split_window" and (halves := _halves(partition)):
            return [piece for half in halves for piece in _captured(one, half, context)]
        _give_up(one, context, error)
    except RateLimited as error:
        _later(context, "rate_limited", error.detail, wait_s=error.wait_s)
    except NotAllowed as error:
        raise _GivenUp(Ended("failed", "config", str(error))) from error
    with context.note() as connection:
        sources.note_success(
            connection, tenant_id=context.tenant_id, source_id=one.source.id
        )
    return [partition]


def _read(
    one: Opened, partition: "Partition", context: JobContext, live: "Transport"
) -> None:
    from ingest.fetch import exchanges

    keeping = Keeping(live, context, source_id=one.source.id, partition=partition)
    found = exchanges(
        one.connector,
        partition,
        transport=keeping,
        pause=lambda seconds: outside.pausing(context, seconds),
        judged=keeping.judged,
    )
    waiting = 1
    for pages, exchange in enumerate(found, 1):
        waiting += len(exchange.page.follow) - 1
        message = f"{one.source.name} {partition.id}: {pages} answers read"
        context.progress(pages, pages + waiting, "answers", message)


def _give_up(one: Opened, context: JobContext, error: "Refused") -> None:
    """Raise what a refusal means: to be tried again, or given up.

    Raises:
        SourceUnavailable: it may pass, and there are attempts left.
        _GivenUp: it will not pass, or there are none.
    """
    from ingest.verdicts import RETRIED

    verdict = error.verdict
    if verdict.cls in RETRIED:
        with context.note() as connection:
            sources.note_failure(
                connection,
                tenant_id=context.tenant_id,
                source_id=one.source.id,
                now=context.now,
            )
        _later(context, verdict.cls, verdict.detail, wait_s=verdict.wait_s)
    raise _GivenUp(Ended("failed", verdict.cls, verdict.detail)) from error


def _later(
    context: JobContext, reason: str, detail: str, *, wait_s: float | None
) -> None:
    if context.final:
        raise _GivenUp(Ended("failed", reason, detail))
    raise SourceUnavailable(f"{reason}: {detail}", retry_after_s=wait_s)


def _check_breaker(one: Opened, context: JobContext) -> None:
    until = one.source.open_until
    if until is None or until <= context.now:
        return
    wait_s = (until - context.now).total_seconds()
    detail = f"{one.source.name} failed {one.source.failures} times in a row"
    if not context.final:
        raise SourceUnavailable(detail, retry_after_s=max(_MINUTE_S, wait_s))


def _lasting(one: Opened, context: JobContext) -> Ended | None:
    """Return why a sibling of this job met what no retry mends, if one did."""
    from ingest.verdicts import LASTING

    with context.read() as connection:
        met = source_progress.met(
            connection,
            tenant_id=context.tenant_id,
            source_id=one.source.id,
            job_id=context.job_id,
            reasons=LASTING,
        )
    if met is None:
        return None
    partition_id, reason, detail = met
    return Ended("failed", reason, f"not asked, as {partition_id} met: {detail}")


def _failed(
    one: Opened, partition: "Partition", context: JobContext, ended: Ended
) -> Outcome:
    """Write down at once that a partition failed; it stays if the job fails."""
    with context.note() as connection:
        pull_store.record(connection, one, partition, context, ended)
    return Outcome({"windows": [pull_store.told(ended, partition)]})


def _stored(
    connection: Connection,
    one: Opened,
    pieces: list["Partition"],
    context: JobContext,
    *,
    moves: bool,
) -> Mapping[str, Any]:
    windows = []
    for piece in pieces:
        archived = Archived(context, partition=piece, job_id=context.job_id)
        ended = pull_store.store(
            connection, one, piece, pull_store.Load(context, archived, moves=moves)
        )
        windows.append(pull_store.told(ended, piece))
    return {"windows": windows}


def _halves(partition: "Partition") -> list["Partition"]:
    """Return two halves of a window, or nothing where it is too short to be cut."""
    from ingest.contract import Partition

    start, end = partition.start, partition.end
    if start is None or end is None or end - start < 2 * _SHORTEST:
        return []
    middle = _whole_hour(start + (end - start) / 2)
    return [
        Partition(f"{partition.id}/{name}", first, last, partition.part)
        for name, first, last in (("a", start, middle), ("b", middle, end))
    ]


def _whole_hour(instant: datetime) -> datetime:
    return instant.replace(minute=0, second=0, microsecond=0)
