"""How the read of a partition ended, and how that is written down and told."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from db import source_ledger
from db.session import Connection
from tasks.context import JobContext
from tasks.raw import Archived
from tasks.source_plan import Opened

if TYPE_CHECKING:
    from ingest.contract import Partition

State = Literal["done", "empty", "not_available", "failed", "held"]
UNCHANGED = "unchanged"


@dataclass(frozen=True)
class Ended:
    """How a partition ended, why, and what it wrote."""

    state: State
    reason: str = ""
    detail: str = ""
    counts: Mapping[str, Any] = field(default_factory=dict)
    quality: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Load:
    """What a load needs beside the partition.

    Attributes:
        context: of the job.
        archived: where the answers are.
        moves: whether the watermarks go on.
        edge: revisions before it are counted: they hint at too short a lookback.
    """

    context: JobContext
    archived: Archived
    moves: bool = True
    edge: datetime | None = None

    @property
    def replays(self) -> bool:
        """Whether nothing was asked: the answers are those of an earlier job."""
        return self.archived.job_id != self.context.job_id


def run_id(context: JobContext) -> str:
    """Return the id of the run that a job is; all its parts share it."""
    return f"run_{context.job_id.partition('_')[2]}"


def record(
    connection: Connection,
    one: Opened,
    partition: "Partition",
    context: JobContext,
    ended: Ended,
    *,
    job_id: str | None = None,
) -> None:
    """Write how a partition ended; ``job_id`` is whose answers it was parsed from."""
    window = source_ledger.Window(
        partition_id=partition.id,
        start_at=partition.start,
        end_at=partition.end,
        part=dict(partition.part),
        state=ended.state,
        reason=ended.reason or None,
        detail=ended.detail or None,
        run_id=run_id(context),
        job_id=job_id or context.job_id,
        counts={**ended.counts, "quality": dict(ended.quality)},
        finished_at=context.now,
    )
    if ended.reason == UNCHANGED:
        window = _still(connection, one, context, window)
    source_ledger.record(
        connection,
        tenant_id=context.tenant_id,
        source_id=one.source.id,
        window=window,
    )


def told(ended: Ended, partition: "Partition") -> dict[str, Any]:
    """Return how a partition ended, for the result of the job."""
    shown = {
        "partition": partition.id,
        "start": partition.start,
        "end": partition.end,
        "state": ended.state,
        "superseded": 0,
        **ended.counts,
    }
    if ended.reason:
        shown |= {"reason": ended.reason, "detail": ended.detail}
    if ended.quality:
        shown["quality"] = ended.quality["score"]
    return shown


def _still(
    connection: Connection,
    one: Opened,
    context: JobContext,
    window: source_ledger.Window,
) -> source_ledger.Window:
    """Leave the job whose answers can be parsed again; this one had no content."""
    known = source_ledger.found(
        connection,
        tenant_id=context.tenant_id,
        source_id=one.source.id,
        partition_ids=[window.partition_id],
    ).get(window.partition_id)
    if known is None:
        return replace(window, job_id=None)
    return replace(
        known,
        reason=window.reason,
        detail=window.detail,
        finished_at=window.finished_at,
    )
