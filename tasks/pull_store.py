"""The load of one partition: parsed from the archive, judged, merged, written down.

All of it is one transaction: versions, current values, tombstones, quarantine, the
ledger and the watermarks appear together or not at all.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from db import (
    loads,
    quarantine,
    raw_upkeep,
    series,
    source_ledger,
    source_progress,
    source_series,
    withdrawals,
)
from db.session import Connection
from tasks.context import JobContext
from tasks.errors import SourceUnavailable
from tasks.loads import conflicting
from tasks.pull_reading import Reading
from tasks.raw import Archived
from tasks.source_plan import Opened

if TYPE_CHECKING:
    from ingest.contract import Partition, SeriesMeta
    from ingest.quality import QualityRules, RowCounts

State = Literal["done", "empty", "not_available", "failed", "held"]
RULES = ("max_rejected", "max_rejected_share", "min_score", "max_withdrawn_share")


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
    """

    context: JobContext
    archived: Archived
    moves: bool = True


def store(
    connection: Connection, one: Opened, partition: "Partition", how: Load
) -> Ended:
    """Load what the archive holds of a partition, and write down how it ended.

    Raises:
        SourceUnavailable: the pages together are not what the source declared.
    """
    source_progress.hold(connection, source_id=one.source.id, partition_id=partition.id)
    context = how.context
    reading = Reading(one, partition, how.archived)
    try:
        staged = loads.stage(connection, reading.rows())
    except reading.faults as error:
        ended = Ended("failed", "malformed", str(error))
        with context.note() as noting:
            record(noting, one, partition, context, ended)
        return ended
    ended = _Publishing(connection, one, partition, how, (reading, staged)).publish()
    if ended.state in ("failed", "held"):
        with context.note() as noting:
            record(noting, one, partition, context, ended)
    else:
        record(connection, one, partition, context, ended)
    return ended


def record(
    connection: Connection,
    one: Opened,
    partition: "Partition",
    context: JobContext,
    ended: Ended,
) -> None:
    """Write how a partition ended into the ledger."""
    source_ledger.record(
        connection,
        tenant_id=context.tenant_id,
        source_id=one.source.id,
        window=source_ledger.Window(
            partition_id=partition.id,
            start_at=partition.start,
            end_at=partition.end,
            part=dict(partition.part),
            state=ended.state,
            reason=ended.reason or None,
            detail=ended.detail or None,
            run_id=run_id(context),
            job_id=context.job_id,
            counts={**ended.counts, "quality": dict(ended.quality)},
            finished_at=context.now,
        ),
    )


def run_id(context: JobContext) -> str:
    """Return the id of the run that a job is; all its parts share it."""
    return f"run_{context.job_id.partition('_')[2]}"


def told(ended: Ended, partition: "Partition") -> dict[str, Any]:
    """Return how a partition ended, for the result of the job."""
    shown = {
        "partition": partition.id,
        "start": partition.start,
        "end": partition.end,
        "state": ended.state,
        **ended.counts,
    }
    if ended.reason:
        shown |= {"reason": ended.reason, "detail": ended.detail}
    if ended.quality:
        shown["quality"] = ended.quality["score"]
    return shown


class _Publishing:
    def __init__(
        self,
        connection: Connection,
        one: Opened,
        partition: "Partition",
        how: Load,
        read: tuple[Reading, loads.Staged],
    ) -> None:
        self._connection = connection
        self._one = one
        self._partition = partition
        self._context = how.context
        self._moves = how.moves
        self._reading, self._staged = read

    def publish(self) -> Ended:
        """Write what may be published, and hold back what may not."""
        reading = self._reading
        if (changed := self._changed_unit()) is not None:
            return Ended("failed", "schema_drift", changed)
        if not self._staged.rows:
            return self._nothing()
        now = self._context.now
        with self._connection.begin_nested() as savepoint:
            loaded = loads.merge(
                self._connection,
                staged=self._staged,
                tenant_id=self._context.tenant_id,
                run_id=run_id(self._context),
                now=now,
                known_from=reading.fetched_at or now,
            )
            self._refuse_incomplete(loaded)
            withdrawn, stored = self._withdraw(loaded)
            counts = self._counts(loaded, withdrawn, stored)
            held = _why_held(counts, self._rules())
            if held is not None:
                savepoint.rollback()
        quality = _quality(counts)
        if held is not None:
            told = {"rejected": counts.rejected, "missing": counts.missing}
            return self._held(loaded, Ended("held", *held, told, quality))
        self._quarantine(self._connection, loaded)
        self._bind()
        return Ended("done", counts=self._told(loaded, withdrawn), quality=quality)

    def _nothing(self) -> Ended:
        reading = self._reading
        told = {"missing": reading.tally.missing}
        if reading.tally.rejected_total:
            counts = self._counts(None, 0, 0)
            detail = f"not one of {counts.rejected} rows is good"
            told["rejected"] = counts.rejected
            quality = _quality(counts)
            return self._held(
                None, Ended("held", "nothing_good", detail, told, quality)
            )
        if "not_available" in reading.verdicts:
            detail = "the source says that there is nothing yet, or not that day"
            return Ended("not_available", "not_available", detail, told)
        return Ended("empty", counts=told)

    def _held(self, loaded: loads.Loaded | None, ended: Ended) -> Ended:
        """Keep the bad rows even if the job fails for them."""
        with self._context.note() as connection:
            self._quarantine(connection, loaded)
        return ended

    def _refuse_incomplete(self, loaded: loads.Loaded) -> None:
        """Fail unless there are as many distinct rows as the source declared."""
        tally, total = self._reading.tally, self._reading.total
        distinct = loaded.written + loaded.revised + loaded.unchanged
        seen = distinct + tally.missing + tally.rejected_total + loaded.conflicting
        if total is None or seen >= total:
            return
        with self._context.note() as connection:
            raw_upkeep.spoil(
                connection,
                tenant_id=self._context.tenant_id,
                job_id=self._context.job_id,
                partition_id=self._partition.id,
            )
        detail = f"incomplete: {seen} distinct rows of {total} that were declared"
        raise SourceUnavailable(detail)

    def _withdraw(self, loaded: loads.Loaded) -> tuple[int, int]:
        """Make tombstones of what a window that is proven whole no longer holds."""
        one, partition = self._one, self._partition
        proven = self._reading.complete or (
            one.spec.completeness == "declared_total"
            and self._reading.total is not None
        )
        if not proven or partition.start is None or partition.end is None:
            return 0, 0
        if not one.source.options.get("withdraw", True):
            return 0, 0
        gone = withdrawals.withdraw(
            self._connection,
            tenant_id=self._context.tenant_id,
            staged=self._staged,
            windows=[
                (window.key, partition.start, partition.end)
                for window in loaded.windows
            ],
            run_id=run_id(self._context),
            now=self._context.now,
        )
        return gone, loaded.unchanged + loaded.revised + gone

    def _counts(
        self, loaded: loads.Loaded | None, withdrawn: int, stored: int
    ) -> "RowCounts":
        from ingest.quality import RowCounts

        reading = self._reading
        clashing = loaded.conflicting if loaded else 0
        good = loaded.written + loaded.revised + loaded.unchanged if loaded else 0
        return RowCounts(
            good=good,
            rejected=reading.tally.rejected_total + clashing,
            missing=reading.tally.missing,
            conflicting=clashing,
            expected=reading.total,
            drift=len(reading.drift),
            withdrawn=withdrawn,
            stored=stored,
        )

    def _told(self, loaded: loads.Loaded, withdrawn: int) -> dict[str, Any]:
        tally = self._reading.tally
        return {
            "written": loaded.written,
            "revised": loaded.revised,
            "unchanged": loaded.unchanged,
            "missing": tally.missing,
            "duplicates": loaded.duplicates,
            "rejected": tally.rejected_total + loaded.conflicting,
            "withdrawn": withdrawn,
            "drift": list(self._reading.drift),
        }

    def _rules(self) -> "QualityRules":
        from ingest.quality import QualityRules

        given = self._one.source.options.get("quality") or {}
        return QualityRules(
            **{name: given[name] for name in RULES if given.get(name) is not None}
        )

    def _quarantine(self, connection: Connection, loaded: loads.Loaded | None) -> None:
        rows = list(self._reading.bad)
        rows += [(bad, None) for bad in (conflicting(loaded) if loaded else ())]
        quarantine.add(
            connection,
            tenant_id=self._context.tenant_id,
            load=quarantine.Load(
                source_id=self._one.source.id,
                partition_id=self._partition.id,
                run_id=run_id(self._context),
                contract_version=self._one.spec.version,
            ),
            refused=[
                quarantine.Refused(
                    row_no=bad.row, code=bad.code, detail=bad.detail, raw_sha256=sha256
                )
                for bad, sha256 in rows
            ],
            now=self._context.now,
        )

    def _changed_unit(self) -> str | None:
        known = source_progress.units(
            self._connection,
            tenant_id=self._context.tenant_id,
            source_id=self._one.source.id,
        )
        for key, meta in self._reading.metas.items():
            before = known.get(key)
            if before and meta.unit and before != meta.unit:
                return f"the unit of {key} changed from {before!r} to {meta.unit!r}"
        return None

    def _bind(self) -> None:
        """Say what the source knows of its series, and move their watermarks."""
        reading, tenant_id = self._reading, self._context.tenant_id
        keys = {reading.key(local): local for local in reading.marks}
        ids = series.ids(
            self._connection, tenant_id=tenant_id, keys=[*keys], now=self._context.now
        )
        source_series.upsert(
            self._connection,
            tenant_id=tenant_id,
            source_id=self._one.source.id,
            found={
                local: source_series.Bound(ids[key], _unit(reading.metas.get(local)))
                for key, local in keys.items()
            },
        )
        source_progress.describe(
            self._connection,
            tenant_id=tenant_id,
            told={
                ids[key]: vars(reading.metas[local])
                for key, local in keys.items()
                if local in reading.metas
            },
            now=self._context.now,
        )
        if self._moves:
            source_series.advance(
                self._connection,
                tenant_id=tenant_id,
                source_id=self._one.source.id,
                marks=reading.marks,
                now=self._context.now,
            )


def _unit(meta: "SeriesMeta | None") -> str | None:
    return meta.unit if meta else None


def _why_held(counts: "RowCounts", rules: "QualityRules") -> tuple[str, str] | None:
    from ingest.quality import why_held

    return why_held(counts, rules)


def _quality(counts: "RowCounts") -> dict[str, Any]:
    from ingest.quality import described

    return described(counts)
