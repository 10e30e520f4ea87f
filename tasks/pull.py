"""One partition of a source: read, kept, then loaded in the transaction that ends it.

What the source answers goes to the raw archive first, page by page; the load parses
the archive. So a parser can be mended and run again without asking the source, and a
crash costs no page twice.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from db import sources
from db.session import Connection
from tasks import outside, pull_gate, pull_known, pull_ledger, pull_store
from tasks.context import JobContext, Outcome
from tasks.pull_ledger import Ended, Load
from tasks.raw import Archived, Keeping
from tasks.source_plan import Opened

if TYPE_CHECKING:
    from ingest.contract import Partition
    from ingest.fetch import Exchange

_SHORTEST = timedelta(hours=1)


@dataclass(frozen=True)
class Wanted:
    """How a partition is read.

    Attributes:
        moves: whether the watermarks go on; a backfill leaves them.
        news: whether the source may say that there is nothing newer than last time.
        edge: see ``Load``.
    """

    moves: bool = True
    news: bool = False
    edge: datetime | None = None


def pull(
    one: Opened, partition: "Partition", context: JobContext, wanted: Wanted
) -> Outcome:
    """Read a partition and return what stores it.

    A failure that may pass is raised, so that the job is tried again, until the last
    attempt; then, and after one that will not pass, the outcome says that it failed.

    Raises:
        SourceUnavailable: to be tried again later.
    """
    try:
        pull_gate.check_breaker(one, context)
        pull_gate.check_siblings(one, context)
        asked = pull_known.seen(one, partition, context)
        if wanted.news:
            asked = pull_known.known(one, asked, context)
        pieces = _captured(one, asked, context)
    except pull_gate.GivenUp as error:
        return _failed(one, partition, context, error.ended)

    def store(connection: Connection) -> Mapping[str, Any]:
        return _stored(connection, one, pieces, context, wanted)

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
    how = Load(context, archived, moves=False)
    ended = pull_store.store(connection, one, partition, how)
    return pull_ledger.told(ended, partition)


def _captured(
    one: Opened, partition: "Partition", context: JobContext
) -> list["Partition"]:
    """Read a partition into the archive; halves of it where it is too large to ask.

    Returns:
        The pieces that were read, which together are the partition.
    """
    from ingest.fetch import Refused

    with pull_gate.clearly(one, context):
        try:
            _read(one, partition, context)
        except Refused as error:
            halves = _halves(partition) if error.verdict.cls == "split_window" else []
            if not halves:
                raise
        else:
            halves = []
    if halves:
        return [piece for half in halves for piece in _captured(one, half, context)]
    with context.note() as connection:
        sources.note_success(
            connection, tenant_id=context.tenant_id, source_id=one.source.id
        )
    return [partition]


def _read(one: Opened, partition: "Partition", context: JobContext) -> None:
    from ingest.fetch import exchanges, rest_s

    with outside.transport(one, partition, context) as live:
        keeping = Keeping(live, context, source_id=one.source.id, partition=partition)

        def judged(exchange: "Exchange") -> None:
            keeping.judged(exchange)
            if exchange.page.verdict.cls == "rate_limited":
                live.rest(rest_s(exchange.page.verdict))

        found = exchanges(
            one.connector,
            partition,
            transport=keeping,
            pause=lambda seconds: outside.pausing(context, seconds),
            judged=judged,
        )
        waiting = 1
        for pages, exchange in enumerate(found, 1):
            waiting += len(exchange.page.follow) - 1
            message = f"{one.source.name} {partition.id}: {pages} answers read"
            context.progress(pages, pages + waiting, "answers", message)


def _failed(
    one: Opened, partition: "Partition", context: JobContext, ended: Ended
) -> Outcome:
    """Write down at once that a partition failed; it stays if the job fails."""
    with context.note() as connection:
        pull_ledger.record(connection, one, partition, context, ended)
    return Outcome({"windows": [pull_ledger.told(ended, partition)]})


def _stored(
    connection: Connection,
    one: Opened,
    pieces: list["Partition"],
    context: JobContext,
    wanted: Wanted,
) -> Mapping[str, Any]:
    windows = []
    for piece in pieces:
        archived = Archived(context, partition=piece, job_id=context.job_id)
        how = Load(context, archived, moves=wanted.moves, edge=wanted.edge)
        ended = pull_store.store(connection, one, piece, how)
        windows.append(pull_ledger.told(ended, piece))
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
